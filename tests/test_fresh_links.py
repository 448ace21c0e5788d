"""Dead links: the one page that answers them all, and how a friend asks for a fresh one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from werkzeug.test import TestResponse

from invitations_plugin.models import History, Invitation
from invitations_plugin.throttle import GUESSES

from .support.outbox import in_threads
from .support.pages import Page, statements, twins
from .support.rows import ago, by, insert, row
from .support.sink import Sink
from .support.snapshots import contents
from .support.stores import LIST, MakeFriend, Store, Visitor

ANNA = "anna@example.com"
WELCOME, DECLINE = "/invitations/welcome", "/invitations/decline"
THANKS = (
    "If the invitation can be renewed, the person who invited you will see that you asked for it."
)
ASKS = "Your friend asks for a fresh link."
TOKEN = re.compile(r'(csrf_token" value=|X-CSRFToken": )"[^"]+"')
# What can become of an invitation that once was mailed.
ENDED: dict[str, dict[str, Any]] = {
    "expired": {"status": "expired", "expires_at": ago(days=1)},
    "ended, not marked yet": {"expires_at": ago(hours=1)},
    "ended, waiting again": {
        "status": "not_sent",
        "mail_state": "queued",
        "expires_at": ago(hours=1),
    },
}
CLOSED: dict[str, dict[str, Any]] = {
    "discarded": {"status": "discarded", "discarded_by": "staff"},
    "canceled": {"status": "discarded", "discarded_by": "sender"},
    "canceled, then ended": {
        "status": "discarded",
        "discarded_by": "sender",
        "expires_at": ago(days=1),
    },
    "declined": {"status": "declined"},
    "declined, then ended": {"status": "declined", "expires_at": ago(days=1)},
    "accepted": {"status": "accepted", "registered_at": ago(days=1), "customer_key": "77"},
    "accepted, then ended": {
        "status": "accepted",
        "registered_at": ago(days=9),
        "customer_key": "77",
        "expires_at": ago(days=1),
    },
    "purged": {"status": "expired", "expires_at": ago(days=40)},
}
DEAD = {**ENDED, **CLOSED}


@pytest.fixture
def link(any_store: Store, link_for: Callable[..., str]) -> str:
    """The mailed link of an invitation."""
    return link_for()


@pytest.fixture
def ended(any_store: Store, link: str) -> str:
    """The mailed link of an invitation that has expired, in its sender's eyes, too."""
    any_store.change(ANNA, last_sent_at=ago(days=31), **ENDED["expired"])
    return link


@pytest.fixture
def still() -> Iterator[None]:
    """A clock that stands still: the form's token holds the time."""
    with time_machine.travel(time.time(), tick=False):
        yield


def ask(store: Store, link: str, visitor: Visitor | None = None) -> TestResponse:
    """Open a link and press the button that stands there."""
    visitor = visitor or store.visitor()
    page = Page(visitor.get(link))
    [form] = [each for each in page.all("form", method="post") if "action" not in each.attributes]
    assert form.attributes["class"] == "inv-actions"
    return visitor.post(link)


def become(store: Store, kind: str) -> None:
    """Let time, or whoever may, end the invitation."""
    store.change(ANNA, **DEAD[kind])
    if kind == "purged":
        with store.session() as db:
            db.execute(sa.update(Invitation).values(email=None, purged_at=ago(days=1)))
            db.commit()


def asks(store: Store) -> int:
    """Return how many times the history notes that somebody asked."""
    with store.session() as db:
        return db.scalar(sa.select(sa.func.count()).where(History.action == "ask")) or 0


def text_of(answer: TestResponse, path: str) -> str:
    """Return an answer without the token, and without the address, which a menu may name."""
    return TOKEN.sub("", answer.text).replace(path.rpartition("/")[2], "")


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("kind", DEAD)
def test_every_dead_link_gets_the_same_bytes(any_store: Store, link: str, kind: str) -> None:
    become(any_store, kind)
    unknown = any_store.visitor().get("/invitations/unknown")
    answer = any_store.visitor().get(link)
    assert (answer.status_code, unknown.status_code) == (404, 404)
    assert text_of(answer, link) == text_of(unknown, "/unknown")


@pytest.mark.parametrize("kind", DEAD)
def test_every_dead_link_asks_the_database_the_same(any_store: Store, link: str, kind: str) -> None:
    become(any_store, kind)
    sent = []
    for path in ("/invitations/unknown", link):
        with statements(any_store) as seen:
            any_store.visitor().get(path)
        sent.append(seen)
    assert sent[0] == sent[1] != []


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("kind", DEAD)
def test_asking_is_answered_alike_whatever_the_link_is(
    any_store: Store, link: str, kind: str
) -> None:
    become(any_store, kind)
    unknown = ask(any_store, "/invitations/unknown")
    answer = ask(any_store, link)
    assert (answer.status_code, unknown.status_code) == (200, 200)
    assert THANKS in Page(answer).text("p")
    assert text_of(answer, link) == text_of(unknown, "/unknown")


@pytest.mark.parametrize("kind", ENDED)
def test_a_friend_whose_link_ended_asks_once(any_store: Store, link: str, kind: str) -> None:
    any_store.change(ANNA, **ENDED[kind])
    before = any_store.invitation(ANNA)
    ask(any_store, link)
    first = any_store.invitation(ANNA)
    assert first.asked_at is not None
    assert (first.status, first.version) == (before.status, before.version)
    assert any_store.history(ANNA)[-1] == ("ask", before.status, before.status, "invitee")
    ask(any_store, link)
    assert any_store.invitation(ANNA).asked_at == first.asked_at
    assert asks(any_store) == 1


@pytest.mark.parametrize("kind", CLOSED)
def test_asking_touches_nothing_that_was_closed(any_store: Store, link: str, kind: str) -> None:
    become(any_store, kind)
    visitor = any_store.visitor()
    visitor.get(link)
    before = contents(any_store)
    ask(any_store, link, visitor)
    ask(any_store, "/invitations/unknown", visitor)
    assert contents(any_store) == before


def test_asking_through_a_link_that_still_works_changes_nothing(
    any_store: Store, link: str
) -> None:
    visitor = any_store.visitor()
    visitor.get(link, follow_redirects=True)
    before = contents(any_store)
    assert visitor.post(link).status_code == visitor.post(WELCOME).status_code == 200
    assert contents(any_store) == before
    assert visitor.get(WELCOME).status_code == 200


def test_a_mailbox_that_opted_out_asks_nobody(any_store: Store, ended: str, sink: Sink) -> None:
    out = re.search(r"/invitations/opt-out/[\w.-]+", sink.to(ANNA)[0].text)
    assert out is not None
    any_store.visitor().post(out.group())
    ask(any_store, ended)
    assert any_store.invitation(ANNA).asked_at is None
    assert asks(any_store) == 0


def test_looking_at_a_dead_link_asks_nobody(any_store: Store, ended: str) -> None:
    for method in ("GET", "HEAD"):
        any_store.visitor().client.open(ended, method=method).close()
    assert any_store.invitation(ANNA).asked_at is None


def test_fifty_who_ask_at_one_moment_are_noted_once(any_store: Store, ended: str) -> None:
    visitor = any_store.visitor()
    visitor.get(ended)
    here = [f"10.0.0.{number}" for number in range(50)]
    waiting = list(zip(twins(any_store, visitor, 50), here, strict=True))
    answers: list[int] = []

    def press() -> None:
        each, address = waiting.pop()
        answers.append(each.post(ended, environ_base={"REMOTE_ADDR": address}).status_code)

    in_threads(press, 50)
    assert answers == [200] * 50
    assert asks(any_store) == 1


def test_a_stale_token_asks_nobody(any_store: Store, ended: str) -> None:
    visitor = any_store.visitor()
    answer = visitor.post(ended, {"csrf_token": "made up"})
    assert answer.status_code == 400
    assert "This page was open for too long" in answer.text
    assert any_store.invitation(ANNA).asked_at is None


def test_asking_counts_as_a_guess(any_store: Store, ended: str) -> None:
    visitor = any_store.visitor()
    with time_machine.travel(time.time() // 60 * 60 + 5, tick=False):
        visitor.get(ended)
        answers = [visitor.post("/invitations/unknown") for _ in range(GUESSES.most)]
        assert [each.status_code for each in answers] == [200] * (GUESSES.most - 1) + [429]
        assert int(answers[-1].headers["Retry-After"]) <= 60
        assert visitor.post(ended).status_code == 429
    assert any_store.invitation(ANNA).asked_at is None


@pytest.mark.parametrize("at_first", ["get", "post"])
def test_a_held_link_that_ended_meanwhile_asks_from_where_the_visitor_stands(
    any_store: Store, friend: MakeFriend, at_first: str
) -> None:
    visitor = friend()
    any_store.change(ANNA, **ENDED["expired"])
    answer = visitor.get(WELCOME) if at_first == "get" else visitor.post(DECLINE)
    assert answer.status_code == 404
    [form] = [
        each.attributes
        for each in Page(answer).all("form", method="post")
        if "inv-actions" in each.attributes.get("class", "")
    ]
    assert THANKS in visitor.post(form.get("action", answer.request.path)).text
    assert any_store.invitation(ANNA).asked_at is not None


def test_the_neutral_page_leads_on(any_store: Store) -> None:
    page = Page(any_store.visitor().get("/invitations/unknown"))
    assert page.link("Back to the store") == "/"
    sign_in = page.link("Sign in")
    assert sign_in is not None
    assert sign_in.startswith(any_store.sign_in_path)
    inside = Page(any_store.customer().get("/invitations/unknown"))
    assert inside.link("Back to the store") == "/"
    assert inside.link("Sign in") is None


def test_the_inviter_sees_who_asks_and_sends_it_again(
    any_store: Store, ended: str, sink: Sink
) -> None:
    any_store.setting("mailbox_per_day", 0)  # its link ended on the day it was sent
    ask(any_store, ended)
    inviter = any_store.customer()
    page = Page(inviter.get(LIST))
    number = any_store.invitation(ANNA).id
    assert page.statuses == {number: "expired"}
    assert ASKS in page.text("p")
    assert page.link("1 friend asks for a fresh link") == f"{LIST}?status=asked"
    assert f"{LIST}{number}/resend" in page.actions()
    [button] = page.all("button", id=f"inv-resend-{number}")
    assert "quiet" not in button.attributes["class"]

    page = Page(inviter.post(f"{LIST}{number}/resend", follow_redirects=True))
    assert ASKS not in page.text("p")
    assert page.link("1 friend asks for a fresh link") is None
    assert any_store.invitation(ANNA).asked_at is None
    any_store.deliver()
    assert [mail.link for mail in sink.to(ANNA)] == [ended, ended]  # the very same link
    newcomer = any_store.visitor()
    assert newcomer.get(ended).location == WELCOME
    assert any_store.register(newcomer, ANNA).status_code == 302
    assert any_store.invitation(ANNA).status == "accepted"


def test_who_asked_can_ask_again_after_another_end(any_store: Store, ended: str) -> None:
    ask(any_store, ended)
    inviter = any_store.customer()
    inviter.get(LIST)
    inviter.post(f"{LIST}{any_store.invitation(ANNA).id}/resend")
    any_store.deliver()
    any_store.change(ANNA, **ENDED["expired"])
    ask(any_store, ended)
    assert asks(any_store) == 2


@pytest.mark.parametrize("kind", CLOSED)
def test_nobody_asks_for_what_was_closed_since(any_store: Store, ended: str, kind: str) -> None:
    ask(any_store, ended)
    become(any_store, kind)
    page = Page(any_store.customer().get(LIST))
    assert len(page.statuses) == 1
    assert ASKS not in page.text("p")
    assert page.link("1 friend asks for a fresh link") is None


def test_the_filter_shows_all_who_ask_and_the_pager_keeps_it(store: Store) -> None:
    mine = by(store)
    asked = {"status": "expired", "asked_at": ago(hours=1), **mine}
    wanted = insert(store, [row(f"{n}@example.com", **asked) for n in range(21)])
    insert(store, [row(f"e{n}@example.com", "expired", **mine) for n in range(21)])
    theirs = asked | by(store, store.other_inviter)
    insert(store, [row("other@example.com", **theirs)])
    veronica = store.customer()
    path = Page(veronica.get(LIST)).link("21 friends ask for a fresh link")
    assert path is not None
    first = Page(veronica.get(path))
    older = first.link("Older")
    assert older is not None
    assert [*first.statuses, *Page(veronica.get(older)).statuses] == wanted[::-1]
    current = [each.text for each in first.all("a", aria_current="true")]
    assert "Asks for a link" in current


def test_without_anybody_who_asks_there_is_no_such_filter(store: Store) -> None:
    insert(store, [row(ANNA, "expired", **by(store))])
    page = Page(store.customer().get(LIST))
    assert page.link("Asks for a link") is None
    page = Page(store.customer().get(f"{LIST}?status=asked"))
    assert page.statuses == {}
    assert page.link("Show all") == LIST


def test_staff_see_that_a_friend_asks_and_send_it(any_store: Store, ended: str) -> None:
    ask(any_store, ended)
    detail = f"/admin/invitations/{any_store.invitation(ANNA).id}/"
    admin = any_store.staff()
    page = Page(admin.get(detail))
    assert "The invited person asks for a fresh link." in page.text("p")
    assert "Asked for a fresh link" in page.text("p")
    assert f"{detail}reopen" in page.actions()
    page = Page(admin.post(f"{detail}reopen", follow_redirects=True))
    assert "The invited person asks for a fresh link." not in page.text("p")
    with any_store.session() as db:
        assert db.scalar(sa.select(Invitation.asked_at)) is None
