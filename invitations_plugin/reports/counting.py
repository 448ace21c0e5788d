"""Where a report's counts come from: the figures that are kept, or the rows themselves.

The figures are those of this moment: what was folded in and what was not are read by one
statement. While they are counted anew, or not kept in a report's time zone (yet), the rows
are counted: as right, and slower.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..database import compile_nothing
from ..models import Invitation
from .folding import add_up, read_state
from .models import Figure, FigureDelta
from .periods import Period
from .rows import COUNTS, row_sums
from .spans import spans
from .zones import needed

I = Invitation  # noqa: E741  # named once, used on every line below
T = TypeVar("T")
Sums = Sequence[int]  # in the order of COUNTS


def count(db: Session, period: Period) -> Mapping[int, Sums]:
    """Return the counts of each interval by its place; what has none is left out."""
    return from_figures(db, period, count_figures, count_rows)


def from_figures(
    db: Session,
    period: Period,
    kept: Callable[[Session, Period], T],
    counted: Callable[[Session, Period], T],
) -> T:
    """Return what is read from the figures; where they are not to be had, from the rows.

    They may be thrown away while they are read: then what was found does not count.
    """
    compile_nothing(db)
    generation = generation_of(db, period)
    if generation is not None:
        found = kept(db, period)
        if generation_of(db, period) == generation:
            return found
    return counted(db, period)


def generation_of(db: Session, period: Period | None = None) -> int | None:
    """Return which counting the figures (of a period) come from, None where they are not whole."""
    state = read_state(db)
    if state is None or not state.is_whole or state.timezones != needed():
        return None
    zones = [state.timezones[code] for code in (period.store_views() if period else ())]
    is_kept = period is None or all(period.timezone in each for each in zones)
    generation: int = state.generation
    return generation if is_kept else None


def count_figures(db: Session, period: Period) -> Mapping[int, Sums]:
    """Return the counts from the figures, folded and not folded yet."""
    found = summed(db, period, (Figure, FigureDelta), (), COUNTS)
    return {place: counts for (place,), counts in found.items()}


def summed(
    db: Session,
    period: Period,
    tables: tuple[type[Any], type[Any]],
    keys: Sequence[str],
    names: Sequence[str],
) -> Mapping[tuple[Any, ...], list[int]]:
    """Return the sums of a period's days from figures and from their deltas, as of one moment.

    They are by the place of the interval, then what else they are told apart by.
    """
    figure, delta = tables
    folded = (
        sa.select(
            figure.day,
            sa.type_coerce(sa.null(), sa.DateTime()).label("sent_at"),
            *_columns(figure, keys, names),
        )
        .where(figure.timezone == period.timezone)
        .where(figure.day.between(period.first, period.last), *period.within(figure))
        .group_by(figure.day, *(getattr(figure, name) for name in keys))
    )
    whole = period.whole
    fresh = (
        sa.select(sa.null(), delta.sent_at, *_columns(delta, keys, names))
        .where(delta.sent_at >= whole.begins, delta.sent_at < whole.ends, *period.within(delta))
        .group_by(delta.sent_at, *(getattr(delta, name) for name in keys))
    )
    found: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(names))
    place_of = Places(period)
    rows: Iterable[Sequence[Any]] = db.execute(sa.union_all(folded, fresh))
    for day, sent_at, *more in rows:
        place = place_of.day(day) if day is not None else place_of.moment(sent_at)
        add_up(found[place, *more[: len(keys)]], more[len(keys) :])
    return found


def _columns(
    table: type[Any], keys: Sequence[str], names: Sequence[str]
) -> list[sa.ColumnElement[Any]]:
    sums = [sa.cast(sa.func.sum(getattr(table, name)), sa.BigInteger).label(name) for name in names]
    return [*(getattr(table, name) for name in keys), *sums]


class Places:
    """Which of the intervals of a period a day or a moment within it belongs to."""

    def __init__(self, period: Period) -> None:
        self._days = [each.first for each in period.intervals]
        self._moments = [each.begins for each in period.intervals]

    def day(self, day: date) -> int:
        """Return the place of a day's interval."""
        return bisect_right(self._days, day) - 1

    def moment(self, moment: datetime) -> int:
        """Return the place of the interval that a moment in UTC is in."""
        return bisect_right(self._moments, moment) - 1


def count_rows(db: Session, period: Period) -> Mapping[int, Sums]:
    """Return the counts from the rows."""
    among = spans(db, period.intervals)
    query = (
        sa.select(among.c.place, *row_sums())
        .select_from(among.join(I, sa.and_(I.sent_at >= among.c.begins, I.sent_at < among.c.ends)))
        .where(*period.within(I))
        .group_by(among.c.place)
    )
    return {place: sums for place, *sums in db.execute(query)}
