"""Both databases filled by ``flask demo seed``, once for all benchmarks that want many rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import sqlalchemy as sa

from tests.support.databases import database, server_url
from tests.support.stores import Store

from .report import Section, in_short, table

CUSTOMERS = 50  # invitations a customer
MOST_SECONDS = 240
TITLE = "Demo data"
ABOUT = """`flask demo seed` on an empty database, from the tables to the last index: made-up
customers with their invitations and the history of each."""


class Filled:
    """The addresses of the databases; empty ones are filled when they are first asked for."""

    def __init__(self, rows: int, given: Sequence[str], stack: ExitStack) -> None:
        self._rows, self._stack = rows, stack
        self._urls = list(given)
        self._seconds: list[float] = []

    def urls(self) -> list[str]:
        """Return SQLite's and PostgreSQL's, or those that were given."""
        if not self._urls:
            folder = Path(self._stack.enter_context(TemporaryDirectory()))
            made = database(server_url(folder), f"bench_{os.getpid()}")
            urls = [f"sqlite:///{folder / 'bench.sqlite'}", self._stack.enter_context(made)]
            self._seconds = [_fill(url, folder, self._rows) for url in urls]
            self._urls = urls
        return self._urls

    def measure(self) -> Section:
        """Tell how long the filling took.

        :raises RuntimeError: when the databases were filled by somebody else.
        """
        kinds = [kind_of(url) for url in self.urls()]
        if not self._seconds:
            raise RuntimeError("Databases that are filled already tell nothing of the seed.")
        taken = dict(zip(kinds, self._seconds, strict=True))
        rows = [
            (name, f"{seconds:.0f}", f"{self._rows / seconds:,.0f}")
            for name, seconds in taken.items()
        ]
        heading = f"**{self._rows:,} invitations**"
        text = f"{ABOUT}\n\n{heading}\n\n{table(('database', 'seconds', 'rows a second'), rows)}"
        what = f"{self._rows:,} invitations seeded, seconds"
        found = {name: {what: f"{seconds:.0f}"} for name, seconds in taken.items()}
        return Section(TITLE, text, in_short(found, {what: f"at most {MOST_SECONDS}"}))


@contextmanager
def filled(rows: int, given: Sequence[str]) -> Iterator[Filled]:
    """Yield the databases; those that were not given are dropped at the end."""
    with ExitStack() as stack:
        yield Filled(rows, given, stack)


def kind_of(url: str) -> str:
    """Return the name of a database."""
    return "SQLite" if sa.make_url(url).get_backend_name() == "sqlite" else "PostgreSQL"


def _fill(url: str, folder: Path, rows: int) -> float:
    """Seed a database and return the seconds."""
    config = {"DATABASE_URL": url, "INSTANCE_PATH": str(folder), "INVITATIONS_DELIVERY": "none"}
    with closing(Store(**config)) as store:
        arguments = f"demo seed --customers {max(1, rows // CUSTOMERS)} --invitations {rows}"
        start = perf_counter()
        ran = store.app.test_cli_runner().invoke(args=arguments.split())
        seconds = perf_counter() - start
    if ran.exit_code:
        raise RuntimeError(ran.output)
    print(f"{rows:,} invitations seeded in {seconds:.0f} s")
    return seconds
