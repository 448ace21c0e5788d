"""What a report is asked for: which store views, from which day to which, by which interval.

Days are those of one time zone, so an interval begins where its first day begins there,
whatever the clocks did in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ..clock import as_kept, now
from ..editing import day_of
from ..host import StoreView, Website
from ..scope import Websites, includes
from ..scope import websites as limited_to
from ..state import host

UNITS: Final = ("day", "week", "month", "year")
PRESETS: Final = ("7", "30", "90", "year")  # the last so many days, this year
MOST_INTERVALS: Final = 1000
DEFAULT_DAYS: Final = 30
FIELDS: Final = ("store", "from", "to", "by")
FIRST_YEAR, LAST_YEAR = 1970, 9998
LONGEST = 100  # characters that are kept of what was typed
WEBSITE, STORE = "website", "store"


@dataclass(frozen=True, slots=True)
class Interval:
    """Some days, the last one included, and the moments between which they lie.

    ``begins`` and ``ends`` are in UTC without a zone; ``ends`` is the first moment after it.
    """

    first: date
    last: date
    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class Period:
    """The days that a report covers, cut into intervals, for some store views.

    ``scope`` is "" for all websites, else ``website:CODE`` or ``store:CODE``; ``websites``
    are the codes that the reader is limited to, None without a limit.
    """

    scope: str
    first: date
    last: date
    by: str
    timezone: str
    websites: Websites = None

    @cached_property
    def intervals(self) -> Sequence[Interval]:
        """The intervals, the oldest first; the first and the last end with the period."""
        found, first = [], self.first
        while first <= self.last:
            last = min(last_day(first, self.by), self.last)
            found.append(self._interval(first, last))
            first = last + timedelta(days=1)
        return found

    @property
    def whole(self) -> Interval:
        """The period as one interval."""
        return self._interval(self.first, self.last)

    def _interval(self, first: date, last: date) -> Interval:
        zone = ZoneInfo(self.timezone)
        return Interval(
            first, last, begin_of(first, zone), begin_of(last + timedelta(days=1), zone)
        )

    def within(self, table: Any) -> list[sa.ColumnElement[bool]]:
        """Return as SQL that a row's ``website`` and ``store_view`` are among those asked for.

        No index of websites is of use: the days say which rows these are.
        """
        kind, _, code = self.scope.partition(":")
        found: list[sa.ColumnElement[bool]] = []
        website = table.website.concat("")
        if self.websites is not None:
            found.append(website.in_(sorted(self.websites)))
        if kind == WEBSITE:
            found.append(website == code)
        elif kind == STORE:
            found.append(table.store_view == code)
        return found

    def store_views(self) -> Sequence[str]:
        """Return the codes of the store views that are asked for, of those the store has."""
        kind, _, code = self.scope.partition(":")
        return [
            view.code
            for website in host().websites()
            for view in website.store_views
            if self.websites is None or website.code in self.websites
            if not kind or code == (website.code if kind == WEBSITE else view.code)
        ]

    def as_arguments(self) -> dict[str, str]:
        """Return the arguments of the address that leads here."""
        return {
            "store": self.scope,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "by": self.by,
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for as it was typed, and the period, None where it cannot be one.

    ``errors`` are by the field of :data:`FIELDS`: ``date`` is no day, ``order`` a To before
    From, ``many`` more than :data:`MOST_INTERVALS`, ``choice`` an unknown store or interval.
    """

    typed: Mapping[str, str]
    period: Period | None
    errors: Mapping[str, str] = field(default_factory=dict)


class BadPeriod(ValueError):
    """One field of what was asked for cannot be read; the text is the error's code."""


def begin_of(day: date, zone: ZoneInfo) -> datetime:
    """Return where a day begins in a zone, in UTC without a zone."""
    return as_kept(datetime.combine(day, time(), zone))


def reachable() -> Sequence[Website]:
    """Return the websites that this request may see reports of, the default one first."""
    return [each for each in host().websites() if includes(each.code)]


def read_period(arguments: Mapping[str, str]) -> Asked:
    """Read ``store``, ``from``, ``to`` and ``by``; what is missing has its default.

    Days look like 2026-11-30. Without days, the last :data:`DEFAULT_DAYS`; by day. A store
    may be given by its code alone, too: a store view's, then a website's.
    """
    typed = {name: arguments.get(name, "").strip()[:LONGEST] for name in FIELDS}
    errors: dict[str, str] = {}

    def read(name: str, reader: Callable[[str], Any]) -> Any:
        try:
            return reader(typed[name])
        except BadPeriod as error:
            errors[name] = str(error)
            return None

    store, view = read("store", _read_scope) or ("", _default_view())
    today = day_of(now(), view.timezone)
    last = read("to", lambda text: _read_day(text) if text else today)
    earliest = (last or today) - timedelta(days=DEFAULT_DAYS - 1)
    first = read("from", lambda text: _read_day(text) if text else earliest)
    by = read("by", _read_unit)
    if first and last and last < first:
        errors["to"] = "order"
    elif first and last and by and _is_too_long(first, last, by):
        errors["by"] = "many"
    if errors:
        return Asked(typed, None, errors)
    period = Period(store, first, last, by, view.timezone, limited_to())
    return Asked(typed | period.as_arguments(), period)


def preset(name: str, period: Period) -> Period:
    """Return a period of one of :data:`PRESETS` that ends today, for the same store views.

    This year is shown by month, the last 90 days by week, fewer by day.
    """
    today = day_of(now(), period.timezone)
    by = {"year": "month", "90": "week"}.get(name, "day")
    first = today.replace(month=1, day=1)
    if name != "year":
        first = today - timedelta(days=int(name) - 1)
    return Period(period.scope, first, today, by, period.timezone, period.websites)


def _default_view() -> StoreView:
    """Return the store view whose days are those of all websites, or of a reader's only one."""
    own, everywhere = reachable(), host().websites()
    return (own if len(own) == 1 else everywhere)[0].store_views[0]


def _read_scope(text: str) -> tuple[str, StoreView]:
    """Return a scope with the store view that lends its time zone."""
    if not text:
        return "", _default_view()
    scopes = _scopes()
    for name in (text, f"{STORE}:{text}", f"{WEBSITE}:{text}"):
        if name in scopes:
            return name, scopes[name]
    raise BadPeriod("choice")


def _scopes() -> Mapping[str, StoreView]:
    """Return the scopes below all websites with the store view that lends the time zone."""
    found = {}
    for website in reachable():
        found[f"{WEBSITE}:{website.code}"] = website.store_views[0]
        found |= {f"{STORE}:{view.code}": view for view in website.store_views}
    return found


def _read_day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadPeriod("date") from error
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise BadPeriod("date")
    return day


def _read_unit(text: str) -> str:
    if text and text not in UNITS:
        raise BadPeriod("choice")
    return text or UNITS[0]


def _is_too_long(first: date, last: date, by: str) -> bool:
    shortest = {"day": 1, "week": 7, "month": 28, "year": 365}[by]
    return (last - first).days // shortest >= MOST_INTERVALS


def next_month(day: date) -> date:
    """Return the first day of the month after a day's."""
    return last_day(day, "month") + timedelta(days=1)


def last_day(day: date, by: str) -> date:
    """Return the last day of the interval that a day is in; weeks begin on Monday."""
    if by == "week":
        return day + timedelta(days=6 - day.weekday())
    if by == "month":
        following = day.replace(day=28) + timedelta(days=4)
        return following - timedelta(days=following.day)
    return day.replace(month=12, day=31) if by == "year" else day
