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

from ..database import is_among, many, parameter_of_many
from ..models import connection_of
from .columns import COLUMNS
from .columns import TABLE as I
from .narrowing import FEW, MOST_KEPT, best_path, few, sought
from .query import LAST, Condition, Form, Query, blanks, values_of
from .stretches import Key, Start, key_text, key_values, read_key, stretches

GLANCED_AT: Final = 2_000
LOOKED_THROUGH: Final = 20_000
SURVEYED: Final = 200_000
COUNTED: Final = 10_000
# Invitations stay: where there were more than are counted, there still are a moment later.
REMEMBERED: Final = 60.0  # seconds
_MANY_UNTIL: Final[MutableMapping[Any, float]] = WeakKeyDictionary()  # by engine
MOST: Final[Any] = sa.bindparam("most", type_=sa.Integer)
_ONES: Final[Any] = sa.select(sa.literal_column("1").label("one")).select_from(I.id.table)
EVERYTHING: Final[Any] = sa.select(sa.func.count()).select_from(_ONES.limit(MOST).subquery())
ONE: Final[Any] = sa.literal_column("1")
WANTED: Final[Any] = sa.bindparam("wanted", type_=sa.Integer)
# A plan that is kept knows no number that comes as a parameter, and would rather sort all rows.
WANTED_IN_WRITING: Final[Any] = sa.bindparam("wanted", type_=sa.Integer, literal_execute=True)
BEFORE_LAST: Final[Any] = sa.bindparam("before_last", type_=sa.Integer)
MOST_NUMBERED: Final[Any] = sa.bindparam("most_numbered", type_=sa.Integer)
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
    if _counts_itself(query.form()):
        found = _walk(db, query)
        if found.rows:
            number = found.rows[0].number
            return _page(query, found, Total(min(number, FEW), number > FEW))
    narrowed = few(db, query.given)
    if narrowed is None:
        found = _walk(db, query)
        total = _count(db, query, found)
    else:
        ids, is_all = narrowed
        found = _pick(db, query, _nearest(query, ids) if is_all else ids)
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


@dataclass(frozen=True, slots=True)
class _Walk:
    """One range: its page as a statement, and the one of where looking through it ends.

    They take ``wanted``, how many rows at most, and ``before_last``, how many are passed over.
    """

    rows: sa.Select[Any]
    last: sa.Select[Any]


def _nearest(query: Query, ids: Sequence[int]) -> Sequence[int]:
    """Return of ids that all match those that the page can show, where their order tells."""
    if query.sort != "id":
        return ids
    key, is_down = read_key(query), query.descending != bool(query.before)
    if key is not None:
        ids = [each for each in ids if (each < key[1] if is_down else each > key[1])]
    return sorted(ids, reverse=is_down)[: query.size + 1]


def _pick(db: sa.Connection, query: Query, ids: Sequence[int]) -> _Found:
    """Return the page's rows among a few ids."""
    if not ids:
        return _Found([], has_more=False)
    key, dialect = read_key(query), db.dialect.name
    rows: list[Any] = []
    values = values_of(query.given) | key_values(key) | {"ids": many(ids, dialect)}
    for statement in _picks(query.form(), Start.of(key), dialect):
        missing = query.size + 1 - len(rows)
        if missing > 0:
            rows += db.execute(statement, values | {"wanted": missing})
    return _Found(rows[: query.size], len(rows) > query.size)


@lru_cache(maxsize=MOST_KEPT)
def _picks(form: Form, start: Start, dialect: str) -> list[sa.Select[Any]]:
    """Return the statements of a page among ``ids``, one a range."""
    ids = is_among(I.id, parameter_of_many("ids", dialect), dialect)
    statement = _rows(form).where(ids, *(each.as_sql() for each in form.given))
    ranges = stretches(form, start, None, dialect)
    return [stretch.within(statement, "").limit(WANTED) for stretch in ranges]


def _rows(form: Form) -> sa.Select[Any]:
    """Return what is read of each row, which is the same from page to page."""
    columns = form.columns
    shown = [COLUMNS[code].value().label(code) for code in columns if code != "id"]
    key = COLUMNS[form.sort].order().label("key")
    needed = [I.inviter_key] if {"email", "inviter"} & set(columns) else []
    status = [] if "status" in columns else [I.status]
    everybody = I.id.table.alias("everybody")
    last = sa.select(everybody.c.id).order_by(everybody.c.id.desc()).limit(ONE)
    highest = last.scalar_subquery().label("highest")  # planned sooner than the maximum
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
    limits = {"most": most, "before_last": most - 1, "most_numbered": FEW + 1}
    values = values_of(query.given) | key_values(key) | limits
    walks, has_rest = _walks(query.form(), Start.of(key), db.dialect.name)
    rows: list[Any] = []
    for walk in walks:
        missing = query.size + 1 - len(rows)
        if missing <= 0:
            break
        rows += db.execute(walk.rows, values | {"wanted": missing})
        if has_rest and len(rows) <= query.size:
            last = db.execute(walk.last, values).first()
            if last is not None:
                return _Found(rows, True, (last.key, last.id))
    return _Found(rows[: query.size], len(rows) > query.size)


@lru_cache(maxsize=MOST_KEPT)
def _walks(form: Form, start: Start, dialect: str) -> tuple[list[_Walk], bool]:
    """Return how each range is walked, and whether filters leave some of its rows out."""
    driver, own, rest = _parted(form)
    statement = _rows(form).where(*own)
    if _counts_itself(form):
        statement = statement.add_columns(_number(form.given, dialect))
    ranges = [each.within(statement, dialect) for each in stretches(form, start, driver, dialect)]
    walks = [
        _Walk(_among_the_first(each, rest, dialect), each.offset(BEFORE_LAST).limit(1))
        for each in ranges
    ]
    return walks, bool(rest)


@lru_cache(maxsize=MOST_KEPT)
def _counts_itself(form: Form) -> bool:
    """Return whether the filters are the walk's own and an index's: then one statement does."""
    path = best_path(form.given)
    return bool(path.sought) and len(path.covered) == len(form.given) and not _parted(form)[2]


def _number(given: tuple[Condition, ...], dialect: str) -> sa.ColumnElement[int]:
    """Return how many match, at most one more than a few, as an index says."""
    some = sa.select(I.id).where(*sought(best_path(given), dialect)).limit(MOST_NUMBERED).subquery()
    return sa.select(sa.func.count()).select_from(some).scalar_subquery().label("number")


def _start(db: sa.Connection, query: Query, key: Key | None) -> Key | None:
    """Return the key to walk on from: the one given, or where an index says that matches begin."""
    given = blanks(query.given)
    if query.sort != "id" or not best_path(given).sought:
        return key
    values = values_of(query.given) | {"most": SURVEYED + 1}
    first, last, number = db.execute(_ends(given, db.dialect.name), values).one()
    if number > SURVEYED:
        return key
    descending = query.descending != bool(query.before)
    start = last + 1 if descending else first - 1
    if key is not None:
        start = min(start, key[1]) if descending else max(start, key[1])
    return start, start


@lru_cache(maxsize=MOST_KEPT)
def _ends(given: tuple[Condition, ...], dialect: str) -> Any:
    """Return the first and last id that an index has for filters, and how many, up to ``most``."""
    matching = sa.select(I.id).where(*sought(best_path(given), dialect)).limit(MOST).subquery()
    ends = sa.select(sa.func.min(matching.c.id), sa.func.max(matching.c.id), sa.func.count())
    return ends.select_from(matching)


def _parted(
    form: Form,
) -> tuple[Condition | None, list[sa.ColumnElement[bool]], list[Condition]]:
    """Part the filters: the value that drives the walk, those on its order, and the rest."""
    drivers = {"id": DRIVERS, "sent": ("status",)}.get(form.sort, ())
    values = {each.column.code: each for each in form.given if each.sign == "="}
    driver = next((values[code] for code in drivers if code in values), None)
    own = [
        each
        for each in form.given
        if each.column.code == form.sort and each.sign != "contains" and each is not driver
    ]
    rest = [each for each in form.given if each not in own and each is not driver]
    return driver, [each.as_sql() for each in own], rest


def _among_the_first(
    walked: sa.Select[Any], rest: Sequence[Condition], dialect: str
) -> sa.Select[Any]:
    """Return the rows of a walk as a query, of its first ``most`` those that filters leave."""
    if not rest:
        return walked.limit(WANTED if dialect == "sqlite" else WANTED_IN_WRITING)
    named = sorted({each.column.attribute for each in rest})
    wanted = [I[name].label(f"of_{name}") for name in named]
    inner = walked.add_columns(*wanted).limit(MOST).subquery()
    given = [each.as_sql(_Filtered(inner)) for each in rest]
    shown = [column for column in inner.c if not column.key.startswith("of_")]
    return sa.select(*shown).where(*given).limit(WANTED)


class _Filtered:
    """The columns of a subquery that filters look at, by the names of the invitation's."""

    def __init__(self, subquery: sa.Subquery) -> None:
        self._columns = subquery.c

    def __getattr__(self, name: str) -> Any:
        return self._columns[f"of_{name}"]


def _count(db: sa.Connection, query: Query, found: _Found) -> Total:
    """Return how many rows match as far as an index tells at once."""
    if not query.given:
        return _count_everything(db)
    path = best_path(blanks(query.given))
    if path.sought and len(path.covered) == len(query.given):
        return Total(FEW, True)  # fewer would have been picked
    is_whole = not (found.has_more or query.before or query.after)
    return Total(len(found.rows), not is_whole)


def _count_everything(db: sa.Connection) -> Total:
    if monotonic() < _MANY_UNTIL.get(db.engine, 0.0):
        return Total(COUNTED, True)
    number = db.scalar(EVERYTHING, {"most": COUNTED + 1}) or 0
    if number > COUNTED:
        _MANY_UNTIL[db.engine] = monotonic() + REMEMBERED
    return Total(min(number, COUNTED), number > COUNTED)


def _count_among(db: sa.Connection, query: Query, ids: Sequence[int]) -> int:
    if not ids:
        return 0
    given, dialect = blanks(query.given), db.dialect.name
    values = values_of(query.given) | {"ids": many(ids, dialect)}
    return db.scalar(_counted_among(given, dialect), values) or 0


@lru_cache(maxsize=MOST_KEPT)
def _counted_among(given: tuple[Condition, ...], dialect: str) -> sa.Select[Any]:
    ids = is_among(I.id, parameter_of_many("ids", dialect), dialect)
    return sa.select(sa.func.count(I.id)).where(ids, *(each.as_sql() for each in given))


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
