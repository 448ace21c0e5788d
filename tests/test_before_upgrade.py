"""A shop that was deployed before its tables were made: it sells, and says what to do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from invitations_plugin import migrations
from invitations_plugin.state import NO_TABLES
from invitations_plugin.workers import Clock

from .support.outbox import wait_for
from .support.second_store import SecondStore
from .support.stores import LIST, MakeStore, Store

ANNA = "anna@example.com"


@pytest.fixture(params=[Store, SecondStore], ids=["sample", "second"])
def bare(request: pytest.FixtureRequest, make_store: MakeStore) -> Iterator[Store]:
    """A store without our tables."""
    yield from without_tables(make_store(request.param))


@pytest.fixture
def closed(make_store: MakeStore) -> Iterator[Store]:
    """The same of an app that registers by invitation only."""
    yield from without_tables(make_store(INVITATIONS_REGISTRATION="invitation"))


def without_tables(store: Store) -> Iterator[Store]:
    migrations.downgrade(store.app, "base")
    store.app.extensions["invitations"].has_tables = False  # as in a process that just started
    yield store
    migrations.upgrade(store.app)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_the_shop_s_own_pages_work_and_the_log_says_once_what_to_do(
    bare: Store, caplog: pytest.LogCaptureFixture
) -> None:
    shopper = bare.customer()
    for _ in range(2):
        page = shopper.get(bare.account_path)
        assert page.status_code == 200
        assert LIST not in page.text
    assert said(caplog) == [NO_TABLES]
    migrations.upgrade(bare.app)
    assert LIST in shopper.get(bare.account_path).text


def test_people_register(bare: Store) -> None:
    visitor = bare.visitor()
    assert visitor.get(bare.register_path).status_code == 200
    assert bare.register(visitor, ANNA).status_code == 302
    assert ANNA in bare.customer_emails()


def test_an_app_that_is_closed_to_strangers_stays_closed(closed: Store) -> None:
    assert closed.register(closed.visitor(), ANNA).status_code == 403
    assert ANNA not in closed.customer_emails()


def test_an_account_can_be_deleted(bare: Store) -> None:
    with bare.session() as db:
        customer = bare.new_customer(ANNA)
        db.add(customer)
        db.commit()
        db.delete(customer)
        db.commit()
    assert ANNA not in bare.customer_emails()


@pytest.mark.parametrize("address", [LIST, "/admin/invitations/", "/invitations/any-link"])
def test_our_own_pages_ask_to_come_back(bare: Store, address: str) -> None:
    visitor = bare.staff() if address.startswith("/admin") else bare.customer()
    answer = visitor.get(address)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert "html" in answer.content_type


def test_a_worker_names_the_remedy_in_one_line(bare: Store) -> None:
    answer = bare.app.test_cli_runner().invoke(args=["invitations", "worker"])
    assert (answer.exit_code, answer.output) == (1, f"Error: {NO_TABLES}\n")


def test_a_thread_of_the_store_waits_for_the_tables(
    bare: Store, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(bare.app)
    running = threading.Thread(target=clock.run)
    running.start()
    try:
        wait_for(lambda: said(caplog) != [])
    finally:
        clock.stop()
        running.join()
    assert said(caplog) == [NO_TABLES]
