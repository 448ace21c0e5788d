"""Who holds a mail of the outbox: what a worker gives back, and what it takes next."""

from __future__ import annotations

from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from invitations_plugin import in_hand, outbox
from invitations_plugin.database import Busy, engine
from invitations_plugin.line import Line
from invitations_plugin.smtp import Connection, Unreachable

from .support.outbox import many, queue, recipients
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
