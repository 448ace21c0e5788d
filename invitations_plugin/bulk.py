"""What staff do with many invitations: each action, a chunk at a time, in one transaction."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from blinker import NamedSignal
from sqlalchemy.orm import Session

from .clock import now
from .database import Busy, among, atomically, session
from .events import announce
from .grid import Selection
from .lifecycle import (
    MOVES,
    Actor,
    Changed,
    IllegalMove,
    can_send,
    is_discardable,
    is_expirable,
    is_extendable,
    is_sendable,
    may_resend,
    note_all,
    reopen,
    resend,
)
from .models import Invitation, Status
from .signals import invitation_discarded
from .state import mail_domain, settings_of, store_view

log = logging.getLogger(__name__)

I = Invitation  # noqa: E741  # named once, used on every line below
# Why an action leaves an invitation alone, where that is not its status.
ERASED, WAITING = "erased", "waiting"


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of the Actions menu: the right it needs, and what it does to a chunk.

    ``able`` is as SQL what it can change, ``why_not`` why it leaves something else alone.
    """

    right: str
    able: Callable[[], sa.ColumnElement[bool]]
    why_not: Callable[[], sa.ColumnElement[str]]
    change: Callable[[Session, Sequence[int], Actor], list[int]]
    chunk: int
    signal: NamedSignal | None = None


@dataclass(slots=True)
class Outcome:
    """What became of some invitations; ``skipped`` by the reason."""

    changed: list[int] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.changed + other.changed,
            self.skipped + other.skipped,
            self.failed + other.failed,
        )


class Stop(Exception):
    """Raised by what is kept with a chunk: the chunk shall not happen, nor what follows."""


Keep = Callable[[Outcome, int], None]


def _keep_nothing(outcome: Outcome, place: int) -> None:
    pass


def do(action: Action, ids: Sequence[int], actor: Actor, keep: Keep = _keep_nothing) -> Outcome:
    """Do an action to a chunk in one transaction; where that fails, to each half in its own.

    So what cannot be changed ends up alone, and counts as failed.

    :param keep: called in each transaction with what it did and the last id it dealt with.
    """
    try:
        outcome = atomically(lambda: _apply(action, ids, actor, keep))
    except (Busy, Stop):
        raise
    except Exception:
        if len(ids) > 1:
            half = len(ids) // 2
            return do(action, ids[:half], actor, keep) + do(action, ids[half:], actor, keep)
        log.exception("Invitation %s cannot be changed", ids[0])
        outcome = Outcome(failed=1)
        atomically(lambda: keep(outcome, ids[0]))
    _tell(action, outcome.changed)
    return outcome


def _apply(action: Action, ids: Sequence[int], actor: Actor, keep: Keep) -> Outcome:
    changed = action.change(session(), ids, actor)
    outcome = Outcome(changed, _count_left(action, set(ids) - set(changed)))
    keep(outcome, ids[-1])
    return outcome


def _count_left(action: Action, left: set[int]) -> Counter[str]:
    if not left:
        return Counter()
    return Counter(session().scalars(sa.select(action.why_not()).where(among(I.id, sorted(left)))))


def _tell(action: Action, changed: Sequence[int]) -> None:
    """Announce what was changed, after the commit, where somebody listens."""
    if action.signal is not None and action.signal.receivers and changed:
        announce(action.signal, session().scalars(sa.select(I).where(among(I.id, changed))).all())


def count(
    session: Session, selection: Selection, action: Action
) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many of a selection an action can change, by status, and cannot, by reason."""
    able = action.able()
    key = sa.case((able, I.status), else_=action.why_not()).label("key")
    rows = sa.select(sa.case((able, 1), else_=0).label("able"), key)
    found = rows.where(*selection.conditions()).subquery()
    query = sa.select(found.c.able, found.c.key, sa.func.count()).group_by(
        found.c.able, found.c.key
    )
    counted: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for is_able, name, number in session.execute(query):
        counted[0 if is_able else 1][name] = number
    return counted


def send_again(session: Session, row: Invitation, actor: Actor) -> None:
    """Send an invitation again, opening it where it was closed.

    :raises LifecycleError: when it cannot be.
    """
    view = store_view(row.store_view, row.website)
    step = resend if may_resend(row, actor) else reopen
    step(session, row, actor, settings_of(view), mail_domain(view))


def _send_many(session: Session, ids: Sequence[int], actor: Actor) -> list[int]:
    done = []
    for row in session.scalars(sa.select(I).where(among(I.id, ids)).order_by(I.id)).all():
        number = row.id
        with suppress(Changed):  # somebody else was faster
            if can_send(row, actor):
                send_again(session, row, actor)
                done.append(number)
    return done


def _discard_many(session: Session, ids: Sequence[int], actor: Actor) -> list[int]:
    """Discard those of the invitations that may be; return their ids."""
    return _move_many(session, ids, "discard", actor, {"discarded_by": actor.kind})


def _expire_many(session: Session, ids: Sequence[int], actor: Actor) -> list[int]:
    """End the links of those that are open now; return their ids."""
    return _move_many(session, ids, "expire", actor, {"expires_at": now()})


def _move_many(
    session: Session, ids: Sequence[int], name: str, actor: Actor, values: Mapping[str, Any]
) -> list[int]:
    """Make one move of the table for all that it is legal for.

    A statement a status, so that the history tells exactly what each one was before.
    """
    table, step = Invitation.__table__, MOVES[name]
    if actor.kind not in step.by:
        raise IllegalMove(name, actor.kind)
    done: list[int] = []
    for status in sorted(step.sources):
        changed = session.execute(
            sa.update(table)  # type: ignore[arg-type]
            .where(among(Invitation.id, ids), table.c.status == status)
            .values(status=step.target, version=table.c.version + 1, **values)
            .returning(table.c.id)
        )
        moved = list(changed.scalars())
        note_all(session, moved, actor, name, status, step.target)
        done += moved
    return done


def _extend_links(
    session: Session, ids: Sequence[int], actor: Actor, days: Mapping[str, int]
) -> list[int]:
    """Let links live so many days from now, by their store view; return the ids of those.

    One that lives longer already keeps its end.
    """
    column, done = Invitation.__table__.c, list[int]()
    for view, length in days.items():
        end = now() + timedelta(days=length)
        changed = session.execute(
            sa.update(Invitation.__table__)  # type: ignore[arg-type]
            .where(among(Invitation.id, ids), column.store_view == view, is_extendable())
            .values(
                expires_at=sa.case((column.expires_at < end, end), else_=column.expires_at),
                version=column.version + 1,
            )
            .returning(column.id)
        )
        done += changed.scalars()
    note_all(session, done, actor, "extend", None, None)
    return done


def _extend_many(session: Session, ids: Sequence[int], actor: Actor) -> list[int]:
    """Let links live as many days from now as their store views say."""
    codes = session.scalars(sa.select(I.store_view).where(among(I.id, ids)).distinct()).all()
    days = {code: settings_of(store_view(code)).link_days for code in codes}
    return _extend_links(session, ids, actor, days)


def _status() -> sa.ColumnElement[str]:
    return I.status.expression


def _why_not_sent() -> sa.ColumnElement[str]:
    return sa.case(
        (I.status == Status.ACCEPTED, I.status), (I.email.is_(None), ERASED), else_=WAITING
    )


def _why_not_extended() -> sa.ColumnElement[str]:
    return sa.case((I.status.in_(MOVES["accept"].sources), ERASED), else_=I.status)


ACTIONS: Final[Mapping[str, Action]] = {
    "discard": Action(
        "discard", is_discardable, _status, _discard_many, 2000, invitation_discarded
    ),
    "send": Action("create", is_sendable, _why_not_sent, _send_many, 50),
    "expire": Action("discard", is_expirable, _status, _expire_many, 2000),
    "extend": Action("create", is_extendable, _why_not_extended, _extend_many, 2000),
}
