"""The figures of a report: how many were sent, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.orm import Session

from .counting import count
from .periods import Interval, Period


class Counts(NamedTuple):
    """Invitations of one cohort, by the day they were first sent: how many, and of these.

    ``purchased`` were accepted by a customer who has bought something since.
    """

    sent: int = 0
    accepted: int = 0
    discarded: int = 0
    purchased: int = 0

    @property
    def accept_rate(self) -> float | None:
        """The accepted part of those sent, 0 to 1; None where none was sent."""
        return self.accepted / self.sent if self.sent else None

    @property
    def discard_rate(self) -> float | None:
        """The discarded part of those sent, 0 to 1; None where none was sent."""
        return self.discarded / self.sent if self.sent else None

    @property
    def conversion_rate(self) -> float | None:
        """The part of those sent that was accepted and led to a purchase, 0 to 1, or None."""
        return self.purchased / self.sent if self.sent else None


@dataclass(frozen=True, slots=True)
class Line:
    """One interval with its figures, all zero where nothing was sent."""

    interval: Interval
    counts: Counts

    @property
    def is_empty(self) -> bool:
        """Whether nothing was sent in the interval."""
        return not self.counts.sent


@dataclass(frozen=True, slots=True)
class Report:
    """The lines of a period, the oldest first, and their sum."""

    period: Period
    lines: Sequence[Line]
    totals: Counts


def invitations(db: Session, period: Period) -> Report:
    """Return how many invitations were sent in each interval, and what became of them.

    Each counts in the interval in which it was first sent, whenever it was accepted,
    discarded or purchased. The figures are exact at the moment of the call.
    """
    counted = count(db, period)
    lines = [
        Line(each, Counts(*counted.get(place, ()))) for place, each in enumerate(period.intervals)
    ]
    return Report(period, lines, add(each.counts for each in lines))


def add(counts: Iterable[Counts]) -> Counts:
    """Return the sum of some counts."""
    return Counts(*(sum(column) for column in zip(*counts, strict=True)))
