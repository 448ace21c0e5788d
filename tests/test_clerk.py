"""The clerk notes what several senders wait for at once, and each as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Thread, Timer, current_thread
from typing import Any

import pytest
import sqlalchemy as sa

from invitations_plugin import clerk as module
from invitations_plugin import outbox
from invitations_plugin.beginning import Begun, Known, begin, prepare
from invitations_plugin.clerk import Clerk
from invitations_plugin.database import atomically, engine, our_connection
from invitations_plugin.endings import Taken
from invitations_plugin.models import History, Invitation
from invitations_plugin.turnover import Turnover, asked

from .support.outbox import many, queue, recipients, wait_for
from .support.sink import Sink
from .support.stores import MakeStore, Store

MakeTurnover = Callable[[], Turnover]
NAMES = many(12)


@pytest.fixture
def clerk(store: Store) -> Iterator[Clerk]:
    with store.app.app_context(), closing(Clerk()) as made:
        yield made


@pytest.fixture
def turnover(store: Store) -> MakeTurnover:
    """Return a maker of what a sender asks for whose first mail of two was taken."""
    names = iter(NAMES)

    def make() -> Turnover:
        queue(store, next(names), next(names))
        with store.app.app_context():
            first, second = outbox.claim(2)
            known = Known()
            known.ask([first, second])
            made = prepare(first, known)
            begun = atomically(lambda: begin(our_connection(), first, known, made))
            assert isinstance(begun, Begun)
            found = asked(Taken(begun, "250 OK"), second, prepare(second, known))
        assert found is not None
        return found

    return make


@contextmanager
def nobody_writes(store: Store) -> Iterator[Callable[[], None]]:
    """Keep others from the history until the end, or until what is yielded is called."""
    with store.app.app_context():
        connection = engine().connect()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE invitations_history IN EXCLUSIVE MODE")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield connection.rollback
    finally:
        connection.close()


def together(
    clerk: Clerk, store: Store, given: list[Turnover], then: Callable[[], None] = lambda: None
) -> list[Any]:
    """Ask for turnovers so that all but the first wait; return what came of each.

    :param then: done while they wait.
    """
    found: list[Any] = [None] * len(given)

    def ask(place: int) -> None:
        with store.app.app_context():
            try:
                found[place] = clerk.turn_over(given[place].given, lambda: None)
            except Exception as error:
                found[place] = error

    threads = [Thread(target=ask, args=[place]) for place in range(len(given))]
    pool: Any = engine().pool
    with nobody_writes(store):
        others = pool.checkedout()
        threads[0].start()
        wait_for(lambda: pool.checkedout() > others and clerk._asked.empty())
        for each in threads[1:]:
            each.start()
        wait_for(lambda: clerk._asked.qsize() == len(given) - 1)
        then()
    for each in threads:
        each.join()
    return found


def transactions(store: Store) -> int:
    """Return how many wrote the history of what was sent."""
    with store.session() as db:
        query = sa.select(sa.func.count(sa.distinct(sa.literal_column("xmin::text"))))
        return db.scalar(query.select_from(History).where(History.action == "send")) or 0


def test_what_waits_together_is_one_transaction(
    store: Store, clerk: Clerk, turnover: MakeTurnover, database: str
) -> None:
    commits: list[str] = []
    sa.event.listen(engine(), "commit", lambda used: commits.append(current_thread().name))
    given = [turnover() for _ in range(4)]
    assert together(clerk, store, given) == [(True, True)] * 4
    number = transactions(store) if database == "postgresql" else commits.count("invitations-clerk")
    assert number == 2
    states = [(each.status, each.mail_state) for each in store.invitations()]
    assert states == [("sent", "delivered"), ("not_sent", "sending")] * 4
    assert [each.state for each in store.outbox()] == ["sending"] * 4


def test_one_that_is_not_as_it_was_leaves_the_others_alone(
    store: Store, clerk: Clerk, turnover: MakeTurnover
) -> None:
    given = [turnover() for _ in range(3)]
    changed = {**given[1].given, "from_version": 99}
    given[1] = given[1]._replace(given=changed)
    assert together(clerk, store, given) == [(True, True), (False, False), (True, True)]
    assert [each.status for each in store.invitations()][::2] == ["sent", "not_sent", "sent"]


@pytest.mark.parametrize("database", ["postgresql"])  # SQLite has one writer at a time
def test_nobody_waits_for_who_holds_another_sender_s_invitation(
    store: Store, clerk: Clerk, turnover: MakeTurnover
) -> None:
    asked_for = turnover()
    with engine().connect() as another:
        another.execute(sa.select(Invitation.id).with_for_update())
        assert clerk.turn_over(asked_for.given, lambda: None) == (False, False)
    assert clerk.turn_over(asked_for.given, lambda: None) == (True, True)


def test_of_those_that_fail_together_nothing_is_written(
    store: Store, clerk: Clerk, turnover: MakeTurnover
) -> None:
    given = [turnover() for _ in range(3)]
    given[2] = given[2]._replace(given={**given[2].given, "said_invitation_id": 99})
    first, second, third = together(clerk, store, given)
    assert first == (True, True)
    assert isinstance(second, Exception)
    assert isinstance(third, Exception)
    assert [each.status for each in store.invitations()][::2] == ["sent", "not_sent", "not_sent"]
    assert clerk.turn_over(given[1].given, lambda: None) == (True, True)


def test_who_is_interrupted_while_waiting_may_trust_that_nothing_goes_on(
    store: Store, clerk: Clerk, turnover: MakeTurnover
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    asked_for = turnover()
    with nobody_writes(store) as go_on:
        later = Timer(0.3, go_on)
        later.start()
        with pytest.raises(KeyboardInterrupt):
            clerk.turn_over(asked_for.given, interrupt)
        later.join()
    assert [each.status for each in store.invitations()] == ["sent", "not_sent"]


def test_it_gives_its_connection_back_when_it_rests(
    store: Store, clerk: Clerk, turnover: MakeTurnover, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST", 0.05)
    pool: Any = engine().pool
    before = pool.checkedout()
    for _ in range(2):  # after a rest it goes on
        assert clerk.turn_over(turnover().given, lambda: None) == (True, True)
        wait_for(lambda: pool.checkedout() == before)


def test_it_starts_again_after_its_end(store: Store, clerk: Clerk, turnover: MakeTurnover) -> None:
    for _ in range(2):
        assert clerk.turn_over(turnover().given, lambda: None) == (True, True)
        clerk.close()


def test_it_ends_after_all_that_it_was_asked_for(
    store: Store, clerk: Clerk, turnover: MakeTurnover
) -> None:
    ending = Thread(target=clerk.close)

    def end() -> None:
        ending.start()
        wait_for(lambda: clerk._asked.qsize() == 2)

    given = [turnover() for _ in range(2)]
    assert together(clerk, store, given, end) == [(True, True)] * 2
    ending.join(10)
    assert not ending.is_alive()


@pytest.mark.parametrize("size", [1, 2])
def test_mail_leaves_though_there_is_no_connection_for_it(
    make_store: MakeStore, sink: Sink, size: int
) -> None:
    store = make_store(SQLALCHEMY_ENGINE_OPTIONS={"pool_size": size, "max_overflow": 0})
    queue(store, *many(4))
    assert store.deliver().sent == 4
    assert recipients(sink) == many(4)
