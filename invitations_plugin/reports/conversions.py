"""What invitations brought: who bought, for how much, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from .figures import Report, invitations
from .periods import Period
from .purchases import has_purchases


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
    money: dict[int, list[Money]] = {}
    for place, *bought in _bought(db, period):
        money.setdefault(place, []).append(_money(*bought))
    totals = _totals(each for line in money.values() for each in line)
    return Conversions(report, money, totals, as_of(db), has_purchases())


def _bought(db: Session, period: Period) -> Iterable[Sequence[Any]]:
    """Return place, currency, orders and amount of the intervals that have any, in order."""
    among, row = spans(db, period.intervals), InvitationPurchase
    here = sa.and_(row.sent_at >= among.c.begins, row.sent_at < among.c.ends)
    sums = [sa.cast(sa.func.sum(each), sa.BigInteger) for each in (row.orders, row.amount)]
    return db.execute(
        sa.select(among.c.place, row.currency, *sums)
        .select_from(among.join(row, here))
        .where(*period.within(row))
        .group_by(among.c.place, row.currency)
        .order_by(among.c.place, row.currency)
    )


def _money(currency: str, orders: int, amount: int) -> Money:
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
        _spread(db, sa.select((I.registered_at - I.sent_at)).where(*accepted)),
        None,
    )
