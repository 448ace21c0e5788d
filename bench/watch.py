"""Somebody who wants to write as well: how long did they wait at most?"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import perf_counter, sleep

import psycopg
import sqlalchemy as sa

PAUSE = 0.001  # seconds from one look to the next


@dataclass(slots=True)
class Longest:
    """The longest wait, once it is over."""

    seconds: float = 0.0


@contextmanager
def watching(url: str, ids: Sequence[int]) -> Iterator[Longest]:
    """Write from a process of its own until the end, one of these rows after the other."""
    found = Longest()
    context = get_context("spawn")
    pipe, end = context.Pipe()
    process = context.Process(target=_watch, args=(end, url, ids), daemon=True)
    process.start()
    end.close()
    pipe.recv()
    try:
        yield found
    finally:
        pipe.send(None)
        found.seconds = pipe.recv()
        process.join()


def _watch(pipe: Connection, url: str, ids: Sequence[int]) -> None:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        waits = _on_sqlite(str(parsed.database))
    else:
        waits = _on_postgresql(parsed, ids)
    longest = 0.0
    next(waits)
    pipe.send("ready")
    while not pipe.poll():
        longest = max(longest, next(waits))
        sleep(PAUSE)
    pipe.send(longest)


def _on_sqlite(path: str) -> Iterator[float]:
    """Take the one write lock, asking every millisecond: its own patience sleeps up to 100."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    while True:
        start = perf_counter()
        while not _takes_the_lock(connection):
            sleep(PAUSE)
        seconds = perf_counter() - start
        connection.execute("rollback")
        yield seconds


def _takes_the_lock(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("begin immediate")
    except sqlite3.OperationalError:
        return False
    return True


def _on_postgresql(url: sa.URL, ids: Sequence[int]) -> Iterator[float]:
    """Take one row."""
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg.connect(plain)
    while True:
        number = random.choice(ids)
        start = perf_counter()
        connection.execute(
            "select 1 from invitations_invitation where id = %s for update", (number,)
        )
        seconds = perf_counter() - start
        connection.rollback()
        yield seconds
