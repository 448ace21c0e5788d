"""How inviters and invitees of a period behave: how much they invite, and how long they take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from ..clock import now
from ..database import compile_nothing
from ..editing import day_of
from ..models import Invitation, Status
from . import staff
from .counting import from_figures
from .figures import invitations
from .folding import SPANS, firsts, is_anything_told
from .inviters import has_figures, scope_of
from .models import FigureDelta, InvitationPurchase, InviterFigure, InviterName, TimeFigure
from .names import told_keys
from .periods import Period, last_day
from .rows import STAFF
from .times import ACCEPTED, PURCHASED, Spread, bucket_between, seconds_in_sql, spread_of

I = Invitation  # noqa: E741  # named once, used on every line below
O = aliased(I)  # noqa: E741  # what is asked of each inviter
ONE: Final = sa.literal_column("1", sa.Integer)
FEW: Final = 50_000  # invitations that are counted sooner than each inviter is asked
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
    by_staff: int
    inviting: int
    to_accepted: Spread | None
    to_purchase: Spread | None


def behaviour(db: Session, period: Period) -> Behaviour:
    """Return how inviters and invitees behave.

    Times are from the first mail on, and kept to 3 %: see :mod:`.times`. Who has sent in a
    whole month or year is known; the others who ever did are asked for the days that are wanted.
    """
    compile_nothing(db)
    totals = invitations(db, period).totals
    found = from_figures(db, period, partial(_kept, totals.sent), _counted)
    invited = totals.sent - found.by_staff
    spreads = found.to_accepted, found.to_purchase
    return Behaviour(found.inviters, invited, totals.accepted, found.inviting, *spreads)


def _sent(table: Any, period: Period) -> list[sa.ColumnElement[bool]]:
    whole = period.whole
    return [table.sent_at >= whole.begins, table.sent_at < whole.ends, *period.within(table)]


def _kept(number_sent: int, db: Session, period: Period) -> _Found:
    """Read names of inviters and figures of times; of the rows, what an index tells of a name."""
    told = [sa.select(told_keys(FigureDelta).c.inviter_key)] if is_anything_told(db) else []
    everybody = _in_order(sa.select(InviterName.inviter_key), *told)
    is_theirs = O.customer_key == everybody.c.inviter_key
    inviters = _few_inviters(period) if number_sent <= FEW else _inviters(period, *told)
    return _Found(
        db.scalar(inviters) or 0,
        db.scalar(_by_staff(period)) or 0,
        db.scalar(_asked(everybody, period, is_theirs, O.status == Status.ACCEPTED)) or 0,
        *_kept_spreads(db, period),
    )


def _asked(
    names: sa.Subquery, period: Period, *conditions: sa.ColumnElement[bool]
) -> sa.Select[int]:
    """Return a query of how many names have an invitation of a period, each asked for its O."""
    found = sa.select(ONE).where(*conditions, *_sent(O, period)).limit(1)
    return sa.select(sa.func.count(found.correlate(names).scalar_subquery())).select_from(names)


def _few_inviters(period: Period) -> sa.Select[int]:
    """Return a query of how many customers sent, where it was not much: from an index of days."""
    keys = sa.select(I.inviter_key).distinct().where(*_sent(I, period), I.inviter_key != STAFF)
    return sa.select(sa.func.count()).select_from(keys.subquery())


def _inviters(period: Period, *told: sa.Select[str]) -> sa.Select[int]:
    """Return a query of how many customers sent: who is known to, and who is found to."""
    known = _known_to_have_sent(period, *told).cte("known")
    who = _in_order(_candidates(period), *told)
    others = _asked(who, period, O.inviter_key == who.c.inviter_key)
    key = who.c.inviter_key
    others = others.where(key.not_in(sa.select(known.c.inviter_key)), key != STAFF)
    number = sa.select(sa.func.count()).select_from(known).scalar_subquery()
    return sa.select(number + others.scalar_subquery())


def _known_to_have_sent(period: Period, *told: sa.Select[str]) -> sa.Select[str]:
    """Return the keys of some of whom figures say that they sent in a period.

    They are those of one month or year within it, the last but one: the last may have just
    begun, and to look at more takes longer than to ask those who are left.
    """
    row, parts = InviterFigure, _parts(period) if has_figures(period) else {}
    whole = [(unit, parts[unit][-2:][0]) for unit in SPANS if unit in parts]
    kept = [row.timezone == period.timezone, row.scope == scope_of(period), row.sent > 0]
    kept += [row.inviter_key != STAFF, *(row.inviter_key.not_in(each) for each in told)]
    here = [row.unit == whole[0][0], row.first == whole[0][1]] if whole else [sa.false()]
    return sa.select(row.inviter_key).where(*kept, *here)


def _by_staff(period: Period) -> sa.Select[int]:
    """Return how many staff sent."""
    if has_figures(period):
        return sa.select(staff.number(period, "sent", period.whole))
    return sa.select(sa.func.count()).where(*_sent(I, period), I.inviter_key == STAFF)


def _candidates(period: Period) -> sa.Select[str]:
    """Return the keys of all who may have sent in a period, but for what is not folded yet."""
    if not has_figures(period):
        return sa.select(InviterName.inviter_key)
    row, begin = InviterFigure, period.first.replace(month=1, day=1)
    kept = [row.timezone == period.timezone, row.scope == scope_of(period), row.unit == "year"]
    keys = sa.select(row.inviter_key).where(*kept)
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
    """Return the first days of the fewest years, months and days that a period is made of.

    A month that goes on is whole up to now.
    """
    found: dict[str, list[date]] = {unit: [] for unit in UNITS}
    first, last = period.first, period.last
    today = day_of(now(), period.timezone)
    if last >= today:
        last = max(last, last_day(today, "month"))
    while first <= last:
        begun = [unit for unit in UNITS if firsts(first)[unit] == first]
        unit = next(each for each in begun if last_day(first, each) <= last)
        found[unit].append(first)
        first = last_day(first, unit) + timedelta(days=1)
    return {unit: days for unit, days in found.items() if days}


def _counted(db: Session, period: Period) -> _Found:
    """Read the rows of the period. Percentiles are those of one that really happened."""
    accepted = [*_sent(I, period), I.status == Status.ACCEPTED]
    inviters = sa.select(sa.func.count(I.inviter_key.distinct()))
    by_staff = sa.select(sa.func.count())
    other = aliased(I)
    invites = sa.exists().where(other.inviter_key == I.customer_key, other.sent_at.is_not(None))
    dialect = db.get_bind(I).dialect.name
    first = sa.select(sa.func.min(InvitationPurchase.first_at))
    first_at = first.where(InvitationPurchase.invitation_id == I.id).scalar_subquery()
    bought = seconds_in_sql(I.sent_at, first_at, dialect).label("seconds")
    is_bought = sa.exists().where(InvitationPurchase.invitation_id == I.id)
    taken = seconds_in_sql(I.sent_at, I.registered_at, dialect).label("seconds")
    return _Found(
        db.scalar(inviters.where(*_sent(I, period), I.inviter_key != STAFF)) or 0,
        db.scalar(by_staff.where(*_sent(I, period), I.inviter_key == STAFF)) or 0,
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
