"""The outbox: what leaves, what waits, what never leaves, and that nothing leaves twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from jinja2 import ChoiceLoader, DictLoader

from invitations_plugin import delivery, outbox, recovery, workers
from invitations_plugin.beginning import Known, begin
from invitations_plugin.clerk import Clerk
from invitations_plugin.clock import now
from invitations_plugin.database import atomically, engine, session
from invitations_plugin.lifecycle import THE_SYSTEM, Actor, discard
from invitations_plugin.line import Line
from invitations_plugin.models import Invitation, Outbox
from invitations_plugin.opt_outs import opt_out
from invitations_plugin.state import state

from .support.outbox import change_outbox, in_threads, many, queue, recipients, wait_for
from .support.processes import flask_worker
from .support.rows import ago
from .support.sink import Mail, Sink
from .support.stores import LIST, MakeStore, Store, Visitor

ANNA, BEN, CARA = "anna@example.com", "ben@example.com", "cara@example.com"
MINUTES = [1, 5, 30, 120, 360, 720, 1440, 2880]


def test_what_waits_is_sent_batch_after_batch_the_oldest_first(store: Store, sink: Sink) -> None:
    store.setting("batch_size", 10)
    queue(store, *many(35))
    assert store.deliver().sent == 35
    assert recipients(sink) == many(35)
    assert sink.connections == 4
    assert store.outbox() == []
    assert {each.status for each in store.invitations()} == {"sent"}


def test_a_limit_leaves_the_rest(store: Store, sink: Sink) -> None:
    queue(store, *many(7))
    assert store.deliver(limit=3).sent == 3
    assert recipients(sink) == many(3)
    assert [each.state for each in store.outbox()] == ["queued"] * 4


def test_a_run_that_is_stopped_gives_back_what_it_did_not_touch(store: Store, sink: Sink) -> None:
    queue(store, *many(5))
    with store.app.app_context():
        report = delivery.deliver(stop=lambda: len(sink.mails) == 2)
    assert (report.sent, recipients(sink)) == (2, many(2))
    assert [(each.state, each.claim) for each in store.outbox()] == [("queued", None)] * 3
    assert store.deliver().sent == 3


def test_a_451_defers_one_mail_alone_with_growing_waits(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, *many(9), BEN)
    sink.refused[BEN] = "451 4.2.1 greylisted"
    report = store.deliver()
    assert (report.sent, report.deferred) == (9, 1)
    assert store.invitation(BEN).mail_error == "451 4.2.1 greylisted"
    for tries, minutes in enumerate(MINUTES, 1):
        (waiting,) = store.outbox()
        wait = (waiting.due_at - now()).total_seconds() / 60
        assert (waiting.state, waiting.tries) == ("queued", tries)
        assert minutes * 0.78 < wait < minutes * 1.22
        assert store.deliver().handled == 0
        clock.shift(waiting.due_at - now() + timedelta(seconds=1))
        store.deliver()
    assert sink.asked_for.count(BEN) == 9


def test_a_mail_is_given_up_after_five_days(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, BEN)
    sink.refused[BEN] = "451 4.2.1 greylisted"
    start = now()
    store.deliver()
    while store.outbox() and now() - start < timedelta(days=20):
        clock.shift(store.outbox()[0].due_at - now() + timedelta(seconds=1))
        store.deliver()
    assert store.outbox() == []
    assert store.invitation(BEN).mail_state == "failed"
    assert timedelta(days=4) < now() - start < timedelta(days=6, hours=1)


@pytest.mark.parametrize("reply", ["550 5.1.1 unknown", "550 drop"])
def test_a_550_fails_at_once_and_is_never_tried_again(
    store: Store, veronica: Visitor, sink: Sink, clock: time_machine.Traveller, reply: str
) -> None:
    queue(store, ANNA, BEN)
    sink.replies["RCPT"] = [reply]
    report = store.deliver()
    assert (report.failed, report.sent, recipients(sink)) == (1, 1, [BEN])
    assert store.outbox() == []
    assert store.invitation(ANNA).mail_state == "failed"
    assert 'data-status="not_sent"' in veronica.get(LIST).text
    clock.shift(timedelta(days=6))
    store.deliver()
    assert sink.asked_for.count(ANNA) == 1


def test_a_refused_sender_gives_no_recipient_up(store: Store, sink: Sink) -> None:
    queue(store, ANNA)
    sink.replies["MAIL"] = ["550 5.7.1 not from you"]
    assert store.deliver().deferred == 1
    assert store.outbox()[0].state == "queued"


@pytest.mark.parametrize("greeting", ["421 4.3.2 busy", "554 blocked", "silence"])
def test_a_server_that_is_away_burns_nothing(
    make_store: MakeStore, sink: Sink, greeting: str
) -> None:
    store = make_store(INVITATIONS_SMTP_TIMEOUT=0.3)
    queue(store, *many(5))
    sink.at_connect = greeting
    report = store.deliver()
    assert report.unreachable is not None
    assert report.handled == 0
    waiting = [(each.state, each.tries, each.claim) for each in store.outbox()]
    assert waiting == [("queued", 0, None)] * 5
    sink.at_connect = None
    assert store.deliver().sent == 5
    assert recipients(sink) == many(5)


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_server_without_the_tls_that_is_wanted_gets_nothing_and_burns_nothing(
    make_store: MakeStore, sink: Sink
) -> None:
    store = make_store(MAIL_USE_TLS=True, MAIL_USERNAME="shop", MAIL_PASSWORD="secret")
    queue(store, *many(3))
    report = store.deliver()
    assert "STARTTLS" in str(report.unreachable)
    assert (sink.logins, sink.asked_for) == ([], [])
    assert [(each.state, each.tries) for each in store.outbox()] == [("queued", 0)] * 3


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_refused_login_ends_the_run_and_burns_nothing(make_store: MakeStore, sink: Sink) -> None:
    store = make_store(MAIL_USERNAME="shop", MAIL_PASSWORD="wrong")
    queue(store, *many(3))
    report = store.deliver()
    assert "535" in str(report.unreachable)
    assert sink.connections == 1
    assert [(each.state, each.tries) for each in store.outbox()] == [("queued", 0)] * 3


def test_a_server_that_hangs_up_after_each_mail_gets_each_once(store: Store, sink: Sink) -> None:
    queue(store, *many(5))
    sink.replies["DATA"] = ["250 drop"] * 5
    report = store.deliver()
    assert (report.sent, report.deferred) == (5, 0)
    assert recipients(sink) == many(5)


def test_a_row_that_hangs_is_deferred_and_not_asked_twice(
    make_store: MakeStore, sink: Sink
) -> None:
    store = make_store(INVITATIONS_SMTP_TIMEOUT=0.3)
    queue(store, ANNA, BEN, CARA)
    sink.replies["RCPT"] = ["250 OK", "silence"]
    report = store.deliver()
    assert (report.sent, report.deferred) == (2, 1)
    assert sink.asked_for == [ANNA, BEN, CARA]


@pytest.mark.parametrize("address", ["jörg@example.com", "a@" + "x" * 280 + " b"])
def test_an_address_that_cannot_be_written_to_fails_alone(
    store: Store, sink: Sink, address: str
) -> None:
    queue(store, ANNA)
    queue(store, address, email_hash="none", recipient_hash="none")
    queue(store, BEN)
    report = store.deliver()
    assert (report.sent, report.failed) == (2, 1)
    assert recipients(sink) == [ANNA, BEN]
    failed = store.invitation(address)
    assert failed.mail_state == "failed"
    assert str(failed.mail_error).startswith("The address cannot be written to")


def test_a_store_view_without_a_sender_delays_its_own_mail_until_it_has_one(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    host = store.app.extensions["invitations"].host
    senders = host.senders
    host.senders = lambda view: () if view.code == "fr" else senders(view)
    queue(store, ANNA, store_view="fr")
    queue(store, BEN)
    report = store.deliver()
    assert (report.sent, report.deferred, recipients(sink)) == (1, 1, [BEN])
    del host.senders
    clock.shift(timedelta(minutes=2))
    assert store.deliver().sent == 1


def test_a_broken_template_gives_way_to_the_default_and_delays_nothing(
    store: Store, sink: Sink
) -> None:
    parts = dict.fromkeys(("subject.txt", "body.txt", "body.html"), "{{ nothing.at.all }}")
    templates = {f"invitations/email/broken/{name}": text for name, text in parts.items()}
    env = store.app.jinja_env
    env.loader = ChoiceLoader([DictLoader(templates), *([env.loader] if env.loader else [])])
    store.setting("email_template", "broken", "store", "fr")
    queue(store, ANNA, store_view="fr")
    queue(store, BEN)
    report = store.deliver()
    assert (report.sent, report.deferred) == (2, 0)
    assert sink.to(ANNA)[0].message["Subject"].startswith("Votre invitation")


AT = {"registered_at": ago(), "customer_key": "7"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "discarded", "discarded_by": "staff"}, "discarded"),
        ({"status": "accepted", **AT}, "accepted"),
        ({"status": "expired"}, "expired"),
        ({"expires_at": ago(seconds=1)}, "expired"),
        ({"email": None, "purged_at": ago()}, "erased"),
    ],
)
def test_what_was_closed_before_its_turn_is_not_sent(
    store: Store, sink: Sink, changes: dict[str, Any], reason: str
) -> None:
    queue(store, ANNA, BEN)
    with store.session() as db:
        db.execute(sa.update(Invitation).where(Invitation.email == ANNA).values(**changes))
        db.commit()
    report = store.deliver()
    assert (report.sent, report.skipped, recipients(sink)) == (1, 1, [BEN])
    skipped = store.invitations()[0]
    assert (skipped.mail_state, skipped.mail_error) == ("skipped", reason)
    assert skipped.sent_at is None
    assert store.outbox() == []


def test_a_deleted_invitation_is_not_sent(store: Store, sink: Sink) -> None:
    queue(store, ANNA)
    with store.session() as db:
        db.execute(sa.delete(Invitation))
        db.commit()
    store.deliver()
    assert (sink.mails, store.outbox()) == ([], [])


def test_an_opted_out_mailbox_gets_nothing_and_its_sender_sees_sent(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    queue(store, ANNA, recipient_hash="anna")
    with store.session() as db:
        opt_out(db, "anna")
        db.commit()
    assert store.deliver().skipped == 1
    assert (sink.mails, store.outbox()) == ([], [])
    assert store.invitation(ANNA).sent_at is not None
    assert 'data-status="sent"' in veronica.get(LIST).text


def test_a_new_mail_goes_before_those_tried_before(store: Store, sink: Sink) -> None:
    queue(store, *many(300))
    change_outbox(store, tries=1, due_at=ago(days=1))
    queue(store, ANNA)
    store.deliver(limit=1)
    assert recipients(sink) == [ANNA]


def test_a_claimed_row_of_a_dead_worker_goes_out_after_its_lease(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, ANNA)
    with store.app.app_context():
        assert len(outbox.claim(10)) == 1
    assert store.deliver().handled == 0
    clock.shift(outbox.LEASE + timedelta(seconds=1))
    assert store.deliver().sent == 1
    assert recipients(sink) == [ANNA]


def test_a_claim_passes_over_what_another_is_just_claiming(store: Store, database: str) -> None:
    ids = queue(store, *many(6))
    with store.app.app_context(), engine().connect() as another:
        if database == "postgresql":  # SQLite has one writer at a time
            first = sa.select(Outbox.id).order_by(Outbox.id).limit(3).with_for_update()
            another.execute(first)
        else:
            outbox.claim(3)
        taken = [each.invitation_id for each in outbox.claim(3)]
    assert taken == ids[3:]


def die_while_sending(store: Store) -> None:
    """Do what a worker does up to the moment at which it is killed."""
    with store.app.app_context():
        (entry,) = outbox.claim(10)
        atomically(lambda: begin(session(), entry, Known(), None))


def test_a_dead_workers_mail_is_repeated_once_half_an_hour_later_and_then_parked(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, ANNA)
    die_while_sending(store)
    assert store.deliver().handled == 0
    clock.shift(timedelta(minutes=16))
    store.deliver()
    clock.shift(timedelta(minutes=29))
    store.deliver()
    assert sink.mails == []
    clock.shift(timedelta(minutes=2))
    die_while_sending(store)
    clock.shift(timedelta(days=2))
    store.deliver()
    assert sink.mails == []
    assert store.outbox()[0].state == "parked"
    assert store.invitation(ANNA).mail_state == "parked"


def test_a_mail_of_unknown_end_goes_once_more_with_the_same_message_id(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, ANNA)
    message_id = store.outbox()[0].message_id
    sink.replies["DATA"] = ["drop"]
    assert store.deliver().deferred == 1
    clock.shift(timedelta(minutes=29))
    assert store.deliver().handled == 0
    clock.shift(timedelta(minutes=2))
    assert store.deliver().sent == 1
    assert [mail.message["Message-ID"] for mail in sink.mails] == [message_id]


def test_a_second_unknown_end_parks_the_mail(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, ANNA, BEN)
    sink.replies["RCPT"] = ["451 4.2.1 later"]  # Anna's
    sink.replies["DATA"] = ["drop"]  # Ben's
    store.deliver()
    clock.shift(timedelta(hours=1))
    sink.replies["DATA"] = ["250 OK", "drop"]
    store.deliver()
    clock.shift(timedelta(days=2))
    assert store.deliver().handled == 0
    assert store.invitation(BEN).mail_state == "parked"
    assert recipients(sink) == [ANNA]


def test_a_worker_that_wakes_late_changes_nothing(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, *many(3))
    with store.app.app_context():
        entries = outbox.claim(10)
        clock.shift(outbox.LEASE + timedelta(seconds=1))
        assert delivery.deliver().sent == 3
        before = [each.version for each in store.invitations()]
        report = delivery.Report()
        with closing(Line()) as line, closing(Clerk()) as clerk:
            run = delivery._Run(report, lambda: False, line, clerk)
            delivery._deliver_batch(entries, run)
    assert (report.sent, report.skipped) == (0, 3)
    assert recipients(sink) == many(3)
    assert [each.version for each in store.invitations()] == before


@pytest.mark.parametrize("reply", ["250 OK", "451 4.3.0 later", "550 5.0.0 never", "drop"])
def test_a_claim_lost_while_sending_leaves_the_row_to_its_new_worker(
    store: Store, sink: Sink, reply: str
) -> None:
    queue(store, ANNA)
    sink.before_reply = lambda: change_outbox(store, claim="another worker's")
    sink.replies["DATA"] = [reply]
    store.deliver()
    (found,) = store.outbox()
    assert (found.state, found.claim, found.tries) == ("sending", "another worker's", 0)
    assert store.invitation(ANNA).mail_state == "sending"
    assert store.invitation(ANNA).status == "not_sent"


def test_two_workers_that_find_the_same_dead_one_do_not_stumble(
    store: Store, clock: time_machine.Traveller
) -> None:
    queue(store, *many(40))
    change_outbox(store, state="sending", claim="a dead worker's", lease_until=ago(hours=1))
    counts: list[int] = []
    barrier = Barrier(4)

    def look() -> None:
        with store.app.app_context():
            barrier.wait()
            counts.append(recovery.recover())

    in_threads(look, 4)
    assert sum(counts) == 40
    assert {each.ambiguous for each in store.outbox()} == {1}


def test_what_is_left_of_a_batch_is_kept_alive_while_it_takes_long(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, *many(4))

    def take_long(mail: Mail) -> None:
        clock.shift(timedelta(seconds=60))
        with store.app.app_context():
            delivery.deliver()

    sink.while_taking = take_long
    assert store.deliver().sent == 4
    assert recipients(sink) == many(4)


def test_no_transaction_is_open_while_the_server_takes_its_time(store: Store, sink: Sink) -> None:
    queue(store, ANNA, BEN)
    states: list[Any] = []

    def look(mail: Mail) -> None:
        with store.app.app_context(), engine().connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN EXCLUSIVE")
                return
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            states.append(connection.scalar(sa.text(f"{query} AND state LIKE 'idle in tr%'")))

    sink.while_taking = look
    assert store.deliver().sent == 2
    assert not any(states)


def test_500_mails_by_four_threads_and_two_processes_leave_once_each(
    store: Store, sink: Sink
) -> None:
    store.setting("batch_size", 10)
    with flask_worker(store, sink), flask_worker(store, sink):
        queue(store, *many(500))
        in_threads(store.deliver, 4)
        wait_for(lambda: store.outbox() == [])
    assert Counter(recipients(sink)) == Counter(many(500))
    assert len({mail.message["Message-ID"] for mail in sink.mails}) == 500
    assert {each.status for each in store.invitations()} == {"sent"}


def test_a_discard_while_the_mail_leaves_is_kept(store: Store, sink: Sink) -> None:
    queue(store, ANNA)

    def discard_it(mail: Mail) -> None:
        with store.session() as db:
            found = db.scalars(sa.select(Invitation)).one()
            discard(db, found, Actor("staff"))
            db.commit()

    sink.while_taking = discard_it
    assert store.deliver().sent == 1
    found = store.invitation(ANNA)
    assert (found.status, found.mail_state, store.outbox()) == ("discarded", "delivered", [])
    assert ("send", "discarded", "discarded", THE_SYSTEM.kind) in store.history(ANNA)


def test_switched_off_the_mail_waits(store: Store, sink: Sink) -> None:
    queue(store, ANNA)
    store.setting("enabled", False)
    assert store.deliver().handled == 0
    store.setting("enabled", True)
    assert store.deliver().sent == 1


def test_switching_off_ends_a_run_with_its_batch(store: Store, sink: Sink) -> None:
    store.setting("batch_size", 2)
    queue(store, *many(6))
    sink.while_taking = lambda mail: store.setting("enabled", False)
    assert store.deliver().sent == 2


@pytest.fixture
def threaded(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that sends by a thread, which nothing but a call wakes."""
    monkeypatch.setattr(workers, "POLL", 3600.0)
    store = make_store(INVITATIONS_DELIVERY="thread")
    yield store
    with store.app.app_context():
        thread = state().thread
    assert thread is not None
    thread.end()


def test_the_thread_sends_as_soon_as_the_form_is_posted(threaded: Store, sink: Sink) -> None:
    threaded.customer().send(ANNA, BEN)
    wait_for(lambda: len(sink.mails) == 2)
    wait_for(lambda: threaded.outbox() == [])


def test_the_thread_outlives_a_fault(
    threaded: Store, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = threaded.customer()
    rename(threaded, "invitations_setting", "invitations_away")
    with threaded.app.app_context():
        thread = state().thread
    assert thread is not None
    thread.wake()
    wait_for(lambda: "A look at the outbox failed" in caplog.text)
    rename(threaded, "invitations_away", "invitations_setting")
    visitor.send(ANNA)
    wait_for(lambda: len(sink.mails) == 1)


def rename(store: Store, old: str, new: str) -> None:
    with store.session() as db:
        db.execute(sa.text(f"ALTER TABLE {old} RENAME TO {new}"))
        db.commit()


# A fork copies the locks that a working thread holds: the parent's is let finish its look.
FORKED = """
import os, threading, time
from wsgi import app
from invitations_plugin import workers
from invitations_plugin.state import state

look, looked = workers.Clock._look, threading.Event()

def seen(clock):
    pause = look(clock)
    looked.set()
    return pause

workers.Clock._look, workers.POLL = seen, 3600.0

def pid_of_thread():
    app.test_client().get("/account/invitations/")
    with app.app_context():
        assert state().thread.is_alive
        return state().thread.pid

assert pid_of_thread() == os.getpid()
assert looked.wait(30)
time.sleep(0.3)
child = os.fork()
if child == 0:
    os._exit(0 if pid_of_thread() == os.getpid() else 1)
assert os.waitpid(child, 0)[1] == 0
assert pid_of_thread() == os.getpid()
"""


def test_a_forked_process_starts_a_thread_of_its_own(store: Store, sink: Sink) -> None:
    environment = os.environ | {"INSTANCE_PATH": store.app.instance_path}
    environment["DATABASE_URL"] = store.app.config["SQLALCHEMY_DATABASE_URI"]
    command = [sys.executable, "-c", FORKED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_never_twice_parks_a_mail_of_unknown_end_at_once(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    store.setting("never_twice", True)
    queue(store, ANNA)
    sink.replies["DATA"] = ["taken drop"]
    store.deliver()
    queue(store, BEN)
    die_while_sending(store)
    clock.shift(timedelta(days=2))
    assert store.deliver().handled == 0
    assert recipients(sink) == [ANNA]
    assert [each.state for each in store.outbox()] == ["parked", "parked"]
    assert {each.mail_state for each in store.invitations()} == {"parked"}
