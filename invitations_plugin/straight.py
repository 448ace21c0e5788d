"""Our statements over a connection that is kept, straight to the driver.

On its way through the library each takes as long as the database needs for it, because the
library looks at it anew. Here it is compiled once, for all mails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa

from .database import Runner, is_kept

MOST = 64  # statements that are kept ready; there are some ten
KEY = "invitations_straight"


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


class _Straight:
    """Runs statements over a connection; what it returns is the driver's own cursor."""

    def __init__(self, connection: sa.Connection) -> None:
        self._dialect, self._cursor = connection.dialect, _cursor_of(connection)

    def execute(self, statement: Any, values: Mapping[str, Any]) -> Any:
        """Run a statement that stays the same from mail to mail."""
        ready = _ready(statement, self._dialect, tuple(values))
        self._cursor.execute(ready.text, ready.given(values))
        return self._cursor


def straight(db: Runner) -> Runner:
    """Return what runs statements over a kept connection faster; otherwise what was given.

    Its errors are the driver's own: what fails over a kept connection is done again over
    another one, whatever the fault was.
    """
    if not (isinstance(db, sa.Connection) and is_kept(db)):
        return db
    if KEY not in db.info:  # which lasts as long as the driver's connection
        db.info[KEY] = _Straight(db)
    return cast(Runner, db.info[KEY])


def _is_psycopg(dialect: sa.Dialect) -> bool:
    return dialect.driver == "psycopg"


def _cursor_of(connection: sa.Connection) -> Any:
    """Return a cursor of the driver's, of psycopg one that takes a statement as it stands: to
    translate names of parameters takes it longer than to send a statement as long as ours.
    """
    driver_s: Any = connection.connection.dbapi_connection
    if not _is_psycopg(connection.dialect):
        return driver_s.cursor()
    from psycopg import RawCursor  # only where it is the driver

    return RawCursor(driver_s)


@lru_cache(maxsize=MOST)
def _ready(statement: Any, dialect: sa.Dialect, names: tuple[str, ...]) -> _Ready:
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
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
