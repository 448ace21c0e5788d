"""From one mail to the next: the end of one and the beginning of the other, committed together.

A worker that dies in between has none of both to mend, and the disk is waited for once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from . import marking
from .beginning import Begun, Prepared
from .clock import now
from .endings import Taken
from .mailboxes import turn_for
from .outbox import ClaimLost, Entry
from .outbox_sql import (
    CLOSE,
    MARK_AS_READ,
    MARK_MAIL,
    MOVE_AS_SENT,
    NOTE_AS_SENT,
    SENT_AND_MARKED,
)
from .sent import noted
from .straight import Straight, has_pipelines

Given = Mapping[str, Any]
Done = tuple[bool, bool]
"""Whether the end of a mail is noted, and whether the next one is begun."""

NOTHING: Final[Done] = (False, False)


class Turnover(NamedTuple):
    """What the statements are given, and what the next mail is once it is begun."""

    given: Given
    begun: Begun


def asked(taken: Taken, entry: Entry, prepared: Prepared | None) -> Turnover | None:
    """Return what is asked for, None where it is not plain: a notice ends, or the next mail is
    yet to be made.
    """
    before, row = taken.begun.entry, taken.begun.row
    if row is None or prepared is None or not prepared.is_of(entry):
        return None
    until, lasting = marking.lease()
    given = noted(before, row, taken.answer) | marking.marked(prepared.row, prepared.settings)
    given |= marking.leaving(entry) | lasting
    given |= {"subject": turn_for(prepared.row), "taken_at": now()}
    return Turnover(given, Begun(entry, prepared.row, prepared.message, until))


def can_share(dialect: sa.Dialect) -> bool:
    """Return whether :func:`turn_over_all` takes several at a time on a database."""
    return dialect.name != "postgresql" or has_pipelines(dialect)


def ready_for(engine: sa.Engine) -> sa.Engine:
    """Return an engine with the connections that :func:`turn_over_all` wants.

    On PostgreSQL they commit by themselves: to begin and to commit costs a round trip each.
    """
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="AUTOCOMMIT")
    return engine


def turn_over_all(
    connection: sa.Connection, given: Sequence[Given], under_way: Callable[[], None]
) -> Sequence[Done]:
    """Do turnovers in one transaction.

    :param under_way: called when what is left to do is the database's, not this thread's.
    :raises Exception: whatever is wrong with one of them; then none is done.
    """
    straight = Straight(connection)
    if connection.dialect.name == "postgresql":
        under_way()
        return [_as_done(*each) for each in straight.first_of_each(SENT_AND_MARKED, given)]
    with connection.begin():
        done = [_step_by_step(straight, each) for each in given]
        under_way()
    return done


def _as_done(is_noted: object, is_begun: object) -> Done:
    return bool(is_noted), bool(is_begun)


def _step_by_step(db: Straight, given: Given) -> Done:
    """Do one on SQLite, where nobody else writes meanwhile."""
    if not db.changes(MOVE_AS_SENT, given):
        return NOTHING
    if not (db.changes(CLOSE, given) and db.changes(NOTE_AS_SENT, given)):
        raise ClaimLost
    if not db.changes(MARK_AS_READ, given):
        return True, False
    if not db.changes(MARK_MAIL, given):
        raise ClaimLost
    return True, True
