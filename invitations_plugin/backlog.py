"""What the outbox holds: how many mails stand where, how old they are, and which they are.

Staff of some websites are told of those alone; a notice to staff belongs to none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .models import Invitation, MailState, Outbox, OutboxState, Status
from .outbox import was_tried_before
from .scope import websites, within

MOST = 100_000  # mails of the outbox that are looked at for figures
MOST_FAILED = 10_000
PAGE = 20


class Place(StrEnum):
    """Where a mail stands, as operators see it."""

    DUE = "due"
    LATER = "later"
    DEFERRED = "deferred"
    SENDING = "sending"
    PARKED = "parked"
    FAILED = "failed"


HELD = (OutboxState.CLAIMED, OutboxState.SENDING)
# Where a mail stands by its state alone.
STATES: Final = {Place.PARKED: (OutboxState.PARKED,), Place.SENDING: HELD}


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many mails stand where; ``is_whole`` unless there are more than were looked at.

    ``failed`` counts invitations whose mail failed for good and that nobody dealt with since,
    up to :data:`MOST_FAILED` and one.
    """

    due: int = 0
    later: int = 0
    deferred: int = 0
    sending: int = 0
    parked: int = 0
    failed: int = 0
    is_whole: bool = True

    def at(self, place: Place) -> int:
        """Return how many stand in one place."""
        return int(getattr(self, place))

    @property
    def waiting(self) -> int:
        """How many will leave by themselves."""
        return self.due + self.later + self.deferred + self.sending


@dataclass(frozen=True, slots=True)
class Some:
    """Some of the mails in one place, and the id that the next ones come after."""

    rows: Sequence[Any]
    after: int | None


def read(db: Session) -> Backlog:
    """Count the mails that wait, by where they stand."""
    seen = _mine(sa.select(_place().label("place"))).order_by(Outbox.id).limit(MOST + 1).subquery()
    query = sa.select(seen.c.place, sa.func.count()).group_by(seen.c.place)
    counted: dict[str, int] = {}
    for place, number in db.execute(query):
        counted[place] = number
    is_whole = sum(counted.values()) <= MOST
    return Backlog(**counted, failed=_failed(db), is_whole=is_whole)


def _place() -> sa.Case[str]:
    """Return as SQL where a row of the outbox stands."""
    row = Outbox
    by_state = [(row.state.in_(states), place.value) for place, states in STATES.items()]
    return sa.case(
        *by_state,
        (sa.or_(row.tries > 0, row.ambiguous > 0), Place.DEFERRED.value),
        (row.due_at > now(), Place.LATER.value),
        else_=Place.DUE.value,
    )


def _mine(query: Any) -> Any:
    """Keep to the websites that the reader may know of."""
    query = query.select_from(Outbox)
    if websites() is None:
        return query
    return query.join(Invitation, Invitation.id == Outbox.invitation_id).where(*within(websites()))


def _is_failed() -> tuple[sa.ColumnElement[bool], ...]:
    row = Invitation
    is_left = sa.and_(row.mail_state == MailState.FAILED, row.status == Status.NOT_SENT)
    return is_left, *within(websites())


def _failed(db: Session) -> int:
    some = sa.select(Invitation.id).where(*_is_failed()).limit(MOST_FAILED + 1).subquery()
    return db.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def oldest(db: Session) -> datetime | None:
    """Return since when the oldest mail that is due waits for somebody to take it, in UTC.

    A claim whose worker died counts from the end of its lease. Of all websites, by an index.
    """
    row, at = Outbox, now()
    due = sa.select(sa.func.min(row.due_at))
    due = due.where(row.state == OutboxState.QUEUED, row.due_at <= at)
    firsts = [due.where(was_tried_before() == number).scalar_subquery() for number in (0, 1)]
    # By their ids, which an index has: SQLite would look through the whole table for a min().
    held = sa.select(row.id).where(row.state.in_(HELD))
    dead = sa.select(sa.func.min(row.lease_until))
    dead = dead.where(row.id.in_(held), row.lease_until <= at)
    found = [*db.execute(sa.select(*firsts)).one(), db.scalar(dead)]
    return min((each for each in found if each is not None), default=None)


def oldest_of_mine(db: Session) -> datetime | None:
    """Return since when the oldest due mail of the reader's websites waits, in UTC."""
    row = Outbox
    query = _mine(sa.select(sa.func.min(row.due_at)))
    query = query.where(row.state == OutboxState.QUEUED, row.due_at <= now())
    found: datetime | None = db.scalar(query)
    return found


def queued(db: Session, most: int) -> int:
    """Return how many mails have to leave, up to ``most`` and one; by an index."""
    states = (OutboxState.QUEUED, *HELD)
    some = sa.select(Outbox.id).where(Outbox.state.in_(states)).limit(most + 1).subquery()
    return db.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def parked(db: Session) -> int:
    """Return how many mails wait for a decision; by an index."""
    query = sa.select(sa.func.count()).select_from(Outbox)
    return db.scalar(query.where(Outbox.state == OutboxState.PARKED)) or 0


def listed(db: Session, place: Place, after: int = 0) -> Some:
    """Return a page of the mails in one place, the oldest first; of what failed the newest.

    :param after: the id that the page before ended with, 0 for the first page.
    """
    query = _list_failed(after) if place == Place.FAILED else _list_waiting(place, after)
    found = db.execute(query.limit(PAGE + 1)).all()
    rows = found[:PAGE]
    return Some(rows, rows[-1].id if len(found) > PAGE else None)


def _list_waiting(place: Place, after: int) -> Any:
    row = Outbox
    known = (row.tries, row.ambiguous, row.due_at, row.last_error.label("reason"))
    who = (Invitation.id.label("invitation_id"), Invitation.email, Invitation.website)
    query = sa.select(row.id, row.kind, *known, *who).select_from(row)
    query = query.outerjoin(Invitation, Invitation.id == row.invitation_id)
    if place in STATES:  # by the ids, which an index has: the table would be looked through
        query = query.where(row.id.in_(sa.select(Outbox.id).where(row.state.in_(STATES[place]))))
    query = query.where(_place() == place.value, row.id > after, *within(websites()))
    return query.order_by(row.id)


def _list_failed(after: int) -> Any:
    row = Invitation
    known = (
        row.id,
        sa.literal("invitation").label("kind"),
        row.mail_tries.label("tries"),
        sa.literal(0).label("ambiguous"),
        sa.null().label("due_at"),
        row.mail_error.label("reason"),
        row.id.label("invitation_id"),
        row.email,
        row.website,
    )
    query = sa.select(*known).where(*_is_failed()).order_by(row.id.desc())
    return query.where(row.id < after) if after else query


def chosen(db: Session, ids: Sequence[int], most: int) -> list[int]:
    """Return which of some ids are parked mails that the reader may decide on."""
    return _parked_ids(db, Outbox.id.in_(ids), most)


def newest_parked(db: Session) -> int:
    """Return the highest id of a parked mail that the reader may decide on, 0 without one."""
    query = _mine(sa.select(sa.func.max(Outbox.id))).where(Outbox.state == OutboxState.PARKED)
    return db.scalar(query) or 0


def all_parked(db: Session, upto: int, most: int) -> list[int]:
    """Return the parked mails that the reader may decide on, those up to an id."""
    return _parked_ids(db, Outbox.id <= upto, most)


def _parked_ids(db: Session, which: sa.ColumnElement[bool], most: int) -> list[int]:
    query = _mine(sa.select(Outbox.id)).where(Outbox.state == OutboxState.PARKED, which)
    return list(db.scalars(query.order_by(Outbox.id).limit(most)))
