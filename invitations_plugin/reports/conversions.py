"""What invitations brought: who bought, for how much, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from ..database import compile_nothing
from ..models import Invitation, Status
from .counting import from_figures, summed
from .figures import Report, invitations
from .folding import MONEY
from .models import InvitationPurchase, MoneyDelta, MoneyFigure
from .periods import Period
from .purchases import as_amount, as_of, has_purchases
from .spans import spans

I = Invitation  # noqa: E741  # named once, used on every line below


@dataclass(frozen=True, slots=True)
class Money:
    """What the customers of a period bought in one currency."""

    currency: str
    orders: int
    revenue: Decimal

    @property
    def average(self) -> Decimal:
        """The average order, rounded to the smallest part that the revenue has."""
        return (self.revenue / self.orders).quantize(self.revenue)


@dataclass(frozen=True, slots=True)
class Conversions:
    """The report by interval, with the purchases of each interval's customers.

    ``money`` has an entry for each line that has a purchase, by its place; ``totals`` are of
    the period. ``as_of`` is when the worker had last asked the store about all customers,
    in UTC, None where it has not yet. ``has_purchases`` is false where the store does not
    tell of purchases (``Host.purchases``): everything is zero then.
    """

    report: Report
    money: Mapping[int, Sequence[Money]]
    totals: Sequence[Money]
    as_of: datetime | None
    has_purchases: bool

    @property
    def funnel(self) -> tuple[int, int, int]:
        """How many were sent, registered and purchased in the period."""
        counts = self.report.totals
        return counts.sent, counts.accepted, counts.purchased


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took: for half of them, and for nine of ten at most."""

    number: int
    median: timedelta
    percentile_90: timedelta


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


def conversions(db: Session, period: Period) -> Conversions:
    """Return what was bought by those who accepted, in the interval they were invited in."""
    report = invitations(db, period)
    bought = from_figures(db, period, _kept, _counted)
    money: dict[int, list[Money]] = {}
    for (place, currency), (orders, amount) in sorted(bought.items()):
        if orders or amount:
            money.setdefault(place, []).append(money_of(currency, orders, amount))
    totals = _totals(each for line in money.values() for each in line)
    return Conversions(report, money, totals, as_of(db), has_purchases())


def _kept(db: Session, period: Period) -> Mapping[tuple[Any, ...], Sequence[int]]:
    """Return orders and amount by place and currency from the figures."""
    return summed(db, period, (MoneyFigure, MoneyDelta), ["currency"], MONEY)


def _counted(db: Session, period: Period) -> Mapping[tuple[Any, ...], Sequence[int]]:
    """Return the same from the purchases."""
    among, row = spans(db, period.intervals), InvitationPurchase
    here = sa.and_(row.sent_at >= among.c.begins, row.sent_at < among.c.ends)
    query = (
        sa.select(among.c.place, row.currency, *purchase_sums())
        .select_from(among.join(row, here))
        .where(*period.within(row))
        .group_by(among.c.place, row.currency)
    )
    return {(place, currency): sums for place, currency, *sums in db.execute(query)}


def purchase_sums() -> list[sa.ColumnElement[int]]:
    """Return as SQL orders and amount of some purchases, as :func:`money_of` takes them."""
    row = InvitationPurchase
    return [sa.cast(sa.func.sum(each), sa.BigInteger) for each in (row.orders, row.amount)]


def money_of(currency: str, orders: int, amount: int) -> Money:
    """Return what was bought, from an amount as it is kept."""
    return Money(currency, orders, as_amount(amount))


def _totals(parts: Iterable[Money]) -> list[Money]:
    summed: dict[str, tuple[int, Decimal]] = {}
    for each in parts:
        orders, revenue = summed.get(each.currency, (0, Decimal()))
        summed[each.currency] = orders + each.orders, revenue + each.revenue
    return [Money(currency, *sums) for currency, sums in sorted(summed.items())]


def behaviour(db: Session, period: Period) -> Behaviour:
    """Return how inviters and invitees behave; it reads the rows of the period.

    Times are from the first mail on. Percentiles are those of one that really happened.
    """
    compile_nothing(db)
    whole = period.whole
    sent = [I.sent_at >= whole.begins, I.sent_at < whole.ends, *period.within(I)]
    accepted = [*sent, I.status == Status.ACCEPTED]
    inviters = sa.select(sa.func.count(I.inviter_key.distinct()), sa.func.count())
    number, made = db.execute(inviters.where(*sent, I.inviter_key != "")).one()
    other = aliased(I)
    invites = sa.exists().where(other.inviter_key == I.customer_key, other.sent_at.is_not(None))
    counted = sa.select(sa.func.count(), sa.func.sum(sa.case((invites, 1), else_=0)))
    registered, inviting = db.execute(counted.where(*accepted)).one()
    return Behaviour(
        number,
        made,
        registered,
        inviting or 0,
        _spread(db, sa.select(_seconds(I.registered_at, I.sent_at, db)).where(*accepted)),
        _spread(db, _until_purchase(db, period)),
    )


def _until_purchase(db: Session, period: Period) -> sa.Select[Any]:
    row, whole = InvitationPurchase, period.whole
    first_at, sent_at = sa.func.min(row.first_at), sa.func.min(row.sent_at)
    bought = sa.select(_seconds(first_at, sent_at, db)).group_by(row.invitation_id)
    return bought.where(row.sent_at >= whole.begins, row.sent_at < whole.ends, *period.within(row))


def _seconds(later: Any, earlier: Any, db: Session) -> sa.Label[int]:
    """Return as SQL the whole seconds between two moments, none where they are not in order."""
    if db.get_bind(I).dialect.name == "postgresql":
        stamps: list[Any] = [
            sa.func.floor(sa.func.extract("epoch", each)) for each in (later, earlier)
        ]
    else:
        stamps = [sa.cast(sa.func.strftime("%s", each), sa.Integer) for each in (later, earlier)]
    between = stamps[0] - stamps[1]
    return sa.cast(sa.case((between > 0, between), else_=0), sa.BigInteger).label("seconds")


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
