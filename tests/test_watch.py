"""Whether mail leaves as it should: who finds out, and that staff are told once and at the end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from invitations_plugin import alarms, notices, watch, workers
from invitations_plugin.clock import now
from invitations_plugin.database import atomically, engine, session
from invitations_plugin.delivery_models import DeliveryState
from invitations_plugin.watch import Sight, Trouble
from invitations_plugin.watch_models import Alarm

from .support.outbox import change_outbox, in_threads
from .support.pages import Page
from .support.rows import ago
from .support.sink import Sink
from .support.stores import MakeStore, Store, Visitor
from .support.watching import IN_ONE, add_worker, asked, park, put, refusing
from .test_cli import run

ADA = "ada@example.com"
Later = Callable[[timedelta], None]


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    """A store that tells Ada what needs a person."""
    made = make_store()
    made.setting("staff_notice_address", ADA)
    return made


def look(store: Store) -> Sight:
    return asked(store, watch.look)


def ring(store: Store) -> None:
    with store.app.app_context():
        atomically(lambda: alarms.ring(session()))


def told(store: Store) -> list[str]:
    """Return the notices that wait, by their event."""
    return [each.payload["event"] for each in store.outbox() if each.payload]


def shut_circuit(store: Store) -> None:
    """Leave the server alone, as after a row of refusals, and tell staff of it."""
    with store.session() as db:
        db.add(DeliveryState(shut_at=now(), probe_at=now(), reason="554 blocked"))
        notices.notify(db, "everyone_refused", reason="554 blocked", since=now())
        db.commit()


def open_circuit(store: Store) -> None:
    with store.session() as db:
        db.execute(sa.update(DeliveryState).values(shut_at=None))
        db.commit()


@IN_ONE
def test_nothing_is_wrong_with_an_idle_store(store: Store) -> None:
    sight = look(store)
    assert (sight.queued, sight.oldest, sight.workers, sight.troubles) == (0, None, 0, ())


def test_mail_without_a_worker_is_in_trouble_after_a_while(store: Store) -> None:
    put(store, "due@example.com", due_at=ago(seconds=90))
    assert look(store).troubles == ()
    change_outbox(store, due_at=ago(minutes=3))
    assert look(store).troubles == (Trouble.NO_WORKER,)
    add_worker(store, id="dead", seen_at=ago(minutes=3))
    add_worker(store, id="ended", ended_at=ago(seconds=1))
    assert look(store).troubles == (Trouble.NO_WORKER,)
    add_worker(store, id="alive")
    assert look(store).troubles == ()
    assert look(store).workers == 1


@IN_ONE
def test_a_scheduler_s_command_is_a_worker_between_its_turns(store: Store) -> None:
    put(store, "due@example.com", due_at=ago(minutes=5))
    add_worker(store, kind="command", seen_at=ago(minutes=50), ended_at=ago(minutes=50))
    assert look(store).troubles == ()
    change_outbox(store, due_at=ago(minutes=31))
    assert look(store).troubles == (Trouble.LATE,)


@IN_ONE
def test_mail_is_late_after_the_minutes_of_the_setting(store: Store) -> None:
    add_worker(store)
    put(store, "due@example.com", due_at=ago(minutes=29))
    assert look(store).troubles == ()
    store.setting("alarm_minutes", 28)
    assert look(store).troubles == (Trouble.LATE,)
    store.setting("alarm_minutes", 0)
    assert look(store).troubles == ()


@IN_ONE
def test_mail_that_waits_on_purpose_is_not_late(store: Store) -> None:
    put(store, "due@example.com", due_at=ago(hours=9))
    park(store, "parked@example.com", due_at=ago(days=9))
    store.setting("enabled", False)
    with refusing(store):
        assert look(store).troubles == ()
    store.setting("enabled", True)
    assert look(store).troubles == (Trouble.LATE,)


def test_what_the_mail_server_says_to_a_worker_is_known(store: Store, sink: Sink) -> None:
    put(store, "due@example.com")
    clock = workers.Clock(store.app)
    sink.at_connect = "421 4.3.2 not now"
    with store.app.app_context():
        clock._look()
    assert look(store).refused == "421 4.3.2 not now"
    assert look(store).troubles == (Trouble.REFUSED,)
    sink.at_connect, clock._next_mail = None, 0.0
    with store.app.app_context():
        clock._look()
    assert look(store).troubles == ()


def test_staff_are_told_once_that_mail_waits_and_once_that_it_left(
    store: Store, sink: Sink
) -> None:
    put(store, "due@example.com", due_at=ago(minutes=31))
    add_worker(store)
    for _ in range(3):
        ring(store)
    assert told(store) == ["delivery_late"]
    store.deliver()
    ring(store)
    ring(store)
    assert told(store) == ["delivery_late_over"]
    store.deliver()
    first, second = (mail.text for mail in sink.to(ADA))
    assert "longer than the 30 minutes" in first
    assert "1 mail waits" in first
    assert "any more" in second
    assert "/admin/invitations/delivery/" in first


@IN_ONE
def test_a_server_that_comes_back_soon_is_no_alarm(store: Store, later: Later) -> None:
    with refusing(store):
        ring(store)
        assert asked(store, lambda db: db.scalars(sa.select(Alarm.name)).all()) == ["refused"]
        later(alarms.PATIENCE - timedelta(seconds=30))
        ring(store)
    ring(store)
    assert told(store) == []
    assert asked(store, lambda db: db.scalars(sa.select(Alarm.name)).all()) == []


@IN_ONE
def test_staff_are_told_of_a_server_that_goes_on_refusing(
    store: Store, sink: Sink, later: Later
) -> None:
    with refusing(store, "535 5.7.8 who are you?"):
        ring(store)
        later(alarms.PATIENCE)
        add_worker(store, id="still", refused="535 5.7.8 who are you?")
        ring(store)
        ring(store)
    assert told(store) == ["server_refuses"]
    with store.session() as db:
        db.execute(sa.text("UPDATE invitations_worker SET refused = NULL"))
        db.commit()
    ring(store)
    assert told(store) == ["server_refuses", "server_refuses_over"]
    store.deliver()
    said, over = (mail.text for mail in sink.to(ADA))
    assert "535 5.7.8 who are you?" in said
    assert "refused them since" in over


@IN_ONE
def test_of_a_server_that_is_left_alone_nothing_is_told_where_its_beginning_was_not(
    store: Store,
) -> None:
    store.setting("staff_notice_address", "")
    shut_circuit(store)
    store.setting("staff_notice_address", ADA)
    assert look(store).troubles == (Trouble.REFUSED,)
    assert "554 blocked" in look(store).refused
    assert run(store, "doctor").output.count("554 blocked") == 1
    ring(store)
    assert told(store) == []
    open_circuit(store)
    ring(store)
    assert told(store) == []  # for nobody was told of its beginning


@IN_ONE
def test_of_a_server_that_was_left_alone_briefly_the_end_is_told(store: Store) -> None:
    shut_circuit(store)
    ring(store)
    ring(store)
    assert told(store) == ["everyone_refused"]
    open_circuit(store)
    ring(store)
    assert told(store) == ["everyone_refused", "server_refuses_over"]


@IN_ONE
@pytest.mark.parametrize(("setting", "waits"), [("enabled", False), ("hold_outbox", True)])
def test_nothing_is_over_while_mail_waits_on_purpose(
    store: Store, setting: str, waits: bool
) -> None:
    put(store, "due@example.com", due_at=ago(minutes=31))
    shut_circuit(store)
    ring(store)
    begun = ["everyone_refused", "delivery_late"]
    assert told(store) == begun
    store.setting(setting, waits)
    ring(store)
    assert told(store) == begun
    store.setting(setting, not waits)
    ring(store)
    assert told(store) == begun
    change_outbox(store, due_at=ago(minutes=-1))
    open_circuit(store)
    ring(store)
    assert told(store) == [*begun, "delivery_late_over", "server_refuses_over"]


@IN_ONE
def test_an_alarm_that_is_switched_off_ends_in_silence(store: Store) -> None:
    put(store, "due@example.com", due_at=ago(minutes=31))
    ring(store)
    store.setting("alarm_minutes", 0)
    ring(store)
    assert told(store) == ["delivery_late"]
    assert asked(store, lambda db: db.scalars(sa.select(Alarm.name)).all()) == []


@IN_ONE
def test_a_server_refuses_until_somebody_was_let_in_again(store: Store, later: Later) -> None:
    add_worker(store, refused="421 busy")
    ring(store)
    later(alarms.PATIENCE)
    ring(store)
    assert told(store) == ["server_refuses"]
    assert (look(store).workers, look(store).troubles) == (0, (Trouble.REFUSED,))
    add_worker(store)
    ring(store)
    assert told(store) == ["server_refuses", "server_refuses_over"]


@pytest.mark.parametrize("database", ["postgresql"])  # SQLite has one writer
def test_an_alarm_that_another_worker_ends_meanwhile_breaks_nothing(store: Store) -> None:
    put(store, "due@example.com", due_at=ago(minutes=31))
    ring(store)
    with store.app.app_context():
        target = engine()

    def end_it(*given: Any) -> None:
        if "INSERT INTO invitations_alarm" in str(given[2]):
            with target.begin() as other:
                other.execute(sa.delete(Alarm))

    sa.event.listen(target, "after_cursor_execute", end_it)
    ring(store)
    sa.event.remove(target, "after_cursor_execute", end_it)
    assert told(store) == ["delivery_late"]


@IN_ONE
def test_mail_that_an_operator_holds_is_not_late(store: Store) -> None:
    put(store, "due@example.com", due_at=ago(hours=9))
    store.setting("hold_outbox", True)
    assert look(store).troubles == ()


def test_of_several_workers_one_tells(store: Store) -> None:
    put(store, "due@example.com", due_at=ago(minutes=31))
    in_threads(lambda: ring(store), 4)
    assert told(store) == ["delivery_late"]
    change_outbox(store, due_at=ago(minutes=-1))
    in_threads(lambda: ring(store), 4)
    assert told(store) == ["delivery_late", "delivery_late_over"]


@IN_ONE
def test_nobody_is_told_of_an_end_whose_beginning_nobody_was_told_of(store: Store) -> None:
    store.setting("staff_notice_address", "")
    put(store, "due@example.com", due_at=ago(minutes=31))
    ring(store)
    store.setting("staff_notice_address", ADA)
    change_outbox(store, due_at=ago(minutes=-1))
    ring(store)
    assert told(store) == []


@IN_ONE
def test_a_worker_rings_the_alarm_by_itself(store: Store, sink: Sink) -> None:
    put(store, "due@example.com", due_at=ago(minutes=31))
    sink.at_connect = "421 busy"
    with store.app.app_context():
        workers.Clock(store.app)._look()
    assert told(store) == ["delivery_late"]


@IN_ONE
@pytest.mark.parametrize("path", ["", "configuration"])
def test_pages_say_what_keeps_mail_from_leaving_where_no_mail_can(
    store: Store, admin: Visitor, later: Later, path: str
) -> None:
    def notices() -> list[str]:
        return Page(admin.get(f"/admin/invitations/{path}")).notices

    store.setting("staff_notice_address", "")
    put(store, "due@example.com", due_at=ago(minutes=31))
    with refusing(store, "421 busy"):
        ring(store)
        [late] = notices()
        assert late.startswith("Mail waits for too long, since ")
        later(alarms.PATIENCE)
        assert any(each.startswith("The mail server refuses mail, since ") for each in notices())
        assert "since" not in str(Page(admin.get("/admin/invitations/delivery")).notices)
    change_outbox(store, due_at=ago(minutes=-60))
    ring(store)
    assert notices() == []


@IN_ONE
def test_the_doctor_says_what_keeps_mail_from_leaving(store: Store) -> None:
    assert "is in order" in run(store, "doctor").output
    put(store, "due@example.com", due_at=ago(minutes=31))
    park(store, "parked@example.com")
    answer = run(store, "doctor")
    assert answer.exit_code == 1
    assert "no worker was seen" in answer.output
    assert "for 31 minutes, longer than the 30 minutes" in answer.output
    assert "wait for a decision: 1" in answer.output
    with refusing(store, "421 busy"):
        assert "refused by the mail server (421 busy)" in run(store, "doctor").output
