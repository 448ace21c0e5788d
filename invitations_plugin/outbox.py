"""The outbox: who holds a mail, and how each try ended.

Every step is committed before the next, and every statement names the claim, so that a
worker that died loses nothing and one that wakes late changes nothing. Nothing here sends.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from itertools import product
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from . import outbox_sql
from .clock import now
from .database import Runner, atomically, session
from .lifecycle import THE_SYSTEM, move, note, seems_open
from .mailboxes import OPTED_OUT, WHILE_ONE_LEAVES
from .models import NOTICE, WAS_TRIED, Invitation, MailState, Outbox, OutboxState, Status
from .settings import Settings

LEASE = timedelta(seconds=90)
AMBIGUOUS_WAIT = timedelta(minutes=30)
# Five days in all; the last one fills them up.
RETRIES = [timedelta(minutes=m) for m in (1, 5, 30, 120, 360, 720, 1440, 2880, 1644)]
JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Entry:
    """A claimed row of the outbox, as it was when claimed.

    A notice to staff has no invitation, but a recipient and what it says.
    """

    id: int
    invitation_id: int | None
    kind: str
    recipient: str | None
    payload: dict[str, Any] | None
    message_id: str
    tries: int
    ambiguous: int
    spared: int
    claim: str
    lease_until: datetime

    @property
    def name(self) -> str:
        """What the log calls it."""
        if self.payload is not None:
            return f"the notice {self.payload['event']!r}"
        return f"invitation {self.invitation_id}"


class ClaimLost(Exception):
    """Another worker has this row by now."""


def claim(size: int, *, notices: bool | None = None) -> list[Entry]:
    """Take up to ``size`` rows that are due, those never tried first, for this worker alone.

    Of both those come first that a dead worker held, and then whichever are due for longest. It
    costs what is taken, however much the outbox holds; only notices are looked for among all.

    :param notices: True for those to staff only, False for all others, None for any.
    """
    if size < 1:
        return []
    return atomically(lambda: _claim(session(), size, notices))


def _claim(db: Session, size: int, notices: bool | None) -> list[Entry]:
    at = now()
    given = {"size": size, "at": at, "token": secrets.token_hex(16), "until": at + LEASE}
    found = db.execute(_claiming(notices), given).all()
    return [Entry(**each._mapping) for each in sorted(found, key=lambda each: each.id)]


@cache
def _claiming(notices: bool | None) -> Any:
    """Return the statement of a claim, built once: to build it takes as long as to run it."""
    of_kind: sa.ColumnElement[bool] = sa.true()
    if notices is not None:
        of_kind = Outbox.kind == NOTICE if notices else Outbox.kind != NOTICE
    return (
        sa.update(Outbox)
        .where(Outbox.id.in_(_next_ones(of_kind)))
        .values(
            state=OutboxState.CLAIMED,
            claim=sa.bindparam("token"),
            lease_until=sa.bindparam("until"),
        )
        .returning(*entry_columns())
        .execution_options(synchronize_session=False)
    )


def _next_ones(of_kind: sa.ColumnElement[bool]) -> sa.CompoundSelect[Any]:
    """Return the query for the ids of those whose turn it is.

    In parts, each in the order of an index: one part is asked for what those before it leave.
    """
    row, parts, at = Outbox, list[sa.CTE](), sa.bindparam("at", type_=sa.DateTime())
    left: sa.ColumnElement[int] = sa.bindparam("size", type_=sa.Integer())
    dead = sa.and_(row.state == OutboxState.CLAIMED, row.lease_until <= at)
    due = sa.and_(row.state == OutboxState.QUEUED, row.due_at <= at)
    for was_tried, is_free in product((False, True), (dead, due)):
        part = (
            sa.select(row.id)
            .where(is_free, was_tried_before() == int(was_tried), of_kind)
            .order_by(row.due_at, row.id)
            .limit(left)
            .with_for_update(skip_locked=True)  # one statement is enough on SQLite
            .cte(f"part_{len(parts)}")
        )
        parts.append(part)
        left = left - sa.select(sa.func.count()).select_from(part).scalar_subquery()
    return sa.union_all(*(sa.select(part.c.id) for part in parts))


def was_tried_before() -> sa.ColumnElement[int]:
    """Return as SQL 1 for a mail that was tried, else 0, as the index of turns has it."""
    return sa.literal_column(WAS_TRIED, sa.Integer())


def entry_columns() -> list[Any]:
    """Return the columns that make an :class:`Entry`."""
    return [getattr(Outbox, each.name) for each in fields(Entry)]


def keep_alive(db: Session, claim: str) -> datetime:
    """Keep what is claimed and not begun; return until when. The caller commits."""
    until = now() + LEASE
    db.execute(outbox_sql.KEEP, {"held_by": claim, "until": until})
    return until


def skip(db: Runner, entry: Entry, row: Invitation | None, reason: str) -> None:
    """Close a row whose mail must not leave any more.

    :raises ClaimLost: when it is not this worker's.
    """
    close(db, entry)
    if row is not None:
        _set_skipped(db, row, reason)


def _set_skipped(db: Runner, row: Invitation, reason: str) -> None:
    values: dict[str, Any] = {"mail_state": MailState.SKIPPED, "mail_error": reason}
    # To its sender it looks like any other that was sent.
    as_if_sent = values | {"sent_at": row.sent_at or now(), "last_sent_at": now()}
    if reason == OPTED_OUT:
        move(db, row, "send", THE_SYSTEM, as_if_sent, action="skip", reason=reason)
    elif seems_to_leave(row, reason):
        set_mail(db, row.id, **as_if_sent)
        note(db, row.id, THE_SYSTEM, "skip", row.status, row.status, reason)
    else:
        set_mail(db, row.id, **values)


def seems_to_leave(row: Invitation, reason: str) -> bool:
    """Return whether a mail that does not leave looks to its sender as if it did, and so
    waits for its mailbox's turn like one that does.
    """
    return reason == OPTED_OUT or (row.status == Status.DECLINED and seems_open(row))


def wait(db: Runner, entry: Entry, row: Invitation, turn: datetime, settings: Settings) -> None:
    """Leave a mail until its mailbox may receive one more; its link lives from then on.

    :raises ClaimLost: when it is not this worker's.
    """
    _mine(db, entry, state=OutboxState.QUEUED, claim=None, lease_until=None, due_at=turn)
    ends = turn + timedelta(days=settings.link_days)
    set_mail(db, row.id, expires_at=max(ends, row.expires_at))
    if turn > now() + WHILE_ONE_LEAVES:  # not for the moment in which another one leaves
        note(db, row.id, THE_SYSTEM, "wait")


def deferred(db: Session, entry: Entry, error: str) -> None:
    """Try again later; give up five days after the first try."""
    if entry.tries >= len(RETRIES):
        failed(db, entry, error)
        return
    wait = RETRIES[entry.tries] * random.uniform(1 - JITTER, 1 + JITTER)
    _try_again(db, entry, error, now() + wait, entry.tries + 1)


def put_back(db: Session, entry: Entry, error: str) -> None:
    """Let a mail wait again behind all others that are due; the try does not count."""
    _try_again(db, entry, error, now(), entry.tries)


def _try_again(db: Session, entry: Entry, error: str, at: datetime, tries: int) -> None:
    _mine(
        db,
        entry,
        state=OutboxState.QUEUED,
        claim=None,
        lease_until=None,
        tries=tries,
        due_at=at,
        last_error=error,
    )
    set_mail(
        db, entry.invitation_id, mail_state=MailState.QUEUED, mail_error=error, mail_tries=tries
    )
    note_try(db, entry, "defer", error)


def failed(db: Session, entry: Entry, error: str) -> None:
    """Note that a mail can never be delivered."""
    close(db, entry)
    set_mail(
        db,
        entry.invitation_id,
        mail_state=MailState.FAILED,
        mail_error=error,
        mail_tries=entry.tries + 1,
    )
    note_try(db, entry, "fail", error)


def unknown(db: Session, entry: Entry, error: str, *, never_twice: bool = False) -> None:
    """Repeat a mail of unknown end once, and park it at the second time.

    Nobody knows whether it arrived, so it goes again half an hour later with the same
    Message-ID, then waits for a person; with ``never_twice`` it waits at once.
    """
    is_notice = entry.invitation_id is None
    again = entry.ambiguous == 0 and (is_notice or not never_twice)
    if is_notice and not again:  # nobody need decide about it
        close(db, entry)
        return
    _mine(
        db,
        entry,
        state=OutboxState.QUEUED if again else OutboxState.PARKED,
        claim=None,
        lease_until=None,
        ambiguous=entry.ambiguous + 1,
        due_at=now() + AMBIGUOUS_WAIT,
        last_error=error,
    )
    state = MailState.QUEUED if again else MailState.PARKED
    set_mail(db, entry.invitation_id, mail_state=state, mail_error=error)
    note_try(db, entry, "unknown", error)


def note_try(db: Runner, entry: Entry, action: str, said: str, status: str | None = None) -> None:
    """Note how one try of a mail ended, where the status of the invitation stays."""
    number, mail = entry.invitation_id, entry.message_id
    if number is not None:  # a notice has no history
        note(db, number, THE_SYSTEM, action, status, status, said, mail)


def release(db: Session, entries: Sequence[Entry]) -> None:
    """Give rows that are still this worker's back for the next run: the server had nothing of
    them, whether they were begun or not. What another worker has by now is left alone.
    """
    ids = [entry.id for entry in entries]
    if not ids:
        return
    given_back = db.scalars(
        sa.update(Outbox)
        .where(Outbox.id.in_(ids), Outbox.claim == entries[0].claim)
        .values(state=OutboxState.QUEUED, claim=None, lease_until=None)
        .returning(Outbox.invitation_id),
        execution_options={"synchronize_session": False},
    ).all()
    db.execute(
        sa.update(Invitation)
        .where(Invitation.id.in_(given_back), Invitation.mail_state == MailState.SENDING)
        .values(mail_state=MailState.QUEUED)
    )


def _mine(db: Runner, entry: Entry, **values: object) -> None:
    """Change a row of the outbox that is still this worker's.

    :raises ClaimLost: when it is not.
    """
    mine = (Outbox.id == entry.id, Outbox.claim == entry.claim)
    change(db, sa.update(Outbox).where(*mine).values(**values))


def close(db: Runner, entry: Entry) -> None:
    """Take a row that needs nothing more out of the outbox.

    :raises ClaimLost: when it is not this worker's.
    """
    change(db, outbox_sql.CLOSE, held(entry))


def held(entry: Entry) -> dict[str, Any]:
    """Return what tells a row that is still this worker's."""
    return {"mail": entry.id, "held_by": entry.claim}


def change(db: Runner, statement: Any, given: dict[str, Any] | None = None) -> None:
    """Run a statement about a row that is this worker's.

    :raises ClaimLost: when it changed nothing.
    """
    if not changes(db, statement, given):
        raise ClaimLost


def changes(db: Runner, statement: Any, given: dict[str, Any] | None = None) -> bool:
    """Run a statement; return whether it changed its row."""
    return bool(db.execute(statement, given).rowcount == 1)  # type: ignore[attr-defined]


def set_mail(db: Runner, invitation_id: int | None, **values: object) -> None:
    """Change how far an invitation's mail got; a notice has none."""
    if invitation_id is None:
        return
    db.execute(sa.update(Invitation).where(Invitation.id == invitation_id).values(**values))
