"""Times as they are kept: in buckets, of which each is read as its middle."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from invitations_plugin.database import engine
from invitations_plugin.reports import times

from .support.stores import Store

LONGEST = 200 * 366 * 86_400
seconds = st.one_of(st.integers(0, 100_000), st.integers(0, LONGEST))


@given(seconds)
def test_a_time_is_read_back_to_three_per_cent(taken: int) -> None:
    spread = times.spread_of({times.bucket_of(taken): 1})
    assert spread is not None
    assert abs(spread.median.total_seconds() - taken) <= taken / 32


@given(seconds)
def test_longer_times_are_in_the_same_bucket_or_the_next(taken: int) -> None:
    assert times.bucket_of(taken + 1) - times.bucket_of(taken) in (0, 1)


def test_half_and_nine_of_ten_are_of_the_ones_that_took_so_long() -> None:
    spread = times.spread_of({1: 5, 2: 4, 3: 1})
    assert spread == times.Spread(10, timedelta(seconds=1), timedelta(seconds=2))
    assert times.spread_of({7: 0}) is None


def test_what_ends_before_it_began_took_no_time() -> None:
    moment = datetime(2026, 3, 2, 12, 0, 0, 900_000)
    assert times.bucket_between(moment, moment - timedelta(days=1)) == 0
    assert times.bucket_between(moment, moment + timedelta(milliseconds=200)) == 1


@pytest.mark.parametrize("taken", [0, 31, 32, 33, 63, 64, 4095, 4096, 10**6, LONGEST])
def test_the_database_has_the_same_buckets(store: Store, taken: int) -> None:
    given_seconds = sa.literal(taken, sa.BigInteger)
    with store.session(), engine().connect() as connection:
        found = connection.scalar(sa.select(times.bucket_in_sql(given_seconds)))
    assert found == times.bucket_of(taken)
