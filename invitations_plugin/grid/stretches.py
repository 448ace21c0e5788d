"""The ranges of an index that a page is read from, in its order.

A page starts behind a key, the value and the id of a row. SQLite seeks only on one column of
such a pair, so there it is two ranges: the rest of the key's own value, then the values beyond.
Rows without a value come last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa

from .columns import COLUMNS, Kind
from .columns import TABLE as I
from .query import Condition, Form, Query, read_number

Expression = Any  # of an invitation or of something made of it
Key = tuple[Any, int]
KEY_ID: Final[Any] = sa.bindparam("key_id", type_=sa.BigInteger)


class Start(Enum):
    """What a page starts behind: nothing, a row, or a row that has no value in the sort."""

    END = "end"
    ROW = "row"
    EMPTY = "empty"

    @classmethod
    def of(cls, key: Key | None) -> Start:
        """Return which of them a key is."""
        if key is None:
            return cls.END
        return cls.EMPTY if key[0] is None else cls.ROW


@dataclass(frozen=True, slots=True)
class Stretch:
    """One range: ``fixed`` expressions have a value, the next ones lie beyond others.

    ``order`` is what it is read by behind the fixed ones.
    """

    fixed: Sequence[tuple[Expression, Any]]
    beyond: Sequence[tuple[Expression, Any]]
    order: Sequence[Expression]
    descending: bool
    presence: Sequence[sa.ColumnElement[bool]] = ()

    def within(self, statement: sa.Select[Any], dialect: str) -> sa.Select[Any]:
        """Return a query of the rows of this range, in its order."""
        if self.fixed and dialect == "postgresql":
            return self._as_pairs(statement)
        same = [expression == value for expression, value in self.fixed]
        further = [self._is_beyond(*each) for each in _pairs(self.beyond)]
        ordered = map(self._direction, self.order)
        return statement.where(*same, *further, *self.presence).order_by(*ordered)

    def _as_pairs(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        """Write fixed values as the ends of a range: so the order has them, too.

        PostgreSQL believes a value to be spread evenly, and would walk a more general index
        past hundreds of thousands of rows in search of one that is not.
        """
        expressions, values = zip(*self.fixed, strict=True)
        fixed, same = sa.tuple_(*expressions), sa.tuple_(*values)
        ends = [fixed >= same, fixed <= same]
        if self.beyond:
            last, behind = zip(*self.beyond, strict=True)
            whole = (sa.tuple_(*expressions, *last), sa.tuple_(*values, *behind))
            ends[int(self.descending)] = self._is_beyond(*whole)
        ordered = map(self._direction, (*expressions, *self.order))
        return statement.where(*ends, *self.presence).order_by(*ordered)

    def _direction(self, expression: Expression) -> Expression:
        return expression.desc() if self.descending else expression.asc()

    def _is_beyond(self, expression: Any, value: Any) -> sa.ColumnElement[bool]:
        found: sa.ColumnElement[bool] = (
            expression < value if self.descending else expression > value
        )
        return found


def _pairs(beyond: Sequence[tuple[Expression, Any]]) -> Sequence[tuple[Any, Any]]:
    """Return what is compared with what: one with one, or all with all."""
    if len(beyond) < 2:
        return beyond
    expressions, values = zip(*beyond, strict=True)
    return [(sa.tuple_(*expressions), sa.tuple_(*values))]


def stretches(
    form: Form, start: Start, driver: Condition | None, dialect: str
) -> Iterator[Stretch]:
    """Yield the ranges behind a key, in reading order; :func:`key_values` is its parameters.

    :param driver: a filter by value whose index has the order behind it.
    """
    descending = form.descending != form.is_backwards
    column = COLUMNS[form.sort]
    fixed = [(driver.column.order(), *driver.operands())] if driver is not None else []
    if column.code == "id":
        beyond = [] if start == Start.END else [(I.id, KEY_ID)]
        yield Stretch(fixed, beyond, [I.id], descending)
        return
    value = column.order()
    key_value = sa.bindparam("key_value", type_=value.type)
    # As the index has it. PostgreSQL leaves its order for a condition that says nothing.
    presence = column.value() if column.code == "message" else value
    valued = [presence.is_not(None)] if column.is_nullable else []
    without = Stretch(fixed, [], [I.id], descending, [presence.is_(None)])
    all_valued = Stretch(fixed, [], [value, I.id], descending, valued)
    has_empty = column.is_nullable and all(each.column is not column for each in form.given)
    if start == Start.END:
        parts = [all_valued, without] if has_empty else [all_valued]
        yield from reversed(parts) if form.is_backwards else parts
    elif start == Start.EMPTY:
        yield Stretch(fixed, [(I.id, KEY_ID)], [I.id], descending, [presence.is_(None)])
        if form.is_backwards:
            yield all_valued
    else:
        own, last = (value, key_value), (I.id, KEY_ID)
        if dialect == "postgresql":
            yield Stretch(fixed, [own, last], [value, I.id], descending, valued)
        else:
            yield Stretch([*fixed, own], [last], [I.id], descending, valued)
            yield Stretch(fixed, [own], [value, I.id], descending, valued)
        if has_empty and not form.is_backwards:
            yield without


def key_values(key: Key | None) -> dict[str, Any]:
    """Return the parameters that a key is."""
    return {"key_value": key[0], "key_id": key[1]} if key is not None else {}


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
