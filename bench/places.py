"""A database for each contender, with the tables and the people of the sample store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from tests.support.databases import Databases, server_url
from tests.support.stores import Store


def both() -> Iterator[Places]:
    """Yield the places of one kind of database after the other's."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = cache(lambda: server_url(folder))
        databases = stack.enter_context(closing(Databases(folder, server, "bench", True)))
        for kind in ("sqlite", "postgresql"):
            yield Places(databases, kind, folder / kind)


class Places:
    """The databases of one kind that a benchmark uses, by name."""

    def __init__(self, databases: Databases, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self._hand_out = databases.sqlite if kind == "sqlite" else databases.postgresql
        self._urls: dict[str, str] = {}
        folder.mkdir()

    def url(self, name: str) -> str:
        """Return a new database with the people in it."""
        slug = "".join(letter for letter in name if letter.isalnum())
        url = self._hand_out(f"bench_{slug}", self._prepare, self.folder)
        with closing(self.store(url)) as store:
            store.seed()
        self._urls[name] = url
        return url

    def version(self) -> str:
        """Return the name and version of the database."""
        engine = sa.create_engine(next(iter(self._urls.values())))
        with closing(engine.raw_connection()):
            number = ".".join(map(str, engine.dialect.server_version_info or ()))
        engine.dispose()
        return f"{'SQLite' if engine.dialect.name == 'sqlite' else 'PostgreSQL'} {number}"

    def scalar(self, name: str, query: Any) -> int:
        """Ask one database for a number."""
        engine = sa.create_engine(self._urls[name])
        with engine.connect() as connection:
            value = connection.scalar(query)
        engine.dispose()
        return int(value)

    def store(self, url: str) -> Store:
        """Return a store on one of the databases."""
        return Store(DATABASE_URL=url, INSTANCE_PATH=str(self.folder), INVITATIONS_DELIVERY="none")

    def _prepare(self, url: str) -> None:
        with closing(self.store(url)) as store:
            store.prepare()
