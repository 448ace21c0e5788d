"""What the address of the grid asks for, read and checked."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from .. import scope
from ..digits import whole_number
from .columns import COLUMN_OF, COLUMNS, DEFAULT_COLUMNS, FILTERS, TABLE, Bought, Column, Kind

SIZES: Final = (20, 30, 50, 100, 200)
DENSITIES: Final = ("dense", "comfortable")
LONGEST = 320
LAST = "last"
INVITED_BY_STAFF = "-"  # in place of an inviter's key
ANYTHING, EXACTLY = "*", "="  # behind a text: what begins with it; before one: what it is
SIGNS: Final[Mapping[str, Callable[[Any, Any], sa.ColumnElement[bool]]]] = {
    "=": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    "<": operator.lt,
    "in": lambda column, values: column.in_(values),
}
# The invitations that led to a purchase; the reports keep them.
PURCHASES: Final = sa.table("invitations_purchase", sa.column("invitation_id"))
BEHIND_ALL = "\U0010ffff"
ESCAPE: Final = "/"
SPECIAL: Final = re.compile("[/%_]")  # what LIKE does not take for itself
SHORTEST_PART = 3  # letters that an address is searched for anywhere; fewer begin it
# As both databases fold: a letter beyond ASCII stays what it is.
FOLDED: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter, read: ``sign`` is one of :data:`SIGNS`, ``begins``, ``contains``, ``bought``."""

    column: Column
    sign: str
    value: Any

    def operands(self) -> list[Any]:
        """Return what its SQL compares the column with."""
        if self.sign == "begins":  # as a range: an index has it
            return [self.value, self.value + BEHIND_ALL]
        if self.sign == "contains":
            return [pattern(self.value)]
        return [] if self.sign == "bought" else [self.value]

    def as_sql(self, source: Any = TABLE) -> sa.ColumnElement[bool]:
        """Return the filter as SQL, of the invitations or the columns of a subquery."""
        value = self.column.value(source)
        if self.sign == "bought":
            has_bought: sa.ColumnElement[bool] = value.in_(sa.select(PURCHASES.c.invitation_id))
            return has_bought if self.value else ~has_bought
        compared = sa.func.lower(value) if self.column.kind == Kind.TEXT else value
        first, *second = self.operands()
        if self.sign == "begins":
            return sa.and_(compared >= first, compared < second[0])
        if self.sign == "contains":
            found: sa.ColumnElement[bool] = compared.like(first, escape=ESCAPE)
            return found
        return SIGNS[self.sign](compared, first)

    def blank(self, place: int) -> Condition:
        """Return the same filter of any value, as the one at a place of a form."""
        return self if self.sign == "bought" else Blank(self.column, self.sign, place)


class Blank(Condition):
    """A filter without its value, which is given when the statement is run."""

    __slots__ = ()

    def operands(self) -> list[Any]:
        """Return parameters by the names that :func:`values_of` gives values to."""
        number = 2 if self.sign == "begins" else 1
        own = None if self.sign == "contains" else self.column.value().type
        names = (_operand(self.value, each) for each in range(number))
        return [sa.bindparam(name, type_=own, expanding=self.sign == "in") for name in names]


def blanks(given: Sequence[Condition]) -> tuple[Condition, ...]:
    """Return filters without their values: those that are alike share their statements."""
    return tuple(each.blank(place) for place, each in enumerate(given))


def values_of(given: Sequence[Condition]) -> dict[str, Any]:
    """Return what a statement made of :func:`blanks` is run with."""
    return {
        _operand(place, number): value
        for place, each in enumerate(given)
        for number, value in enumerate(each.operands())
    }


def _operand(place: int, number: int) -> str:
    return f"filter_{place}_{number}"


def pattern(text: str) -> str:
    """Return what LIKE finds a text by, anywhere, with :data:`ESCAPE` before its own signs."""
    escaped = SPECIAL.sub(lambda found: ESCAPE + found[0], text)
    return f"%{escaped}%"


@dataclass(frozen=True, slots=True)
class Form:
    """What a query asks for without its values, so that its statements can be kept."""

    given: tuple[Condition, ...]
    columns: tuple[str, ...]
    sort: str
    descending: bool
    is_backwards: bool


@dataclass(frozen=True, slots=True)
class Query:
    """What the address of the grid asks for; ``errors`` are by the filter's name.

    ``view`` is the id of the saved view it came from, "0" where none is wanted; ``zone`` is
    whose days it means, "" for the reader's; ``report`` is what it was opened from.
    """

    filters: Mapping[str, str]
    given: Sequence[Condition]
    errors: Mapping[str, str] = field(default_factory=dict)
    sort: str = "id"
    descending: bool = True
    size: int = SIZES[0]
    after: str = ""
    before: str = ""
    columns: Sequence[str] = DEFAULT_COLUMNS
    density: str = DENSITIES[0]
    view: str = ""
    zone: str = ""
    report: str = ""

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """The filters that could be read, as SQL."""
        return [each.as_sql() for each in self.given]

    @property
    def is_by_values(self) -> bool:
        """Whether each filter is for one value: a range or a part of a text may be of few rows
        or of nearly all.
        """
        return all(each.sign == "=" for each in self.given)

    def form(self) -> Form:
        """Return the query without its values."""
        columns = tuple(self.columns)
        return Form(blanks(self.given), columns, self.sort, self.descending, bool(self.before))

    def in_force(self) -> list[str]:
        """Return the names of the filters that could be read."""
        return [name for name, text in self.filters.items() if text and name not in self.errors]

    def as_arguments(self) -> dict[str, str]:
        """Return the address's arguments that lead here, without the page."""
        kept = {"view": self.view, "report": self.report}
        return self.state() | {name: text for name, text in kept.items() if text}

    def as_fields(self) -> dict[str, str]:
        """Return the same with the page: what a form of the grid carries along."""
        page = {"after": self.after, "before": self.before}
        return self.as_arguments() | {name: text for name, text in page.items() if text}

    def state(self) -> dict[str, str]:
        """Return what a saved view keeps of the address: all but the page and the view."""
        chosen = {name: value for name, value in self.filters.items() if value}
        if (self.sort, self.descending) != ("id", True):
            chosen |= {"sort": self.sort, "dir": "desc" if self.descending else "asc"}
        if self.size != SIZES[0]:
            chosen["size"] = str(self.size)
        if tuple(self.columns) != DEFAULT_COLUMNS:
            chosen["columns"] = ",".join(self.columns)
        if self.density != DENSITIES[0]:
            chosen["density"] = self.density
        if self.zone:
            chosen["zone"] = self.zone
        return chosen


class BadFilter(ValueError):
    """A filter that cannot be read; the text names what is expected, in English."""


def read_query(arguments: Mapping[str, str], timezone: str) -> Query:
    """Read the grid's query arguments; days are those of a time zone, or of the one named.

    What cannot be read is kept as typed and named in ``errors``. Rows that the reader may
    not know of never match.
    """
    filters = {name: arguments.get(name, "").strip()[:LONGEST] for name in FILTERS}
    given = _limits(scope.websites())
    zone = _zone(arguments.get("zone", ""), timezone)
    errors: dict[str, str] = {}
    for name, text in filters.items():
        if not text:
            continue
        try:
            given.append(_condition(name, text, ZoneInfo(zone or timezone)))
        except BadFilter as error:
            errors[name] = str(error)
    sort, density = arguments.get("sort", "id"), arguments.get("density", "")
    size = arguments.get("size", "")
    return Query(
        filters,
        given,
        errors,
        sort if sort in COLUMNS else "id",
        arguments.get("dir", "desc") != "asc",
        int(size) if size in {str(each) for each in SIZES} else SIZES[0],
        arguments.get("after", ""),
        arguments.get("before", ""),
        _columns(arguments.get("columns", "")),
        density if density in DENSITIES else DENSITIES[0],
        _view(arguments.get("view", "")),
        zone,
        arguments.get("report", "")[:LONGEST],
    )


def _limits(websites: scope.Websites) -> list[Condition]:
    if websites is None:
        return []
    codes = sorted(websites)
    sign, value = ("=", codes[0]) if len(codes) == 1 else ("in", codes)
    return [Condition(COLUMNS["website"], sign, value)]


def _zone(text: str, timezone: str) -> str:
    """Return the time zone that an address names, "" for the reader's own or what is none."""
    if text in ("", timezone):
        return ""
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "Europe" is a folder
        return ""


def _view(text: str) -> str:
    """Return a saved view's id as the address has it, "" where it cannot be one."""
    try:
        return str(read_number(text))
    except BadFilter:
        return ""


def _columns(text: str) -> tuple[str, ...]:
    """Return the columns an address names, each once and in its order; the default without."""
    named = tuple(dict.fromkeys(code for code in text.split(",") if code in COLUMNS))
    return named or DEFAULT_COLUMNS


def _condition(name: str, text: str, zone: ZoneInfo) -> Condition:
    """Return one filter, read.

    :raises BadFilter: when its text is not of the filter's kind.
    """
    column = COLUMN_OF[name]
    is_end = name.endswith("_to")
    if column.kind == Kind.NUMBER:
        return Condition(column, "<=" if is_end else ">=", read_number(text))
    if column.kind == Kind.DAY:
        day = _day(text) + timedelta(days=int(is_end))
        return Condition(column, "<" if is_end else ">=", _midnight(day, zone))
    text = text.replace("\x00", "")
    if column.kind == Kind.KEY:
        return Condition(column, "=", "" if text == INVITED_BY_STAFF else text)
    if column.kind == Kind.TEXT:
        return _part(column, text)
    if column.values is not None and text not in list(column.values):
        raise BadFilter("choice")
    if column.values is Bought:
        return Condition(column, "bought", text == Bought.YES)
    return Condition(column, "=", text)


def _part(column: Column, text: str) -> Condition:
    """Return the filter of a text, in any case: what contains it, begins with it or is it."""
    folded = text.translate(FOLDED)
    if folded.startswith(EXACTLY):
        return Condition(column, "=", folded.removeprefix(EXACTLY).strip())
    wanted = folded.removesuffix(ANYTHING).strip()
    is_short = column.has_search and len(wanted) < SHORTEST_PART
    return Condition(column, "begins" if is_short or wanted != folded else "contains", wanted)


def read_number(text: str) -> int:
    """Read a number that an id may be.

    :raises BadFilter: when it is none.
    """
    number = whole_number(text)
    if number is None:
        raise BadFilter("number")
    return number


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadFilter("date") from error
    if not 1970 <= day.year <= 9998:
        raise BadFilter("date")
    return day


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return where a day begins in a zone, in UTC without a zone."""
    return datetime.combine(day, time(), zone).astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
