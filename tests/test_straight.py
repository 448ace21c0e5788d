"""Statements that go straight to the driver write what they would write by way of the library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from invitations_plugin import outbox_sql
from invitations_plugin.database import engine
from invitations_plugin.straight import Straight

from .support.outbox import change_outbox, queue
from .support.stores import Store

WHOLE_SECOND = datetime(2026, 11, 26, 12, 0, 0)


@contextmanager
def connected(store: Store) -> Iterator[sa.Connection]:
    with store.app.app_context(), engine().connect() as connection:
        yield connection


def marked(store: Store, until: datetime, *, by_driver: bool) -> tuple[Any, ...]:
    """Mark the one mail that waits; return its row as the database keeps it."""
    change_outbox(store, claim="ours", state="claimed", lease_until=None)
    (mail,) = store.outbox()
    given = {"leaving_mail": mail.id, "held_by": "ours", "until": until}
    with connected(store) as db, db.begin():
        used: Any = Straight(db) if by_driver else db
        assert used.execute(outbox_sql.MARK_MAIL, given).rowcount == 1
    with connected(store) as another:
        return tuple(another.exec_driver_sql("SELECT * FROM invitations_outbox").one())


@pytest.mark.parametrize("until", [WHOLE_SECOND, WHOLE_SECOND + timedelta(microseconds=70)])
def test_a_row_is_written_alike_either_way(store: Store, until: datetime) -> None:
    queue(store, "anna@example.com")
    by_driver = marked(store, until, by_driver=True)
    assert by_driver == marked(store, until, by_driver=False)
    assert store.outbox()[0].lease_until == until


def test_what_was_written_straight_is_taken_back_with_the_rest(store: Store) -> None:
    queue(store, "anna@example.com")
    change_outbox(store, claim="ours")
    (mail,) = store.outbox()
    with connected(store) as db:
        straight = Straight(db)
        assert straight.changes(outbox_sql.CLOSE, {"mail": mail.id, "held_by": "ours"})
        db.connection.rollback()
    assert [each.claim for each in store.outbox()] == ["ours"]
