"""Store views: what a mail takes from its own, and where a link leads that was opened elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse, create_environ, run_wsgi_app

from invitations_plugin import Website, delivery
from invitations_plugin.clock import now
from invitations_plugin.links import base_url, place_of
from invitations_plugin.state import host, store_view

from .support.outbox import queue, wait_for
from .support.pages import Page
from .support.processes import flask_worker
from .support.sink import Mail, Sink
from .support.snapshots import contents
from .support.stores import MakeStore, Store, Visitor

ANNA, BEN, CARA = "anna@example.com", "ben@example.com", "cara@example.com"
MAIN, PRIVATE = "https://shop.example.com", "https://private.example.com:8443/sales"
WELCOME = "/invitations/welcome"
GRID = "/admin/invitations/"
# Addresses that the two websites may have: names, a path, ports, and both in one.
PLACES = [
    pytest.param(MAIN, "https://private.example.com", id="names"),
    pytest.param(MAIN, f"{MAIN}/private", id="a path"),
    pytest.param("http://127.0.0.1:5001", "http://127.0.0.1:5002", id="ports"),
    pytest.param(f"{MAIN}/shop/", PRIVATE, id="all of it"),
]


@dataclass
class Browser:
    """A visitor whose pages are looked for at an address of the store."""

    visitor: Visitor
    place: str

    def get(self, url: str) -> TestResponse:
        """Open a path here, or a whole address; the next path is looked for where that leads."""
        parts = urlsplit(url)
        if parts.netloc:
            root = self.place_of(url)
            self.place, url = root, url.removeprefix(root.rstrip("/"))
        return self.visitor.get(url, base_url=self.place)

    @staticmethod
    def place_of(url: str) -> str:
        return url.partition("/invitations")[0] + "/"

    def post(self, path: str, data: dict[str, str]) -> TestResponse:
        referer = {"Referer": f"{self.place.rstrip('/')}{path}"}
        return self.visitor.post(path, data, base_url=self.place, headers=referer)

    def register(self, email: str, password: str) -> TestResponse:
        self.get("/register")
        return self.post("/register", {"email": email, "password": password})


@pytest.fixture
def make_two(make_store: MakeStore) -> Callable[..., Store]:
    """Return a function that makes the sample store with an address for each website."""

    def make(main: str = MAIN, private: str = PRIVATE) -> Store:
        return make_store(STORE_URL_MAIN=main, STORE_URL_PRIVATE=private)

    return make


def open_at(store: Store, place: str) -> Browser:
    return Browser(store.visitor(), place)


def mailed(store: Store, sink: Sink, address: str, view: str, **changes: Any) -> Mail:
    """Return the mail of an invitation into the group VIP of a store view."""
    website = "private" if view == "it" else "main"
    queue(store, address, **{"store_view": view, "website": website, "group_code": "vip"} | changes)
    store.deliver()
    return sink.to(address)[0]


def links(mail: Mail) -> list[str]:
    return re.findall(r"https?://\S+", mail.text)


@pytest.mark.parametrize(("main", "private"), PLACES)
@pytest.mark.parametrize("view", ["en", "fr", "it"])
@pytest.mark.parametrize("database", ["sqlite"])
def test_every_link_of_a_mail_leads_to_its_store_views_own_address(
    make_two: Callable[..., Store], sink: Sink, main: str, private: str, view: str
) -> None:
    found = links(mailed(make_two(main, private), sink, ANNA, view))
    own, other = (private, main) if view == "it" else (main, private)
    assert len(found) == 4
    assert all(each.startswith(f"{own.rstrip('/')}/") for each in found)
    assert all(place_of(other) != place_of(Browser.place_of(each)) for each in found)


@pytest.mark.parametrize(("main", "private"), PLACES)
@pytest.mark.parametrize("way", ["", "/sign-in"], ids=["landing", "sign-in"])
def test_a_link_opened_at_another_website_s_address_leads_home(
    make_two: Callable[..., Store], sink: Sink, main: str, private: str, way: str
) -> None:
    store = make_two(main, private)
    for view, own, other in (("fr", main, private), ("it", private, main)):
        mail = mailed(store, sink, f"{view}@example.com", view)
        browser = open_at(store, other)
        led = browser.get(f"{mail.link}{way}").location
        assert led.startswith(f"{own.rstrip('/')}{mail.link}{way}?")
        assert browser.get(WELCOME).status_code == 404
        arrived = browser.get(led)
        assert arrived.status_code == 302
        assert not urlsplit(arrived.location).netloc
        landing = browser.get(WELCOME)
        assert (landing.status_code, Page(landing).all("html")[0].attributes["lang"]) == (200, view)
        assert browser.register(f"{view}@example.com", store.password).status_code == 302
        assert store.group_of(f"{view}@example.com") == "vip"


def test_where_the_session_chooses_a_link_still_leads_to_its_store_views_own_address(
    store: Store, sink: Sink
) -> None:
    """Also within a website: each store view may have a host name of its own."""
    names = {"en": MAIN, "fr": "https://boutique.example.com", "it": MAIN}
    with store.app.app_context():
        sites = tuple(
            replace(
                site,
                store_views=tuple(replace(v, base_url=names[v.code]) for v in site.store_views),
            )
            for site in host().websites()
        )
        host().websites = lambda: sites  # type: ignore[method-assign]
    french = mailed(store, sink, ANNA, "fr").link
    led = open_at(store, MAIN).get(french).location
    assert led.startswith(f"https://boutique.example.com{french}?")
    italian = mailed(store, sink, BEN, "it").link
    assert open_at(store, MAIN).get(italian).location == WELCOME


def test_at_its_own_address_a_link_stays_there(make_two: Callable[..., Store], sink: Sink) -> None:
    store = make_two()
    mail = mailed(store, sink, ANNA, "it")
    own = links(mail)[0]
    for url in (own, own.replace("https:", "http:"), own.replace("private", "PRIVATE")):
        location = open_at(store, "").get(url).location
        assert location == f"/sales{WELCOME}"


@pytest.mark.parametrize("registration", ["all", "invitation"])
def test_a_link_never_registers_on_the_other_website(
    make_two: Callable[..., Store], sink: Sink, registration: str
) -> None:
    store = make_two()
    store.setting("registration", registration)
    browser = open_at(store, MAIN)
    browser.get(mailed(store, sink, ANNA, "it").link)
    status = browser.register(ANNA, store.password).status_code
    assert status == (302 if registration == "all" else 403)
    if registration == "all":
        assert store.group_of(ANNA) == "general"
    assert store.invitation(ANNA).status == "sent"


def test_an_opt_out_is_taken_at_any_address(make_two: Callable[..., Store], sink: Sink) -> None:
    store = make_two()
    out = re.search(r"/invitations/opt-out/[\w.-]+", mailed(store, sink, ANNA, "it").text)
    assert out is not None
    browser = open_at(store, MAIN)
    assert browser.get(out.group()).status_code == 200
    assert browser.post(out.group(), {}).status_code == 200
    store.setting("mailbox_per_day", 0)
    queue(store, ANNA, recipient_hash=store.invitation(ANNA).recipient_hash, inviter_key="77")
    store.deliver()
    assert len(sink.to(ANNA)) == 1


@pytest.mark.parametrize("hidden", [MAIN, PRIVATE, "http://10.0.0.7:8000"])
@pytest.mark.parametrize("view", ["fr", "it"])
@pytest.mark.parametrize("way", ["", "/sign-in"], ids=["landing", "sign-in"])
def test_behind_a_proxy_that_hides_the_address_nobody_is_sent_in_circles(
    make_two: Callable[..., Store], sink: Sink, hidden: str, view: str, way: str
) -> None:
    store = make_two()
    path, visitor = mailed(store, sink, ANNA, view).link + way, store.visitor()
    ways = []
    for _ in range(3):
        answer = visitor.get(path, base_url=hidden)
        parts = urlsplit(answer.location or "")
        ways.append(parts.netloc)
        path = parts.path.removeprefix("/sales") + f"?{parts.query}" if parts.netloc else path
    assert ways[1:] == ["", ""]
    assert answer.status_code == 302


def test_at_an_address_of_nobody_a_link_opens_as_the_store_lets_it(
    store: Store, sink: Sink
) -> None:
    browser = open_at(store, "http://10.0.0.7:8000")
    assert browser.get(mailed(store, sink, ANNA, "it").link).location == WELCOME
    assert Page(browser.get(WELCOME)).all("html")[0].attributes["lang"] == "it"


@pytest.mark.parametrize(
    "name", ["evil.test", "[", "a b", "shop.example.com:x", "shop.example.com.", "", "xn--", "é.é"]
)
@pytest.mark.parametrize("database", ["sqlite"])
def test_a_forged_host_leads_nowhere(make_two: Callable[..., Store], sink: Sink, name: str) -> None:
    store = make_two()
    for view in ("en", "it"):
        link = mailed(store, sink, f"{view}@example.com", view).link
        # Flask's client reads the address as well, and breaks.
        environ = create_environ(link, headers={"Host": name})
        _, status, headers = run_wsgi_app(store.app, environ)
        assert not status.startswith("5")
        leads_to = urlsplit(headers.get("Location", "")).hostname
        assert leads_to in (None, "shop.example.com", "private.example.com")


def test_a_link_that_leads_home_changes_nothing(make_two: Callable[..., Store], sink: Sink) -> None:
    store = make_two()
    link = mailed(store, sink, ANNA, "it").link
    before = contents(store)
    for _ in range(2):
        assert store.visitor().client.head(link, base_url=MAIN).status_code == 302
        assert store.visitor().get(link, base_url=MAIN).status_code == 302
    assert contents(store) == before


def test_a_worker_elsewhere_writes_as_the_store_view_does(
    make_two: Callable[..., Store], sink: Sink
) -> None:
    store = make_two()
    store.setting("email_sender", "support", "store", "fr")
    store.setting("email_sender", "sales", "website", "private")
    for address, view in ((ANNA, "en"), (BEN, "fr"), (CARA, "it")):
        queue(store, address, store_view=view, website="private" if view == "it" else "main")
    elsewhere = {
        "INVITATIONS_BASE_URL": "https://elsewhere.test",
        "INVITATIONS_EMAIL_TEMPLATE": "nowhere",
        "MAIL_DEFAULT_SENDER": "elsewhere@elsewhere.test",
        "STORE_URL_MAIN": MAIN,
        "STORE_URL_PRIVATE": PRIVATE,
        "LANG": "nl_NL.UTF-8",
        "LANGUAGE": "nl",
        "LC_ALL": "nl_NL.UTF-8",
        "TZ": "Asia/Tokyo",
    }
    with flask_worker(store, sink, **elsewhere):
        wait_for(lambda: len(sink.mails) == 3)
    expected = {
        ANNA: ("en", MAIN, "hello", "Linden & Lark", "Bath"),
        BEN: ("fr", MAIN, "care", "Linden & Lark", "Bath"),
        CARA: ("it", PRIVATE, "sales", "Linden & Lark Private Sales", "Milano"),
    }
    for address, (language, place, mailbox, name, town) in expected.items():
        [mail] = sink.to(address)
        [writer] = mail.message["From"].addresses
        assert f'<html lang="{language}">' in mail.html
        assert all(each.startswith(f"{place}/") for each in links(mail))
        assert (writer.username, writer.display_name) == (mailbox, name)
        assert mail.sender == writer.addr_spec
        assert town in mail.text
        assert b"elsewhere" not in mail.content


def test_in_the_middle_of_a_request_of_another_store_view_it_does_too(
    make_two: Callable[..., Store], sink: Sink
) -> None:
    store = make_two()
    queue(store, ANNA, store_view="fr")
    with store.app.test_request_context("/?store=it", base_url=PRIVATE):
        assert delivery.deliver().sent == 1
    assert '<html lang="fr">' in sink.mails[0].html
    assert all(each.startswith(f"{MAIN}/") for each in links(sink.mails[0]))


def without(store: Store, *, view: str = "", website: str = "") -> None:
    """Let the store's host remove a store view, or a whole website."""
    with store.app.app_context():
        kept = tuple(
            replace(site, store_views=tuple(v for v in site.store_views if v.code != view))
            for site in host().websites()
            if site.code != website
        )

        def left() -> tuple[Website, ...]:
            return kept

        host().websites = left  # type: ignore[method-assign]


def test_of_a_removed_store_view_the_mail_comes_as_its_websites_first_one(
    make_two: Callable[..., Store], sink: Sink
) -> None:
    store = make_two()
    without(store, view="fr")
    mail = mailed(store, sink, ANNA, "fr")
    assert '<html lang="en">' in mail.html
    assert all(each.startswith(f"{MAIN}/") for each in links(mail))
    assert store.invitation(ANNA).status == "sent"


@pytest.mark.parametrize("way", ["", "/sign-in"], ids=["landing", "sign-in"])
def test_of_a_removed_store_view_the_link_opens_its_websites_first_one(
    store: Store, sink: Sink, way: str
) -> None:
    link = mailed(store, sink, ANNA, "fr").link
    without(store, view="fr")
    browser = open_at(store, "http://127.0.0.1")
    assert browser.get(f"{link}{way}").status_code == 302
    assert Page(browser.get(WELCOME)).all("html")[0].attributes["lang"] == "en"
    assert browser.register(ANNA, store.password).status_code == 302
    assert store.group_of(ANNA) == "vip"


def test_of_a_removed_store_view_the_back_office_shows_and_sends_what_there_is(
    store: Store, sink: Sink
) -> None:
    mailed(store, sink, ANNA, "fr")
    without(store, view="fr")
    admin, number = store.staff(), store.invitation(ANNA).id
    assert number in Page(admin.get(GRID)).statuses
    assert admin.get(f"{GRID}{number}/").status_code == 200
    assert admin.post(f"{GRID}{number}/send").status_code == 302
    store.setting("mailbox_per_day", 0)
    assert store.deliver().sent == 1
    assert '<html lang="en">' in sink.mails[-1].html


def move_french(store: Store) -> None:
    """Let the store's French view go to Private Sales."""
    with store.app.app_context():
        main, private = host().websites()
        french = replace(main.store_views[1], website="private")
        moved = (
            replace(main, store_views=main.store_views[:1]),
            replace(private, store_views=(*private.store_views, french)),
        )
        host().websites = lambda: moved  # type: ignore[method-assign]


def test_a_store_view_that_went_to_another_website_takes_nobody_along(
    store: Store, sink: Sink
) -> None:
    link = mailed(store, sink, ANNA, "fr").link
    move_french(store)
    with store.app.app_context():
        assert store_view("fr", "main").code == "en"
        assert store_view("fr").website == "private"
    browser = open_at(store, "http://127.0.0.1")
    browser.get(link)
    assert Page(browser.get(WELCOME)).all("html")[0].attributes["lang"] == "en"


def test_staff_use_the_settings_of_the_own_website_of_a_store_view_that_went_to_another(
    store: Store, sink: Sink
) -> None:
    for scope, code, days in (("website", "main", 10), ("website", "private", 20)):
        store.setting("link_days", days, scope, code)
    mailed(store, sink, ANNA, "fr")
    number, admin = store.invitation(ANNA).id, store.staff()
    move_french(store)

    def days_left() -> int:
        return round((store.invitation(ANNA).expires_at - now()) / timedelta(days=1))

    def post(what: str, form: dict[str, str]) -> None:
        admin.get(f"{GRID}views")
        assert admin.post(f"{GRID}{what}", form).status_code == 302

    store.change(ANNA, expires_at=now() + timedelta(days=1))
    post("actions", {"action": "extend", "ids": str(number), "confirm": "1"})
    assert days_left() == 10
    post(f"{number}/discard", {})
    store.change(ANNA, expires_at=now() + timedelta(days=1))
    post(f"{number}/reopen", {})
    assert days_left() == 10


def test_of_a_removed_website_the_mail_waits_and_the_link_gives_nothing(
    store: Store, sink: Sink
) -> None:
    link = mailed(store, sink, ANNA, "it").link
    without(store, website="private")
    queue(store, BEN, store_view="it", website="private")
    queue(store, CARA)
    report = store.deliver()
    assert (report.sent, report.deferred) == (1, 1)
    assert store.invitation(BEN).mail_error == "The store has no website 'private'."
    browser = open_at(store, "http://127.0.0.1")
    browser.get(link)
    assert browser.get(WELCOME).status_code == 404
    assert browser.register(ANNA, store.password).status_code == 302
    assert store.group_of(ANNA) == "general"
    assert store.invitation(ANNA).status == "sent"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://shop.example.com", "https://shop.example.com"),
        ("https://shop.example.com/", "https://shop.example.com"),
        ("https://shop.example.com:8443/a/b//", "https://shop.example.com:8443/a/b"),
        ("HTTPS://SHOP.example.com", "https://shop.example.com"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("https://faß.example.com", "https://xn--fa-hia.example.com"),
        ("https://shop.example.com/épicerie fine", "https://shop.example.com/%C3%A9picerie%20fine"),
        ("https://shop.example.com/%C3%A9", "https://shop.example.com/%C3%A9"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"])
def test_an_address_is_read_as_mail_may_hold_it(store: Store, given: str, address: str) -> None:
    with store.app.app_context():
        assert base_url(replace(store_view("en"), base_url=given)) == address


@pytest.mark.parametrize(
    "given",
    [
        "shop.example.com",
        "https://",
        "https://a@b.de",
        "https://x:y",
        "https://[",
        "mailto:a@b.de",
        "https://shop example.com",
        "https://shop.example.com/?a=1",
        "https://shop.example.com#x",
        "https://shop_<x>.example.com",
    ],
)
@pytest.mark.parametrize("database", ["sqlite"])
def test_an_address_that_is_none_is_refused_with_what_it_should_be(
    store: Store, given: str
) -> None:
    with store.app.app_context(), pytest.raises(RuntimeError, match="write it with its scheme"):
        base_url(replace(store_view("en"), base_url=given))
    assert place_of(given) is None
