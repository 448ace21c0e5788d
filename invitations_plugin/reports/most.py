"""The first lines by a count, without a look at all: those with the most, those with the least.

The most is sought where the peaks are. The least is what nearly all have: it is sought by the
keys, for that is what such lines are sorted by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..models import HostKey, Invitation
from . import staff
from .folding import read_state
from .inviters import ByName, Source, has_figures
from .models import FigureDelta, InviterPeak, MoneyDelta
from .names import Found, listed, told_keys
from .peaks import PEAKS, UNITS, month_of, whole
from .periods import Interval, Period
from .rows import STAFF, counts_of_line
from .spans import TYPES, Types, as_table, span

I = Invitation  # noqa: E741  # named once, used on every line below
P = InviterPeak
DATED: Final[Types] = {**TYPES, "month": sa.Date()}
MONTH: Final[Types] = {"month": sa.Date(), "inviter_key": HostKey}
LINE: Final[Types] = {"first": sa.Date(), "inviter_key": HostKey}
MOST_MONTHS: Final = 3000  # of inviters; with more to look at, to look at all takes no longer
MOST_TOLD: Final = 500
MOST_LINES: Final = 5000  # that are looked at for the least
AMOUNT: Final = {"revenue": "amount"}  # what a column is called beside the counts


class Most:
    """Finds the lines of some intervals that have the most of a count.

    :param found: whose lines these are, where not everybody's.
    """

    def __init__(self, db: Session, period: Period, found: Found | None) -> None:
        self._db, self._period, self._found = db, period, found
        self._names: Sequence[str] = ()
        self._told: Sequence[str] = ()

    def __call__(
        self, intervals: Sequence[Interval], column: str, number: int
    ) -> sa.Subquery | sa.CTE | None:
        """Return at least the first so many brief lines by a count, the most first.

        None where too many would have to be looked at, or nothing says which.
        """
        if not self._can_be_told(column):
            return None
        self._told = self._keys_told()
        if len(self._told) > MOST_TOLD:
            return None
        self._names = tuple(dict.fromkeys(("sent", AMOUNT.get(column, column))))
        peaks, beside = self._highest(intervals, column), self._beside(intervals)
        tried, lines = number, beside
        least = max(_of_rank(peaks, number), _nth(beside, number))
        while least > 1 and not (len(peaks) > MOST_MONTHS and peaks[-1].most >= least):
            high = [each for each in peaks if each.most >= least]
            lines = [*beside, *self._of_months(intervals, high)]
            last = _nth(lines, number)
            if last >= least:
                return self._listed([each for each in lines if each[-1] >= last])
            tried *= 2
            least = last or _of_rank(peaks, tried)
        return None

    def _can_be_told(self, column: str) -> bool:
        state, period = read_state(self._db), self._period
        if state is None or period.by not in UNITS:
            return False
        if AMOUNT.get(column, column) not in PEAKS:
            return False
        return has_figures(period) and period.timezone in whole(self._db, state.timezones)

    def _keys_told(self) -> Sequence[str]:
        """Return the inviters whose peaks may be too low: there is a delta of theirs.

        They are read once: folded a moment later, they stay among those that are looked at.
        """
        keys = sa.select(told_keys(FigureDelta, MoneyDelta).c.inviter_key)
        return self._db.scalars(keys.limit(MOST_TOLD + 1)).all()

    def _highest(self, intervals: Sequence[Interval], column: str) -> Sequence[Any]:
        """Return inviters' months with the most in one day or week, those with the most first."""
        unit = self._period.by
        most = getattr(P, AMOUNT.get(column, column))
        first, last = (month_of(each.first, unit) for each in (intervals[0], intervals[-1]))
        here = [P.timezone == self._period.timezone, P.unit == unit, P.month.between(first, last)]
        if self._found is not None:
            here.append(self._found(P.inviter_key))
        query = sa.select(P.month, P.inviter_key, most.label("most"))
        query = query.where(*here, most > 1, P.inviter_key.not_in(self._told))
        return self._db.execute(query.order_by(most.desc()).limit(MOST_MONTHS + 1)).all()

    def _beside(self, intervals: Sequence[Interval]) -> Sequence[Any]:
        """Return the lines that no peak tells of: those of staff, and of all with a delta."""
        among, told = self._dated(intervals), listed(self._db, self._told)
        is_meant = self._found or (lambda _key: sa.true())
        key = told.c.inviter_key
        of_told = self._counted(told, among, sa.true()).where(key != STAFF, is_meant(key))
        numbers = {name: staff.number(self._period, name, among.c) for name in self._names}
        counts = [sa.cast(each, sa.BigInteger).label(name) for name, each in numbers.items()]
        of_staff = sa.select(among.c.first, sa.literal(STAFF).label("inviter_key"), *counts)
        return self._sent(of_told.union_all(of_staff.where(is_meant(sa.literal(STAFF)))))

    def _of_months(self, intervals: Sequence[Interval], peaks: Sequence[Any]) -> Sequence[Any]:
        """Return the lines of some inviters' months."""
        rows = [{"month": f"{each.month}", "inviter_key": each.inviter_key} for each in peaks]
        months, among = as_table(self._db, rows, MONTH), self._dated(intervals)
        return self._sent(self._counted(months, among, months.c.month == among.c.month))

    def _sent(self, lines: Any) -> Sequence[Any]:
        return [each for each in self._db.execute(lines) if each.sent]

    def _dated(self, intervals: Sequence[Interval]) -> sa.Subquery | sa.CTE:
        """Return intervals as a table, each with the month in which it begins."""
        unit = self._period.by
        rows = [{**span(each), "month": f"{month_of(each.first, unit)}"} for each in intervals]
        return as_table(self._db, rows, DATED)

    def _counted(self, who: Any, among: Any, here: sa.ColumnElement[bool]) -> sa.Select[Any]:
        """Return brief lines of inviters, each counted by its inviter's moments."""
        within = self._period.within(I)
        sums = counts_of_line(who.c.inviter_key, among.c, within, among, who)
        counts = [
            sa.cast(sa.func.coalesce(sums[name], 0), sa.BigInteger).label(name)
            for name in self._names
        ]
        query = sa.select(among.c.first, who.c.inviter_key, *counts)
        return query.join_from(who, among, here)

    def _listed(self, lines: Sequence[Any]) -> sa.Subquery | sa.CTE:
        types: Types = {**LINE, **dict.fromkeys(self._names, sa.BigInteger())}
        rows = [dict(zip(types, (first.isoformat(), *more), strict=True)) for first, *more in lines]
        return as_table(self._db, rows, types)


def with_ends(db: Session, period: Period, source: Source, found: Found | None) -> Source:
    """Return a source that finds the lines with most and with least of a count."""
    return replace(source, most=Most(db, period, found), least=partial(_least, db, source))


def _least(
    db: Session, source: Source, intervals: Sequence[Interval], column: str, number: int
) -> sa.Subquery | sa.CTE | None:
    """Return at least the first so many lines that have none of a count, or one sent.

    They are by their inviters' keys. None where so many of these would have to be looked at.
    """
    told = set(db.scalars(sa.select(told_keys(FigureDelta, MoneyDelta).c.inviter_key)))
    name, tried = "purchased" if column in AMOUNT else column, number
    while tried <= MOST_LINES:
        lines = sa.select(source.by_name(intervals, ByName("key", False, tried))).subquery()
        all_of_them = db.execute(sa.select(source.whole(intervals, lines))).all()
        found = [each for each in all_of_them if getattr(each, name) == (name == "sent")]
        # Who is told of stands among them even where keys between are not.
        if sum(each.inviter_key not in told for each in found) >= number:
            names = [*LINE, *dict.fromkeys(("sent", name))]
            rows = [
                {each: getattr(line, each) for each in names} | {"first": f"{line.first}"}
                for line in found
            ]
            return as_table(db, rows, {**dict.fromkeys(names, sa.BigInteger()), **LINE})
        if len(all_of_them) < tried:
            return None
        tried *= 4
    return None


def _of_rank(peaks: Sequence[Any], rank: int) -> int:
    """Return what the month of a rank has, 1 behind the last."""
    return peaks[rank - 1].most if len(peaks) >= rank else 1


def _nth(lines: Sequence[Any], number: int) -> int:
    """Return what the line of a rank has of the last of its counts, 0 behind the last line."""
    counts = sorted((each[-1] for each in lines), reverse=True)
    return counts[number - 1] if len(counts) >= number else 0
