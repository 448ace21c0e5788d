"""How the figures are kept: the deltas folded in, or everything counted anew.

One process at a time does either, and each step is one transaction. While the figures are
built anew, an invitation up to the state's ``position`` is in them and its deltas are folded;
one behind it is not, and its deltas go when its row is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..database import atomically, insert_into, insert_many, session
from ..models import Invitation, Status
from ..turns import take_turn
from . import triggers
from .models import Figure, FigureDelta, FigureState, InvitationPurchase, InviterFigure
from .zones import needed

I = Invitation  # noqa: E741  # named once, used on every line below
D = FigureDelta
STATE: Final = "figures"
CHUNK: Final = 10_000
COUNTS: Final = ("sent", "accepted", "discarded", "purchased")
CHANGE: Final = ("inviter_key", "website", "store_view", "sent_at", *COUNTS)


def keep(over: Callable[[], bool] = lambda: False) -> bool:
    """Fold what has changed, or go on with counting anew; return whether nothing is left.

    :param over: asked before each step; true ends the work.
    """
    while is_something_due(session()):
        if over():
            return False
        atomically(lambda: step(session()))
    return True


def is_something_due(db: Session) -> bool:
    """Return whether the figures are not those of this moment, without waiting for anybody.

    Without the triggers nothing is: what is counted would be old at once.
    """
    state = read_state(db)
    if state is None or state.timezones != needed():
        return _are_changes_told(db)
    if not state.is_whole:
        return True
    return db.scalar(sa.select(sa.exists().where(D.id > 0))) or False


def read_state(db: Session) -> Any | None:
    """Return how far the figures are, None where they were never kept."""
    columns = sa.select(
        FigureState.position, FigureState.generation, FigureState.timezones, FigureState.is_whole
    )
    return db.execute(columns.where(FigureState.name == STATE)).first()


def step(db: Session) -> None:
    """Do one step, as the only process that does. The caller commits."""
    take_turn(db, STATE)
    state = read_state(db)
    if state is None or state.timezones != needed():
        if _are_changes_told(db):
            begin(db)
    elif not state.is_whole and _count_next(db, state):
        return
    else:
        _fold(db, state)


def _are_changes_told(db: Session) -> bool:
    return triggers.exist(db.connection(bind_arguments={"mapper": I}))


def begin(db: Session) -> None:
    """Throw the figures away, so that the next steps count them anew. The caller commits."""
    take_turn(db, STATE)
    for model in (Figure, InviterFigure):
        db.execute(sa.delete(model))
    values = {"position": 0, "timezones": needed(), "is_whole": False}
    row = insert_into(db, FigureState).values(name=STATE, generation=1, **values)
    again: dict[str, Any] = {**values, "generation": FigureState.generation + 1}
    db.execute(row.on_conflict_do_update(index_elements=[FigureState.name], set_=again))


def forget(connection: sa.Connection) -> None:
    """Let the worker count everything anew."""
    known = sa.update(FigureState).where(FigureState.name == STATE)
    connection.execute(known.values(timezones={}, is_whole=False))


def _fold(db: Session, state: Any) -> None:
    """Add the oldest deltas to the figures."""
    oldest = sa.select(D.id).order_by(D.id).limit(CHUNK)
    if not state.is_whole:
        oldest = oldest.where(D.invitation_id <= state.position)
    columns = [getattr(D, name) for name in CHANGE]
    folded = db.execute(sa.delete(D).where(D.id.in_(oldest)).returning(*columns)).all()
    _add(db, state, folded)


def _count_next(db: Session, state: Any) -> bool:
    """Count the next rows in place of their deltas; return whether there were any.

    On PostgreSQL one statement sees both as of one moment; on SQLite nobody else writes.
    """
    chunk = sa.select(*_row()).where(I.id > state.position).order_by(I.id).limit(CHUNK)
    listed = chunk.cte("chunk")
    last = sa.select(sa.func.max(listed.c.id)).scalar_subquery()
    gone = sa.delete(D).where(D.invitation_id > state.position, D.invitation_id <= last)
    if db.get_bind(I).dialect.name == "postgresql":
        rows = db.execute(sa.select(listed).add_cte(gone.cte("gone")).order_by(listed.c.id)).all()
    else:
        rows = db.execute(chunk).all()
        db.execute(gone, execution_options={"synchronize_session": False})
    _add(db, state, [row[1:] for row in rows if row.sent_at is not None])
    changed = {"position": rows[-1].id} if rows else {"is_whole": True}
    db.execute(sa.update(FigureState).where(FigureState.name == STATE).values(**changed))
    return bool(rows)


def _row() -> list[sa.ColumnElement[Any]]:
    """Return the columns of an invitation's id and of what it adds to the figures."""
    bought = sa.exists().where(InvitationPurchase.invitation_id == I.id)
    flags = [I.status == Status.ACCEPTED, I.status == Status.DISCARDED, bought]
    counts = [sa.case((each, 1), else_=0) for each in flags]
    labels = zip(COUNTS, [sa.literal(1), *counts], strict=True)
    cohort = (I.id, I.inviter_key, I.website, I.store_view, I.sent_at)
    return [*(each.expression for each in cohort), *(value.label(name) for name, value in labels)]


def _add(db: Session, state: Any, changes: Iterable[Sequence[Any]]) -> None:
    """Add changes, each with the columns of :data:`CHANGE`, to the figures."""
    days: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    months: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for inviter_key, website, view, sent_at, *counts in changes:
        for zone in zones_of(view, state.timezones):
            day = local_day(
                sent_at.replace(minute=sent_at.minute // 15 * 15, second=0, microsecond=0), zone
            )
            add_up(days[zone, day, website, view], counts)
            add_up(months[zone, day.replace(day=1), website, view, inviter_key], counts)
    _write(db, Figure, ("timezone", "day", "website", "store_view"), days)
    keys = ("timezone", "month", "website", "store_view", "inviter_key")
    _write(db, InviterFigure, keys, months)


def quarter_of(moment: datetime) -> datetime:
    """Return where the quarter of an hour begins that a moment is in."""
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


@lru_cache(maxsize=50_000)
def local_day(quarter: datetime, timezone: str) -> date:
    """Return the day of a moment in UTC in a time zone: one of its quarters of an hour.

    No zone changes its day at another moment since 1972.
    """
    return quarter.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date()


def zones_of(view: str, zones: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Return the zones that a store view is counted in; one that is gone is in all of them."""
    return zones.get(view) or sorted({zone for each in zones.values() for zone in each})


def add_up(into: list[int], counts: Iterable[int]) -> None:
    """Add counts to a sum."""
    for place, number in enumerate(counts):
        into[place] += number


def _write(
    db: Session, model: type[Any], keys: Sequence[str], sums: dict[tuple[Any, ...], list[int]]
) -> None:
    """Add sums to the figures that are there."""
    rows = [
        dict(zip((*keys, *COUNTS), (*key, *numbers), strict=True))
        for key, numbers in sorted(sums.items())
        if any(numbers)
    ]
    if not rows:
        return
    table = cast(sa.Table, model.__table__)

    def adding(insert: Any) -> Any:
        added = {name: table.c[name] + insert.excluded[name] for name in COUNTS}
        return insert.on_conflict_do_update(index_elements=list(keys), set_=added)

    insert_many(db.connection(bind_arguments={"mapper": model}), table, rows, adding)
