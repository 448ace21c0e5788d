"""Statements that go straight to the driver write what they would write by way of the library."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from invitations_plugin import outbox_sql
from invitations_plugin.database import (
    engine,
    keep_connection,
    kept_connection,
    let_go_of_connection,
    our_connection,
    session,
)
from invitations_plugin.straight import straight

from .support.outbox import change_outbox, queue
from .support.stores import Store

WHOLE_SECOND = datetime(2026, 11, 26, 12, 0, 0)


def marked(store: Store, until: datetime, *, by_driver: bool) -> tuple[Any, ...]:
    """Mark the one mail that waits; return its row as the database keeps it."""
    change_outbox(store, claim="ours", state="claimed", lease_until=None)
    (mail,) = store.outbox()
    with store.app.app_context():
        keep_connection()
        kept = kept_connection() if engine().dialect.name == "postgresql" else our_connection()
        assert kept is not None
        given = {"leaving_mail": mail.id, "held_by": "ours", "until": until}
        used = straight(kept) if by_driver else kept
        assert used.execute(outbox_sql.MARK_MAIL, given).rowcount == 1  # type: ignore[attr-defined]
        session().commit()
        let_go_of_connection()
        with engine().connect() as another:
            return tuple(another.exec_driver_sql("SELECT * FROM invitations_outbox").one())


@pytest.mark.parametrize("until", [WHOLE_SECOND, WHOLE_SECOND + timedelta(microseconds=70)])
def test_a_row_is_written_alike_either_way(store: Store, until: datetime) -> None:
    queue(store, "anna@example.com")
    by_driver = marked(store, until, by_driver=True)
    assert by_driver == marked(store, until, by_driver=False)
    assert store.outbox()[0].lease_until == until


def test_only_a_kept_connection_is_gone_straight_over(store: Store) -> None:
    with store.app.app_context():
        db = our_connection()
        assert straight(db) is db
        assert straight(session()) is session()


def test_what_was_written_straight_is_taken_back_with_the_rest(store: Store) -> None:
    queue(store, "anna@example.com")
    change_outbox(store, claim="ours")
    (mail,) = store.outbox()
    with store.app.app_context():
        keep_connection()
        db = straight(our_connection())
        given = {"mail": mail.id, "held_by": "ours"}
        assert db.execute(outbox_sql.CLOSE, given).rowcount == 1  # type: ignore[attr-defined]
        session().rollback()
        let_go_of_connection()
    assert [each.claim for each in store.outbox()] == ["ours"]
