"""The eight settings of the model, each in its scopes, through pages and the mail server."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count

import pytest
import sqlalchemy as sa
from jinja2 import ChoiceLoader, DictLoader

from invitations_plugin import outbox
from invitations_plugin.models import SettingOverride
from invitations_plugin.settings import SPECS, Settings
from sample_store.models import Customer

from .support.outbox import in_threads, many, queue, recipients, wait_for
from .support.pages import Page
from .support.processes import flask_worker
from .support.rows import ago, one
from .support.sink import Mail, Sink
from .support.snapshots import contents
from .support.stores import LIST, SEND, Store, Visitor

ANNA, BEN = "anna@example.com", "ben@example.com"
VIEWS = {"en": "main", "fr": "main", "it": "private"}
SHOPPERS = {"main": "marcus@example.com", "private": "giulia@example.com"}
GRID, ADD = "/admin/invitations/", "/admin/invitations/new"
WELCOME = "/invitations/welcome"
# A setting's other value, beside the default.
OTHER = {
    "enabled": False,
    "storefront_enabled": False,
    "referred_group": "default",
    "registration": "invitation",
    "allow_message": False,
    "max_per_send": 2,
    "email_sender": "support",
    "email_template": "other",
}
FIRST = {name: getattr(Settings(), name) for name in OTHER}


class Probe:
    """Finds out by pages and mail what is in force in a store view."""

    def __init__(self, store: Store, sink: Sink) -> None:
        self.store, self.sink, self.numbers = store, sink, count()
        self.shoppers: dict[str, Visitor] = {}

    def ask(self, name: str, view: str) -> object:
        asked: Callable[[str], object] = getattr(self, f"_{name}")
        return asked(view)

    def shopper(self, view: str) -> Visitor:
        """Return a VIP customer who looks at a store view."""
        if view not in self.shoppers:
            self.shoppers[view] = self.store.customer(SHOPPERS[VIEWS[view]])
        self.shoppers[view].get(f"/account/?store={view}")
        return self.shoppers[view]

    def friend(self) -> str:
        return f"friend{next(self.numbers)}@example.com"

    def mailed(self, view: str) -> Mail:
        """Return the mail of an invitation of a store view."""
        address = self.friend()
        queue(self.store, address, store_view=view, website=VIEWS[view])
        self.store.deliver()
        return self.sink.to(address)[0]

    def _enabled(self, view: str) -> bool:
        shopper = self.shopper(view)
        is_open = shopper.get(LIST).status_code == 200
        assert (shopper.get(SEND).status_code == 200) is is_open
        assert (f'href="{LIST}"' in shopper.get("/account/").text) is is_open
        return is_open

    _storefront_enabled = _enabled

    def _referred_group(self, view: str) -> str:
        address, friend = self.friend(), self.store.visitor()
        assert self.shopper(view).send(address).status_code == 302
        self.store.deliver()
        friend.get(self.sink.to(address)[0].link)
        assert self.store.register(friend, address).status_code == 302
        return {"vip": "inviter", "general": "default"}[self.store.group_of(address)]

    def _registration(self, view: str) -> str:
        stranger, door = self.store.visitor(), f"/register?store={view}"
        shown = stranger.get(door).status_code
        made = stranger.post(door, self.store.filled_in(self.friend())).status_code
        return {(200, 302): "all", (403, 403): "invitation"}[shown, made]

    def _allow_message(self, view: str) -> bool:
        return bool(Page(self.shopper(view).get(SEND)).all("textarea", name="message"))

    def _max_per_send(self, view: str) -> int:
        answer = self.shopper(view).send(*many(6))
        assert answer.status_code == 422
        found = re.search(r"\d+", Page(answer).error("emails-5"))
        assert found is not None
        return int(found.group())

    def _email_sender(self, view: str) -> str:
        mailbox = self.mailed(view).message["From"].addresses[0].username
        return {"hello": "general", "care": "support"}[mailbox]

    def _email_template(self, view: str) -> str:
        return "other" if self.mailed(view).message["Subject"] == "Other" else "invitation_sent"


@pytest.fixture
def in_force(store: Store, sink: Sink) -> Callable[[str], list[bool]]:
    """Return a function that says of each store view whether a setting's other value holds."""
    parts = {"subject.txt": "Other", "body.txt": "{{ link }}", "body.html": "<p>{{ link }}</p>"}
    templates = {f"invitations/email/other/{name}": text for name, text in parts.items()}
    env = store.app.jinja_env
    env.loader = ChoiceLoader([DictLoader(templates), *([env.loader] if env.loader else [])])
    with store.session() as db:
        db.execute(sa.update(Customer).values(group_code="vip"))
        db.commit()
    probe = Probe(store, sink)

    def ask(name: str) -> list[bool]:
        found = [probe.ask(name, view) for view in VIEWS]
        assert all(each in (OTHER[name], FIRST[name]) for each in found), found
        return [each == OTHER[name] for each in found]

    return ask


def inherit(store: Store, name: str, scope: str, code: str) -> None:
    """Take away a scope's own value."""
    row = SettingOverride
    with store.session() as db:
        db.execute(sa.delete(row).filter_by(name=name, scope=scope, scope_code=code))
        db.commit()


@pytest.mark.parametrize("name", OTHER)
def test_the_narrowest_scope_wins_and_gives_way_at_once(
    store: Store, in_force: Callable[[str], list[bool]], name: str
) -> None:
    everywhere, nowhere = [True] * 3, [False] * 3
    widest = SPECS[name].scope
    assert in_force(name) == nowhere
    store.setting(name, OTHER[name])
    assert in_force(name) == everywhere
    if widest != "default":
        store.setting(name, FIRST[name], "website", "main")
        assert in_force(name) == [False, False, True]
    if widest == "store":
        store.setting(name, OTHER[name], "store", "fr")
        assert in_force(name) == [False, True, True]
        inherit(store, name, "store", "fr")
        assert in_force(name) == [False, False, True]
    inherit(store, name, "website", "main")
    assert in_force(name) == everywhere
    inherit(store, name, "default", "")
    assert in_force(name) == nowhere


@pytest.fixture
def link(store: Store, sink: Sink) -> str:
    """The link of an invitation that was mailed, by a VIP customer."""
    store.customer(SHOPPERS["main"]).send(ANNA)
    store.deliver()
    return sink.to(ANNA)[0].link


def test_switched_off_no_page_of_customers_and_no_link_is_there(store: Store, link: str) -> None:
    holder, marcus = store.visitor(), store.customer(SHOPPERS["main"])
    holder.get(link, follow_redirects=True)
    marcus.get(LIST)
    store.setting("enabled", False)
    before = contents(store)
    for path in (link, f"{link}/sign-in", WELCOME):
        assert holder.get(path).status_code == 404
    for path in (link, WELCOME, "/invitations/decline", "/invitations/release"):
        assert holder.post(path).status_code == 404
    number = store.invitation(ANNA).id
    for path in (SEND, f"{SEND}/rows", f"{LIST}{number}/resend", f"{LIST}{number}/cancel"):
        assert marcus.post(path).status_code == 404
    assert contents(store) == before


def test_switched_off_a_held_link_leaves_no_trace_in_the_registration(
    store: Store, link: str
) -> None:
    holder = store.visitor()
    holder.get(link)
    store.setting("enabled", False)
    assert ANNA not in holder.get("/register").text
    assert store.register(holder, BEN).status_code == 302
    assert store.group_of(BEN) == "general"
    assert store.invitation(ANNA).status == "sent"


def test_switched_off_accounts_are_open_to_all(store: Store) -> None:
    store.setting("registration", "invitation")
    store.setting("enabled", False)
    assert store.register(store.visitor(), BEN).status_code == 302


def test_a_mailed_link_works_again_once_invitations_are_on_again(store: Store, link: str) -> None:
    holder = store.visitor()
    store.setting("enabled", False)
    assert holder.get(link).status_code == 404
    store.setting("enabled", True)
    assert holder.get(link).location == WELCOME
    assert store.register(holder, ANNA).status_code == 302
    assert store.group_of(ANNA) == "vip"


def test_switched_off_an_opt_out_is_taken_all_the_same(store: Store, link: str, sink: Sink) -> None:
    store.setting("enabled", False)
    out = re.search(r"/invitations/opt-out/[\w.-]+", sink.to(ANNA)[0].text)
    assert out is not None
    assert store.visitor().get(out.group()).status_code == 200
    assert store.visitor().post(out.group()).status_code == 200
    store.setting("enabled", True)
    store.setting("mailbox_per_day", 0)
    store.customer().send(ANNA)
    store.deliver()
    assert len(sink.to(ANNA)) == 1


def test_switched_off_the_grid_says_so_and_refuses_nothing_that_it_offers(
    store: Store, sink: Sink
) -> None:
    admin = store.staff()
    store.setting("enabled", False)
    number = one(store, last_sent_at=ago(days=2))
    page = Page(admin.get(GRID))
    assert "Invitations are switched off" in " ".join(page.text("div"))
    offered = [each.attributes["value"] for each in page.all("option") if each.attributes["value"]]
    actions = [each for each in offered if each in ("send", "extend", "expire", "discard")]
    assert len(actions) == 4
    for action in actions:
        asked = {"action": action, "ids": str(number)}
        assert admin.post(f"{GRID}actions", asked).status_code == 200
        assert admin.post(f"{GRID}actions", asked | {"confirm": "1"}).status_code == 302
    assert page.link("Add Invitations") == ADD
    added = {"emails": BEN, "store_view": "en", "group": "general", "confirm": "1"}
    admin.get(ADD)
    assert admin.post(ADD, added).status_code == 302
    assert (store.deliver().handled, sink.mails) == (0, [])
    store.setting("enabled", True)
    store.deliver()
    assert recipients(sink) == [BEN]


@pytest.mark.parametrize(("name", "value"), [("enabled", False), ("hold_outbox", True)])
def test_what_is_queued_right_after_mail_was_stopped_waits(
    store: Store, sink: Sink, monkeypatch: pytest.MonkeyPatch, name: str, value: bool
) -> None:
    """Also where a worker has just looked, and takes what is due a moment later."""
    claim = outbox.claim

    def stop_and_queue() -> None:
        store.setting(name, value)
        queue(store, ANNA)

    def claim_late(*given: int, **more: bool) -> list[outbox.Entry]:
        in_threads(stop_and_queue, 1)
        monkeypatch.undo()
        return claim(*given, **more)

    monkeypatch.setattr(outbox, "claim", claim_late)
    assert store.deliver().handled == 0
    assert sink.mails == []
    store.setting(name, not value)
    assert store.deliver().sent == 1


def test_a_running_worker_keeps_mail_while_it_is_off_and_sends_it_then(
    store: Store, sink: Sink
) -> None:
    with flask_worker(store, sink):
        queue(store, ANNA)
        wait_for(lambda: len(sink.mails) == 1)
        store.setting("enabled", False)
        queue(store, *many(3))
        with pytest.raises(AssertionError, match="in vain"):
            wait_for(lambda: len(sink.mails) > 1, seconds=5)
        store.setting("enabled", True)
        wait_for(lambda: len(sink.mails) == 4)


def test_with_the_storefront_off_staff_still_invite_and_links_still_open(
    store: Store, sink: Sink
) -> None:
    store.setting("storefront_enabled", False, "website", "main")
    admin, friend = store.staff(), store.visitor()
    admin.get(ADD)
    added = {"emails": BEN, "store_view": "en", "group": "vip", "confirm": "1"}
    assert admin.post(ADD, added).status_code == 302
    store.deliver()
    landing = friend.get(sink.to(BEN)[0].link, follow_redirects=True)
    assert landing.status_code == 200
    assert "next=/account/invitations" not in str(Page(landing).link("Sign in"))
    store.register(friend, BEN)
    assert store.group_of(BEN) == "vip"
    assert Page(friend.get("/account/")).link("My Invitations") is None


def test_with_the_storefront_off_the_doors_stay_shut_to_strangers(store: Store) -> None:
    store.setting("storefront_enabled", False, "website", "main")
    store.setting("registration", "invitation")
    assert store.register(store.visitor(), BEN).status_code == 403


def test_the_group_is_the_one_of_the_day_of_the_invitation(store: Store, link: str) -> None:
    store.setting("referred_group", "default")
    friend = store.visitor()
    friend.get(link)
    store.register(friend, ANNA)
    assert store.group_of(ANNA) == "vip"


def test_a_door_is_that_of_the_store_view_in_its_address(store: Store) -> None:
    store.setting("registration", "invitation", "store", "fr")
    stranger = store.visitor()
    for view, status in (("fr", 403), ("en", 200), ("fr", 403), ("it", 200)):
        assert stranger.get(f"/register?store={view}").status_code == status


@pytest.mark.parametrize(("scope", "code"), [("default", ""), ("website", "main"), ("store", "en")])
def test_a_message_posted_where_none_is_allowed_leaves_with_no_mail(
    store: Store, sink: Sink, scope: str, code: str
) -> None:
    store.setting("allow_message", False, scope, code)
    store.customer().send(ANNA, message="Come in")
    store.deliver()
    assert store.invitation(ANNA).message is None
    assert "Come in" not in sink.to(ANNA)[0].text


def test_staff_are_not_limited_in_their_message_nor_in_their_number(
    store: Store, sink: Sink
) -> None:
    store.setting("allow_message", False)
    store.setting("max_per_send", 1)
    admin = store.staff()
    admin.get(ADD)
    asked = {"emails": "\n".join(many(7)), "message": "Come in", "store_view": "en"}
    answer = admin.post(ADD, asked | {"group": "general", "confirm": "1"})
    assert answer.status_code == 302
    store.deliver()
    assert len(sink.mails) == 7
    assert all("Come in" in mail.text for mail in sink.mails)


@pytest.mark.parametrize(("scope", "code"), [("default", ""), ("website", "main"), ("store", "en")])
def test_a_maximum_lowered_while_somebody_types_refuses_all_and_names_the_new_one(
    store: Store, veronica: Visitor, scope: str, code: str
) -> None:
    page, typed = veronica.get(SEND), many(5)
    store.setting("max_per_send", 3, scope, code)
    answer = veronica.send(*typed, page=page, message="Come in")
    shown = Page(answer)
    assert answer.status_code == 422
    assert [shown.fields[f"emails-{n}"] for n in range(5)] == typed
    assert [shown.error(f"emails-{n}") for n in range(3)] == [""] * 3
    assert all("up to 3 friends" in shown.error(f"emails-{n}") for n in (3, 4))
    assert shown.all("textarea")[0].text.strip() == "Come in"
    assert (store.invitations(), store.outbox()) == ([], [])


def test_fifty_at_one_time_are_offered_and_taken(store: Store, veronica: Visitor) -> None:
    store.setting("max_per_send", 50)
    store.setting("max_per_hour", 0)
    rows = {f"emails-{n}": each for n, each in enumerate(many(50))}
    veronica.get(SEND)
    full = Page(veronica.post(f"{SEND}/rows", rows | {"add_row": "1"}))
    assert "emails-49" in full.fields
    assert "emails-50" not in full.fields
    assert not full.all("button", name="add_row")
    assert veronica.send(*rows.values()).status_code == 302
    assert len(store.invitations()) == 50


def test_a_running_worker_follows_a_change_without_a_restart(store: Store, sink: Sink) -> None:
    with flask_worker(store, sink):
        queue(store, ANNA)
        wait_for(lambda: len(sink.mails) == 1)
        store.setting("email_sender", "support", "website", "main")
        store.setting("batch_size", 1)
        queue(store, BEN)
        wait_for(lambda: len(sink.mails) == 2)
        connections = sink.connections
        queue(store, *many(3))
        wait_for(lambda: len(sink.mails) == 5)
    senders = [mail.sender.partition("@")[0] for mail in sink.mails]
    assert senders == ["hello", "care", "care", "care", "care"]
    assert sink.connections == connections + 3


def test_a_batch_has_one_configuration_from_its_first_mail_to_its_last(
    store: Store, sink: Sink
) -> None:
    store.setting("batch_size", 3)
    queue(store, *many(4))
    sink.while_taking = lambda mail: store.setting("email_sender", "sales")
    assert store.deliver().sent == 4
    assert [mail.sender.partition("@")[0] for mail in sink.mails] == ["hello"] * 3 + ["sales"]
