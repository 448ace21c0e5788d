"""Mails that come back: what a server did to them was meant for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .lifecycle import THE_SYSTEM, note
from .models import Invitation, MailState, Outbox, OutboxState, Status
from .outbox import Entry


@dataclass(frozen=True, slots=True)
class Tried:
    """What a row was before a try, kept apart from it: enough to write it anew."""

    invitation_id: int
    kind: str
    message_id: str
    tries: int
    ambiguous: int
    spared: int


def as_tried(entry: Entry) -> dict[str, Any]:
    """Return the values of :class:`Tried`, as JSON can hold them."""
    return {each.name: getattr(entry, each.name) for each in fields(Tried)}


def bring_back(db: Session, tried: Sequence[Tried], error: str) -> int:
    """Let mails wait again as they were before a try; return how many do.

    What was sent again, closed or erased meanwhile is left alone.
    """
    return sum(_wait_again(db, each) or _write_anew(db, each, error) for each in tried)


def _wait_again(db: Session, was: Tried) -> bool:
    """Take back a try of a mail that was put off."""
    row = Outbox
    put_off = (row.message_id == was.message_id, row.tries == was.tries + 1)
    values = {"tries": was.tries, "spared": was.spared + 1, "due_at": now()}
    statement = sa.update(row).where(*put_off, row.state == OutboxState.QUEUED).values(values)
    if not db.execute(statement).rowcount:  # type: ignore[attr-defined]
        return False
    mine = Invitation.id == was.invitation_id
    db.execute(sa.update(Invitation).where(mine).values(mail_tries=was.tries))
    return True


def _write_anew(db: Session, was: Tried, error: str) -> bool:
    """Take back the end of a mail that failed for good."""
    row = Invitation
    statement = sa.update(row).where(
        row.id == was.invitation_id,
        row.status == Status.NOT_SENT,
        row.mail_state == MailState.FAILED,
        row.email.is_not(None),
        ~sa.exists().where(Outbox.invitation_id == was.invitation_id),
    )
    values = {"mail_state": MailState.QUEUED, "mail_tries": was.tries}
    statement = statement.values(values).execution_options(synchronize_session=False)
    if not db.execute(statement).rowcount:  # type: ignore[attr-defined]
        return False
    kept = asdict(was) | {"spared": was.spared + 1, "last_error": error}
    db.execute(sa.insert(Outbox).values(kept))
    note(db, was.invitation_id, THE_SYSTEM, "return", reason=error, message_id=was.message_id)
    return True
