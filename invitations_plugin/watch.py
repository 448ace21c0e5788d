"""Whether mail leaves as it should: what pages, doctor, the health address and alarms go by.

Each question is answered by an index and costs the same however long the outbox is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from . import backlog
from .circuit import look as look_at_circuit
from .clock import now
from .heartbeat import COMMAND, SILENT, is_lively
from .state import settings_of, store_view
from .watch_models import Worker

MOST = 10_000  # queued mails that are counted; beyond it there are more
SCHEDULED = timedelta(hours=1)  # a command that was seen so lately will come again


class Trouble(StrEnum):
    """What keeps mail from leaving."""

    LATE = "late"
    NO_WORKER = "no_worker"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Sight:
    """The delivery at one moment.

    ``queued`` counts mails that have to leave, up to :data:`MOST` and one; ``oldest`` is since
    when the oldest that is due waits, in UTC; ``workers`` are alive; ``refused`` is what one of
    them, or without any the last one there was, was told by the mail server at its last look,
    or why the server is left alone (then ``is_left_alone``), "" where it takes mail. While
    invitations are switched off, or an operator holds all mail, it waits on purpose, and
    nothing is late.
    """

    at: datetime
    queued: int
    oldest: datetime | None
    workers: int
    is_driven: bool
    refused: str
    is_left_alone: bool
    is_on: bool
    is_held: bool
    alarm_after: timedelta

    @property
    def age(self) -> timedelta:
        """How long the oldest mail that is due waits."""
        return self.at - self.oldest if self.oldest is not None else timedelta()

    @property
    def waits_on_purpose(self) -> bool:
        """Whether no mail is to leave: nothing of it tells whether any could."""
        return not self.is_on or self.is_held

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What keeps mail from leaving, the likeliest cause first."""
        return tuple(self._troubles())

    def _troubles(self) -> Iterator[Trouble]:
        if self.waits_on_purpose:
            return
        if self.refused:
            yield Trouble.REFUSED
        if not self.is_driven and self.age > SILENT:
            yield Trouble.NO_WORKER
        if self.alarm_after and self.age > self.alarm_after:
            yield Trouble.LATE


def look(db: Session) -> Sight:
    """Look at the delivery as it is now."""
    settings, circuit = settings_of(store_view("")), look_at_circuit(db)
    alive = db.execute(sa.select(Worker.refused).where(is_lively()).order_by(Worker.seen_at.desc()))
    refusals = alive.scalars().all()
    refused = next(filter(None, refusals), "") if refusals else _said_last(db)
    return Sight(
        at=now(),
        queued=backlog.queued(db, MOST),
        oldest=backlog.oldest(db),
        workers=len(refusals),
        is_driven=bool(refusals) or _is_scheduled(db),
        refused=circuit.text if circuit.is_shut else refused or "",
        is_left_alone=circuit.is_shut,
        is_on=settings.enabled,
        is_held=settings.hold_outbox,
        alarm_after=timedelta(minutes=settings.alarm_minutes),
    )


def _said_last(db: Session) -> str:
    """Return what the mail server said to who was seen last: nobody has asked it since."""
    last = sa.select(Worker.refused).order_by(Worker.seen_at.desc()).limit(1)
    return db.scalar(last) or ""


def _is_scheduled(db: Session) -> bool:
    """Return whether a scheduler drives the delivery by a command that ends each time."""
    is_lately = sa.and_(Worker.kind == COMMAND, Worker.seen_at > now() - SCHEDULED)
    return db.scalar(sa.select(Worker.id).where(is_lately).limit(1)) is not None
