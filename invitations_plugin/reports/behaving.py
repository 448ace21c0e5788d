"""How inviters and invitees of a period behave: how much they invite, and how long they take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from ..database import compile_nothing
from ..models import Invitation, Status
from .counting import from_figures
from .figures import invitations
from .folding import firsts, is_anything_told
from .inviters import scope_of
from .models import FigureDelta, InvitationPurchase, InviterFigure, InviterName, TimeFigure
from .names import told_keys
from .periods import Period, last_day
from .times import ACCEPTED, PURCHASED, Spread, bucket_between, seconds_in_sql, spread_of
from .zones import needed

I = Invitation  # noqa: E741  # named once, used on every line below
UNITS = ("year", "month", "day")  # that times are counted in, the longest first


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How inviters and invitees of a period behave.

    ``inviters`` are the customers who sent, staff apart, and ``invitations`` what they sent;
    ``inviting`` is how many of the ``accepted`` have sent invitations in turn, at any time.
    A spread is None where nothing was accepted or purchased.
    """

    inviters: int
    invitations: int
    accepted: int
    inviting: int
    to_accepted: Spread | None
    to_purchase: Spread | None

    @property
    def per_inviter(self) -> float | None:
        """Invitations per inviter; None where nobody sent any."""
        return self.invitations / self.inviters if self.inviters else None


class _Found(NamedTuple):
    """What is read one way from figures and another way from rows."""

    inviters: int
    inviting: int
    to_accepted: Spread | None
    to_purchase: Spread | None


def behaviour(db: Session, period: Period) -> Behaviour:
    """Return how inviters and invitees behave.

    Times are from the first mail on, and kept to 3 %: see :mod:`.times`. How many customers
    invited is asked of each who ever did, of the days alone that are wanted.
    """
    compile_nothing(db)
    totals = invitations(db, period).totals
    by_staff = sa.select(sa.func.count()).where(*_sent(I, period), I.inviter_key == "")
    found = from_figures(db, period, _kept, _counted)
    invited = totals.sent - (db.scalar(by_staff) or 0)
    spreads = found.to_accepted, found.to_purchase
    return Behaviour(found.inviters, invited, totals.accepted, found.inviting, *spreads)


def _sent(table: Any, period: Period) -> list[sa.ColumnElement[bool]]:
    whole = period.whole
    return [table.sent_at >= whole.begins, table.sent_at < whole.ends, *period.within(table)]


def _kept(db: Session, period: Period) -> _Found:
    """Read names of inviters and figures of times; of the rows, what an index tells of a name."""
    own, one = aliased(I), sa.literal_column("1", sa.Integer)

    def number(names: sa.Subquery, *conditions: sa.ColumnElement[bool]) -> int:
        found = sa.select(one).where(*conditions, *_sent(own, period)).limit(1)
        each = sa.func.count(found.correlate(names).scalar_subquery())
        return db.scalar(sa.select(each).select_from(names)) or 0

    told = [sa.select(told_keys(FigureDelta).c.inviter_key)] if is_anything_told(db) else []
    everybody = sa.select(InviterName.inviter_key)
    who = _in_order(_inviters(period, everybody), *told)
    named = _in_order(everybody, *told)
    is_theirs = own.customer_key == named.c.inviter_key
    return _Found(
        number(who, own.inviter_key == who.c.inviter_key, who.c.inviter_key != ""),
        number(named, is_theirs, own.status == Status.ACCEPTED),
        *_kept_spreads(db, period),
    )


def _inviters(period: Period, everybody: sa.Select[str]) -> sa.Select[str]:
    """Return the keys of all who may have sent in a period, but for what is not folded yet."""
    scope = scope_of(period)
    if scope is None or period.timezone not in needed().get(scope, []):
        return everybody
    row, begin = InviterFigure, period.first.replace(month=1, day=1)
    own = [row.timezone == period.timezone, row.scope == scope, row.unit == "year"]
    keys = sa.select(row.inviter_key).where(*own)
    if begin.year == period.last.year:
        return keys.where(row.first == begin)
    return keys.where(row.first.between(begin, period.last)).distinct()


def _in_order(*keys: sa.Select[str]) -> sa.Subquery:
    """Return keys in the order that indexes have them in: neighbours are found together."""
    if len(keys) == 1:
        return keys[0].order_by(*keys[0].selected_columns).subquery("who")
    each = sa.union(*keys).subquery("known")
    return sa.select(each).order_by(*each.c).subquery("who")


def _kept_spreads(db: Session, period: Period) -> Iterator[Spread | None]:
    """Yield the spreads from the figures, folded and not folded yet, as of one moment."""
    numbers: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for what, bucket, number, sent_at, at in db.execute(_times(period)):
        found = bucket if bucket is not None else bucket_between(sent_at, at)
        numbers[what][found] += number
    return (spread_of(numbers[what]) for what in (ACCEPTED, PURCHASED))


def _times(period: Period) -> sa.CompoundSelect[Any]:
    """Return a query of what took how long, how many: by bucket, or by two moments."""
    row, delta = TimeFigure, FigureDelta
    moments: list[Any] = [sa.cast(sa.null(), sa.DateTime())] * 2
    number = sa.cast(sa.func.sum(row.number), sa.BigInteger)

    def folded(unit: str, days: Sequence[date]) -> sa.Select[Any]:
        here = [row.timezone == period.timezone, row.unit == unit, row.first.in_(days)]
        query = sa.select(row.what, row.bucket, number, *moments).where(*here)
        return query.where(*period.within(row)).group_by(row.what, row.bucket)

    def fresh(what: str, count: Any, at: Any) -> sa.Select[Any]:
        bucket = sa.cast(sa.null(), sa.Integer)
        columns: list[Any] = [sa.literal(what), bucket, count, delta.sent_at, at]
        return sa.select(*columns).where(count != 0, at.is_not(None), *_sent(delta, period))

    return sa.union_all(
        *(folded(unit, days) for unit, days in _parts(period).items()),
        fresh(ACCEPTED, delta.accepted, delta.accepted_at),
        fresh(PURCHASED, delta.purchased, delta.bought_at),
    )


def _parts(period: Period) -> Mapping[str, Sequence[date]]:
    """Return the first days of the fewest years, months and days that a period is made of."""
    found: dict[str, list[date]] = {unit: [] for unit in UNITS}
    first = period.first
    while first <= period.last:
        begun = [unit for unit in UNITS if firsts(first)[unit] == first]
        unit = next(each for each in begun if last_day(first, each) <= period.last)
        found[unit].append(first)
        first = last_day(first, unit) + timedelta(days=1)
    return {unit: days for unit, days in found.items() if days}


def _counted(db: Session, period: Period) -> _Found:
    """Read the rows of the period. Percentiles are those of one that really happened."""
    accepted = [*_sent(I, period), I.status == Status.ACCEPTED]
    inviters = sa.select(sa.func.count(I.inviter_key.distinct()))
    other = aliased(I)
    invites = sa.exists().where(other.inviter_key == I.customer_key, other.sent_at.is_not(None))
    dialect = db.get_bind(I).dialect.name
    first = sa.select(sa.func.min(InvitationPurchase.first_at))
    first_at = first.where(InvitationPurchase.invitation_id == I.id).scalar_subquery()
    bought = seconds_in_sql(I.sent_at, first_at, dialect).label("seconds")
    is_bought = sa.exists().where(InvitationPurchase.invitation_id == I.id)
    taken = seconds_in_sql(I.sent_at, I.registered_at, dialect).label("seconds")
    return _Found(
        db.scalar(inviters.where(*_sent(I, period), I.inviter_key != "")) or 0,
        db.scalar(sa.select(sa.func.count()).where(*accepted, invites)) or 0,
        _spread(db, sa.select(taken).where(*accepted)),
        _spread(db, sa.select(bought).where(*_sent(I, period), is_bought)),
    )


def _spread(db: Session, taken: sa.Select[Any]) -> Spread | None:
    """Return the spread of a column of seconds; None where it has no row."""
    each = taken.subquery()
    rank = sa.func.row_number().over(order_by=each.c.seconds).label("rank")
    ranked = sa.select(each.c.seconds, rank, sa.func.count().over().label("number")).subquery()
    number = ranked.c.number
    middle, most = (number + 1) // 2, (number * 9 + 9) // 10
    query = sa.select(number, ranked.c.seconds).where(ranked.c.rank.in_([middle, most]))
    found = db.execute(query.order_by(ranked.c.rank)).all()
    if not found:
        return None
    median, percentile_90 = (timedelta(seconds=found[place].seconds) for place in (0, -1))
    return Spread(found[0].number, median, percentile_90)
