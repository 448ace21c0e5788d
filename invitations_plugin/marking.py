"""A mail that begins to leave: what its invitation says, read and marked as being sent."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import Session

from . import outbox, outbox_sql
from .clock import now
from .database import Runner, is_postgresql
from .lifecycle import Changed
from .mailboxes import ANY_NUMBER, asked_of, turn_for
from .models import Invitation
from .outbox import Entry
from .settings import Settings
from .turns import take_turn

COLUMNS: Final = Invitation.__table__.c.keys()


def read(db: Runner, number: int) -> tuple[Invitation, bool] | None:
    """Return an invitation as it is now, and whether its mailbox opted out; None where it is gone.

    Where the database can, nobody changes it until the commit. It is a copy outside of the
    session: what is set there is not written.
    """
    found = db.execute(outbox_sql.READ_AND_HOLD, {"number": number}).first()
    if found is None:
        return None
    *values, is_opted_out = found
    return Invitation(**dict(zip(COLUMNS, values, strict=True))), bool(is_opted_out)


def read_all(db: Session, ids: Collection[int]) -> list[Invitation]:
    """Return invitations as they are now, those that are there, as copies like :func:`read`'s."""
    query = sa.select(Invitation).where(Invitation.id.in_(ids))
    found = list(db.scalars(query.execution_options(populate_existing=True)))
    for row in found:
        db.expunge(row)
    return found


def mark_sending(db: Runner, entry: Entry, row: Invitation | None) -> float:
    """Mark a row as being handed to the server; return until when, by :func:`time.monotonic`.

    :param row: its invitation, None for a notice; whether it is a customer's is written, too.
    :raises ClaimLost: when this worker's claim is not the row's any more.
    :raises Changed: when the invitation is not the one that was read: the mail would say
        what somebody has just changed. It comes again when its lease is over.
    """
    until, lasting = lease()
    outbox.change(db, outbox_sql.MARK_MAIL, leaving(entry) | lasting)
    if row is not None and not outbox.changes(db, outbox_sql.MARK_INVITATION, _as_read(row)):
        raise Changed("send")
    return until


def mark_as_read(db: Runner, entry: Entry, row: Invitation, settings: Settings) -> float | None:
    """Mark a row whose invitation was read some time ago, if its mail may still leave.

    Whether it may is asked by the statement that marks it: it is still as it was read, nobody
    changes it just now, and its mailbox neither opted out nor has enough. Returns None where
    not, and otherwise what :func:`mark_sending` does.

    :raises ClaimLost: when this worker's claim is not the row's any more.
    """
    until, lasting = lease()
    given = marked(row, settings)
    if not is_postgresql():  # but SQLite: nobody else writes from here on
        if not outbox.changes(db, outbox_sql.MARK_AS_READ, given):
            return None
        outbox.change(db, outbox_sql.MARK_MAIL, leaving(entry) | lasting)
        return until
    if given["room"] != ANY_NUMBER:
        take_turn(db, turn_for(row))
    given |= leaving(entry) | lasting
    return until if outbox.changes(db, outbox_sql.MARK_BOTH, given) else None


def marked(row: Invitation, settings: Settings) -> dict[str, Any]:
    """Return what the statement is given that marks an invitation as it was read."""
    return _as_read(row) | {"address": row.email} | asked_of(row, settings)


def leaving(entry: Entry) -> dict[str, Any]:
    """Return what tells a row to mark, if it is still this worker's."""
    return {"leaving_mail": entry.id, "held_by": entry.claim}


def _as_read(row: Invitation) -> dict[str, Any]:
    return {"leaving": row.id, "as_read": row.version, "is_customer": row.existing_customer}


def lease() -> tuple[float, dict[str, Any]]:
    """Return until when a mail is this worker's: by its own clock, and as the row keeps it."""
    lease = _sending_lease()
    return time.monotonic() + lease.total_seconds(), {"until": now() + lease}


def _sending_lease() -> timedelta:
    """Return more than any one message can take; a row found after it has an unknown end."""
    timeout = float(current_app.config["INVITATIONS_SMTP_TIMEOUT"])
    return max(timedelta(minutes=10), timedelta(seconds=30 * timeout))
