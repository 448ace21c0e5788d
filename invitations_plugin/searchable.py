"""An index of every three letters in a row of the addresses, where the database has one.

SQLite's is a table beside ours that triggers keep (FTS5 with the trigram tokenizer, 3.34 and
later); PostgreSQL's needs its extension pg_trgm. Without it a search looks through the rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

log = logging.getLogger(__name__)

TABLE: Final = "invitations_invitation"
PREFIX: Final = "invitations_search_"
COLUMNS: Final = ("email", "inviter_email")
PAGES = 200  # that one step merges: some milliseconds for SQLite's one writer
LEAST_CHANGES = 1  # what an order to merge counts as where nothing is left to do


def create(connection: sa.Connection) -> None:
    """Make the indexes from what is in the table; without the database's help, none."""
    try:
        with connection.begin_nested():
            for statement in _creating(connection.dialect.name):
                connection.exec_driver_sql(statement)
    except DBAPIError as error:
        log.warning("Addresses get no index for searching within them: %s", error.orig)


def drop(connection: sa.Connection) -> None:
    """Remove the indexes, the extension apart: others may use it."""
    for column in COLUMNS:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"DROP INDEX IF EXISTS {PREFIX}{column}")
            continue
        for event in ("insert", "delete", "update"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {PREFIX}{column}_{event}")
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {PREFIX}{column}")


def exist(connection: sa.Connection) -> bool:
    """Return whether the indexes are there."""
    name = f"{PREFIX}{COLUMNS[0]}"
    if connection.dialect.name == "postgresql":
        return connection.scalar(sa.select(sa.func.to_regclass(name))) is not None
    query = sa.text("SELECT 1 FROM sqlite_master WHERE name = :name")
    return connection.scalar(query, {"name": name}) is not None


def settle(connection: sa.Connection) -> bool:
    """Do some of the work by which SQLite's index lets go of erased texts; return if any is left.

    A deletion is but a mark until then, and the letters would still stand in the file.
    """
    if connection.dialect.name != "sqlite" or not exist(connection):
        return False
    before = _changes(connection)
    for column in COLUMNS:
        name = f"{PREFIX}{column}"
        connection.exec_driver_sql(f"INSERT INTO {name} ({name}, rank) VALUES ('merge', {-PAGES})")
    return _changes(connection) - before > len(COLUMNS) * LEAST_CHANGES


def _changes(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one())


def _creating(dialect: str) -> Iterator[str]:
    if dialect == "postgresql":
        yield "CREATE EXTENSION IF NOT EXISTS pg_trgm"
    for column in COLUMNS:
        name = f"{PREFIX}{column}"
        if dialect == "postgresql":
            yield f"CREATE INDEX {name} ON {TABLE} USING gin (lower({column}) gin_trgm_ops)"
        else:
            yield from _on_sqlite(name, column)


def _on_sqlite(name: str, column: str) -> Iterator[str]:
    """Yield a table of words that has no text of its own, and what keeps it in step."""
    # ruff: noqa: S608  # the names are those above
    forget = f"INSERT INTO {name} ({name}, rowid, {column}) VALUES ('delete', old.id, old.{column})"
    learn = f"INSERT INTO {name} (rowid, {column}) VALUES (new.id, new.{column})"
    had, has = f"old.{column} IS NOT NULL", f"new.{column} IS NOT NULL"
    yield (
        f"CREATE VIRTUAL TABLE {name} USING fts5({column}, content='{TABLE}',"
        " content_rowid='id', tokenize='trigram', detail='none', columnsize=0)"
    )
    yield f"INSERT INTO {name} ({name}) VALUES ('rebuild')"
    yield f"CREATE TRIGGER {name}_insert AFTER INSERT ON {TABLE} WHEN {has} BEGIN {learn}; END"
    yield f"CREATE TRIGGER {name}_delete AFTER DELETE ON {TABLE} WHEN {had} BEGIN {forget}; END"
    yield (
        f"CREATE TRIGGER {name}_update AFTER UPDATE OF {column} ON {TABLE}"
        f" WHEN old.{column} IS NOT new.{column} BEGIN"
        f" INSERT INTO {name} ({name}, rowid, {column})"
        f" SELECT 'delete', old.id, old.{column} WHERE {had};"
        f" INSERT INTO {name} (rowid, {column}) SELECT new.id, new.{column} WHERE {has}; END"
    )
