"""Fixtures: makers of stores on both databases, and a real SMTP sink."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from jinja2 import StrictUndefined
from sqlalchemy.pool import Pool

from invitations_plugin.state import is_ready

from .support.bound_store import BoundStore
from .support.databases import Databases, server_url
from .support.second_store import SecondStore
from .support.sharing import Compiled, share_builders
from .support.sink import Sink
from .support.stores import Store, Visitor

BASE_URL = "http://127.0.0.1"
MEMORY = Path("/dev/shm")  # a disk in memory: SQLite's commits need not wait there
ROOM = 4 << 30  # bytes that it must have
USUAL = BoundStore if os.environ.get("STORE") == BoundStore.name else Store


def pytest_configure() -> None:
    """Prepare a process for thousands of tests with an app and a database each.

    Their files are kept in memory where there is room. Garbage is searched for seldom: an app
    leaves so much of it that the search took a quarter of the time.
    """
    gc.set_threshold(30_000)
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    share_builders()


def pytest_collection_finish() -> None:
    """Leave what was imported out of the search for garbage: it stays."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def ended_threads(closed_files: None) -> Iterator[None]:
    """See that no delivery outlives its test: it would work on the rows of a later one."""
    yield
    left = [each for each in threading.enumerate() if each.name.startswith("invitations")]
    assert left == []


@pytest.fixture(autouse=True)
def closed_files() -> Iterator[None]:
    """Close the SQLite files that a test's stores left open: Python 3.13 warns of each."""
    opened: list[Any] = []

    def note(connection: Any, record: object) -> None:
        opened.append(connection)

    sa.event.listen(Pool, "connect", note)
    yield
    sa.event.remove(Pool, "connect", note)
    for connection in opened:
        if isinstance(connection, sqlite3.Connection):
            with suppress(sqlite3.ProgrammingError):  # one in memory belongs to its thread
                connection.close()


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Databases to hand out, prepared once a run."""
    folder = tmp_path_factory.mktemp("databases")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    handed_out = Databases(folder, cache(lambda: server_url(folder)), worker)
    yield handed_out
    handed_out.close()


@pytest.fixture(scope="session")
def compiled() -> Compiled:
    """What an earlier test compiled: every test has an app of its own."""
    return Compiled()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that tests can move."""
    with time_machine.travel(time.time()) as traveller:
        yield traveller


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """Each test that touches rows runs on both databases."""
    return str(request.param)


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A running mail server."""
    with Sink() as running:
        yield running


@pytest.fixture
def make_store(
    databases: Databases,
    database: str,
    sink: Sink,
    tmp_path: Path,
    compiled: Compiled,
) -> Iterator[Callable[..., Store]]:
    """Return a function that mounts a store on a database with its people and nothing else."""
    made: list[Store] = []

    def make(kind: type[Store] = USUAL, **config: object) -> Store:
        given = {
            "INSTANCE_PATH": str(tmp_path),
            "INVITATIONS_BASE_URL": BASE_URL,
            "INVITATIONS_DELIVERY": "none",
            "MAIL_PORT": sink.port,
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_SUPPRESS_SEND": False,
            "TESTING": True,
        }

        def prepare(url: str) -> None:
            fresh = kind(**given, DATABASE_URL=url)
            fresh.prepare()
            fresh.seed()
            fresh.close()

        hand_out = databases.sqlite if database == "sqlite" else databases.postgresql
        url = hand_out(kind.name, prepare, tmp_path)
        store = kind(**given | {"DATABASE_URL": url} | config)
        compiled.give_to(store.app)
        # A store may take an undefined name for an error, so each page and mail of a test does.
        store.app.jinja_env.undefined = StrictUndefined
        with store.session():
            is_ready()  # which an app asks once, so no count of statements depends on it
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    """The sample store."""
    return make_store()


@pytest.fixture(params=[USUAL, SecondStore], ids=["sample", "second"])
def any_store(request: pytest.FixtureRequest, make_store: Callable[..., Store]) -> Store:
    """The sample store, and then one that does everything another way."""
    return make_store(request.param)


@pytest.fixture
def link_for(any_store: Store, sink: Sink) -> Callable[..., str]:
    """Return a function that lets a customer invite an address, and gives the mailed link."""

    def invite(address: str = "anna@example.com", inviter: str | None = None) -> str:
        answer = any_store.customer(inviter).send(address)
        assert answer.status_code == 302
        any_store.deliver()
        return sink.to(address)[-1].link

    return invite


@pytest.fixture
def friend(any_store: Store, link_for: Callable[..., str]) -> Callable[..., Visitor]:
    """Return a function that gives a visitor who followed a link to the landing page."""

    def follow(address: str = "anna@example.com", link: str | None = None, **more: Any) -> Visitor:
        visitor = any_store.visitor()
        answer = visitor.get(link or link_for(address, **more), follow_redirects=True)
        assert answer.request.path == "/invitations/welcome"
        return visitor

    return follow


@pytest.fixture
def later() -> Iterator[Callable[[timedelta], None]]:
    """Return a function that moves the clock on."""
    travellers: list[time_machine.travel] = []

    def move(much: timedelta) -> None:
        travellers.append(time_machine.travel(datetime.now(UTC) + much, tick=True))
        travellers[-1].start()

    yield move
    for each in reversed(travellers):
        each.stop()


@pytest.fixture
def veronica(store: Store) -> Visitor:
    """A signed-in customer."""
    return store.customer()


@pytest.fixture
def admin(store: Store) -> Visitor:
    """A signed-in member of staff who may do everything."""
    return store.staff()
