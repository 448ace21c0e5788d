"""Invitations of the past, written in bulk."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from invitations_plugin import PastInvitation, import_invitations
from invitations_plugin.addresses import Address, BadAddress, parse_address, parse_many

from .support.rows import ago, by, key_of
from .support.stores import Store


def past(email: str = "anna@example.com", **changes: Any) -> PastInvitation:
    """Return a declined invitation of two weeks ago."""
    at = ago(days=14)
    created: dict[str, Any] = {"actor_kind": "sender", "actor_key": "1", "actor_name": "Veronica"}
    declined: dict[str, Any] = {"actor_kind": "invitee", "actor_key": "", "actor_name": ""}
    moves: list[dict[str, Any]] = [
        created | {"action": "create", "from_status": None, "to_status": "not_sent"},
        declined | {"action": "decline", "from_status": "sent", "to_status": "declined"},
    ]
    known: Any = {
        "website": "main",
        "store_view": "en",
        "email": email,
        "group_code": "general",
        "status": "declined",
        "mail_state": "delivered",
        "created_at": at,
        "expires_at": at + timedelta(days=30),
        "history": [each | {"at": at, "reason": None} for each in moves],
    }
    whole: PastInvitation = known | changes
    return whole


def bring(store: Store, *rows: PastInvitation) -> int:
    with store.session() as db:
        written = import_invitations(rows)
        db.commit()
        return written


def test_imported_invitation_stands_with_its_history(store: Store) -> None:
    given = past("Ann.Lee@example.com", message="Bonjour à toi", **by(store))
    assert bring(store, given) == 1
    row = store.invitation("Ann.Lee@example.com")
    assert (row.status, row.message, row.version) == ("declined", "Bonjour à toi", 1)
    assert (row.created_at, row.expires_at) == (given["created_at"], given["expires_at"])
    assert store.history("Ann.Lee@example.com") == [
        ("create", None, "not_sent", "sender"),
        ("decline", "sent", "declined", "invitee"),
    ]
    assert store.outbox() == []


def test_imported_address_is_found_by_the_send_form(store: Store) -> None:
    bring(store, past("ann.lee@EXAMPLE.com", **by(store)))
    veronica = store.customer()
    assert veronica.send("Ann.Lee@example.com").status_code == 422
    assert len(store.invitations()) == 1


def test_what_was_invited_before_is_left_out(store: Store) -> None:
    other = {"inviter_key": key_of(store, store.other_inviter)}
    assert bring(store, past(**by(store)), past("ben@example.com", **by(store))) == 2
    assert bring(store, past(**by(store)), past(**other), past("eve@example.com")) == 2
    assert len(store.history("ben@example.com")) == 2
    assert len(store.invitations()) == 4


def test_nothing_is_committed_by_the_import_itself(store: Store) -> None:
    with store.session() as db:
        assert import_invitations([past()]) == 1
        db.rollback()
    assert store.invitations() == []


def test_nothing_to_import_is_nothing_written(store: Store) -> None:
    assert bring(store) == 0


@pytest.mark.parametrize("state", ["queued", "sending", "parked"])
def test_mail_that_would_still_leave_is_refused(store: Store, state: str) -> None:
    with pytest.raises(ValueError, match=state):
        bring(store, past(mail_state=state))
    assert store.invitations() == []


def test_what_is_no_address_is_refused(store: Store) -> None:
    with pytest.raises(BadAddress):
        bring(store, past(), past("anna@nowhere"))
    assert store.invitations() == []


@pytest.mark.parametrize(
    "typed",
    [
        "anna@example.com",
        " Anna+tag@EXAMPLE.com ",
        "a.n.n.a@gmail.com",
        "o'hara@example.com",
        "anna@bücher.example.com",
        "anna..b@example.com",
        ".anna@example.com",
        "anna@example",
        "anna",
        "@example.com",
        f"{'a' * 65}@example.com",
        f"anna@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.{'f' * 9}.com",
        "Anna <anna@example.com>",
        "anna@example.com\n",
        "anna\n@example.com",
    ],
)
def test_many_addresses_are_read_as_each_one_is(typed: str) -> None:
    def read(text: str) -> Address | None:
        try:
            return parse_address(text)
        except BadAddress:
            return None

    def read_among_many(text: str) -> Address | None:
        try:
            return list(parse_many(["first@example.com", text]))[1]
        except BadAddress:
            return None

    assert read_among_many(typed) == read(typed)
