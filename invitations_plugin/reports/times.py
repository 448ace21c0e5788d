"""How long something took, as figures: seconds in buckets, of which each counts what it holds.

A bucket holds one number of seconds up to half a minute, and above it those that differ by at
most a sixteenth. What is read from buckets is the middle of one: 3 % off at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

BITS: Final = 5  # of a number of seconds that are told apart
HALF: Final = 1 << (BITS - 1)
LARGEST: Final = 34  # bits of more seconds than there are between two dates
ACCEPTED, PURCHASED = "accepted", "purchased"


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took: for half of them, and for nine of ten at most."""

    number: int
    median: timedelta
    percentile_90: timedelta


def bucket_between(earlier: datetime, later: datetime) -> int:
    """Return the bucket of the time between two moments, none where they are not in order."""
    between = later.replace(microsecond=0) - earlier.replace(microsecond=0)
    return bucket_of(max(0, int(between.total_seconds())))


def bucket_of(seconds: int) -> int:
    """Return the bucket that a number of seconds is in."""
    dropped = max(0, seconds.bit_length() - BITS)
    return HALF * dropped + (seconds >> dropped)


def bucket_in_sql(seconds: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Return :func:`bucket_of` as SQL."""

    def number(value: int) -> sa.ColumnElement[int]:
        return sa.literal_column(str(value), sa.BigInteger)  # no parameter: it is grouped by

    above = [
        (seconds < number(1 << (bits + 1)), number(HALF * each) + seconds // number(1 << each))
        for each, bits in enumerate(range(BITS, LARGEST), 1)
    ]
    return sa.case((seconds < number(1 << BITS), seconds), *above)


def seconds_in_sql(earlier: Any, later: Any, dialect: str) -> sa.ColumnElement[int]:
    """Return as SQL the whole seconds between two moments, none where they are not in order."""
    if dialect == "postgresql":
        stamps: list[Any] = [
            sa.func.floor(sa.func.extract("epoch", each)) for each in (earlier, later)
        ]
    else:
        # It rounds to thousandths of a second, which may be of the next one: without its parts.
        stamps = [
            sa.cast(sa.func.strftime("%s", sa.func.substr(each, 1, 19)), sa.Integer)
            for each in (earlier, later)
        ]
    between = stamps[1] - stamps[0]
    return sa.cast(sa.case((between > 0, between), else_=0), sa.BigInteger)


def spread_of(numbers: Mapping[int, int]) -> Spread | None:
    """Return the spread of what was counted in each bucket; None where nothing was."""
    number = sum(numbers.values())
    if not number:
        return None
    ranks = [(number + 1) // 2, (number * 9 + 9) // 10]
    median, percentile_90 = (_at(numbers, rank) for rank in ranks)
    return Spread(number, median, percentile_90)


def _at(numbers: Mapping[int, int], rank: int) -> timedelta:
    """Return about how long the one of a rank took, the quickest being the first."""
    passed, bucket = 0, 0
    for bucket, number in sorted(numbers.items()):  # noqa: B007  # the last one is wanted
        passed += number
        if passed >= rank:
            break
    return timedelta(seconds=_middle(bucket))


def _middle(bucket: int) -> float:
    """Return the middle of the seconds that a bucket holds."""
    dropped = max(0, bucket // HALF - 1)
    return ((bucket - HALF * dropped) << dropped) + ((1 << dropped) - 1) / 2
