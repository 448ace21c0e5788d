"""What staff do with many invitations: each action, a chunk at a time, in one transaction."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any, Final

import sqlalchemy as sa
from blinker import NamedSignal
from sqlalchemy.orm import Session

from .clock import now
from .database import Busy, among, atomically, engine, session
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
    note_values,
    reopen,
    resend,
)
from .models import History, Invitation, Status
from .signals import invitation_discarded
from .state import mail_domain, settings_of, store_view

log = logging.getLogger(__name__)

I = Invitation  # noqa: E741  # named once, used on every line below
COUNT_SECONDS, COUNT_STRETCH = 1.0, 50_000
# Others who write wait for a chunk: on SQLite all, on PostgreSQL those of its rows, and there
# some chunks bring the search index in order on top of it. Smaller ones write more in all.
CHUNK_SECONDS: Final = {"sqlite": 0.3, "postgresql": 0.15}
FIRST_CHUNK, MOST_TIMES = 500, 2.0  # the next may be so many times the one before
# Why an action leaves an invitation alone, where that is not its status.
ERASED, WAITING = "erased", "waiting"


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of the Actions menu: the right it needs, and what it does to a chunk.

    ``able`` is as SQL what it can change, ``why_not`` why it leaves something else alone.
    ``chunk`` is how many rows it begins with, ``most`` how many it does at a time at most.
    """

    right: str
    able: Callable[[], sa.ColumnElement[bool]]
    why_not: Callable[[], sa.ColumnElement[str]]
    change: Callable[[Session, Sequence[int], Actor], list[int]]
    chunk: int = FIRST_CHUNK
    most: int = 20_000
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


def next_chunk(action: Action, number: int, changed: int, seconds: float) -> int:
    """Return how many rows to do after a chunk of so many: what takes a moment.

    One that mostly left rows alone does not tell how long it takes to change them.
    """
    most = MOST_TIMES if changed * 2 >= number else 1
    times = min(CHUNK_SECONDS[engine().dialect.name] / seconds, most)
    return max(1, min(int(number * times), action.most))


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


@dataclass(slots=True)
class Counted:
    """How many of a selection an action can change, by status, and cannot, by reason.

    ``is_whole`` is false where there are more than could be counted while somebody waits.
    """

    able: Counter[str] = field(default_factory=Counter)
    unable: Counter[str] = field(default_factory=Counter)
    is_whole: bool = True

    @property
    def number(self) -> int:
        """How many rows were looked at."""
        return self.able.total() + self.unable.total()


def count(session: Session, selection: Selection, action: Action) -> Counted:
    """Count what an action can and cannot change, stretch after stretch, for a second at most."""
    counted, position, end = Counted(), 0, monotonic() + COUNT_SECONDS
    while position := _count_stretch(session, selection, action, position, counted):
        if monotonic() > end:
            counted.is_whole = False
            break
    return counted


def _count_stretch(
    session: Session, selection: Selection, action: Action, position: int, counted: Counted
) -> int:
    """Count the next rows; return the id of the last one, 0 where none are left."""
    able = action.able()
    key = sa.case((able, I.status), else_=action.why_not()).label("key")
    rows = sa.select(I.id, sa.case((able, 1), else_=0).label("able"), key)
    rows = rows.where(*selection.conditions(), I.id > position).order_by(I.id)
    found = rows.limit(COUNT_STRETCH).subquery()
    query = sa.select(found.c.able, found.c.key, sa.func.count(), sa.func.max(found.c.id))
    before, last = counted.number, 0
    for is_able, name, number, highest in session.execute(
        query.group_by(found.c.able, found.c.key)
    ):
        (counted.able if is_able else counted.unable)[name] += number
        last = max(last, highest)
    return last if counted.number - before == COUNT_STRETCH else 0


def size(session: Session, selection: Selection) -> int:
    """Return how many rows a selection has now."""
    return session.scalar(sa.select(sa.func.count(I.id)).where(*selection.conditions())) or 0


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

    The history is written first: it locks the rows, and tells what each of them is till then.
    """
    table, step = Invitation.__table__, MOVES[name]
    if actor.kind not in step.by:
        raise IllegalMove(name, actor.kind)
    moved = _note_moves(session, ids, name, actor)
    if moved:
        session.execute(
            sa.update(table)  # type: ignore[arg-type]
            .where(among(table.c.id, moved))
            .values(status=step.target, version=table.c.version + 1, **values)
        )
    return moved


def _note_moves(session: Session, ids: Sequence[int], name: str, actor: Actor) -> list[int]:
    """Lock what a move is legal for, write its history, and return the ids."""
    table, notes, step = Invitation.__table__, History.__table__, MOVES[name]
    known = note_values(0, actor, name, None, step.target)
    shown: dict[str, sa.ColumnElement[Any]] = {
        key: sa.literal(value, notes.c[key].type) for key, value in known.items()
    }
    shown |= {"invitation_id": table.c.id, "from_status": table.c.status}
    legal = sa.select(*shown.values()).where(
        among(table.c.id, ids), table.c.status.in_(step.sources)
    )
    noted = session.scalars(
        sa.insert(notes)  # type: ignore[arg-type]
        .from_select(list(shown), legal.order_by(table.c.id).with_for_update())
        .returning(notes.c.invitation_id)
    )
    return list(noted)


def _extend_links(
    session: Session, ids: Sequence[int], actor: Actor, days: Mapping[tuple[str, str], int]
) -> list[int]:
    """Let links live so many days from now, by store view and website; return the ids of those.

    One that lives longer already keeps its end.
    """
    column, done = Invitation.__table__.c, list[int]()
    for (view, website), length in days.items():
        end = now() + timedelta(days=length)
        is_there = sa.and_(column.store_view == view, column.website == website)
        changed = session.execute(
            sa.update(Invitation.__table__)  # type: ignore[arg-type]
            .where(among(Invitation.id, ids), is_there, is_extendable())
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
    places = sa.select(I.store_view, I.website).where(among(I.id, ids)).distinct()
    days = {
        (view, website): settings_of(store_view(view, website)).link_days
        for view, website in session.execute(places).all()
    }
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
        "discard", is_discardable, _status, _discard_many, signal=invitation_discarded
    ),
    "send": Action("create", is_sendable, _why_not_sent, _send_many, chunk=50, most=50),
    "expire": Action("discard", is_expirable, _status, _expire_many),
    "extend": Action("create", is_extendable, _why_not_extended, _extend_many),
}
