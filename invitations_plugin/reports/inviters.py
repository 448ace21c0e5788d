"""The lines of Invited Customers as SQL: who sent how many in an interval, and what came of it.

Each has the ``first`` day of its interval, ``inviter_key``, and the counts of
:data:`~.rows.COUNTS`; those of the figures have an ``amount``, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..clock import now
from ..editing import day_of
from ..models import Invitation
from .figures import Counts
from .folding import OF_INVITER, SPANS, is_anything_told
from .models import (
    FigureDelta,
    InviterFigure,
    InviterMoney,
    InviterName,
    MoneyDelta,
)
from .names import Found, kept_names, told_keys
from .periods import WEBSITE, Interval, Period, next_month
from .rows import COUNTS
from .spans import spans
from .zones import needed

I = Invitation  # noqa: E741  # named once, used on every line below
F = InviterFigure
Place = tuple[Interval, str]  # of a line: its interval, and its inviter's key


@dataclass(frozen=True, slots=True)
class ByName:
    """An order by ``name``, ``email`` or ``key``, and how many lines of it are wanted."""

    column: str
    is_down: bool
    most: int

    def of(self, names: Any) -> sa.ColumnElement[str]:
        """Return as SQL what it is by, of a table of names."""
        if self.column == "key":
            return names.inviter_key  # type: ignore[no-any-return]
        return sa.func.lower(getattr(names, self.column))

    def order(self, named: Any, line: Any) -> list[sa.ColumnElement[Any]]:
        """Return the order as SQL; lines of the same name as everywhere, by the number sent."""
        first = named.desc() if self.is_down else named.asc()
        return [first, line.sent.desc(), line.inviter_key, line.first]


@dataclass(frozen=True, slots=True)
class Source:
    """Where lines are read from: queries of some intervals, the oldest first.

    ``lines`` are those above, ``brief`` the same with ``sent`` as the only count, and ``whole``
    completes a few of these. ``numbers`` is how many each first day has, at least so many as
    are wanted where there are more; ``sums`` is what all of a period come to, given what
    everybody's lines do. ``by_name`` gives
    at least the first brief lines in an order, each with the ``named`` that it has there.
    ``money`` is what was bought by the invitees of some lines, and maybe of others: a day of the
    interval, or else a moment of it, inviter, currency, orders and amount. ``most`` is as
    ``by_name``, by a count, and ``least`` those that have least; None where it takes all lines.
    """

    lines: Callable[[Sequence[Interval]], sa.Subquery]
    brief: Callable[[Sequence[Interval]], sa.Subquery]
    whole: Callable[[Sequence[Interval], sa.Subquery], sa.Subquery]
    numbers: Callable[[Sequence[Interval], int], sa.Select[Any]]
    sums: Callable[[Counts], Counts]
    by_name: Callable[[Sequence[Interval], ByName], sa.Subquery]
    money: Callable[[Sequence[Place]], sa.Select[Any] | sa.CompoundSelect[Any]]
    most: Callable[[Sequence[Interval], str, int], sa.FromClause | None] = lambda *_: None
    least: Callable[[Sequence[Interval], str, int], sa.FromClause | None] = lambda *_: None


def are_kept(period: Period) -> bool:
    """Return whether figures have the lines of a period: those of whole months or years."""
    return has_figures(period) and period.by in SPANS and _is_whole(period)


def has_figures(period: Period) -> bool:
    """Return whether there are inviters' figures of a period's scope, in its time zone."""
    scope = scope_of(period)
    return scope is not None and period.timezone in needed().get(scope, [])


def scope_of(period: Period) -> str | None:
    """Return the scope whose figures a period wants; None for some of several websites."""
    if period.scope or period.websites is None:
        return period.scope
    own = list(period.websites)
    return f"{WEBSITE}:{own[0]}" if len(own) == 1 else None


def read_sums(db: Session, query: sa.Select[Any]) -> Counts:
    """Return the sums that a query finds, zero where there is nothing to add."""
    return Counts(*(int(each or 0) for each in db.execute(query).one()))


def parts_by_month(period: Period) -> Sequence[Period]:
    """Return a period cut into whole months, as one part, and the days before and after them."""
    after = period.last + timedelta(days=1)
    begin = period.first if period.first.day == 1 else next_month(period.first)
    is_over = period.last < day_of(now(), period.timezone)
    end = after.replace(day=1) if is_over else after
    if begin >= end:
        return [period]
    cut = [period.first, begin, end, after]
    parts = [
        replace(period, first=first, last=until - timedelta(days=1))
        for first, until in pairwise(cut)
        if first < until
    ]
    return [replace(each, by="month") if each.first == begin else each for each in parts]


def _is_whole(period: Period) -> bool:
    """Return whether a period is made of whole intervals, as far as anything happened in them."""
    first, after = period.first, period.last + timedelta(days=1)
    if period.last >= day_of(now(), period.timezone):
        after = first
    if period.by == "year":
        return first.month == first.day == after.month == after.day == 1
    return first.day == after.day == 1


def kept(db: Session, period: Period, found: Found | None = None) -> Source:
    """Return the figures as the source of lines.

    One statement reads what is folded in and what is not, so both are of one moment. Where
    everything was folded a moment ago, what is folded is that of a moment, too.

    :param found: whose lines these are, where not everybody's.
    """
    is_told = is_anything_told(db)

    def lines(intervals: Sequence[Interval]) -> sa.Subquery:
        if is_told:
            return _kept_lines(db, period, intervals, found)
        return _folded(period, intervals, found).where(F.sent > 0).subquery("line")

    def numbers(intervals: Sequence[Interval], wanted: int) -> sa.Select[Any]:
        if is_told:
            each = lines(intervals)
            return sa.select(each.c.first, sa.func.count()).group_by(each.c.first)
        return _kept_numbers(spans(db, intervals), period, found)

    def sums(everybody: Counts) -> Counts:
        years = replace(period, by="year")  # an inviter's year is one line, not twelve
        whole = years if are_kept(years) else period
        if is_told:
            each = _kept_lines(db, whole, whole.intervals, found)
        else:
            each = _folded(whole, whole.intervals, found).subquery("line")
        return read_sums(db, sa.select(*(sa.func.sum(each.c[name]) for name in COUNTS)))

    def by_name(intervals: Sequence[Interval], asked: ByName) -> sa.Subquery:
        return _through_names(db, period, intervals, asked, found)

    def money(places: Sequence[Place]) -> sa.CompoundSelect[Any]:
        return _kept_money(db, period, *apart(places))

    return Source(lines, lines, lambda _, few: few, numbers, sums, by_name, money)


def _folded(period: Period, intervals: Sequence[Interval], found: Found | None) -> sa.Select[Any]:
    """Return the figures of some intervals, those that are zero as well."""
    here: Any = F.first.between(intervals[0].first, intervals[-1].first)
    if found is not None:  # their lines are sought one by one, if they are few
        here = sa.and_(F.first.in_([each.first for each in intervals]), found(F.inviter_key))
    columns = (F.first, F.inviter_key, *(getattr(F, name) for name in OF_INVITER))
    return sa.select(*columns).where(*_own(F, period), here)


def _kept_numbers(among: sa.FromClause, period: Period, found: Found | None) -> sa.Select[Any]:
    """Return how many lines each interval has, one interval after the other.

    For all at once PostgreSQL looks at all that there is.
    """
    own = [*_own(F, period), F.first == among.c.first, F.sent > 0]
    whose = [found(F.inviter_key)] if found is not None else []
    each = sa.select(sa.func.count()).select_from(F).where(*own, *whose)
    return sa.select(among.c.first, each.correlate(among).scalar_subquery())


def _kept_lines(
    db: Session, period: Period, intervals: Sequence[Interval], found: Found | None
) -> sa.Subquery:
    fresh = _fresh(db, period, intervals).cte("fresh")
    own = _own(F, period)
    line = sa.tuple_(F.first, F.inviter_key)
    # Mostly nothing is fresh: that is asked once, and not for each line.
    is_untouched = sa.or_(
        ~sa.exists(sa.select(fresh.c.first)),
        line.not_in(sa.select(fresh.c.first, fresh.c.inviter_key)),
    )
    untouched = _folded(period, intervals, found).where(is_untouched)
    same = sa.and_(F.first == fresh.c.first, F.inviter_key == fresh.c.inviter_key, *own)
    summed = [
        (fresh.c[name] + sa.func.coalesce(getattr(F, name), 0)).label(name) for name in OF_INVITER
    ]
    touched = sa.select(fresh.c.first, fresh.c.inviter_key, *summed)
    if found is not None:
        touched = touched.where(found(fresh.c.inviter_key))
    both = sa.union_all(untouched, touched.outerjoin_from(fresh, F, same)).subquery()
    return sa.select(both).where(both.c.sent > 0).subquery("line")


def _through_names(
    db: Session,
    period: Period,
    intervals: Sequence[Interval],
    asked: ByName,
    found: Found | None,
) -> sa.Subquery:
    """Return the first lines by name: names in their order, and of each the lines.

    Those that a delta has to do with are few, and stand apart.
    """
    told = told_keys(FigureDelta, MoneyDelta)

    def is_found(key: Any) -> sa.ColumnElement[bool]:
        return sa.true() if found is None else found(key)

    def is_told(key: Any) -> sa.ColumnElement[bool]:
        return sa.and_(key.in_(sa.select(told.c.inviter_key)), is_found(key))

    named = asked.of(InviterName).label("named")
    columns = (F.first, F.inviter_key, *(getattr(F, name) for name in OF_INVITER), named)
    same = F.inviter_key == InviterName.inviter_key.concat("")  # no way from figures to names
    days = [each.first for each in intervals]
    first = (
        sa.select(*columns)
        .join_from(InviterName, F, same)
        .where(*_own(F, period), F.first.in_(days), F.sent > 0)
        .where(InviterName.inviter_key.not_in(sa.select(told.c.inviter_key)))
        .where(is_found(InviterName.inviter_key))
        .order_by(*asked.order(named, F))
        .limit(asked.most)
        .subquery()
    )
    fresh = named_lines(_kept_lines(db, period, intervals, is_told), kept_names(), asked)
    return sa.union_all(sa.select(first), sa.select(fresh)).subquery("line")


def _kept_money(
    db: Session, period: Period, intervals: Sequence[Interval], keys: Collection[str]
) -> sa.CompoundSelect[Any]:
    among, delta, row = spans(db, intervals), MoneyDelta, InviterMoney
    moment = sa.cast(sa.null(), sa.DateTime())
    folded = sa.select(row.first, moment, row.inviter_key, row.currency, row.orders, row.amount)
    here = sa.and_(delta.sent_at >= among.c.begins, delta.sent_at < among.c.ends)
    columns = (delta.inviter_key, delta.currency, delta.orders, delta.amount)
    fresh = sa.select(among.c.first, moment, *columns).select_from(among.join(delta, here))
    days = [each.first for each in intervals]
    return sa.union_all(
        folded.where(*_own(row, period), row.first.in_(days), row.inviter_key.in_(keys)),
        fresh.where(*period.within(delta), delta.inviter_key.in_(keys)),
    )


def named_lines(lines: sa.Subquery, names: sa.Subquery, asked: ByName) -> sa.Subquery:
    """Return all lines with their names."""
    named = asked.of(names.c).label("named")
    joined = lines.join(names, names.c.inviter_key == lines.c.inviter_key)
    return sa.select(*lines.c, named).select_from(joined).subquery("line")


def apart(places: Sequence[Place]) -> tuple[Sequence[Interval], Collection[str]]:
    """Return the intervals that some lines are in, the oldest first, and their inviters' keys."""
    intervals = {each.first: each for each, _ in places}
    return [each for _, each in sorted(intervals.items())], {key for _, key in places}


def _own(table: Any, period: Period) -> list[sa.ColumnElement[bool]]:
    """Return as SQL that figures are those of a period's scope and unit."""
    return [
        table.timezone == period.timezone,
        table.scope == scope_of(period),
        table.unit == period.by,
    ]


def _fresh(db: Session, period: Period, intervals: Sequence[Interval]) -> sa.Select[Any]:
    """Return what the deltas that are not folded yet add to each line."""
    among, zero = spans(db, intervals), sa.literal_column("0", sa.Integer)

    def of(delta: Any, numbers: Sequence[Any]) -> sa.Select[Any]:
        here = sa.and_(delta.sent_at >= among.c.begins, delta.sent_at < among.c.ends)
        lines = sa.select(among.c.first, delta.inviter_key, *numbers)
        return lines.select_from(among.join(delta, here)).where(*period.within(delta))

    counts = [getattr(FigureDelta, name) for name in COUNTS]
    named = [zero.label(name) for name in COUNTS]
    both = sa.union_all(
        of(FigureDelta, [*counts, zero.label("amount")]),
        of(MoneyDelta, [*named, MoneyDelta.amount]),
    ).subquery()
    sums = [sa.cast(sa.func.sum(both.c[name]), sa.BigInteger).label(name) for name in OF_INVITER]
    keys = [both.c.first, both.c.inviter_key]
    return sa.select(*keys, *sums).group_by(*keys)
