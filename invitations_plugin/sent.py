"""A mail that the server took: it leaves the outbox, its invitation moves, its history tells."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from . import outbox, outbox_sql
from .clock import now
from .database import Runner, is_postgresql
from .lifecycle import (
    THE_SYSTEM,
    Changed,
    LifecycleError,
    as_seen,
    move,
    note_values,
    target_of,
)
from .marking import read
from .models import Invitation, MailState
from .outbox import Entry

CLOSED = "closed while it left"


def sent(db: Runner, entry: Entry, row: Invitation | None, answer: str) -> None:
    """Note that the server took a mail, also where its invitation changed meanwhile.

    :param row: its invitation as it was read when it began to leave, None for a notice.
    :raises ClaimLost: when the row is not this worker's any more.
    """
    if row is None:
        outbox.close(db, entry)
    elif not (_at_once if is_postgresql() else _step_by_step)(db, entry, row, answer):
        # Held from here on: staff who edit it in this very moment would make the mail look
        # like one that left a closed invitation.
        changed = read(db, row.id)
        if changed is not None:
            _sent_meanwhile(db, entry, changed[0], answer)


def _at_once(db: Runner, entry: Entry, row: Invitation, answer: str) -> bool:
    """Do what :func:`_step_by_step` does in a single round trip."""
    [(is_done,)] = db.execute(outbox_sql.SENT, noted(entry, row, answer)).fetchall()
    if not is_done:
        outbox.close(db, entry)
    return bool(is_done)


def noted(entry: Entry, row: Invitation, answer: str) -> dict[str, Any]:
    """Return what the statement of an end is given."""
    target = target_of(row, "send", THE_SYSTEM)
    new = {"status": target, **_as_sent(entry, row)}
    said = note_values(row.id, THE_SYSTEM, "send", row.status, target, answer, entry.message_id)
    given = outbox.held(entry) | as_seen(row)
    given |= {f"new_{name}": value for name, value in new.items()}
    return given | {f"said_{name}": value for name, value in said.items()}


def _step_by_step(db: Runner, entry: Entry, row: Invitation, answer: str) -> bool:
    """Write it all; return False where the invitation is not as it was read any more."""
    outbox.close(db, entry)
    try:
        _sent(db, entry, row, answer)
    except Changed:
        return False
    return True


def _sent(db: Runner, entry: Entry, row: Invitation, answer: str) -> None:
    values = _as_sent(entry, row)
    move(db, row, "send", THE_SYSTEM, values, reason=answer, message_id=entry.message_id)


def _sent_meanwhile(db: Runner, entry: Entry, row: Invitation, answer: str) -> None:
    try:
        _sent(db, entry, row, answer)
    except LifecycleError:
        outbox.set_mail(db, row.id, **_as_sent(entry, row))
        outbox.note_try(db, entry, "send", CLOSED, row.status)


def _as_sent(entry: Entry, row: Invitation) -> dict[str, Any]:
    at = now()
    return {
        "sent_at": row.sent_at or at,
        "last_sent_at": at,
        "mail_state": MailState.DELIVERED,
        "mail_error": None,
        "mail_tries": entry.tries + 1,
    }


def sent_late(db: Session, entry: Entry) -> None:
    """Note when a mail left whose row another worker has by now: a resend must wait."""
    outbox.set_mail(db, entry.invitation_id, last_sent_at=now())
