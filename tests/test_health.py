"""The addresses that monitors ask: what they say, to whom, and that they tell of nobody."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from invitations_plugin import metrics, migrations
from invitations_plugin.database import engine

from .support.pages import statements
from .support.rows import ago, one
from .support.stores import MakeStore, Store
from .support.watching import IN_ONE, add_worker, fill, park, put, refusing, tried
from .test_cli import run

HEALTH, METRICS = "/invitations/health", "/invitations/metrics"
TOKEN = {"INVITATIONS_METRICS_TOKEN": "a-secret-token"}
SHOWN = {"Authorization": "Bearer a-secret-token"}


def ask(store: Store, path: str = HEALTH, **more: Any) -> TestResponse:
    return store.visitor().client.get(path, **more)


def read_only(store: Store) -> None:
    """Let the database refuse every change from now on, as a full disk or a standby does."""
    with store.app.app_context():
        engine().dispose()
        target = engine()
    is_sqlite = target.dialect.name == "sqlite"
    order = "PRAGMA query_only = 1" if is_sqlite else "SET default_transaction_read_only = on"

    @sa.event.listens_for(target, "connect")
    def prepare(connection: Any, record: object) -> None:
        connection.cursor().execute(order)
        if not is_sqlite:
            connection.commit()


@IN_ONE
def test_a_store_whose_mail_leaves_is_well(store: Store) -> None:
    add_worker(store)
    put(store, "due@example.com", due_at=ago(seconds=75))
    put(store, "later@example.com", due_at=ago(seconds=-75))
    park(store, "parked@example.com")
    answer = ask(store)
    assert answer.status_code == 200
    told = answer.get_json()
    assert told.pop("oldest_seconds") in range(75, 90)
    assert told == {"status": "ok", "queued": 2, "workers": 1}


def test_a_store_whose_mail_waits_too_long_is_not(store: Store) -> None:
    put(store, "due@example.com", due_at=ago(minutes=5))
    assert (ask(store).status_code, ask(store).get_json()["status"]) == (200, "no_worker")
    put(store, "late@example.com", due_at=ago(minutes=31))
    answer = ask(store)
    assert (answer.status_code, answer.get_json()["status"]) == (503, "late")
    assert ask(store, method="HEAD").status_code == 503


@IN_ONE
def test_a_mail_server_that_refuses_is_told(store: Store) -> None:
    with refusing(store):
        assert ask(store).get_json()["status"] == "refused"
    assert ask(store).get_json()["status"] == "ok"


@IN_ONE
def test_a_store_that_is_switched_off_is_well(store: Store) -> None:
    put(store, "late@example.com", due_at=ago(minutes=31))
    store.setting("enabled", False)
    answer = ask(store)
    assert (answer.status_code, answer.get_json()["status"]) == (200, "off")


def test_a_database_that_cannot_be_written_to_is_not_well(store: Store) -> None:
    assert ask(store).status_code == 200
    read_only(store)
    answer = ask(store)
    assert (answer.status_code, answer.get_json()) == (503, {"status": "down"})


@IN_ONE
@pytest.mark.parametrize("path", [HEALTH, METRICS])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_addresses_only_show(store: Store, path: str, method: str) -> None:
    answer = store.visitor().client.open(path, method=method)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_a_database_without_the_tables_is_not_well(store: Store) -> None:
    assert ask(store).status_code == 200
    with store.app.app_context():
        migrations.downgrade(store.app, "base")
    answer = ask(store)
    migrations.upgrade(store.app)
    assert (answer.status_code, answer.get_json()) == (503, {"status": "down"})


@IN_ONE
def test_looking_is_cheap_and_changes_nothing(store: Store) -> None:
    fill(store)
    ask(store)
    with statements(store) as sent:
        ask(store)
    assert len(sent) <= 9
    assert "COMMIT" not in sent


@IN_ONE
def test_a_monitor_is_told_of_nobody_and_gets_no_cookie(make_store: MakeStore) -> None:
    store = make_store(**TOKEN)
    fill(store)
    tried(store, one(store), "fail", "550 <anna@example.com> unknown")
    with refusing(store, "550 anna@example.com"):
        for answer in (ask(store), ask(store, METRICS, headers=SHOWN)):
            assert "@" not in answer.text
            assert "Set-Cookie" not in answer.headers
            assert answer.headers["Cache-Control"] == "no-store"


@IN_ONE
def test_without_a_token_there_are_no_metrics(store: Store) -> None:
    assert ask(store, METRICS, headers=SHOWN).status_code == 404


@IN_ONE
def test_metrics_are_for_who_shows_the_token(make_store: MakeStore) -> None:
    store = make_store(**TOKEN)
    for given in ("", "a-secret-token", "Bearer", "Bearer a-secret", "Basic a-secret-token", "é é"):
        answer = ask(store, METRICS, headers={"Authorization": given})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "invitations_" not in answer.text
    assert ask(store, METRICS, headers=SHOWN).status_code == 200


def test_the_metrics_are_the_figures(make_store: MakeStore) -> None:
    store = make_store(**TOKEN)
    fill(store)
    put(store, "old@example.com", due_at=ago(minutes=31))
    number = one(store, "tried@example.com")
    for action in ("unknown", "send", "send", "defer", "fail"):
        tried(store, number, action)
    add_worker(store, id="silent", seen_at=ago(minutes=10))
    add_worker(store, id="alive", host="web-2")
    with refusing(store):
        found = figures(ask(store, METRICS, headers=SHOWN))
    places = ("queued", "later", "deferred", "sending", "parked", "failed")
    assert [found[f"outbox_{each}"] for each in places] == [2, 1, 1, 1, 1, 1]
    assert found["outbox_oldest_seconds"] // 60 == 31
    assert found['tries_last_hour{outcome="sent"}'] == 2
    assert found['tries_last_day{outcome="deferred"}'] == 1
    assert found['tries_last_day{outcome="failed"}'] == 1
    assert found['tries_last_day{outcome="unknown"}'] == 1
    assert found["duplicates_suspected_last_day"] == 1
    assert found["workers_alive"] == 2
    assert found['worker_silent_seconds{host="web-1",kind="worker",pid="4711"}'] >= 0
    assert found["mail_server_refusing"] == 1
    assert found['trouble{kind="late"}'] == 1


def figures(answer: TestResponse) -> dict[str, float]:
    """Return the metrics by name and labels."""
    lines = re.findall(r"^invitations_(\S+) (\S+)$", answer.text, re.MULTILINE)
    return {name: float(value) for name, value in lines}


@IN_ONE
def test_without_the_package_the_remedy_is_said(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "PACKAGE", "no_such_package")
    store = make_store(**TOKEN)
    answer = ask(store, METRICS, headers=SHOWN)
    assert answer.status_code == 501
    assert "pip install 'invitations-plugin[metrics]'" in answer.text
    assert "'invitations-plugin[metrics]'" in run(store, "doctor").output
