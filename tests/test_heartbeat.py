"""Signs of life: each worker is seen while it lives, and missed when it was killed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from invitations_plugin import heartbeat, workers
from invitations_plugin.delivery import Report
from invitations_plugin.heartbeat import Heart

from .support.outbox import many, queue, wait_for
from .support.pages import statements
from .support.processes import flask_worker
from .support.rows import ago
from .support.sink import Sink
from .support.stores import MakeStore, Store
from .support.watching import IN_ONE, add_worker, asked
from .support.watching import workers as seen
from .test_cli import run


@IN_ONE
def test_a_worker_is_seen_from_its_start_to_its_end(store: Store, sink: Sink) -> None:
    queue(store, *many(3))
    with flask_worker(store, sink) as process:
        wait_for(lambda: store.outbox() == [])
        [worker] = seen(store)
        assert (worker.kind, worker.pid, worker.ended_at) == ("worker", process.pid, None)
        assert worker.host
        assert heartbeat.is_alive(worker)
    [worker] = seen(store)
    assert worker.ended_at is not None
    assert not heartbeat.is_alive(worker)


@IN_ONE
def test_a_worker_that_was_killed_falls_silent(
    store: Store, later: Callable[[timedelta], None]
) -> None:
    with store.app.app_context():
        Heart("worker").beat()
    assert heartbeat.is_alive(seen(store)[0])
    later(heartbeat.SILENT)
    [worker] = seen(store)
    assert (heartbeat.is_alive(worker), worker.ended_at) == (False, None)


@IN_ONE
def test_the_thread_of_a_store_is_a_worker(make_store: MakeStore) -> None:
    store = make_store(INVITATIONS_DELIVERY="thread")
    workers.start_delivery(store.app)
    wait_for(lambda: [each.kind for each in seen(store)] == ["thread"])
    store.app.extensions["invitations"].thread.end()
    assert seen(store)[0].ended_at is not None


@IN_ONE
def test_a_command_that_a_scheduler_calls_is_one_worker(store: Store) -> None:
    queue(store, *many(2))
    for _ in range(2):
        assert run(store, "deliver", "--limit", "1").exit_code == 0
    [worker] = seen(store)
    assert (worker.kind, worker.did) == (
        "command",
        {"sent": 1, "deferred": 0, "failed": 0, "skipped": 0},
    )
    assert worker.ended_at is not None


def test_a_sign_of_life_is_written_now_and_then_and_news_of_the_server_at_once(
    store: Store,
) -> None:
    heart = Heart("worker")
    with store.app.app_context(), statements(store) as sent:
        heart.beat()
        heart.beat(Report(sent=3))
        assert sent.count("COMMIT") == 1
        heart.beat(Report(unreachable="421 busy"))
        heart.beat(Report(unreachable="421 busy"))
        assert sent.count("COMMIT") == 2
        assert seen(store)[0].refused == "421 busy"
        heart.beat(Report())
        assert sent.count("COMMIT") == 3
    [worker] = seen(store)
    assert (worker.refused, worker.did) == (
        None,
        {"sent": 3, "deferred": 0, "failed": 0, "skipped": 0},
    )


@IN_ONE
def test_a_worker_that_lives_on_says_so_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.0)
    heart = Heart("worker")
    with store.app.app_context():
        heart.beat()
        before = seen(store)[0].seen_at
        heart.beat()
    [worker] = seen(store)
    assert worker.seen_at > before
    assert worker.started_at <= before


def test_who_was_not_seen_for_a_day_is_forgotten(store: Store) -> None:
    add_worker(store, id="old", seen_at=ago(hours=25))
    add_worker(store, id="recent", seen_at=ago(hours=23))
    assert [each.id for each in asked(store, heartbeat.workers)] == ["recent"]
    with store.app.app_context():
        workers.Clock(store.app)._look()
    assert {each.id for each in seen(store)} & {"old", "recent"} == {"recent"}
