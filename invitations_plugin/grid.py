"""The back office's grid: filters, sort and pages as SQL; it knows no HTML.

Pages are found by key, not by offset: each page is one to three index ranges in sort
order, so the last page costs what the first one does and no row shows twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from . import scope
from .database import among
from .models import Invitation, Status

I = Invitation  # noqa: E741  # named once, used on every line below
SORTS: Final[dict[str, InstrumentedAttribute[Any]]] = {
    "id": I.id,
    "email": I.inviter_email,
    "invitee": I.email,
    "sent": I.sent_at,
    "registered": I.registered_at,
    "status": I.status,
    "website": I.website,
    "group": I.group_code,
}
NULLABLE: Final = frozenset(c.key for c in SORTS.values() if I.__table__.c[c.key].nullable)
FILTERS: Final = (
    "id_from",
    "id_to",
    "email",
    "invitee",
    "sent_from",
    "sent_to",
    "registered_from",
    "registered_to",
    "status",
    "website",
    "group",
)
SIZES: Final = (20, 30, 50, 100, 200)
COUNT_CAP: Final = 10_000
LONGEST = 320
BIGGEST_ID = 2**63 - 1
LAST = "last"

ROW_COLUMNS = (
    I.id,
    I.inviter_email,
    I.inviter_key,
    I.email,
    I.sent_at,
    I.registered_at,
    I.status,
    I.website,
    I.group_code,
)
Row = sa.Row[
    tuple[int, str | None, str, str | None, datetime | None, datetime | None, str, str, str]
]


@dataclass(frozen=True, slots=True)
class Query:
    """What the address of the grid asks for; ``errors`` are by the filter's name."""

    filters: Mapping[str, str]
    conditions: Sequence[sa.ColumnElement[bool]]
    errors: Mapping[str, str] = field(default_factory=dict)
    sort: str = "id"
    descending: bool = True
    size: int = SIZES[0]
    after: str = ""
    before: str = ""

    def in_force(self) -> list[str]:
        """Return the names of the filters that could be read."""
        return [name for name, text in self.filters.items() if text and name not in self.errors]

    def as_arguments(self) -> dict[str, str]:
        """Return the address's arguments that lead here, without the page."""
        chosen = {name: value for name, value in self.filters.items() if value}
        if (self.sort, self.descending) != ("id", True):
            chosen |= {"sort": self.sort, "dir": "desc" if self.descending else "asc"}
        if self.size != SIZES[0]:
            chosen["size"] = str(self.size)
        return chosen


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows, and the keys that the pages beside it start from."""

    rows: Sequence[Row]
    previous: str | None
    next: str | None


class BadFilter(ValueError):
    """A filter that cannot be read; the text names what is expected, in English."""


def read_query(arguments: Mapping[str, str], timezone: str) -> Query:
    """Read the grid's query arguments; days are those of a time zone.

    What cannot be read is kept as typed and named in ``errors``. Rows that the reader may
    not know of never match.
    """
    filters = {name: arguments.get(name, "").strip()[:LONGEST] for name in FILTERS}
    conditions = scope.within(scope.websites())
    errors: dict[str, str] = {}
    for name, text in filters.items():
        if not text:
            continue
        try:
            conditions.append(_condition(name, text, ZoneInfo(timezone)))
        except BadFilter as error:
            errors[name] = str(error)
    sort = arguments.get("sort", "id")
    size = arguments.get("size", "")
    return Query(
        filters,
        conditions,
        errors,
        sort if sort in SORTS else "id",
        arguments.get("dir", "desc") != "asc",
        int(size) if size in {str(each) for each in SIZES} else SIZES[0],
        arguments.get("after", ""),
        arguments.get("before", ""),
    )


def _condition(name: str, text: str, zone: ZoneInfo) -> sa.ColumnElement[bool]:
    """Return one filter as SQL.

    :raises BadFilter: when its text is not of the filter's kind.
    """
    if name in ("id_from", "id_to"):
        number = _number(text)
        return I.id >= number if name == "id_from" else I.id <= number
    if name in ("email", "invitee"):
        column = I.inviter_email if name == "email" else I.email
        return column.icontains(text.replace("\x00", ""), autoescape=True)
    if name == "status":
        return I.status == _status(text)
    if name in ("website", "group"):
        return (I.website if name == "website" else I.group_code) == text.replace("\x00", "")
    column_name, _, end = name.partition("_")
    moment = I.sent_at if column_name == "sent" else I.registered_at
    day = _day(text)
    if end == "from":
        return moment >= _midnight(day, zone)
    return moment < _midnight(day + timedelta(days=1), zone)


def _number(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or int(text) > BIGGEST_ID:
        raise BadFilter("number")
    return int(text)


def _status(text: str) -> Status:
    try:
        return Status(text)
    except ValueError as error:
        raise BadFilter("choice") from error


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


def read_page(session: Session, query: Query) -> Page:
    """Return the page that a query asks for."""
    backwards = bool(query.before)
    rows: list[Row] = []
    for segment in _segments(query):
        missing = query.size + 1 - len(rows)
        if missing <= 0:
            break
        rows += session.execute(segment.limit(missing)).all()
    more, rows = len(rows) > query.size, rows[: query.size]
    if backwards:
        rows.reverse()
    has_previous = more if backwards else bool(query.after)
    has_next = query.before not in ("", LAST) if backwards else more
    return Page(
        rows,
        _key(rows[0], query.sort) if rows and has_previous else None,
        _key(rows[-1], query.sort) if rows and has_next else None,
    )


def _segments(query: Query) -> Iterator[sa.Select[Any]]:
    """Yield the index ranges of a page in the order it is read.

    Rows without a value come last; SQLite seeks only on one column of a pair, so a pair
    is two ranges: the rest of the key's own value, then the values beyond.
    """
    backwards = bool(query.before)
    descending = query.descending != backwards
    column = SORTS[query.sort]
    order = [column.desc(), I.id.desc()] if descending else [column.asc(), I.id.asc()]
    base = cast("sa.Select[Any]", sa.select(*ROW_COLUMNS).where(*query.conditions))
    # PostgreSQL leaves the index's order for a condition that says nothing.
    valued = base.where(column.is_not(None)) if column.key in NULLABLE else base
    valued, empty = valued.order_by(*order), base.where(column.is_(None)).order_by(order[-1])
    has_empty = column.key in NULLABLE and not _has_a_value(query)
    key = _read_key(query)
    if key is None:
        yield from _in_reading_order(valued, empty, backwards, has_empty)
        return
    value, row_id = key
    beyond_id = I.id < row_id if descending else I.id > row_id
    if value is None:
        yield empty.where(beyond_id)
        if backwards:
            yield valued
        return
    if query.sort != "id":
        yield base.where(column == value, beyond_id).order_by(order[-1])
    yield valued.where(column < value if descending else column > value)
    if has_empty and not backwards:
        yield empty


def _has_a_value(query: Query) -> bool:
    """Return whether a filter leaves out all rows that have no value to sort by."""
    on_it = (query.sort, f"{query.sort}_from", f"{query.sort}_to")
    return any(name in on_it for name in query.in_force())


def _in_reading_order(
    valued: sa.Select[Any], empty: sa.Select[Any], backwards: bool, has_empty: bool
) -> Iterator[sa.Select[Any]]:
    if backwards and has_empty:
        yield empty
    yield valued
    if not backwards and has_empty:
        yield empty


def _key(row: Row, sort: str) -> str:
    """Return what a page's address calls a row: its id and its value in the sort's column."""
    value = getattr(row, SORTS[sort].key)
    if value is None:
        return str(row.id)
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"{row.id}:{text}"


def _read_key(query: Query) -> tuple[Any, int] | None:
    """Return the value and id that a page starts from, None for its end or what is no key."""
    row_id, has_value, text = (query.before or query.after).partition(":")
    try:
        number = _number(row_id)
        if not has_value:
            return None if query.sort == "id" else (None, number)
        if query.sort == "id":
            return number, number
        if query.sort in ("sent", "registered"):
            return datetime.fromisoformat(text).replace(tzinfo=None), number
        return text.replace("\x00", ""), number
    except ValueError:
        return None


def count(session: Session, query: Query) -> tuple[int, bool]:
    """Return how many rows match, and whether there are more than that."""
    capped = sa.select(I.id).where(*query.conditions).limit(COUNT_CAP + 1).subquery()
    found = session.scalar(sa.select(sa.func.count()).select_from(capped)) or 0
    return min(found, COUNT_CAP), found > COUNT_CAP


def highest_id(session: Session) -> int:
    """Return the highest id there is: "all" means nothing that comes later."""
    return session.scalar(sa.select(sa.func.max(I.id))) or 0


@dataclass(frozen=True, slots=True)
class Selection:
    """What an action is about: some ids, or all that a query matches up to an id.

    ``websites`` are those of whoever makes it, None for all; others' rows are not in it.
    """

    ids: Sequence[int] = ()
    query: Query | None = None
    upto: int = 0
    exclude: Sequence[int] = ()
    websites: scope.Websites = field(default_factory=scope.websites)

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the selection as SQL."""
        limits = scope.within(self.websites)
        if self.query is None:
            return [among(I.id, self.ids), *limits]
        chosen = [*self.query.conditions, I.id <= self.upto, *limits]
        return [*chosen, ~among(I.id, self.exclude)] if self.exclude else chosen


def next_ids(session: Session, selection: Selection, position: int, number: int) -> list[int]:
    """Return up to so many ids of a selection behind a place, ascending."""
    query = sa.select(I.id).where(*selection.conditions(), I.id > position)
    return list(session.scalars(query.order_by(I.id).limit(number)))
