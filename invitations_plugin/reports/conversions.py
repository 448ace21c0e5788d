"""What invitations brought: who bought, and for how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .counting import from_figures, summed
from .figures import Report, invitations
from .folding import MONEY
from .models import InvitationPurchase, MoneyDelta, MoneyFigure
from .periods import Period
from .purchases import as_amount, as_of, has_purchases
from .spans import spans


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
