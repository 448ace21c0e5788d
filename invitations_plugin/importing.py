"""Invitations of the past in bulk: brought from another system, or made up for a demo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NotRequired, TypedDict, cast

import sqlalchemy as sa

from .addresses import keyed_hash, parse_many
from .database import insert_many, session
from .models import History, Invitation, MailState, new_public_id
from .state import state

ENDED: Final = (MailState.DELIVERED, MailState.FAILED, MailState.SKIPPED)


class PastEvent(TypedDict):
    """One thing that happened to an invitation; ``actor_kind`` is sender, staff, invitee or
    system. Times are in UTC without a zone, here and in :class:`PastInvitation`.
    """

    at: datetime
    actor_kind: str
    actor_key: str
    actor_name: str
    action: str
    from_status: str | None
    to_status: str | None
    reason: str | None


class PastInvitation(TypedDict):
    """An invitation whose mail has left or never will: the columns of its row, its history.

    Without ``inviter_key`` the store itself invited.
    """

    website: str
    store_view: str
    email: str
    group_code: str
    status: str
    mail_state: str
    created_at: datetime
    expires_at: datetime
    history: Sequence[PastEvent]
    inviter_key: NotRequired[str]
    inviter_email: NotRequired[str | None]
    inviter_name: NotRequired[str]
    message: NotRequired[str | None]
    discarded_by: NotRequired[str | None]
    mail_error: NotRequired[str | None]
    mail_tries: NotRequired[int]
    sent_at: NotRequired[datetime | None]
    last_sent_at: NotRequired[datetime | None]
    registered_at: NotRequired[datetime | None]
    customer_key: NotRequired[str | None]


# One statement takes many rows, so each of them names each column.
BLANK: Final = {
    "inviter_key": "",
    "inviter_email": None,
    "inviter_name": "",
    "message": None,
    "discarded_by": None,
    "mail_error": None,
    "mail_tries": 1,
    "sent_at": None,
    "last_sent_at": None,
    "registered_at": None,
    "customer_key": None,
    "sender_canceled": False,
    "existing_customer": False,
    "version": 1,
}


def import_invitations(past: Iterable[PastInvitation]) -> int:
    """Write invitations with their history into the store's session, without a mail.

    An address that its inviter invited on the website before is left out. Nothing is
    committed; give some thousand at a time. Returns how many were written.

    :raises ValueError: for an address that is none, or a mail that would still have to leave.
    """
    rows, histories = [], {}
    for each, row in _rows(list(past)):
        rows.append(row)
        histories[row["public_id"]] = each["history"]
    if not rows:
        return 0
    connection = session().connection(bind_arguments={"mapper": Invitation})
    numbers = _write(connection, rows)
    events: list[dict[str, Any]] = [
        {**event, "invitation_id": number}
        for public_id, number in numbers.items()
        for event in histories[public_id]
    ]
    if events:
        insert_many(connection, cast(sa.Table, History.__table__), events, _if_new)
    return len(numbers)


def _write(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Insert rows that are new; return their ids by the public ones.

    They are read afterwards: SQLite takes twice as long for rows that it has to return.
    """
    table, known = cast(sa.Table, Invitation.__table__), {row["public_id"] for row in rows}
    last = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
    insert_many(connection, table, rows, _if_new)
    added = sa.select(table.c.public_id, table.c.id).where(table.c.id > last).order_by(table.c.id)
    return {
        public_id: number for public_id, number in connection.execute(added) if public_id in known
    }


def _if_new(insert: Any) -> Any:
    return insert.on_conflict_do_nothing()


def _rows(past: Sequence[PastInvitation]) -> Iterable[tuple[PastInvitation, dict[str, Any]]]:
    key = state().hash_key
    addresses = parse_many(each["email"] for each in past)
    for each, address in zip(past, addresses, strict=True):
        if each["mail_state"] not in ENDED:
            raise ValueError(f"A mail that is {each['mail_state']} has no end yet: send it.")
        row: dict[str, Any] = {**BLANK, **each}
        del row["history"]
        row["public_id"] = new_public_id()
        row["email"] = address.delivery
        row["email_hash"] = keyed_hash(address.identity, key)
        row["recipient_hash"] = keyed_hash(address.mailbox, key)
        yield each, row
