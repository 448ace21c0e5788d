"""The few rows that filters leave, found by an index, so that a page need not look for them.

Where more than :data:`FEW` match, a page is found by walking in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.sql import operators

from ..database import ids_of, in_one
from ..models import Status
from ..searchable import PREFIX, exist
from .columns import TABLE as I
from .columns import Column
from .query import ESCAPE, Condition, blanks, pattern, values_of

FEW: Final = 1_000
MOST_KEPT: Final = 500  # forms of a query whose statement of a kind is kept
PLUS: Final[Any] = operators.custom_op("+")
_SEARCHABLE: Final[WeakSet[Any]] = WeakSet()  # the engines whose databases were found to be
MOST_PARTS: Final = 30  # of three letters; more tell no rows apart
# What has an index, by the columns it is sorted by. The first stands for its end as well.
WIDE: Final = ("status", "website", "group", "sent")
PATHS: Final[Sequence[Sequence[str]]] = (
    WIDE,
    ("status", "sent"),
    ("id",),
    ("sent",),
    ("registered",),
    ("expires",),
    ("email",),
    ("invitee",),
    ("inviter",),
    ("inviter_key",),
    ("mail",),
    ("group",),
    ("website",),
)


@dataclass(frozen=True, slots=True)
class Path:
    """An index, and which of the filters it is sought by."""

    columns: Sequence[str]
    sought: Sequence[Condition]
    covered: Sequence[Condition]

    @property
    def is_spread(self) -> bool:
        """Whether it is sought under each status, for no filter names one."""
        return self.columns == WIDE and not any(
            each.column.code == "status" for each in self.sought
        )


@lru_cache(maxsize=MOST_KEPT)
def best_path(given: tuple[Condition, ...]) -> Path:
    """Return the index by which most filters can be sought."""
    return max((_along(path, given) for path in PATHS), key=_worth)


def _worth(path: Path) -> tuple[int, bool]:
    return len(path.sought), not path.is_spread


def _along(path: Sequence[str], given: Sequence[Condition]) -> Path:
    """Return how far an index serves: values one after the other, then one range."""
    sought: list[Condition] = []
    for code in path:
        here = [each for each in given if each.column.code == code and each.sign != "contains"]
        sought += here
        is_value = bool(here) and here[0].sign in ("=", "in")
        if not is_value and not (code == "status" and path is WIDE):
            break
    covered = [each for each in given if each.column.code in path and each.sign != "contains"]
    return Path(path, sought, covered)


def few(connection: sa.Connection, given: Sequence[Condition]) -> tuple[list[int], bool] | None:
    """Return the ids among which all that matches is, and whether all of them match.

    None where there are more than a page should look through.
    """
    if not given:
        return None
    for each in given:
        if each.sign == "contains" and each.column.has_search and can_search(connection):
            containing = _containing(connection, each)
            if containing is not None:
                return containing, False
    blank, dialect = blanks(given), connection.dialect.name
    path = best_path(blank)
    if not path.sought:
        return None
    ids = ids_of(connection, _ids_along(blank, dialect), values_of(given), FEW)
    return (ids, len(path.covered) == len(given)) if ids is not None else None


@lru_cache(maxsize=MOST_KEPT)
def _ids_along(given: tuple[Condition, ...], dialect: str) -> sa.Select[Any]:
    """Return the ids that an index has for filters."""
    return in_one(sa.select(I.id).where(*sought(best_path(given), dialect)), dialect)


def sought(path: Path, dialect: str) -> list[sa.ColumnElement[bool]]:
    """Return what an index serves as SQL, in the words that make SQLite use it."""
    found = [
        each.as_sql() if each in path.sought else _aside(each, dialect) for each in path.covered
    ]
    return [I.status.in_(list(Status)), *found] if path.is_spread else found


def _aside(condition: Condition, dialect: str) -> sa.ColumnElement[bool]:
    """Return a filter as SQL that SQLite does not look for in an index of its own.

    It knows no figures of the table, and would as soon sort half of it.
    """
    return condition.as_sql(_Aside()) if dialect == "sqlite" else condition.as_sql()


class _Aside:
    """The columns of an invitation, each behind the plus that keeps SQLite from its index."""

    def __getattr__(self, name: str) -> sa.ColumnElement[Any]:
        column: sa.ColumnElement[Any] = getattr(I, name)
        return sa.UnaryExpression(column, operator=PLUS, type_=column.type)


def can_search(connection: sa.Connection) -> bool:
    """Return whether the addresses have an index of every three letters."""
    engine = connection.engine
    if engine not in _SEARCHABLE and exist(connection):  # one that is none yet is asked again
        _SEARCHABLE.add(engine)
    return engine in _SEARCHABLE


def _containing(connection: sa.Connection, condition: Condition) -> list[int] | None:
    """Return ids among which all that contain a text are, None where they are many.

    On SQLite three letters at a time: that they follow each other is looked at later.
    """
    dialect, text = connection.dialect.name, condition.value
    wanted = pattern(text) if dialect == "postgresql" else _parts(text)
    searching = _searching(condition.column, dialect)
    return ids_of(connection, searching, {"wanted": wanted}, FEW)


@lru_cache(maxsize=MOST_KEPT)
def _searching(column: Column, dialect: str) -> sa.Select[Any]:
    if dialect == "postgresql":
        # The text itself, not a parameter: how rare it is decides how it is looked for.
        wanted = sa.bindparam("wanted", type_=sa.Text(), literal_execute=True)
        found = sa.select(I.id).where(sa.func.lower(column.value()).like(wanted, escape=ESCAPE))
    else:
        table = f"{PREFIX}{column.attribute}"
        rows = sa.select(sa.column("rowid", sa.BigInteger)).select_from(sa.table(table))
        found = rows.where(sa.text(f"{table} MATCH :wanted"))
    return in_one(found, dialect)


def _parts(text: str) -> str:
    """Return a text as FTS5 asks for it: every three letters of it, all of them."""
    parts = dict.fromkeys(text[at : at + 3].replace('"', '""') for at in range(len(text) - 2))
    return " AND ".join(f'"{part}"' for part in list(parts)[:MOST_PARTS])
