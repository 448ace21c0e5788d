"""Whom the store knows: neither a sender nor a stranger can tell it from any answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from werkzeug.test import TestResponse

from .support.pages import Page, statements
from .support.rows import ago
from .support.sink import Sink
from .support.stores import LIST, SEND, MakeFriend, Store, Visitor

ANNA = "anna@example.com"
OPTED_OUT, DECLINED, UNKNOWN = "olga@example.com", "dora@example.com", "nobody@example.com"
OUT = re.compile(r"/invitations/opt-out/[\w.-]+")
# What two answers to the same differ in.
FRESH = re.compile(
    r'(csrf_token" [^>]*|X-CSRFToken": "[^"]+|name="submission" [^>]*|/invitations/\d+'
    r"|inv-(email|resend|cancel)-\d+)"
)


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """A clock that stands still, so that nothing differs by a second."""
    with time_machine.travel(time.time(), tick=False):
        yield


@pytest.fixture
def known(any_store: Store, sink: Sink, friend: MakeFriend) -> list[str]:
    """Addresses that the store knows something about: a customer's, and of two who said no."""
    any_store.customer(any_store.other_inviter).send(OPTED_OUT, DECLINED)
    any_store.deliver()
    out = OUT.search(sink.to(OPTED_OUT)[0].text)
    assert out is not None
    assert any_store.visitor().post(out.group()).status_code == 200
    assert friend(link=sink.to(DECLINED)[0].link).post("/invitations/decline").status_code == 200
    return [any_store.other_inviter, OPTED_OUT, DECLINED]


@pytest.fixture
def sender(any_store: Store) -> Visitor:
    """A customer who has invited before, so that nothing is done for the first time."""
    for limit in ("max_per_hour", "max_per_day", "max_pending", "mailbox_per_day"):
        any_store.setting(limit, 0)
    visitor = any_store.customer()
    visitor.send("first@example.com", follow_redirects=True)
    return visitor


def told(answer: TestResponse, address: str) -> tuple[str, dict[str, str], str]:
    """Return all of an answer, but the address and what is fresh in each."""
    own = ("Set-Cookie", "Content-Length")
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    return answer.status, headers, FRESH.sub("", answer.text.replace(address, "ADDRESS"))


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "htmx"])
def test_inviting_whom_the_store_knows_is_answered_like_inviting_anybody(
    any_store: Store, sender: Visitor, known: list[str], headers: dict[str, str]
) -> None:
    def post(address: str) -> list[Any]:
        """Invite, look at what is said, and try a second time."""
        page = sender.get(SEND)
        with statements(any_store) as asked:
            sent = told(sender.send(address, page=page, headers=headers), address)
        notices = [each.replace(address, "ADDRESS") for each in Page(sender.get(LIST)).notices]
        page = sender.get(SEND)
        with statements(any_store) as asked_again:
            refused = told(sender.send(address, page=page, headers=headers), address)
        assert refused[0].startswith("422")
        return [sent, asked, notices, refused, asked_again]

    expected = post(UNKNOWN)
    assert expected[2] == ["You sent the invitation for ADDRESS."]
    for address in known:
        assert post(address) == expected, address


def test_their_rows_in_my_invitations_look_like_anybody_s(
    any_store: Store, sender: Visitor, known: list[str]
) -> None:
    def rows() -> dict[str, str]:
        shown = sender.get(LIST, headers={"HX-Request": "true"}).text
        shown = shown.replace("<wbr>", "")  # where an address may break
        found = {}
        for row in re.findall(r"<tr data-invitation-id.*?</tr>", shown, re.DOTALL):
            address = next(each for each in (UNKNOWN, *known, "first@example.com") if each in row)
            found[address] = FRESH.sub("", row.replace(address, "ADDRESS"))
        return {address: re.sub(r'id="\d+"', "", row) for address, row in found.items()}

    sender.send(UNKNOWN, *known)
    for step in (lambda: None, any_store.deliver):
        step()
        shown = rows()
        assert [shown[address] for address in known] == [shown[UNKNOWN]] * len(known)
    assert "Sent" in shown[UNKNOWN]


def test_a_customer_s_row_is_marked_for_staff_alone(
    any_store: Store, sender: Visitor, known: list[str]
) -> None:
    sender.send(UNKNOWN, *known)
    any_store.deliver()
    found = {each.email: each.existing_customer for each in any_store.invitations()}
    assert found[known[0]]
    assert not found[UNKNOWN]


ENDED: dict[str, dict[str, Any]] = {
    "accepted": {"status": "accepted", "registered_at": ago(hours=1), "customer_key": "77"},
    "discarded": {"status": "discarded", "discarded_by": "staff"},
    "canceled": {"status": "discarded", "discarded_by": "sender"},
    "declined": {"status": "declined"},
    "expired": {"status": "expired", "expires_at": ago(seconds=1)},
    "ended just now": {"expires_at": ago(seconds=1)},
}


@pytest.mark.parametrize("name", ENDED)
def test_a_link_that_is_dead_tells_nothing_of_why(
    any_store: Store, link_for: Callable[..., str], name: str
) -> None:
    paths = link_for(), "/invitations/unknown"
    any_store.change(ANNA, **ENDED[name])
    dead, unknown = (told(any_store.visitor().get(path), path) for path in paths)
    assert dead == unknown
    assert dead[0].startswith("404")


def test_the_landing_of_a_held_link_that_died_tells_nothing_of_why(
    any_store: Store, friend: MakeFriend
) -> None:
    visitor = friend()
    any_store.change(ANNA, expires_at=ago(seconds=1))
    answers = [each.get("/invitations/welcome") for each in (visitor, any_store.visitor())]
    held, without = (told(answer, ANNA) for answer in answers)
    assert held == without
    assert held[0].startswith("404")
