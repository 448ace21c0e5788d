"""Alarms: staff are told once when mail waits for too long or the mail server refuses, and again
when it is over.

A row stands for what is wrong, so of several workers one tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from . import watch
from .clock import now
from .database import insert_into
from .notices import notify, was_told
from .watch import Sight, Trouble
from .watch_models import Alarm

PATIENCE: Final = timedelta(minutes=5)  # in which a mail server may come back by itself
Tell = Callable[[Session, Sight, Alarm], int]


def _tell_late(db: Session, sight: Sight, alarm: Alarm) -> int:
    minutes = int(sight.alarm_after.total_seconds()) // 60
    since = sight.oldest or alarm.since
    return notify(db, "delivery_late", number=sight.queued, minutes=minutes, since=since)


def _tell_refused(db: Session, sight: Sight, alarm: Alarm) -> int:
    if sight.is_left_alone:  # which its own notice told at once; the end of it is told here
        return int(was_told(db, "everyone_refused"))
    return notify(db, "server_refuses", said=sight.refused, since=alarm.since)


# How long something is borne before staff are told, how they are, and what ends it.
ALARMS: Final[dict[Trouble, tuple[timedelta, Tell, str]]] = {
    Trouble.LATE: (timedelta(), _tell_late, "delivery_late_over"),
    Trouble.REFUSED: (PATIENCE, _tell_refused, "server_refuses_over"),
}


def ring(db: Session) -> None:
    """Tell staff what is wrong with the delivery since, and what is over. The caller commits.

    While mail waits on purpose nothing begins, and nothing is over: what stands is seen again
    once mail may leave.
    """
    sight = watch.look(db)
    if sight.waits_on_purpose:
        return
    for trouble in ALARMS:
        if trouble in sight.troubles:
            _begin(db, trouble, sight)
        else:
            _end(db, trouble, sight)


def standing(db: Session) -> list[Alarm]:
    """Return what is wrong for longer than is borne, whether or not staff could be told by mail."""
    found = db.scalars(sa.select(Alarm).order_by(Alarm.since))
    known = [each for each in found if each.name in ALARMS]  # another version may know more
    return [each for each in known if each.since <= now() - ALARMS[Trouble(each.name)][0]]


def _begin(db: Session, trouble: Trouble, sight: Sight) -> None:
    patience, tell, _ = ALARMS[trouble]
    statement = insert_into(db, Alarm).values(name=trouble.value, since=now())
    db.execute(statement.on_conflict_do_nothing(index_elements=[Alarm.name]))
    alarm = db.get(Alarm, trouble.value, populate_existing=True)
    if alarm is None:  # another worker saw the end of it meanwhile
        return
    is_borne = alarm.since > now() - patience and not sight.is_left_alone
    # What lasts is told again after a while, as every notice is.
    if not is_borne and tell(db, sight, alarm):
        told = sa.update(Alarm).where(Alarm.name == trouble.value).values(told_at=now())
        db.execute(told.execution_options(synchronize_session=False))


def _end(db: Session, trouble: Trouble, sight: Sight) -> None:
    """Forget what is over; who deletes the row tells it, where its beginning was told."""
    gone = sa.delete(Alarm).where(Alarm.name == trouble.value)
    found = db.execute(gone.returning(Alarm.since, Alarm.told_at)).first()
    is_of_interest = trouble != Trouble.LATE or bool(sight.alarm_after)
    if found is not None and found.told_at is not None and is_of_interest:
        notify(db, ALARMS[trouble][2], since=found.since)
