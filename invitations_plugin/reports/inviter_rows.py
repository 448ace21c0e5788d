"""The lines of Invited Customers as SQL, from the invitations: where no figures have them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..models import Invitation
from . import staff
from .figures import Counts
from .inviters import ByName, Place, Source, apart, has_figures, named_lines, read_sums
from .models import FigureDelta, InvitationPurchase, InviterName
from .most import with_ends
from .names import Found, Searched, kept_names, listed, told_keys
from .peaks import LINE
from .periods import Interval, Period
from .rows import COUNTS, STAFF, counts_of_line, row_sums
from .spans import as_table, span, spans

I = Invitation  # noqa: E741  # named once, used on every line below
FIRST_TRIED: Final = 8  # inviters by name, of whom each may have a line for every interval


def counted(
    db: Session, period: Period, names: Callable[[], sa.Subquery], found: Searched | None = None
) -> Source:
    """Return the rows as the source of lines.

    :param names: gives key, name and email of all inviters; with those that are kept, the first
        lines by name are sought by the first names.
    :param found: whose lines these are, where not everybody's.
    """
    conditions = [*period.within(I), *([found(I.inviter_key)] if found is not None else [])]
    is_kept = names is kept_names
    of_staff = is_kept and has_figures(period)

    def of(intervals: Sequence[Interval], *counts: Any) -> sa.Subquery:
        return _counted_lines(db, intervals, conditions, counts)

    def lines(intervals: Sequence[Interval]) -> sa.Subquery:
        return of(intervals, *row_sums())

    def brief(intervals: Sequence[Interval]) -> sa.Subquery:
        return of(intervals, sa.func.count().label("sent"))

    def whole(intervals: Sequence[Interval], few: sa.Subquery) -> sa.Subquery:
        return _completed(spans(db, intervals), period, few, of_staff=of_staff)

    def numbers(intervals: Sequence[Interval], wanted: int) -> sa.Select[Any]:
        return _counted_numbers(spans(db, intervals), conditions, wanted)

    def by_name(intervals: Sequence[Interval], asked: ByName) -> sa.Subquery:
        if is_kept:
            keys = _first_by_name(db, period, intervals, asked, conditions, found)
            return named_lines(_brief_of(db, intervals, keys, conditions), names(), asked)
        return named_lines(brief(intervals), names(), asked)

    sums = partial(_sums, db, period, found, of_staff=of_staff)
    bought = partial(_bought, db, period, of_staff=of_staff)
    source = Source(lines, brief, whole, numbers, sums, by_name, bought)
    return with_ends(db, period, source, found) if is_kept else source


def _sums(
    db: Session, period: Period, found: Searched | None, everybody: Counts, *, of_staff: bool
) -> Counts:
    """Return what the lines of those who are found come to; where they are nearly all, what
    everybody's do without the others'.
    """
    if found is None:
        return everybody
    if found.few is not None:
        return _sums_of(db, period, found.few, of_staff=of_staff)
    if found.others is not None:
        left = _sums_of(db, period, found.others, of_staff=of_staff)
        return Counts(*map(operator.sub, everybody, left))
    here = [I.sent_at >= period.whole.begins, I.sent_at < period.whole.ends]
    columns: list[Any] = row_sums()
    query = sa.select(*columns).where(*here, *period.within(I), found(I.inviter_key))
    return read_sums(db, query)


def _sums_of(db: Session, period: Period, keys: Sequence[str], *, of_staff: bool) -> Counts:
    """Return what the lines of a few inviters come to, each sought by its inviter's moments."""
    among, who = spans(db, [period.whole]), listed(db, keys)
    few = sa.select(among.c.first, who.c.inviter_key).join_from(who, among, sa.true())
    lines = _completed(among, period, few.subquery("few"), of_staff=of_staff)
    return read_sums(db, sa.select(*(sa.func.sum(lines.c[name]) for name in COUNTS)))


def _bought(
    db: Session, period: Period, places: Sequence[Place], *, of_staff: bool
) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """Return the purchases of what some lines count.

    Those of customers are sought by their inviter's moments. Staff may have sent a good part of
    all: without figures theirs is sought by the purchases, by no index of inviters.
    """
    intervals, keys = apart(places)
    row, day = InvitationPurchase, sa.cast(sa.null(), sa.Date())
    columns: list[Any] = [day, row.sent_at, I.inviter_key, row.currency, row.orders, row.amount]
    query = sa.select(*columns).join_from(row, I, I.id == row.invitation_id)
    query = query.where(*period.within(I))
    rows = [{**span(each), "inviter_key": key} for each, key in places if key != STAFF]
    line = as_table(db, rows, LINE)
    own = [I.inviter_key == line.c.inviter_key, I.sent_at >= line.c.begins]
    theirs = query.where(*own, I.sent_at < line.c.ends)
    if STAFF not in keys:
        return theirs
    if of_staff:
        days = replace(period, first=intervals[0].first, last=intervals[-1].last).whole
        return sa.union_all(theirs, *staff.bought(period, days))
    within = [row.sent_at >= intervals[0].begins, row.sent_at < intervals[-1].ends]
    by_staff = query.where(I.inviter_key.concat("") == STAFF, *within)
    return sa.union_all(theirs, by_staff)


def _counted_lines(
    db: Session,
    intervals: Sequence[Interval],
    conditions: Sequence[sa.ColumnElement[bool]],
    counts: Sequence[Any],
) -> sa.Subquery:
    among = spans(db, intervals)
    here = sa.and_(I.sent_at >= among.c.begins, I.sent_at < among.c.ends)
    keys = (among.c.first, I.inviter_key)
    query = sa.select(*keys, *counts).select_from(among.join(I, here))
    if db.get_bind(I).dialect.name == "postgresql":  # it does not guess how little that is
        query = query.where(I.sent_at >= intervals[0].begins, I.sent_at < intervals[-1].ends)
    by = keys[::-1]  # most differ in the key: what SQLite compares first
    return query.where(*conditions).group_by(*by).subquery("line")


def _first_by_name(
    db: Session,
    period: Period,
    intervals: Sequence[Interval],
    asked: ByName,
    conditions: Sequence[sa.ColumnElement[bool]],
    found: Found | None,
) -> Sequence[str]:
    """Return the first inviters by name, as many as it takes to have the lines that are wanted.

    How many that are nobody knows before: some are tried, and more in proportion. Those that a
    delta has to do with may stand anywhere, are few, and are among them in any case.
    """
    told = told_keys(FigureDelta)
    untold = InviterName.inviter_key.not_in(sa.select(told.c.inviter_key))
    meant = [untold, *([found(InviterName.inviter_key)] if found is not None else [])]
    number = FIRST_TRIED
    while True:
        keys = _named_first(db, period, asked, number, meant)
        lines = _brief_of(db, intervals, keys, conditions)
        have = db.scalar(sa.select(sa.func.count()).select_from(lines)) or 0
        if have >= asked.most or len(keys) < number:
            return [*keys, *db.scalars(sa.select(told.c.inviter_key))]
        number = max(2 * number, number * asked.most // max(1, have))


def _named_first(
    db: Session,
    period: Period,
    asked: ByName,
    number: int,
    meant: Sequence[sa.ColumnElement[bool]],
) -> Sequence[str]:
    """Return at least so many of the inviters of a period by name, all of them where less are."""
    named = asked.of(InviterName)
    whole = [I.sent_at >= period.whole.begins, I.sent_at < period.whole.ends]
    is_theirs = sa.exists().where(I.inviter_key == InviterName.inviter_key, *whole)
    here = [*meant, is_theirs.where(*period.within(I))]
    order = named.desc() if asked.is_down else named.asc()
    last = db.scalar(sa.select(named).where(*here).order_by(order).limit(1).offset(number - 1))
    if last is not None:  # whoever has the name of the last one stands beside it
        here.append(named >= last if asked.is_down else named <= last)
    return db.scalars(sa.select(InviterName.inviter_key).where(*here)).all()


def _brief_of(
    db: Session,
    intervals: Sequence[Interval],
    keys: Sequence[str],
    conditions: Sequence[sa.ColumnElement[bool]],
) -> sa.Subquery:
    """Return the brief lines of a few inviters, each sought by its inviter's moments."""
    among, who = spans(db, intervals), listed(db, keys)
    counts = counts_of_line(who.c.inviter_key, among.c, conditions, who, among)
    number = counts["sent"].label("sent")
    each = sa.select(among.c.first, who.c.inviter_key, number).join_from(who, among, sa.true())
    lines = each.subquery("each")
    return sa.select(lines).where(lines.c.sent > 0).subquery("line")


def _counted_numbers(
    among: sa.FromClause, conditions: Sequence[sa.ColumnElement[bool]], wanted: int
) -> sa.Select[Any]:
    """Return how many inviters each interval has, one interval after the other.

    All at once they would have to be sorted, as they would be on PostgreSQL by count(distinct).
    """
    here = [I.sent_at >= among.c.begins, I.sent_at < among.c.ends, *conditions]
    keys = sa.select(I.inviter_key).distinct().where(*here).limit(wanted).correlate(among)
    number = sa.select(sa.func.count()).select_from(keys.subquery())
    return sa.select(among.c.first, number.correlate(among).scalar_subquery())


def _completed(
    among: sa.FromClause, period: Period, few: sa.Subquery, *, of_staff: bool
) -> sa.Subquery:
    """Return a few lines with all their counts, each asked for by its inviter's moments.

    :param of_staff: what staff sent is asked of the figures of its days.
    """
    found = counts_of_line(few.c.inviter_key, among.c, period.within(I), few, among)
    counts: dict[str, sa.ColumnElement[int]] = {name: found[name] for name in COUNTS}
    if of_staff:
        is_theirs = few.c.inviter_key == STAFF
        counts = {
            name: sa.case((is_theirs, staff.number(period, name, among.c)), else_=each)
            for name, each in counts.items()
        }
    labelled = [each.label(name) for name, each in counts.items()]
    query = sa.select(*(each for each in few.c if each.name not in COUNTS), *labelled)
    return query.join_from(few, among, among.c.first == few.c.first).subquery("line")


def revenue(db: Session, period: Period) -> sa.Subquery:
    """Return first day, key and amount, whatever the currencies, of the lines that have any."""
    among, row = spans(db, period.intervals), InvitationPurchase
    here = sa.and_(row.sent_at >= among.c.begins, row.sent_at < among.c.ends)
    joined = among.join(row, here).join(I, I.id == row.invitation_id)
    keys = [among.c.first, I.inviter_key]
    query = sa.select(*keys, sa.func.sum(row.amount).label("amount")).select_from(joined)
    return query.where(*period.within(I)).group_by(*keys).subquery("bought")
