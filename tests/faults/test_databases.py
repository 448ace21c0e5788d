"""A database that goes away, locks up or has no room: what was acknowledged is there, once."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from invitations_plugin.database import engine

from ..conftest import BASE_URL
from ..support.outbox import many, queue, wait_for
from ..support.sink import Mail, Sink
from ..support.stores import SEND, MakeStore, Store
from .conftest import MakeCrew
from .disks import Disk, disk
from .judging import WHOLE, Run
from .postgres import Server, binaries, own_server

UNLIMITED = ("max_per_hour", "max_per_day", "max_pending", "mailbox_per_day", "mailbox_per_month")
ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
ANNA = "anna@example.com"
STOPS = 10 if WHOLE else 1


@pytest.fixture
def server() -> Iterator[Server]:
    """A PostgreSQL server of this test's own."""
    programs = binaries()
    if programs is None:
        assert os.environ.get("CI") != "true", "PostgreSQL's programs are missing"
        pytest.skip("no PostgreSQL programs here")
    with own_server(programs) as running:
        yield running


@pytest.fixture
def own_store(server: Server, sink: Sink, tmp_path: Path) -> Iterator[Store]:
    """A store on that server, in which nothing but faults keeps a customer from inviting."""
    store = Store(
        DATABASE_URL=server.url,
        INSTANCE_PATH=str(tmp_path),
        INVITATIONS_BASE_URL=BASE_URL,
        INVITATIONS_DELIVERY="none",
        MAIL_PORT=sink.port,
        MAIL_SERVER="127.0.0.1",
        TESTING=True,
    )
    store.prepare()
    store.seed()
    unlimited(store)
    yield store
    store.close()


def unlimited(store: Store) -> None:
    for name in UNLIMITED:
        store.setting(name, 0)


class Customer(threading.Thread):
    """A customer who invites one friend after the other, and notes what the store answered."""

    def __init__(self, store: Store, place: int) -> None:
        super().__init__()
        self.visitor = store.customer()
        self.place = place
        self.acknowledged: list[str] = []
        self.answers: set[int] = set()
        self.is_over = False

    def run(self) -> None:
        number = 0
        while not self.is_over:
            number += 1
            address = f"friend{self.place}-{number}@example.com"
            code = self.visitor.send(address).status_code
            self.answers.add(code)
            if code == 302:
                self.acknowledged.append(address)


@contextmanager
def customers(store: Store, number: int) -> Iterator[list[Customer]]:
    """Let some customers invite until the block ends."""
    made = [Customer(store, place) for place in range(number)]
    for each in made:
        each.start()
    try:
        yield made
    finally:
        for each in made:
            each.is_over = True
        for each in made:
            each.join()


def all_of(made: list[Customer]) -> list[str]:
    return [address for each in made for address in each.acknowledged]


def test_postgresql_is_stopped_under_load(
    own_store: Store, server: Server, sink: Sink, make_crew: MakeCrew, run: Run
) -> None:
    crew = make_crew(own_store)
    crew.add(2)
    with customers(own_store, 2) as made:
        for mode in ("immediate", "fast") * STOPS:
            before = len(sink.mails)
            wait_for(lambda before=before: len(sink.mails) >= before + 5)  # type: ignore[misc]
            server.stop(mode)
            time.sleep(0.5)
            server.start()
        before = len(all_of(made))
        wait_for(lambda: len(all_of(made)) >= before + 5)
    wait_for(lambda: own_store.outbox() == [])
    crew.end()
    assert set().union(*(each.answers for each in made)) <= {302, 503}
    twice = run.judge(own_store, sink, all_of(made))
    assert len(twice) <= 2 * 2 * STOPS  # each worker may have had one in hand


@pytest.mark.parametrize("for_long", [False, True], ids=["for a moment", "for long"])
def test_postgresql_goes_away_between_the_250_and_the_commit(
    own_store: Store, server: Server, sink: Sink, make_crew: MakeCrew, run: Run, for_long: bool
) -> None:
    queue(own_store, *many(20))
    crew = make_crew(own_store)
    is_away = threading.Event()

    def stop(mail: Mail) -> None:
        if len(sink.mails) == 5:
            server.stop("immediate")
            is_away.set()

    sink.while_taking = stop
    crew.add()
    assert is_away.wait(30)
    in_hand = sink.mails[-1].recipients if for_long else []
    if for_long:
        wait_for(lambda: "the outbox failed" in crew.complaints())
    server.start()
    wait_for(lambda: own_store.outbox() == [])
    crew.end()
    assert run.judge(own_store, sink, many(20)) == set(in_hand)


def path_of(store: Store) -> Path:
    """Return the file of a store on SQLite."""
    return Path(str(sa.make_url(store.app.config["SQLALCHEMY_DATABASE_URI"]).database))


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Let another process, as it were, write for as long as the block lasts."""
    with closing(sqlite3.connect(path_of(store), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@ONLY_SQLITE
@pytest.mark.parametrize(("seconds", "code"), [(3, 302), (30 if WHOLE else 12, 503)])
def test_sqlite_is_locked(
    store: Store, sink: Sink, make_crew: MakeCrew, run: Run, seconds: int, code: int
) -> None:
    unlimited(store)
    queue(store, *many(20))
    visitor, crew = store.customer(), make_crew(store)
    page, answers = visitor.get(SEND), list[TestResponse]()
    posting = threading.Thread(target=lambda: answers.append(visitor.send(ANNA, page=page)))
    crew.add()
    wait_for(lambda: len(sink.mails) >= 3)
    with locked(store):
        posting.start()
        time.sleep(seconds)
    posting.join()
    assert [each.status_code for each in answers] == [code]
    assert ("Retry-After" in answers[0].headers) == (code == 503)
    mails = [*many(20), ANNA] if code == 302 else many(20)
    wait_for(lambda: store.outbox() == [])
    crew.end()
    assert len(run.judge(store, sink, mails)) <= 1  # what was in hand when it was locked
    assert {each.email for each in store.invitations()} == set(mails)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Disk]:
    """A disk that can be full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with disk(folder) as made:
        yield made


@ONLY_SQLITE
def test_the_disk_is_full(
    make_store: MakeStore, sink: Sink, room: Disk, make_crew: MakeCrew, run: Run
) -> None:
    moved = room.folder / "store.sqlite"
    shutil.copy(path_of(make_store()), moved)
    store = make_store(DATABASE_URL=f"sqlite:///{moved}")
    unlimited(store)
    queue(store, *many(20))
    visitor, crew = store.customer(), make_crew(store)
    page = visitor.get(SEND)
    with store.app.app_context(), engine().connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        crew.add()
        worker = crew.members[0].process.pid or 0
        room.fill(worker)
    try:
        assert visitor.send(ANNA, page=page).status_code == 503
        wait_for(lambda: crew.complaints().count("the outbox failed") > 2)
        assert sink.mails == []  # nothing leaves that could not be marked
        assert len(store.invitations()) == 20
    finally:
        room.free(worker)
    assert visitor.send(ANNA, page=page).status_code == 302
    wait_for(lambda: store.outbox() == [])
    crew.end()
    assert run.judge(store, sink, [*many(20), ANNA]) == set()
