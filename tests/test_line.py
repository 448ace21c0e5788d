"""A worker's line to the mail server is kept while it is healthy, and left when it is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from invitations_plugin import line as lines
from invitations_plugin.line import Line
from invitations_plugin.smtp import Broken, Unreachable

from .support.outbox import many, queue, recipients
from .support.sink import Sink
from .support.stores import MakeStore, Store
from .test_smtp import message


@pytest.fixture
def line(store: Store) -> Iterator[Line]:
    """A line of the store's, for ten messages a connection."""
    with store.app.app_context(), closing(Line()) as opened:
        opened.most = 10
        yield opened


def send(line: Line, recipient: str = "anna@example.com") -> None:
    with line.connection() as connection:
        connection.deliver(message(recipient=recipient))


def test_one_connection_serves_run_after_run(store: Store, sink: Sink) -> None:
    with store.app.app_context(), closing(Line()) as line:
        for address in many(3):
            queue(store, address)
            assert store.deliver(line=line).sent == 1
    assert (recipients(sink), sink.connections) == (many(3), 1)


def test_without_a_line_of_its_own_a_run_ends_its_connection(store: Store, sink: Sink) -> None:
    for address in many(2):
        queue(store, address)
        store.deliver()
    assert sink.connections == 2


def test_a_connection_carries_as_many_messages_as_the_store_allows(
    store: Store, sink: Sink
) -> None:
    store.setting("batch_size", 2)
    queue(store, *many(5))
    with store.app.app_context(), closing(Line()) as line:
        assert store.deliver(line=line).sent == 5
        queue(store, "ben@example.com")
        assert store.deliver(line=line).sent == 1
    assert sink.connections == 3


def test_a_server_that_hung_up_while_the_line_rested_is_called_again(
    line: Line, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "FRESH", 0.0)
    send(line)
    sink.hang_up()
    send(line)
    assert (len(sink.mails), sink.connections) == (2, 2)


def test_a_line_that_rested_and_answers_is_used_again(
    line: Line, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "FRESH", 0.0)
    send(line)
    send(line)
    assert (len(sink.mails), sink.connections) == (2, 1)


def test_a_line_that_rests_for_long_is_ended(
    line: Line, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(line)
    line.rest()
    monkeypatch.setattr(lines, "LONGEST_REST", -1.0)
    line.rest()
    send(line)
    assert sink.connections == 2


def test_a_broken_line_is_never_used_again(line: Line, sink: Sink) -> None:
    sink.replies["DATA"] = ["421 4.3.2 closing"]  # and stays
    with pytest.raises(Broken):
        send(line)
    send(line)
    assert (len(sink.mails), sink.connections) == (1, 2)


def test_another_server_is_called_as_soon_as_the_store_names_it(
    store: Store, line: Line, sink: Sink
) -> None:
    with Sink() as other:
        send(line)
        store.app.config["MAIL_PORT"] = other.port
        send(line)
        assert (len(sink.mails), len(other.mails)) == (1, 1)


def test_a_server_that_is_away_leaves_nothing_behind(line: Line, sink: Sink) -> None:
    sink.at_connect = "421 4.3.2 busy"
    with pytest.raises(Unreachable):
        send(line)
    sink.at_connect = None
    send(line)
    assert len(sink.mails) == 1


def test_several_threads_send_at_a_time_over_a_connection_each(
    make_store: MakeStore, sink: Sink
) -> None:
    store = make_store(INVITATIONS_DELIVERY="thread", INVITATIONS_DELIVERY_THREADS=3)
    store.setting("batch_size", 1)
    at_a_time: list[int] = []
    busy = 0

    def take(mail: object) -> None:
        nonlocal busy
        busy += 1
        at_a_time.append(busy)
        time.sleep(0.2)
        busy -= 1

    sink.while_taking = take
    queue(store, *many(9))
    store.customer()  # the first request starts the delivery
    end = time.monotonic() + 30
    while store.outbox() and time.monotonic() < end:
        time.sleep(0.02)
    with store.session():
        thread = store.app.extensions["invitations"].thread
    thread.end()
    assert sorted(recipients(sink)) == many(9)
    assert max(at_a_time) == 3
