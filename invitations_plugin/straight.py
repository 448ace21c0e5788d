"""Statements that each mail needs, straight to the driver.

On its way through the library each takes as long as the database needs for it, because the
library looks at it anew. Here it is compiled once, for all mails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

MOST = 64  # statements that are kept ready; there are some ten


@dataclass(frozen=True, slots=True)
class _Ready:
    """A statement as a driver takes it, with what its parameters are made of."""

    text: str | bytes
    constants: dict[str, Any]
    makers: dict[str, Callable[[Any], Any]]
    places: tuple[str, ...] | None

    def given(self, values: Mapping[str, Any]) -> Any:
        """Return the parameters: by place or by name, whichever the driver wants."""
        made = {**self.constants, **values}
        for name, make in self.makers.items():
            made[name] = make(made[name])
        return made if self.places is None else [made[name] for name in self.places]


class Straight:
    """Runs statements over a connection; what it returns is the driver's own cursor.

    Its errors are the driver's own, too.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._dialect = connection.dialect
        self._driver_s: Any = connection.connection.dbapi_connection

    def execute(self, statement: Any, values: Mapping[str, Any]) -> Any:
        """Run a statement that stays the same from mail to mail."""
        ready = _ready(statement, self._dialect)
        cursor = self._cursor()
        cursor.execute(ready.text, ready.given(values))
        return cursor

    def changes(self, statement: Any, values: Mapping[str, Any]) -> bool:
        """Run a statement; return whether it changed its one row."""
        return bool(self.execute(statement, values).rowcount == 1)

    def first_of_each(self, statement: Any, values: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Run a statement several times in one transaction, over a connection that commits by
        itself; return what each finds.
        """
        together = self._driver_s.pipeline() if len(values) > 1 else nullcontext()
        with together:  # which is one transaction, and one round trip
            cursors = [self.execute(statement, each) for each in values]
        return [each.fetchone() for each in cursors]

    def _cursor(self) -> Any:
        """Return a cursor of the driver's, of psycopg one that takes a statement as it stands: to
        translate names of parameters takes it longer than to send a statement as long as ours.
        """
        if not _is_psycopg(self._dialect):
            return self._driver_s.cursor()
        from psycopg import RawCursor  # only where it is the driver

        return RawCursor(self._driver_s)


def has_pipelines(dialect: sa.Dialect) -> bool:
    """Return whether the driver sends several statements of one transaction in one go."""
    if not _is_psycopg(dialect):
        return False
    from psycopg import Pipeline

    return Pipeline.is_supported()


def _is_psycopg(dialect: sa.Dialect) -> bool:
    return dialect.driver == "psycopg"


@lru_cache(maxsize=MOST)
def _ready(statement: Any, dialect: sa.Dialect) -> _Ready:
    compiled = statement.compile(dialect=dialect, column_keys=[])
    binds: dict[str, Any] = compiled.binds
    made_by = {name: _maker(each.type, dialect) for name, each in binds.items()}
    text: Any = str(compiled)
    places = tuple(compiled.positiontup) if compiled.positional else None
    if _is_psycopg(dialect):
        numbers: dict[str, str] = defaultdict(lambda: f"${len(numbers) + 1}")
        text = (text % numbers).encode()
        places = tuple(numbers)
    return _Ready(
        text,
        {name: each.value for name, each in binds.items() if not each.required},
        {name: make for name, make in made_by.items() if make is not None},
        places,
    )


def _maker(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Callable[[Any], Any] | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)
