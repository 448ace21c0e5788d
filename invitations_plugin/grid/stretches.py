"""The ranges of an index that a page is read from, in its order.

A page starts behind a key, the value and the id of a row. SQLite seeks only on one column of
such a pair, so it is two ranges: the rest of the key's own value, then the values beyond.
Rows without a value come last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from .columns import COLUMNS, Kind
from .columns import TABLE as I
from .query import Condition, Query, read_number

Expression = Any  # of an invitation or of something made of it
Key = tuple[Any, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """One range: ``fixed`` expressions have a value, the next one lies beyond another.

    ``order`` is what it is read by behind the fixed ones.
    """

    fixed: Sequence[tuple[Expression, Any]]
    beyond: tuple[Expression, Any] | None
    order: Sequence[Expression]
    descending: bool
    presence: Sequence[sa.ColumnElement[bool]] = ()

    def within(self, statement: sa.Select[Any], dialect: str) -> sa.Select[Any]:
        """Return a query of the rows of this range, in its order."""
        if self.fixed and dialect == "postgresql":
            return self._as_pairs(statement)
        same = [expression == value for expression, value in self.fixed]
        further = [self._is_beyond(*self.beyond)] if self.beyond else []
        ordered = map(self._direction, self.order)
        return statement.where(*same, *further, *self.presence).order_by(*ordered)

    def _as_pairs(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        """Write fixed values as the ends of a range: so the order has them, too.

        PostgreSQL believes a value to be spread evenly, and would walk a more general index
        past hundreds of thousands of rows in search of one that is not.
        """
        expressions, values = zip(*self.fixed, strict=True)
        fixed = sa.tuple_(*expressions)
        ends = [fixed >= values, fixed <= values]
        if self.beyond is not None:
            whole = sa.tuple_(*expressions, self.beyond[0])
            ends[int(self.descending)] = self._is_beyond(whole, (*values, self.beyond[1]))
        ordered = map(self._direction, (*expressions, *self.order))
        return statement.where(*ends, *self.presence).order_by(*ordered)

    def _direction(self, expression: Expression) -> Expression:
        return expression.desc() if self.descending else expression.asc()

    def _is_beyond(self, expression: Any, value: Any) -> sa.ColumnElement[bool]:
        found: sa.ColumnElement[bool] = (
            expression < value if self.descending else expression > value
        )
        return found


def stretches(query: Query, key: Key | None, driver: Condition | None) -> Iterator[Stretch]:
    """Yield the ranges behind a key, in reading order.

    :param driver: a filter by value whose index has the order behind it.
    """
    backwards = bool(query.before)
    descending = query.descending != backwards
    column = COLUMNS[query.sort]
    fixed = [(driver.column.order(), driver.value)] if driver is not None else []
    if column.code == "id":
        yield Stretch(fixed, (I.id, key[1]) if key else None, [I.id], descending)
        return
    value = column.order()
    # As the index has it. PostgreSQL leaves its order for a condition that says nothing.
    presence = column.value() if column.code == "message" else value
    valued = [presence.is_not(None)] if column.is_nullable else []
    without = Stretch(fixed, None, [I.id], descending, [presence.is_(None)])
    all_valued = Stretch(fixed, None, [value, I.id], descending, valued)
    has_empty = column.is_nullable and all(each.column is not column for each in query.given)
    if key is None:
        parts = [all_valued, without] if has_empty else [all_valued]
        yield from reversed(parts) if backwards else parts
    elif key[0] is None:
        yield Stretch(fixed, (I.id, key[1]), [I.id], descending, [presence.is_(None)])
        if backwards:
            yield all_valued
    else:
        yield Stretch([*fixed, (value, key[0])], (I.id, key[1]), [I.id], descending, valued)
        yield Stretch(fixed, (value, key[0]), [value, I.id], descending, valued)
        if has_empty and not backwards:
            yield without


def key_text(key: Key) -> str:
    """Return what a page's address calls a row: its id and its value in the sort's column."""
    value, number = key
    if value is None or value == number:
        return str(number)
    return f"{number}:{value.isoformat() if isinstance(value, datetime) else value}"


def read_key(query: Query) -> Key | None:
    """Return the value and id that a page starts from, None for its end or what is no key."""
    row_id, has_value, text = (query.before or query.after).partition(":")
    column = COLUMNS[query.sort]
    try:
        number = read_number(row_id)
        if column.code == "id":
            return number, number
        if not has_value:
            return (None, number) if column.is_nullable else None
        if column.kind == Kind.DAY:
            return datetime.fromisoformat(text).replace(tzinfo=None), number
        return text.replace("\x00", ""), number
    except ValueError:
        return None
