"""Parked mails: nobody knows whether they arrived, so a person decides what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .database import among
from .lifecycle import Actor, note_all
from .models import Invitation, MailState, Outbox, OutboxState, Status
from .scope import Websites, within

ARRIVED = (Status.ACCEPTED, Status.DECLINED)  # only who has the mail can do either


def release(db: Session, ids: Sequence[int], actor: Actor, websites: Websites = None) -> list[int]:
    """Send parked mails once more, under their old Message-ID. The caller commits and wakes.

    One whose end is unknown again is parked again. What is parked no more, or whose
    invitation is closed or its link over, is left alone. Returns the ids of the
    invitations whose mail goes.

    :param ids: of the outbox's rows.
    :param websites: whose mails the actor may decide about, None for all.
    """
    row = Invitation
    may_leave = (row.status == Status.NOT_SENT, row.expires_at > now(), row.email.is_not(None))
    statement = sa.update(Outbox).where(*_parked(ids, websites, *may_leave))
    values = {"state": OutboxState.QUEUED, "due_at": now()}
    gone = _done(db, statement.values(values))
    _note(db, gone, actor, "release", MailState.QUEUED)
    return gone


def give_up(db: Session, ids: Sequence[int], actor: Actor, websites: Websites = None) -> list[int]:
    """Take parked mails for failed; where the friend answered, for delivered. The caller commits.

    Parameters and result as of :func:`release`.
    """
    gone = _done(db, sa.delete(Outbox).where(*_parked(ids, websites)))
    arrived = Invitation.status.in_(ARRIVED)
    state = sa.case((arrived, MailState.DELIVERED.value), else_=MailState.FAILED.value)
    _note(db, gone, actor, "give_up", state)
    return gone


def _parked(
    ids: Sequence[int], websites: Websites, *more: sa.ColumnElement[bool]
) -> tuple[sa.ColumnElement[bool], ...]:
    """Return as SQL that a row of the outbox is parked, and one of some invitations'."""
    theirs = sa.select(Invitation.id).where(*within(websites), *more)
    return (
        among(Outbox.id, ids),
        Outbox.state == OutboxState.PARKED,
        Outbox.invitation_id.in_(theirs),
    )


def _done(db: Session, statement: Any) -> list[int]:
    """Run a guarded statement; of two who decide the same, the second changes nothing."""
    changing = statement.returning(Outbox.invitation_id)
    return sorted(db.scalars(changing, execution_options={"synchronize_session": False}))


def _note(db: Session, ids: list[int], actor: Actor, action: str, state: Any) -> None:
    if not ids:
        return
    row = Invitation
    mine = sa.and_(among(row.id, ids), row.mail_state == MailState.PARKED)
    db.execute(
        sa.update(row).where(mine).values(mail_state=state),
        execution_options={"synchronize_session": False},
    )
    note_all(db, ids, actor, action, None, None)
