"""Indexes left out while a million rows come in, and built in one pass each afterwards.

How to build them is kept in a table, written by the transaction that drops them: whatever
happens in between, the next start of the store or the next seed builds what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import sqlalchemy as sa

FILLED = ("invitations_invitation", "invitations_history")
KEPT = sa.Table(
    "demo_left_out",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("statement", sa.Text, nullable=False),
)
SQLITE = sa.text(
    "SELECT type, name, sql FROM sqlite_master"
    " WHERE type IN ('index', 'trigger') AND tbl_name IN :tables"
    " AND sql NOT LIKE 'CREATE UNIQUE %' ORDER BY rowid"
).bindparams(sa.bindparam("tables", FILLED, expanding=True))
# A search that SQLite keeps beside a table and can read from it again.
SQLITE_SEARCHES = sa.text(
    "SELECT name, sql FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%USING fts5%'"
)
ITS_TABLE = re.compile(r"""\bcontent\s*=\s*['"]?(\w+)""")
POSTGRESQL = sa.text(
    "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
    " WHERE indrelid = ANY(SELECT to_regclass(each) FROM unnest(:tables) AS each)"
    " AND NOT indisunique ORDER BY indexrelid"
).bindparams(sa.bindparam("tables", list(FILLED), sa.ARRAY(sa.Text)))
Replaced = tuple[str, str]  # how to drop something, and how to have it again


def rows(engine: sa.Engine) -> int:
    """Return how many invitations there are."""
    with engine.connect() as connection:
        counted = sa.select(sa.func.count()).select_from(sa.table(FILLED[0]))
        return connection.scalar(counted) or 0


def leave_out(engine: sa.Engine) -> None:
    """Drop the indexes of the tables to be filled, but for what keeps rows unique."""
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        KEPT.create(connection, checkfirst=True)
        found = list(_on_sqlite(connection) if is_sqlite else _on_postgresql(connection))
        for drop, build in found:
            connection.execute(KEPT.insert(), {"statement": build})
            _run(connection, drop)


def how_many(engine: sa.Engine) -> int:
    """Return how many have to be built again."""
    if not sa.inspect(engine).has_table(KEPT.name):
        return 0
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(KEPT)) or 0


def restore(engine: sa.Engine, tick: Callable[[int], None] = lambda number: None) -> None:
    """Build what was left out, all of it or nothing, and tell after each one."""
    if not how_many(engine):
        return
    with engine.begin() as connection:
        kept = connection.execute(sa.delete(KEPT).returning(KEPT.c.id, KEPT.c.statement)).all()
        if engine.dialect.name == "postgresql":
            _run(connection, "SET LOCAL maintenance_work_mem = '256MB'")
        for _, statement in sorted(map(tuple, kept)):
            _run(connection, statement)
            tick(1)
        KEPT.drop(connection)
        if engine.dialect.name == "postgresql":
            _run(connection, f"ANALYZE {', '.join(FILLED)}")


def _run(connection: sa.Connection, statement: str) -> None:
    """Run a statement as it is written, whatever signs are in it."""
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _on_sqlite(connection: sa.Connection) -> Iterator[Replaced]:
    """Yield the indexes; of the triggers, those alone that feed a search."""
    searches = {
        name
        for name, sql in connection.execute(SQLITE_SEARCHES)
        if (table := ITS_TABLE.search(sql)) is not None and table[1] in FILLED
    }
    fed = set()
    for kind, name, sql in connection.execute(SQLITE).all():
        named = searches & set(re.findall(r"\w+", sql))
        if kind == "index" or named:
            yield f'DROP {kind} "{name}"', sql
            fed |= named
    for name in sorted(fed):
        yield _command(name, "delete-all"), _command(name, "rebuild")


def _command(search: str, word: str) -> str:
    return f'INSERT INTO "{search}" ("{search}") VALUES (\'{word}\')'  # noqa: S608 - its own name


def _on_postgresql(connection: sa.Connection) -> Iterator[Replaced]:
    for name, definition in connection.execute(POSTGRESQL).all():
        yield f"DROP INDEX {name}", definition
