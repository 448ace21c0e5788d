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
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..models import Invitation, Status
from .folding import COUNTS, read_state
from .models import Figure, FigureDelta, InvitationPurchase
from .periods import Period
from .spans import spans
from .zones import needed

I = Invitation  # noqa: E741  # named once, used on every line below
T = TypeVar("T")
Sums = Sequence[int]  # in the order of COUNTS
NOTHING: Final = (0, 0, 0, 0)


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
    folded = (
        sa.select(
            Figure.day, sa.type_coerce(sa.null(), sa.DateTime()).label("sent_at"), *_sums(Figure)
        )
        .where(Figure.timezone == period.timezone)
        .where(Figure.day.between(period.first, period.last), *period.within(Figure))
        .group_by(Figure.day)
    )
    whole = period.whole
    fresh = (
        sa.select(sa.null(), FigureDelta.sent_at, *_sums(FigureDelta))
        .where(FigureDelta.sent_at >= whole.begins, FigureDelta.sent_at < whole.ends)
        .where(*period.within(FigureDelta))
        .group_by(FigureDelta.sent_at)
    )
    found: dict[int, list[int]] = defaultdict(lambda: list(NOTHING))
    place_of = Places(period)
    rows: Iterable[Sequence[Any]] = db.execute(sa.union_all(folded, fresh))
    for day, sent_at, *counts in rows:
        sums = found[place_of.day(day) if day is not None else place_of.moment(sent_at)]
        for column, number in enumerate(counts):
            sums[column] += number
    return found


def _sums(table: Any) -> list[sa.ColumnElement[int]]:
    return [sa.cast(sa.func.sum(getattr(table, name)), sa.Integer).label(name) for name in COUNTS]


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


def row_sums() -> list[sa.ColumnElement[int]]:
    """Return as SQL the counts of some invitations that were sent."""
    bought = sa.exists().where(InvitationPurchase.invitation_id == I.id)
    flags = [I.status == Status.ACCEPTED, I.status == Status.DISCARDED, bought]
    summed = [sa.func.sum(sa.case((each, 1), else_=0)) for each in flags]
    return [
        value.label(name) for name, value in zip(COUNTS, [sa.func.count(), *summed], strict=True)
    ]
