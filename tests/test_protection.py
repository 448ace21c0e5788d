"""Every address of the plugin: who may open it, what it asks for, what it leaves alone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from .support.mail_templates import CONTENT, HTML, TEMPLATES, TEXT, add_template
from .support.second_store import SecondStore
from .support.sink import Sink
from .support.snapshots import contents
from .support.stores import MakeStore, Store, Visitor

ANNA = "anna@example.com"
ACCOUNT, INVITEE, ADMIN = "invitations", "invitations_invitee", "invitations_admin"


def as_typed(text: str) -> str:
    """Return a text that stays as it is when an id is put into it."""
    return text.replace("{", "{{").replace("}", "}}")


# What changes something, with what it is sent; a new one is added here or a test fails.
CHANGING: dict[str, tuple[str, dict[str, Any]]] = {
    "invitations.send": ("/account/invitations/send", {"emails-0": "ben@example.com"}),
    "invitations.send_rows": ("/account/invitations/send/rows", {"emails-0": "b", "add": "1"}),
    "invitations.resend": ("/account/invitations/{id}/resend", {}),
    "invitations.cancel": ("/account/invitations/{id}/cancel", {}),
    "invitations_invitee.ask": ("{link}", {}),
    "invitations_invitee.decline": ("/invitations/decline", {}),
    "invitations_invitee.release": ("/invitations/release", {}),
    "invitations_invitee.opt_out": ("/invitations/opt-out/{out}", {}),
    "invitations_admin.actions": (
        "/admin/invitations/actions",
        {"action": "discard", "ids": "{id}", "confirm": "1"},
    ),
    "invitations_admin.new": (
        "/admin/invitations/new",
        {"emails": "ben@example.com", "store_view": "{view}", "group": "general", "confirm": "1"},
    ),
    "invitations_admin.delivery_test": (
        "/admin/invitations/delivery/test",
        {"to": "ada@example.com", "view": "{view}"},
    ),
    "invitations_admin.delivery_parked": (
        "/admin/invitations/delivery/parked",
        {"ids": "{id}", "action": "give_up", "confirm": "1"},
    ),
    "invitations_admin.export_file": ("/admin/invitations/exports/{id}/file", {}),
    "invitations_admin.template": (
        f"{TEMPLATES}spare/",
        {
            "do": "save",
            "seen": "1",
            "language": "en",
            "name": "Spare",
            "default_language": "en",
            "subject": "Come in",
            "text": as_typed(TEXT),
            "html": as_typed(HTML),
        },
    ),
    "invitations_admin.template_new": (
        f"{TEMPLATES}new",
        {"name": "Another", "source": "invitation_sent"},
    ),
    "invitations_admin.template_preview": (f"{TEMPLATES}invitation_sent/preview", {}),
    "invitations_admin.template_restore": (f"{TEMPLATES}spare/versions/1/restore", {}),
    "invitations_admin.template_language": (f"{TEMPLATES}spare/languages/fr/delete", {}),
    "invitations_admin.template_delete": (f"{TEMPLATES}spare/delete", {}),
    "invitations_admin.template_mended": (f"{TEMPLATES}invitation_sent/mended", {}),
    "invitations_admin.stop_job": ("/admin/invitations/jobs/{id}/stop", {}),
    "invitations_admin.detail": (
        "/admin/invitations/{id}/",
        {"message": "Come and see.", "version": "{version}"},
    ),
    "invitations_admin.reopen": ("/admin/invitations/{id}/reopen", {}),
    "invitations_admin.expire": ("/admin/invitations/{id}/expire", {}),
    "invitations_admin.extend": ("/admin/invitations/{id}/extend", {}),
    "invitations_admin.discard": ("/admin/invitations/{id}/discard", {}),
    "invitations_admin.send": ("/admin/invitations/{id}/send", {}),
    "invitations_admin.save_view": ("/admin/invitations/views", {"name": "Late", "status": "sent"}),
    "invitations_admin.change_view": ("/admin/invitations/views/{id}", {"name": "Later"}),
    "invitations_admin.configuration": (
        "/admin/invitations/configuration",
        {"max_per_send": "7"},
    ),
    "invitations_admin.configuration_undo": (
        "/admin/invitations/configuration/history/{id}/undo",
        {},
    ),
    "invitations_admin.configuration_import": (
        "/admin/invitations/configuration/import",
        {"text": "[default]\nmax_per_send = 7\n", "confirm": "1"},
    ),
}
# What only shows.
SHOWING = {
    "invitations.index": "/account/invitations/?status=sent",
    "invitations.send": "/account/invitations/send",
    "invitations.form_again": "/account/invitations/send/rows",
    "invitations.list_again": "/account/invitations/{id}/cancel",
    "invitations.static": "/account/invitations/static/storefront.css",
    "invitations_invitee.follow": "{link}",
    "invitations_invitee.sign_in": "{link}/sign-in",
    "invitations_invitee.welcome": "/invitations/welcome",
    "invitations_invitee.opt_out": "/invitations/opt-out/{out}",
    "invitations_admin.grid": "/admin/invitations/",
    "invitations_admin.filters": "/admin/invitations/filters",
    "invitations_admin.columns": "/admin/invitations/columns?order=id&show=id&up=id&apply=1",
    "invitations_admin.saved_views": "/admin/invitations/views",
    "invitations_admin.detail": "/admin/invitations/{id}/?discard=1",
    "invitations_admin.new": "/admin/invitations/new",
    "invitations_admin.jobs": "/admin/invitations/jobs/",
    "invitations_admin.job": "/admin/invitations/jobs/{id}",
    "invitations_admin.delivery": "/admin/invitations/delivery/?place=parked",
    "invitations_admin.report_invitations": "/admin/invitations/reports/invitations",
    "invitations_admin.report_customers": "/admin/invitations/reports/customers",
    "invitations_admin.report_conversions": "/admin/invitations/reports/conversions",
    "invitations_admin.report_tree": "/admin/invitations/reports/customer?key=1",
    "invitations_admin.report_glance": "/admin/invitations/reports/glance",
    "invitations_admin.exports": "/admin/invitations/exports/",
    "invitations_admin.export": "/admin/invitations/exports/{id}",
    "invitations_admin.configuration": "/admin/invitations/configuration?scope=default",
    "invitations_admin.configuration_history": "/admin/invitations/configuration/history",
    "invitations_admin.configuration_export": "/admin/invitations/configuration/export",
    "invitations_admin.configuration_import": "/admin/invitations/configuration/import",
    "invitations_admin.why": "/admin/invitations/why?customer=anna@example.com",
    "invitations_admin.style": "/admin/invitations/style",
    "invitations_admin.templates": TEMPLATES,
    "invitations_admin.template_new": f"{TEMPLATES}new",
    "invitations_admin.template": f"{TEMPLATES}spare/",
    "invitations_admin.template_preview": f"{TEMPLATES}spare/preview",
    "invitations_admin.template_versions": f"{TEMPLATES}spare/versions/",
    "invitations_admin.template_version": f"{TEMPLATES}spare/versions/1",
}
UNPROTECTED = {"invitations_invitee.opt_out"}  # RFC 8058: mail programs post it
REFUSED = {"invitations.send_rows": 200}  # it only shows the form again, as typed
PROTECTED = [name for name in CHANGING if name not in UNPROTECTED]
WITH_ID = [name for name, (path, _) in CHANGING.items() if "{id}" in path]
OUT = re.compile(r"/opt-out/([\w.-]+)")


@dataclass
class Kept:
    """The database of a scene that was set up, and what else a scene is told by."""

    path: Path
    told: tuple[int, str, str] = (0, "", "")


@dataclass
class Scene:
    """A store where one invitation was mailed; a job, an export and a view of its number wait."""

    store: Store
    id: int
    link: str
    out: str

    def path(self, pattern: str, **changed: object) -> str:
        known = {"id": self.id, "link": self.link, "out": self.out}
        return pattern.format(**known | changed)

    def visitor_for(self, endpoint: str) -> Visitor:
        """Return who an address is meant for, with a fresh token."""
        side = endpoint.partition(".")[0]
        if side == ACCOUNT:
            visitor = self.store.customer()
            visitor.get("/account/invitations/send")
        elif side == ADMIN:
            visitor = self.store.staff()
            visitor.get(f"/admin/invitations/{self.id}/?discard=1")
        else:
            visitor = self.store.visitor()
            visitor.get(self.link, follow_redirects=True)
        return visitor

    def post(self, visitor: Visitor, endpoint: str, **more: Any) -> TestResponse:
        filled = self.filled(endpoint) | more.pop("data", {})
        return visitor.post(self.path(CHANGING[endpoint][0]), filled, **more)

    def filled(self, endpoint: str) -> dict[str, str]:
        """Return what an address is sent."""
        row = self.store.invitation(ANNA)
        known = {"id": self.id, "view": row.store_view, "version": row.version}
        data = CHANGING[endpoint][1]
        return {name: str(value).format(**known) for name, value in data.items()}


@pytest.fixture
def database() -> str:
    """Who may do what is the same on both databases, so one will do."""
    return "sqlite"


# Links are signed, and addresses hashed, with the keys of the store that a scene was set up in.
KEYS = {
    "SECRET_KEY": "q3Zr8-Tn5_vKxY7bWc2LmP9dHs4JfGa6",
    "INVITATIONS_HASH_KEY": "Yk4_wB8nRt2-Qc7LxVd5JmZs9HgPf3Ea",
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[type[Store]], Kept]:
    """Return a function that tells where the scene of a kind of store is kept."""
    folder = tmp_path_factory.mktemp("scenes")
    known: dict[type[Store], Kept] = {}
    return lambda kind: known.setdefault(kind, Kept(folder / f"{kind.name}.sqlite"))


@pytest.fixture
def scene_of(
    kept: Callable[[type[Store]], Kept], make_store: MakeStore, sink: Sink, tmp_path: Path
) -> Callable[[type[Store]], Scene]:
    """Return a function that gives a scene of its own, copied from one that was set up once."""

    def give(kind: type[Store]) -> Scene:
        place = kept(kind)
        if not place.path.exists():
            store = make_store(kind, **KEYS)
            place.told = set_up(store, sink)
            store.close()
            shutil.copy(tmp_path / f"{kind.name}.sqlite", place.path)
        shutil.copy(place.path, tmp_path / "scene.sqlite")
        store = make_store(kind, **KEYS, DATABASE_URL=f"sqlite:///{tmp_path / 'scene.sqlite'}")
        return Scene(store, *place.told)

    return give


def set_up(store: Store, sink: Sink) -> tuple[int, str, str]:
    """Let a customer invite somebody; return the invitation, its link, and that of the opt-out."""
    store.setting("resend_hours", 0)
    store.customer().send(ANNA)
    store.deliver()
    mail = sink.to(ANNA)[-1]
    out = OUT.search(mail.text)
    assert out is not None
    number = store.invitation(ANNA).id
    store.add_job(id=number)
    store.add_export(id=number)
    staff = store.staff()
    staff.get(f"/admin/invitations/{number}/?discard=1")
    staff.post("/admin/invitations/views", {"name": "Mine", "status": "sent"})
    add_template(store, "Spare", {"en": CONTENT, "fr": CONTENT})
    return number, mail.link, out.group(1)


@pytest.fixture(params=[Store, SecondStore], ids=["sample", "second"])
def scene(request: pytest.FixtureRequest, scene_of: Callable[[type[Store]], Scene]) -> Scene:
    """One on each kind of store."""
    return scene_of(request.param)


@pytest.fixture
def sample(scene_of: Callable[[type[Store]], Scene]) -> Scene:
    """One on the store whose staff differ in rights."""
    return scene_of(Store)


def rules(store: Store, *, changing: bool) -> set[str]:
    """Return the endpoints of the plugin's addresses that change something, or show it."""
    wanted = {"POST", "PUT", "PATCH", "DELETE"} if changing else {"GET"}
    return {
        rule.endpoint
        for rule in store.app.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in (ACCOUNT, INVITEE, ADMIN)
        and (rule.methods or set()) & wanted
    }


def test_these_tests_know_every_address(make_store: MakeStore) -> None:
    store = make_store()
    assert rules(store, changing=True) == set(CHANGING)
    assert rules(store, changing=False) == set(SHOWING)


@pytest.mark.parametrize("endpoint", PROTECTED)
def test_a_post_without_the_token_changes_nothing(scene: Scene, endpoint: str) -> None:
    visitor = scene.visitor_for(endpoint)
    before = contents(scene.store)
    for token in ("", "made-up"):
        answer = scene.post(visitor, endpoint, data={"csrf_token": token})
        assert answer.status_code == REFUSED.get(endpoint, 400)
    assert contents(scene.store) == before


@pytest.mark.parametrize("endpoint", PROTECTED)
def test_a_post_with_the_token_is_carried_out(scene: Scene, endpoint: str) -> None:
    answer = scene.post(scene.visitor_for(endpoint), endpoint)
    assert answer.status_code in (200, 302)


@pytest.mark.parametrize("endpoint", PROTECTED)
def test_no_content_type_gets_past_the_token(sample: Scene, endpoint: str) -> None:
    visitor = sample.visitor_for(endpoint)
    before = contents(sample.store)
    path = sample.path(CHANGING[endpoint][0])
    for kind in ("application/json", "text/plain", "multipart/form-data"):
        answer = visitor.client.post(path, data=b'{"emails-0": "b@c.example"}', content_type=kind)
        assert answer.status_code == REFUSED.get(endpoint, 400)
    assert contents(sample.store) == before


@pytest.mark.parametrize("endpoint", PROTECTED)
def test_a_token_in_the_header_is_as_good(sample: Scene, endpoint: str) -> None:
    visitor = sample.visitor_for(endpoint)
    headers = {"X-CSRFToken": visitor.token, "HX-Request": "true"}
    answer = sample.post(visitor, endpoint, data={"csrf_token": ""}, headers=headers)
    assert answer.status_code == 200


def test_a_mail_program_opts_out_without_session_or_token(scene: Scene) -> None:
    path = scene.path("/invitations/opt-out/{out}")
    before = contents(scene.store)["invitations_opt_out"]
    one_click = {"List-Unsubscribe": "One-Click"}
    assert scene.store.visitor().client.post(path, data=one_click).status_code == 200
    assert len(contents(scene.store)["invitations_opt_out"]) == len(before) + 1


@pytest.mark.parametrize("endpoint", SHOWING)
def test_looking_changes_nothing(scene: Scene, endpoint: str) -> None:
    visitor = scene.visitor_for(endpoint)
    before = contents(scene.store)
    for method in ("HEAD", "GET", "GET"):
        answer = visitor.client.open(scene.path(SHOWING[endpoint]), method=method)
        assert answer.status_code < 500
        answer.close()
    assert contents(scene.store) == before


@pytest.mark.parametrize("endpoint", CHANGING)
def test_a_form_sent_by_a_method_that_only_looks_changes_nothing(
    scene: Scene, endpoint: str
) -> None:
    visitor = scene.visitor_for(endpoint)
    before = contents(scene.store)
    pattern, filled = CHANGING[endpoint][0], scene.filled(endpoint)
    for method in ("GET", "HEAD"):
        answer = visitor.client.open(
            scene.path(pattern), method=method, data={"csrf_token": visitor.token} | filled
        )
        assert answer.status_code in (200, 302, 404, 405)  # a link leads on to the landing
    assert contents(scene.store) == before


@pytest.mark.parametrize("endpoint", CHANGING)
def test_a_button_s_address_does_nothing_when_looked_at(scene: Scene, endpoint: str) -> None:
    visitor = scene.visitor_for(endpoint)
    before = contents(scene.store)
    pattern, query = CHANGING[endpoint][0], scene.filled(endpoint)
    for method in ("GET", "HEAD"):
        visitor.client.open(scene.path(pattern), method=method, query_string=query)
    assert contents(scene.store) == before


SIGNED_IN_ONLY = [name for name in CHANGING if not name.startswith(INVITEE)]


@pytest.mark.parametrize("endpoint", SIGNED_IN_ONLY)
def test_a_stranger_is_led_to_the_sign_in(scene: Scene, endpoint: str) -> None:
    before = contents(scene.store)
    answer = scene.post(scene.store.visitor(), endpoint)
    assert answer.status_code == 302
    assert answer.location.startswith(scene.store.sign_in_path)
    answer = scene.post(scene.store.visitor(), endpoint, headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"].startswith(scene.store.sign_in_path)
    assert answer.text == ""
    assert contents(scene.store) == before


@pytest.mark.parametrize("endpoint", [name for name in WITH_ID if name.startswith("invitations.")])
def test_somebody_else_s_invitation_does_not_exist(scene: Scene, endpoint: str) -> None:
    other = scene.store.customer(scene.store.other_inviter)
    other.get("/account/invitations/send")
    before = contents(scene.store)
    assert scene.post(other, endpoint).status_code == 404
    assert contents(scene.store) == before


@pytest.mark.parametrize("endpoint", WITH_ID)
def test_what_does_not_exist_is_not_found(scene: Scene, endpoint: str) -> None:
    visitor = scene.visitor_for(endpoint)
    for unknown in (0, 999_999, 2**63 - 1, 2**63, 10**30):
        path = scene.path(CHANGING[endpoint][0], id=unknown)
        assert visitor.post(path).status_code == 404


OFFICE_SHOWING = [name for name in SHOWING if name.startswith(ADMIN)]
OFFICE_CHANGING = [name for name in CHANGING if name.startswith(ADMIN)]


@pytest.mark.parametrize("endpoint", OFFICE_CHANGING)
def test_a_customer_changes_nothing_in_the_back_office(scene: Scene, endpoint: str) -> None:
    customer = scene.visitor_for(ACCOUNT)
    before = contents(scene.store)
    answer = scene.post(customer, endpoint)
    assert answer.status_code == 403
    assert "anna@" not in answer.text
    assert contents(scene.store) == before


@pytest.mark.parametrize("endpoint", OFFICE_SHOWING)
def test_a_customer_sees_nothing_of_the_back_office(scene: Scene, endpoint: str) -> None:
    answer = scene.store.customer().get(scene.path(SHOWING[endpoint]))
    assert answer.status_code == 403
    assert "anna@" not in answer.text


@pytest.mark.parametrize("endpoint", OFFICE_SHOWING)
def test_a_stranger_is_led_from_the_back_office_to_the_sign_in(scene: Scene, endpoint: str) -> None:
    answer = scene.store.visitor().get(scene.path(SHOWING[endpoint]))
    assert answer.status_code == 302
    assert answer.location.startswith(scene.store.sign_in_path)


# What belongs to whoever looks: a clerk has views, too.
OWN = {"invitations_admin.save_view", "invitations_admin.change_view"}


@pytest.mark.parametrize("endpoint", [name for name in OFFICE_CHANGING if name not in OWN])
def test_a_clerk_who_may_look_changes_nothing(sample: Scene, endpoint: str) -> None:
    clerk = sample.store.staff("clerk@example.com")
    clerk.get(sample.store.form_path)
    before = contents(sample.store)
    assert sample.post(clerk, endpoint).status_code == 403
    assert contents(sample.store) == before


def test_a_clerk_is_offered_no_button(sample: Scene) -> None:
    clerk = sample.store.staff("clerk@example.com")
    assert ANNA in clerk.get("/admin/invitations/").text
    for path in (f"{sample.id}/", "jobs/", f"jobs/{sample.id}"):
        page = clerk.get(f"/admin/invitations/{path}")
        assert page.status_code == 200
        assert "<form" not in page.text
        assert "/exports/" not in page.text


def test_the_style_page_shows_in_debug_only(make_store: MakeStore) -> None:
    assert make_store().staff().get("/admin/invitations/style").status_code == 404
    assert make_store(DEBUG=True).staff().get("/admin/invitations/style").status_code == 200


def test_every_page_is_protected_by_its_headers(scene: Scene) -> None:
    for endpoint, pattern in SHOWING.items():
        if endpoint.endswith(".static"):
            continue
        headers = scene.visitor_for(endpoint).get(scene.path(pattern)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "no-store" in headers["Cache-Control"]
        is_mail = endpoint == "invitations_admin.template_preview"  # its own test says what it may
        assert is_mail or "unsafe" not in headers["Content-Security-Policy"]
        assert "object-src 'none'" in headers["Content-Security-Policy"]


def test_the_back_office_s_policy_is_strict(scene: Scene) -> None:
    policy = scene.store.staff().get("/admin/invitations/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


# Where a form is posted whose session ended, and what is shown after the sign-in.
COMING_BACK = {
    "invitations.send": "/account/invitations/send",
    "invitations.send_rows": "/account/invitations/send",
    "invitations.resend": "/account/invitations/",
    "invitations.cancel": "/account/invitations/",
    "invitations_admin.new": "/admin/invitations/new",
    "invitations_admin.detail": "/admin/invitations/{id}/",
    "invitations_admin.configuration": "/admin/invitations/configuration",
    "invitations_admin.template": f"{TEMPLATES}spare/",
    "invitations_admin.actions": "/admin/invitations/",
}


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "htmx"])
@pytest.mark.parametrize("endpoint", COMING_BACK)
def test_the_sign_in_leads_back_to_the_form_that_was_posted(
    scene: Scene, endpoint: str, headers: dict[str, str]
) -> None:
    answer = scene.post(scene.store.visitor(), endpoint, headers=headers)
    led_to = answer.headers.get("HX-Redirect") or answer.location
    (back,) = parse_qs(urlsplit(led_to).query)["next"]
    shown = scene.visitor_for(endpoint).get(back, follow_redirects=True)
    assert (shown.status_code, shown.request.path) == (200, scene.path(COMING_BACK[endpoint]))


def test_the_sign_in_leads_back_to_the_scope_that_was_edited(sample: Scene) -> None:
    path = "/admin/invitations/configuration?scope=store:fr"
    visitor = sample.store.visitor()
    asked, posted = visitor.get(path), visitor.post(path, {"max_per_send": "7"})
    ways = [parse_qs(urlsplit(each.location).query)["next"] for each in (asked, posted)]
    assert ways == [[path], [f"{path}&typed=1"]]  # what was typed waits in the browser
