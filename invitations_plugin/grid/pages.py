"""Pages of the grid, found by key and not by offset, each by an index.

So the last page costs what the first one does, and no row shows twice. What no index serves
is looked for among the next :data:`LOOKED_THROUGH` rows, and the page says so.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import Any, Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..database import among
from ..models import connection_of
from .columns import COLUMNS
from .columns import TABLE as I
from .narrowing import FEW, best_path, few, sought
from .query import LAST, Condition, Query
from .stretches import Key, key_text, read_key, stretches

GLANCED_AT: Final = 2_000
LOOKED_THROUGH: Final = 20_000
SURVEYED: Final = 200_000
COUNTED: Final = 10_000
ANY: Final[Any] = sa.literal_column("1").label("one")  # of a row that is only counted
# Invitations stay: where there were more than are counted, there still are a moment later.
REMEMBERED: Final = 60.0  # seconds
_MANY_UNTIL: Final[MutableMapping[Any, float]] = WeakKeyDictionary()  # by engine
MOST_KEPT: Final = 200  # columns and orders whose statement is kept
# What the newest-first order can be walked by: the value of one of these, in its index.
DRIVERS: Final = (
    "inviter_key",
    "invitee",
    "email",
    "inviter",
    "status",
    "group",
    "mail",
    "website",
)


@dataclass(frozen=True, slots=True)
class Total:
    """How many rows match; ``is_more`` says that there are more, or perhaps, than that."""

    number: int
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows, and the keys that the pages beside it start from.

    With ``is_partial`` it holds what was found among the rows looked through: the page
    beside it goes on from the last one of those.
    """

    rows: Sequence[Any]
    previous: str | None
    next: str | None
    total: Total
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows in reading order, whether more follow, and where looking for them ended early."""

    rows: Sequence[Any]
    has_more: bool
    stopped_at: Key | None = None


def read_page(session: Session, query: Query) -> Page:
    """Return the page that a query asks for.

    Its rows have the columns' codes as names, and ``id``, ``inviter_key``, ``key`` and
    ``highest``, the highest id there is: "all" means nothing that comes later.
    """
    db = connection_of(session)
    narrowed = few(db, query.given)
    if narrowed is None:
        found = _walk(db, query)
        total = _count(db, query, found)
    else:
        ids, is_all = narrowed
        found = _pick(db, query, ids)
        total = Total(len(ids) if is_all else _count_among(db, query, ids))
    return _page(query, found, total)


def _page(query: Query, found: _Found, total: Total) -> Page:
    """Put rows into the order that is shown, with the keys of the pages beside theirs."""
    rows = list(reversed(found.rows)) if query.before else list(found.rows)
    first, last = (key_text((rows[at].key, rows[at].id)) if rows else None for at in (0, -1))
    further = key_text(found.stopped_at) if found.stopped_at else None
    is_partial = further is not None
    if query.before:
        before = further or (first if found.has_more else None)
        after = None if query.before == LAST else last or query.before
    else:
        before = (first or query.after) if query.after else None
        after = further or (last if found.has_more else None)
    return Page(rows, before, after, total, is_partial)


def _pick(db: sa.Connection, query: Query, ids: Sequence[int]) -> _Found:
    """Return the page's rows among a few ids."""
    rows: list[Any] = []
    statement = _rows_of(query).where(among(I.id, ids), *query.conditions)
    for stretch in stretches(query, read_key(query), None):
        missing = query.size + 1 - len(rows)
        if missing > 0:
            rows += db.execute(stretch.within(statement, "").limit(missing))
    return _Found(rows[: query.size], len(rows) > query.size)


def _rows_of(query: Query) -> sa.Select[Any]:
    return _rows(tuple(query.columns), query.sort)


@lru_cache(maxsize=MOST_KEPT)
def _rows(columns: Sequence[str], sort: str) -> sa.Select[Any]:
    """Return what is read of each row, which is the same from page to page."""
    shown = [COLUMNS[code].value().label(code) for code in columns if code != "id"]
    key = COLUMNS[sort].order().label("key")
    needed = [I.inviter_key] if {"email", "inviter"} & set(columns) else []
    status = [] if "status" in columns else [I.status]
    everybody = I.id.table.alias("everybody")
    highest = sa.select(sa.func.max(everybody.c.id)).scalar_subquery().label("highest")
    return sa.select(I.id, *shown, *status, *needed, key, highest)


def _walk(db: sa.Connection, query: Query) -> _Found:
    """Return the page's rows by walking in its order, and where that had to end early.

    Mostly a glance is enough; if not, from where the first match is at the earliest.
    """
    key = read_key(query)
    found = _look(db, query, key, GLANCED_AT)
    if found.stopped_at is None:
        return found
    return _look(db, query, _start(db, query, key), LOOKED_THROUGH)


def _look(db: sa.Connection, query: Query, key: Key | None, most: int) -> _Found:
    """Return the page's rows among the next so many behind a key."""
    driver, own, rest = _parted(query)
    dialect = db.dialect.name
    rows: list[Any] = []
    for stretch in stretches(query, key, driver):
        missing = query.size + 1 - len(rows)
        if missing <= 0:
            break
        walked = stretch.within(_rows_of(query).where(*own), dialect)
        rows += db.execute(_among_the_first(walked, rest, most, missing))
        if rest and len(rows) <= query.size:
            last = db.execute(walked.offset(most - 1).limit(1)).first()
            if last is not None:
                return _Found(rows, True, (last.key, last.id))
    return _Found(rows[: query.size], len(rows) > query.size)


def _start(db: sa.Connection, query: Query, key: Key | None) -> Key | None:
    """Return the key to walk on from: the one given, or where an index says that matches begin."""
    path = best_path(query.given)
    if query.sort != "id" or not path.sought:
        return key
    matching = sa.select(I.id).where(*sought(db, path)).limit(SURVEYED + 1).subquery()
    ends = sa.select(sa.func.min(matching.c.id), sa.func.max(matching.c.id), sa.func.count())
    first, last, number = db.execute(ends.select_from(matching)).one()
    if number > SURVEYED:
        return key
    descending = query.descending != bool(query.before)
    start = last + 1 if descending else first - 1
    if key is not None:
        start = min(start, key[1]) if descending else max(start, key[1])
    return start, start


def _parted(
    query: Query,
) -> tuple[Condition | None, list[sa.ColumnElement[bool]], list[Condition]]:
    """Part the filters: the value that drives the walk, those on its order, and the rest."""
    drivers = {"id": DRIVERS, "sent": ("status",)}.get(query.sort, ())
    values = {each.column.code: each for each in query.given if each.sign == "="}
    driver = next((values[code] for code in drivers if code in values), None)
    own = [
        each
        for each in query.given
        if each.column.code == query.sort and each.sign != "contains" and each is not driver
    ]
    rest = [each for each in query.given if each not in own and each is not driver]
    return driver, [each.as_sql() for each in own], rest


def _among_the_first(
    walked: sa.Select[Any], rest: Sequence[Condition], most: int, number: int
) -> sa.Select[Any]:
    """Return so many rows of a walk as a query, of its first many those that filters leave."""
    if not rest:
        return walked.limit(number)
    named = sorted({each.column.attribute for each in rest})
    wanted = [I[name].label(f"of_{name}") for name in named]
    inner = walked.add_columns(*wanted).limit(most).subquery()
    given = [each.as_sql(_Filtered(inner)) for each in rest]
    shown = [column for column in inner.c if not column.key.startswith("of_")]
    return sa.select(*shown).where(*given).limit(number)


class _Filtered:
    """The columns of a subquery that filters look at, by the names of the invitation's."""

    def __init__(self, subquery: sa.Subquery) -> None:
        self._columns = subquery.c

    def __getattr__(self, name: str) -> Any:
        return self._columns[f"of_{name}"]


def _count(db: sa.Connection, query: Query, found: _Found) -> Total:
    """Return how many rows match as far as an index tells at once."""
    if not query.given and monotonic() < _MANY_UNTIL.get(db.engine, 0.0):
        return Total(COUNTED, True)
    path = best_path(query.given)
    if len(path.sought) == len(query.given):
        matching = sa.select(ANY).select_from(I.id.table).where(*sought(db, path))
        counted = sa.select(sa.func.count()).select_from(matching.limit(COUNTED + 1).subquery())
        number = db.scalar(counted) or 0
        if number > COUNTED and not query.given:
            _MANY_UNTIL[db.engine] = monotonic() + REMEMBERED
        return Total(min(number, COUNTED), number > COUNTED)
    if len(path.covered) == len(query.given):
        return Total(FEW, True)
    is_whole = not (found.has_more or query.before or query.after)
    return Total(len(found.rows), not is_whole)


def _count_among(db: sa.Connection, query: Query, ids: Sequence[int]) -> int:
    matching = sa.select(sa.func.count(I.id)).where(among(I.id, ids), *query.conditions)
    return db.scalar(matching) or 0


def count_all(session: Session, query: Query) -> int:
    """Return how many rows match, however long that takes."""
    db = connection_of(session)
    narrowed = few(db, query.given)
    if narrowed is not None:
        return _count_among(db, query, narrowed[0])
    return db.scalar(sa.select(sa.func.count(I.id)).where(*query.conditions)) or 0


def highest_id(session: Session) -> int:
    """Return the highest id there is: "all" means nothing that comes later."""
    return connection_of(session).scalar(sa.select(sa.func.max(I.id))) or 0
