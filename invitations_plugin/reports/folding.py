"""How the figures are kept: the deltas folded in, or everything counted anew.

One process at a time does either, and each step is one transaction. While the figures are
built anew, an invitation up to the state's ``position`` is in them and its deltas are folded;
one behind it is not, and its deltas go when its row is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..database import atomically, insert_into, insert_many, session
from ..models import Invitation, Status
from ..turns import take_turn
from . import names, peaks, triggers
from .models import (
    Figure,
    FigureDelta,
    FigureState,
    InvitationPurchase,
    InviterFigure,
    InviterMoney,
    InviterName,
    MoneyDelta,
    MoneyFigure,
    TimeFigure,
)
from .rows import COUNTS, STAFF
from .times import ACCEPTED, PURCHASED, bucket_between
from .zones import Zones, needed, scopes_of, zones_of

I = Invitation  # noqa: E741  # named once, used on every line below
D = FigureDelta
STATE: Final = names.TURN
CHUNK: Final = 10_000
MONEY: Final = ("orders", "amount")
COHORT: Final = ("inviter_key", "website", "store_view", "sent_at")
CHANGE: Final = (*COHORT, *COUNTS, *triggers.MOMENTS)
BOUGHT: Final = (*COHORT, "currency", *MONEY)
OF_INVITER: Final = (*COUNTS, "amount")
SPANS: Final = ("month", "year")  # that inviters are counted in
FIGURES: Final = (Figure, MoneyFigure, TimeFigure, InviterFigure, InviterMoney)
IS_BOUGHT: Final = InvitationPurchase.invitation_id == I.id


def keep(over: Callable[[], bool] = lambda: False, chunk: int | None = None) -> bool:
    """Fold what has changed, or go on with counting anew; return whether nothing is left.

    :param over: asked before each step; true ends the work.
    :param chunk: how many rows or deltas a step takes, where that is not :data:`CHUNK`.
    """
    while is_something_due(session()):
        if over():
            return False
        atomically(lambda: step(session(), chunk))
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
    return is_anything_told(db) or peaks.is_anything_due(db, state.timezones)


def is_anything_told(db: Session) -> bool:
    """Return whether there are deltas that are not folded yet."""
    waiting = sa.or_(*(sa.exists().where(each.id > 0) for each in (D, MoneyDelta)))
    return db.scalar(sa.select(waiting)) or False


def read_state(db: Session) -> Any | None:
    """Return how far the figures are, None where they were never kept."""
    columns = sa.select(
        FigureState.position, FigureState.generation, FigureState.timezones, FigureState.is_whole
    )
    return db.execute(columns.where(FigureState.name == STATE)).first()


def step(db: Session, chunk: int | None = None) -> None:
    """Do one step, as the only process that does. The caller commits."""
    size = chunk or CHUNK
    take_turn(db, STATE)
    state = read_state(db)
    if state is None or state.timezones != needed():
        if _are_changes_told(db):
            begin(db)
    elif not state.is_whole and _count_next(db, state, size):
        return
    else:
        _fold(db, state, size)
        if state.is_whole:
            peaks.count_next(db, state.timezones)


def _are_changes_told(db: Session) -> bool:
    return triggers.exist(db.connection(bind_arguments={"mapper": I}))


def begin(db: Session) -> None:
    """Throw the figures away, so that the next steps count them anew. The caller commits."""
    take_turn(db, STATE)
    for model in (*FIGURES, InviterName):
        db.execute(sa.delete(model))
    peaks.forget(db)
    values = {"position": 0, "timezones": needed(), "is_whole": False}
    row = insert_into(db, FigureState).values(name=STATE, generation=1, **values)
    again: dict[str, Any] = {**values, "generation": FigureState.generation + 1}
    db.execute(row.on_conflict_do_update(index_elements=[FigureState.name], set_=again))


def forget(connection: sa.Connection) -> None:
    """Let the worker count everything anew."""
    known = sa.update(FigureState).where(FigureState.name == STATE)
    connection.execute(known.values(timezones={}, is_whole=False))


def _fold(db: Session, state: Any, size: int) -> None:
    """Add the oldest deltas to the figures."""
    sums = Sums(state.timezones)
    for model, columns, add in ((D, CHANGE, sums.add), (MoneyDelta, BOUGHT, sums.add_bought)):
        oldest = sa.select(model.id).order_by(model.id).limit(size)
        if not state.is_whole:
            oldest = oldest.where(model.invitation_id <= state.position)
        gone = sa.delete(model).where(model.id.in_(oldest))
        found = db.execute(gone.returning(*(getattr(model, name) for name in columns))).all()
        add(found)
        peaks.raise_by(db, state.timezones, found)
    names.look_up(db, sums.keys)
    _write_all(db, sums)


def _count_next(db: Session, state: Any, size: int) -> bool:
    """Count the next rows in place of their deltas; return whether there were any.

    On PostgreSQL one statement sees both as of one moment; on SQLite nobody else writes.
    """
    sums = Sums(state.timezones)
    chunk = sa.select(*_row()).where(I.id > state.position).order_by(I.id).limit(size)
    listed = chunk.cte("chunk")
    last = sa.select(sa.func.max(listed.c.id)).scalar_subquery()
    rows = _in_place_of(db, D, sa.select(listed).order_by(listed.c.id), state.position, last)
    sent = [row for row in rows if row.sent_at is not None]
    sums.add(row[1:-2] for row in sent)
    names.write(db, ((row.inviter_key, *row[-2:]) for row in sent))
    if rows:
        among = sa.and_(I.id > state.position, I.id <= rows[-1].id)
        purchases = sa.select(*_purchase()).join_from(InvitationPurchase, I, IS_BOUGHT).where(among)
        sums.add_bought(_in_place_of(db, MoneyDelta, purchases, state.position, rows[-1].id))
    _write_all(db, sums)
    changed = {"position": rows[-1].id} if rows else {"is_whole": True}
    db.execute(sa.update(FigureState).where(FigureState.name == STATE).values(**changed))
    return bool(rows)


def _in_place_of(
    db: Session, model: type[Any], query: sa.Select[Any], position: int, last: Any
) -> Sequence[Any]:
    """Return what a query finds, and delete the deltas that tell the same."""
    gone = sa.delete(model).where(model.invitation_id > position, model.invitation_id <= last)
    if db.get_bind(I).dialect.name == "postgresql":
        return db.execute(query.add_cte(gone.cte("gone"))).all()
    rows = db.execute(query).all()
    db.execute(gone, execution_options={"synchronize_session": False})
    return rows


def _row() -> list[sa.ColumnElement[Any]]:
    """Return the columns of an invitation's id, what it adds to the figures, and its names."""
    bought = sa.exists().where(InvitationPurchase.invitation_id == I.id)
    flags = [I.status == Status.ACCEPTED, I.status == Status.DISCARDED, bought]
    counts = [sa.case((each, 1), else_=0) for each in flags]
    labels = zip(COUNTS, [sa.literal(1), *counts], strict=True)
    cohort = (I.id, I.inviter_key, I.website, I.store_view, I.sent_at)
    first = sa.select(sa.func.min(InvitationPurchase.first_at)).where(IS_BOUGHT)
    return [
        *(each.expression for each in cohort),
        *(value.label(name) for name, value in labels),
        sa.case((flags[0], I.registered_at)).label("accepted_at"),
        first.scalar_subquery().label("bought_at"),
        I.inviter_name.expression,
        sa.func.coalesce(I.inviter_email, "").label("email"),
    ]


def _purchase() -> list[sa.ColumnElement[Any]]:
    """Return the columns of what a purchase adds to the figures."""
    columns = [getattr(InvitationPurchase, name) for name in BOUGHT[1:]]
    return [I.inviter_key.expression, *(each.expression for each in columns)]


class Sums:
    """What changes add to each of the figures; ``keys`` are of the inviters they are about."""

    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self.keys = set[str]()
        self.days: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 4)
        self.money: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 2)
        self.times: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0])
        self.inviters: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 5)
        self.brought: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 2)

    def add(self, changes: Iterable[Sequence[Any]]) -> None:
        """Add changes of invitations, each with the columns of :data:`CHANGE`."""
        for inviter_key, website, view, sent_at, *counts, accepted_at, bought_at in changes:
            quarter = quarter_of(sent_at)
            self.keys.add(inviter_key)
            ends = ((ACCEPTED, counts[1], accepted_at), (PURCHASED, counts[3], bought_at))
            for what, number, at in ends:
                if number and at is not None:
                    bucket = bucket_between(sent_at, at)
                    self.add_time(website, view, quarter, what, bucket, number)
            for zone in zones_of(view, self._zones):
                add_up(self.days[zone, local_day(quarter, zone), website, view], counts)
            for place in self._of_inviter(inviter_key, website, view, quarter):
                add_up(self.inviters[*place, inviter_key], counts)

    def add_time(
        self, website: str, view: str, quarter: datetime, what: str, bucket: int, number: int
    ) -> None:
        """Add that something took about as long, of what was sent in a quarter of an hour."""
        for zone in zones_of(view, self._zones):
            day = local_day(quarter, zone)
            for unit, first in firsts(day).items():
                self.times[zone, unit, first, website, view, what, bucket][0] += number

    def add_bought(self, changes: Iterable[Sequence[Any]]) -> None:
        """Add changes of purchases, each with the columns of :data:`BOUGHT`."""
        for inviter_key, website, view, sent_at, currency, orders, amount in changes:
            quarter = quarter_of(sent_at)
            for zone in zones_of(view, self._zones):
                day = local_day(quarter, zone)
                add_up(self.money[zone, day, website, view, currency], (orders, amount))
            for place in self._of_inviter(inviter_key, website, view, quarter):
                self.inviters[*place, inviter_key][-1] += amount
                add_up(self.brought[*place, inviter_key, currency], (orders, amount))

    def _of_inviter(
        self, inviter_key: str, website: str, view: str, quarter: datetime
    ) -> Iterator[tuple[str, str, str, date]]:
        """Yield the months and years (and days) in which an inviter's figures have something."""
        for scope, zone in scopes_of(website, view, self._zones):
            found = firsts(local_day(quarter, zone))
            for unit in spans_of(inviter_key):
                yield zone, scope, unit, found[unit]


def spans_of(inviter_key: str) -> Sequence[str]:
    """Return what an inviter is counted in."""
    return SPANS if inviter_key != STAFF else ("day", *SPANS)


def firsts(day: date) -> dict[str, date]:
    """Return the first days of the day, month and year that a day is in."""
    month = day.replace(day=1)
    return {"day": day, "month": month, "year": month.replace(month=1)}


def quarter_of(moment: datetime) -> datetime:
    """Return where the quarter of an hour begins that a moment is in."""
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


@lru_cache(maxsize=50_000)
def local_day(quarter: datetime, timezone: str) -> date:
    """Return the day of a moment in UTC in a time zone: one of its quarters of an hour.

    No zone changes its day at another moment since 1972.
    """
    return quarter.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date()


def add_up(into: list[int], counts: Iterable[int]) -> None:
    """Add counts to a sum."""
    for place, number in enumerate(counts):
        into[place] += number


def _write_all(db: Session, sums: Sums) -> None:
    """Add sums to the figures that are there."""
    _write(db, Figure, COUNTS, sums.days)
    _write(db, MoneyFigure, MONEY, sums.money)
    _write(db, TimeFigure, ("number",), sums.times)
    _write(db, InviterFigure, OF_INVITER, sums.inviters)
    _write(db, InviterMoney, MONEY, sums.brought)


def _write(
    db: Session, model: type[Any], names: Sequence[str], sums: dict[tuple[Any, ...], list[int]]
) -> None:
    table = cast(sa.Table, model.__table__)
    keys = [each.name for each in table.primary_key]
    rows = [
        dict(zip((*keys, *names), (*key, *numbers), strict=True))
        for key, numbers in sorted(sums.items())
        if any(numbers)
    ]
    if not rows:
        return

    def adding(insert: Any) -> Any:
        added = {name: table.c[name] + insert.excluded[name] for name in names}
        return insert.on_conflict_do_update(index_elements=keys, set_=added)

    insert_many(db.connection(bind_arguments={"mapper": model}), table, rows, adding)
