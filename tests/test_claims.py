"""Who holds a mail of the outbox: what a worker gives back, and what it takes next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from invitations_plugin import backlog, in_hand, outbox
from invitations_plugin.backlog import Place
from invitations_plugin.database import Busy, engine, session
from invitations_plugin.line import Line
from invitations_plugin.models import Outbox
from invitations_plugin.smtp import Connection, Unreachable

from .support.outbox import change_outbox, many, queue, recipients
from .support.pages import statements
from .support.rows import ago
from .support.sink import Sink
from .support.stores import Store, Visitor

ANNA = "anna@example.com"
ACTIONS = "/admin/invitations/actions"
IN_ONE = pytest.mark.parametrize("database", ["sqlite"])


def as_staff(admin: Visitor, action: str, number: int) -> None:
    admin.get("/admin/invitations/")
    chosen = {"action": action, "ids": number, "confirm": "1"}
    assert admin.post(ACTIONS, chosen).status_code == 302


def standing(store: Store) -> list[tuple[str, str]]:
    """Return the state of each mail, in the outbox and at its invitation."""
    states = [each.mail_state for each in store.invitations()]
    return list(zip([each.state for each in store.outbox()], states, strict=True))


def test_who_lost_a_claim_leaves_alone_what_another_worker_sends(
    store: Store, admin: Visitor, sink: Sink, clock: time_machine.Traveller
) -> None:
    [number] = queue(store, ANNA)
    leaves, go_on = Event(), Event()

    def wait(address: str) -> None:
        leaves.set()
        assert go_on.wait(30)

    class Slow(Line):
        """Comes to nothing, and only when another worker sends what was claimed for it."""

        def _take(self) -> Connection:
            clock.shift(outbox.LEASE + timedelta(seconds=1))
            other.start()
            assert leaves.wait(30)
            raise Unreachable("no server")

    other, sink.while_asking = Thread(target=store.deliver), wait
    try:
        assert store.deliver(line=Slow()).unreachable == "no server"
        assert standing(store) == [("sending", "sending")]
        as_staff(admin, "discard", number)
        as_staff(admin, "send", number)
    finally:
        go_on.set()
        other.join()
    assert (recipients(sink), store.deliver().handled) == ([ANNA], 0)
    assert store.invitation(ANNA).status == "discarded"


def test_a_mail_that_was_begun_and_that_the_server_had_nothing_of_is_given_back(
    store: Store, sink: Sink
) -> None:
    queue(store, *many(3))
    sink.replies["RCPT"] = ["250 OK", "421 4.3.2 closing"]

    def close_down(address: str) -> None:
        sink.at_connect = "421 4.3.2 closed"

    sink.while_asking = close_down
    report = store.deliver()
    assert (report.sent, report.unreachable is None) == (1, False)
    assert {(each.state, each.claim, each.tries) for each in store.outbox()} == {
        ("queued", None, 0)
    }
    assert [each.mail_state for each in store.invitations()] == ["delivered", "queued", "queued"]


@IN_ONE
def test_a_claim_that_could_not_be_given_back_is_not_remembered(
    store: Store, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any) -> None:
        raise Busy

    queue(store, ANNA)
    monkeypatch.setattr(outbox, "release", fail)
    with pytest.raises(Busy):
        store.deliver()
    assert in_hand._claims == set()


def test_a_lock_that_passes_does_not_end_a_run_that_reads_its_batch(
    store: Store, sink: Sink
) -> None:
    queue(store, *many(3))
    locked: list[str] = []

    def lock_once(db: Any, cursor: Any, statement: str, *more: Any) -> None:
        is_asking = statement.startswith("SELECT invitations_invitation")
        if is_asking and "invitations_invitation.id IN" in statement and not locked:
            locked.append(statement)
            raise sa.exc.OperationalError(statement, None, Exception("database is locked"))

    with store.app.app_context():
        sa.event.listen(engine(), "before_cursor_execute", lock_once)
    assert (store.deliver().sent, len(locked)) == (3, 1)


def changed(store: Store, number: int, **values: Any) -> None:
    """Let the mail of an invitation be another one."""
    with store.session() as db:
        db.execute(sa.update(Outbox).where(Outbox.invitation_id == number).values(**values))
        db.commit()


def test_new_mails_come_before_those_tried_and_both_by_how_long_they_are_due(
    store: Store, clock: time_machine.Traveller
) -> None:
    ids = queue(store, *many(8))
    tried, tried_later, new, new_later, of_dead, tried_of_dead, later, alive = ids
    held = {"state": "claimed", "claim": "a dead worker's", "lease_until": ago(seconds=1)}
    changed(store, tried, tries=1, due_at=ago(hours=3))
    changed(store, tried_later, tries=4, due_at=ago(hours=2))
    changed(store, new_later, due_at=ago(minutes=1))
    changed(store, new, due_at=ago(minutes=2))
    changed(store, of_dead, due_at=ago(minutes=3), **held)
    changed(store, tried_of_dead, tries=1, due_at=ago(hours=4), **held)
    changed(store, later, due_at=ago(seconds=-60))
    changed(store, alive, **held | {"lease_until": ago(seconds=-60)})
    with store.app.app_context():
        one_by_one = [outbox.claim(1)[0].invitation_id for _ in range(3)]
        together = {each.invitation_id for each in outbox.claim(2)}
        rest = [each.invitation_id for each in outbox.claim(10)]
    assert one_by_one == [of_dead, new, new_later]
    assert (together, rest) == ({tried_of_dead, tried}, [tried_later])


def test_a_claim_is_one_statement_whatever_there_is(store: Store) -> None:
    queue(store, *many(3))
    changed(store, store.invitations()[0].id, tries=1)
    with store.app.app_context():
        for expected in (2, 1, 0):
            with statements(store) as sent:
                assert len(outbox.claim(2)) == expected
            assert [each.split()[0] for each in sent] == ["WITH", "COMMIT"]


def plan(store: Store, work: Callable[[], object]) -> str:
    """Return how a database does the last thing that some work asks of it.

    PostgreSQL would look through so small a table, and sort it; where it can do neither
    without, it would all the same.
    """
    asked: list[tuple[str, Any]] = []
    with store.app.app_context():
        used, note = engine(), lambda *given: asked.append(given[2:4])
        sa.event.listen(used, "before_cursor_execute", note)
        work()
        sa.event.remove(used, "before_cursor_execute", note)
        session().rollback()
        statement, values = asked[-1]
        with used.connect() as connection:
            explain = "EXPLAIN QUERY PLAN"
            if connection.dialect.name == "postgresql":
                explain = "EXPLAIN"
                for each in ("seqscan", "sort"):
                    connection.exec_driver_sql(f"SET LOCAL enable_{each} = off")
            rows = connection.exec_driver_sql(f"{explain} {statement}", values).all()
    return "\n".join(str(each[-1]) for each in rows)


@pytest.mark.parametrize("notices", [None, False])
def test_a_claim_looks_at_no_more_than_it_takes(store: Store, notices: bool | None) -> None:
    queue(store, *many(200))
    shown = plan(store, lambda: outbox.claim(10, notices=notices))
    assert shown.count("ix_invitations_outbox_turn") == 4
    assert not any(word in shown for word in ("Seq Scan", "Sort", "ORDER BY", "Bitmap"))
    assert "SCAN invitations_outbox" not in shown


@IN_ONE  # the other one chooses by its statistics, and has none of so few
@pytest.mark.parametrize("place", [Place.PARKED, Place.SENDING])
def test_the_lists_of_what_is_parked_or_leaves_do_not_look_through_the_outbox(
    store: Store, place: Place
) -> None:
    queue(store, *many(200))
    change_outbox(store, due_at=ago(hours=1))
    shown = plan(store, lambda: backlog.listed(session(), place))
    assert "ix_invitations_outbox_turn" in shown


def test_the_oldest_mail_is_found_whether_it_was_tried_or_not(store: Store) -> None:
    tried, new = queue(store, *many(2))
    changed(store, tried, tries=1, due_at=ago(hours=2))
    with store.session() as db:
        assert backlog.oldest(db) == store.outbox()[0].due_at
    changed(store, new, due_at=ago(hours=3))
    with store.session() as db:
        assert backlog.oldest(db) == store.outbox()[1].due_at
