"""What a report is asked for: days, intervals, store views, and what cannot be read."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
import time_machine

from invitations_plugin.reports import MOST_INTERVALS, PRESETS, preset, read_period
from invitations_plugin.scope import limit_to

from .support.figures import period_of
from .support.stores import Store

NOW = datetime.fromisoformat("2026-03-01T00:30+01:00")  # still February in London

pytestmark = pytest.mark.parametrize("database", ["sqlite"])  # nothing here reads a row


@pytest.mark.parametrize(
    ("asked", "errors"),
    [
        ({"from": "2026-02-30"}, {"from": "date"}),
        ({"from": "today", "to": "0001-01-01"}, {"from": "date", "to": "date"}),
        ({"from": "2026-03-02", "to": "2026-03-01"}, {"to": "order"}),
        ({"from": "1990-01-01", "to": "2026-03-01"}, {"by": "many"}),
        ({"by": "hour"}, {"by": "choice"}),
        ({"store": "store:nowhere"}, {"store": "choice"}),
        ({"store": "website:en"}, {"store": "choice"}),
        ({"from": "x" * 500, "store": "y"}, {"from": "date", "store": "choice"}),
    ],
)
def test_what_cannot_be_read_is_named_and_kept(
    store: Store, asked: dict[str, str], errors: dict[str, str]
) -> None:
    with store.session():
        found = read_period(asked)
    assert found.period is None
    assert found.errors == errors
    assert {name: found.typed[name] for name in asked} == {n: t[:100] for n, t in asked.items()}


def test_as_many_intervals_as_there_may_be(store: Store) -> None:
    first = date(2020, 1, 1)
    last = first + timedelta(days=MOST_INTERVALS - 1)
    period = period_of(store, start=first.isoformat(), to=last.isoformat())
    assert len(period.intervals) == MOST_INTERVALS
    with store.session():
        more = (last + timedelta(days=1)).isoformat()
        assert read_period({"from": first.isoformat(), "to": more}).errors == {"by": "many"}


def test_without_days_it_is_the_last_thirty_of_the_store(store: Store) -> None:
    with time_machine.travel(NOW, tick=False):
        london, rome = period_of(store), period_of(store, store="it")
    assert (london.first, london.last) == (date(2026, 1, 30), date(2026, 2, 28))
    assert (rome.first, rome.last) == (date(2026, 1, 31), date(2026, 3, 1))
    assert london.as_arguments()["by"] == "day"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", ("", "Europe/London")),
        ("website:private", ("website:private", "Europe/Rome")),
        ("store:fr", ("store:fr", "Europe/Paris")),
        ("fr", ("store:fr", "Europe/Paris")),
        ("main", ("website:main", "Europe/London")),
    ],
)
def test_a_store_lends_its_time_zone(store: Store, asked: str, expected: tuple[str, str]) -> None:
    period = period_of(store, store=asked)
    assert (period.scope, period.timezone) == expected


@pytest.mark.parametrize(
    ("by", "days"),
    [
        ("week", ["2026-01-14/2026-01-18", "2026-01-19/2026-01-25", "2026-01-26/2026-02-01"]),
        ("month", ["2026-01-14/2026-01-31", "2026-02-01/2026-02-01"]),
        ("year", ["2026-01-14/2026-02-01"]),
    ],
)
def test_intervals_end_with_the_period(store: Store, by: str, days: list[str]) -> None:
    period = period_of(store, start="2026-01-14", to="2026-02-01", by=by)
    assert [f"{each.first}/{each.last}" for each in period.intervals] == days
    ends = [each.ends for each in period.intervals]
    assert [each.begins for each in period.intervals][1:] == ends[:-1]


def test_a_day_is_as_long_as_its_clock_says(store: Store) -> None:
    nights = ("2026-03-29", "2026-10-25", "2028-02-29")
    days = [period_of(store, start=day, to=day).intervals[0] for day in nights]
    hours = [(each.ends - each.begins) / timedelta(hours=1) for each in days]
    assert hours == [23, 25, 24]


def test_presets_end_today(store: Store) -> None:
    with time_machine.travel(NOW, tick=False), store.session():
        period = read_period({"store": "it", "from": "2020-01-01", "to": "2020-01-02"}).period
        assert period is not None
        found = [preset(name, period) for name in PRESETS]
    assert {each.last for each in found} == {date(2026, 3, 1)}
    firsts = [date(2026, 2, 23), date(2026, 1, 31), date(2025, 12, 2), date(2026, 1, 1)]
    assert [each.first for each in found] == firsts
    assert [each.by for each in found] == ["day", "day", "week", "month"]


def test_staff_of_a_website_may_not_ask_for_another(store: Store) -> None:
    with store.session():
        limit_to(["private"])
        assert read_period({"store": "fr"}).errors == {"store": "choice"}
        period = read_period({"store": "it"}).period
        assert period is not None
        assert period.websites == ["private"]
