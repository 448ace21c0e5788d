"""Celery drives the delivery: its messages only wake it, so they may be lost or come again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from invitations_plugin import init_celery
from invitations_plugin.celery_tasks import DELIVER, TASKS, Bell
from invitations_plugin.state import state

from .support.brokers import Redis, celery_worker, rabbitmq, redis
from .support.outbox import in_threads, many, queue, recipients, wait_for
from .support.second_store import SecondStore
from .support.sink import Sink
from .support.stores import MakeStore, Store

ANNA, BEN, CARA = "anna@example.com", "ben@example.com", "cara@example.com"
IN_ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
NOWHERE = "amqp://guest:guest@127.0.0.1:1//"


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A Redis that a test may start and kill."""
    with redis() as made:
        yield made


def bell_of(store: Store) -> Bell:
    with store.app.app_context():
        bell = state().bell
    assert bell is not None
    return bell


def is_empty(store: Store) -> bool:
    return store.outbox() == []


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_on_rabbitmq_a_form_is_mailed_and_messages_that_come_again_change_nothing(
    make_store: MakeStore, sink: Sink, tmp_path: Path
) -> None:
    with rabbitmq() as (url, name):
        more = {"CELERY_BROKER_URL": url, "INVITATIONS_CELERY_QUEUE": name}
        store = make_store(**more, INVITATIONS_DELIVERY=None)
        with celery_worker(store, sink, tmp_path, **more):
            assert store.customer().send(ANNA, BEN).status_code == 302
            wait_for(lambda: is_empty(store))
            queue(store, *many(30))
            task, same = bell_of(store).celery.tasks[DELIVER], {"task_id": "again", "queue": name}
            for _ in range(3):
                task.apply_async(**same)
            wait_for(lambda: is_empty(store))
    assert sorted(recipients(sink)) == sorted([ANNA, BEN, *many(30)])
    with store.app.app_context():
        assert state().thread is None


@IN_ONE
def test_on_redis_mail_waits_for_a_broker_that_is_away_and_for_one_that_forgot(
    make_store: MakeStore, sink: Sink, tmp_path: Path, own_redis: Redis
) -> None:
    store = make_store(CELERY_BROKER_URL=own_redis.url, INVITATIONS_DELIVERY=None)
    visitor = store.customer()
    assert visitor.send(ANNA).status_code == 302  # nobody answers at the broker's address
    own_redis.start()
    with celery_worker(store, sink, tmp_path, CELERY_BROKER_URL=own_redis.url):
        wait_for(lambda: is_empty(store))
        own_redis.kill()
        assert visitor.send(BEN).status_code == 302
        own_redis.start()
        wait_for(lambda: is_empty(store), 60)
    assert recipients(sink) == [ANNA, BEN]


@IN_ONE
def test_a_broker_is_named_by_the_environment_as_well(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", NOWHERE)
    store = make_store(SecondStore, INVITATIONS_DELIVERY=None)
    assert store.app.config["INVITATIONS_DELIVERY"] == "celery"
    assert init_celery(store.app).conf.broker_url == NOWHERE


@pytest.fixture
def with_broker(make_store: MakeStore) -> Store:
    """A store whose broker is away."""
    return make_store(CELERY_BROKER_URL=NOWHERE, INVITATIONS_DELIVERY=None)


def test_a_task_that_runs_three_times_at_once_sends_each_mail_once(
    with_broker: Store, sink: Sink
) -> None:
    queue(with_broker, *many(20))
    in_threads(bell_of(with_broker).celery.tasks[DELIVER], 3)
    assert sorted(recipients(sink)) == many(20)
    assert is_empty(with_broker)


def test_each_task_runs_and_has_its_beat(with_broker: Store) -> None:
    celery = bell_of(with_broker).celery
    for name in TASKS:
        celery.tasks[name]()
        assert celery.conf.beat_schedule[name]["task"] == name


def test_a_broker_that_is_away_is_said_by_the_log_and_the_doctor(
    with_broker: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert with_broker.customer().send(ANNA).status_code == 302
    wait_for(lambda: "The broker is away" in caplog.text)
    said = with_broker.app.test_cli_runner().invoke(args=["invitations", "doctor"])
    assert "The broker of Celery cannot be used" in said.output
    assert said.exit_code == 1


def test_where_celery_shall_send_but_does_not_know_of_it_the_doctor_says_so(
    make_store: MakeStore,
) -> None:
    store = make_store(INVITATIONS_DELIVERY="celery")
    said = store.app.test_cli_runner().invoke(args=["invitations", "doctor"])
    assert "call init_celery(app)" in said.output


def test_a_store_s_own_celery_keeps_its_schedule_and_gets_our_tasks(
    with_broker: Store, make_store: MakeStore
) -> None:
    own = bell_of(with_broker).celery
    own.conf.beat_schedule[DELIVER]["schedule"] = 60.0
    store = make_store(INVITATIONS_CELERY_QUEUE="mail")
    assert init_celery(store.app, own) is own
    assert own.conf.beat_schedule[DELIVER]["schedule"] == 60.0
    assert store.app.config["INVITATIONS_DELIVERY"] == "celery"


def test_our_messages_go_to_the_queue_that_was_named(make_store: MakeStore) -> None:
    named = {"CELERY_BROKER_URL": NOWHERE, "INVITATIONS_CELERY_QUEUE": "mail"}
    schedule: dict[str, Any] = bell_of(make_store(**named)).celery.conf.beat_schedule
    assert {each["options"]["queue"] for each in schedule.values()} == {"mail"}


@IN_ONE
def test_celery_without_a_broker_is_refused_with_the_remedy(store: Store) -> None:
    with pytest.raises(RuntimeError, match="CELERY_BROKER_URL"):
        init_celery(store.app)
