"""The end of a mail and the beginning of the next share a transaction, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from threading import Barrier, Event, Thread
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from invitations_plugin import people
from invitations_plugin.clerk import _spare_connection
from invitations_plugin.database import engine
from invitations_plugin.lifecycle import Actor, discard
from invitations_plugin.mail_models import (
    MailTemplate,
    MailTemplateFault,
    MailTemplateVersion,
)
from invitations_plugin.mailboxes import turn_for
from invitations_plugin.models import Invitation, MailState, Outbox
from invitations_plugin.opt_outs import opt_out
from invitations_plugin.signals import invitation_sent
from invitations_plugin.straight import Straight
from invitations_plugin.turns import take_turn

from .support.outbox import in_threads, many, queue, recipients, wait_for
from .support.rows import insert, row
from .support.sink import Mail, Sink
from .support.stores import MakeStore, Store

ANNA, BEN, CARA = "anna@example.com", "ben@example.com", "cara@example.com"
Change = Callable[[Any, Invitation], object]


def seen_by_others(store: Store) -> dict[str | None, tuple[str, str]]:
    """Return status and state of the mail of each address, as committed."""
    row = Invitation
    with store.app.app_context(), engine().connect() as another:
        found = another.execute(
            sa.select(row.email, row.status, row.mail_state).order_by(row.id)
        ).all()
    return {email: (status, state) for email, status, state in found}


def while_taking(sink: Sink, address: str, work: Callable[[], object]) -> None:
    """Do something while the server takes the mail to an address."""

    def look(mail: Mail) -> None:
        if mail.recipients == [address]:
            work()

    sink.while_taking = look


def take_over(store: Store, number: int) -> None:
    """Be another worker that has an invitation's mail by now."""
    with store.session() as db:
        its = sa.update(Outbox).where(Outbox.invitation_id == number)
        db.execute(its.values(claim="another worker's"))
        db.commit()


def test_each_end_is_committed_before_the_next_mail_leaves(store: Store, sink: Sink) -> None:
    queue(store, ANNA, BEN, CARA)
    seen: list[list[tuple[str, str]]] = []
    sink.while_taking = lambda mail: seen.append(list(seen_by_others(store).values()))
    assert store.deliver().sent == 3
    sent, leaving, waiting = ("sent", "delivered"), ("not_sent", "sending"), ("not_sent", "queued")
    assert seen == [[leaving, waiting, waiting], [sent, leaving, waiting], [sent, sent, leaving]]
    assert store.outbox() == []


def test_the_last_end_is_committed_without_a_next_mail(store: Store, sink: Sink) -> None:
    queue(store, ANNA, BEN)
    assert store.deliver(limit=1).sent == 1
    assert seen_by_others(store)[ANNA] == ("sent", "delivered")
    assert [each.state for each in store.outbox()] == ["queued"]


def test_an_end_is_kept_though_the_next_mail_cannot_be_made(
    store: Store, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = store.app.extensions["invitations"].host
    senders = host.senders
    no_sender = lambda view: () if view.code == "fr" else senders(view)  # noqa: E731
    monkeypatch.setattr(host, "senders", no_sender)
    queue(store, ANNA)
    queue(store, BEN, store_view="fr")
    queue(store, CARA)
    report = store.deliver()
    assert (report.sent, report.deferred, recipients(sink)) == (2, 1, [ANNA, CARA])
    assert store.invitation(ANNA).mail_tries == 1
    assert [action for action, *_ in store.history(ANNA)] == ["send"]
    assert [action for action, *_ in store.history(BEN)] == ["defer"]
    (waiting,) = store.outbox()
    assert (waiting.state, waiting.tries) == ("queued", 1)


def test_an_end_is_kept_though_the_next_mail_is_another_worker_s_by_then(
    store: Store, sink: Sink
) -> None:
    _, ben = queue(store, ANNA, BEN)
    while_taking(sink, ANNA, lambda: take_over(store, ben))
    report = store.deliver()
    assert (report.sent, report.skipped, recipients(sink)) == (1, 1, [ANNA])
    assert seen_by_others(store) == {ANNA: ("sent", "delivered"), BEN: ("not_sent", "queued")}
    assert [each.claim for each in store.outbox()] == ["another worker's"]


def test_a_claim_lost_while_sending_costs_the_next_mail_nothing(store: Store, sink: Sink) -> None:
    anna, _ = queue(store, ANNA, BEN)
    while_taking(sink, ANNA, lambda: take_over(store, anna))
    assert store.deliver().sent == 2
    assert seen_by_others(store) == {ANNA: ("not_sent", "sending"), BEN: ("sent", "delivered")}
    assert store.invitation(ANNA).last_sent_at is not None
    assert [each.claim for each in store.outbox()] == ["another worker's"]


@pytest.mark.parametrize(
    "close",
    [
        lambda db, row: discard(db, row, Actor("staff")),
        lambda db, row: opt_out(db, row.recipient_hash),
        lambda db, row: db.delete(row),
        lambda db, row: setattr(row, "email", None),
    ],
    ids=["discarded", "opted out", "deleted", "erased"],
)
def test_a_mail_closed_while_the_one_before_it_leaves_does_not_leave(
    store: Store, sink: Sink, close: Change
) -> None:
    _, ben, _ = queue(store, ANNA, BEN, CARA)

    def close_it() -> None:
        with store.session() as db:
            close(db, db.get_one(Invitation, ben))
            db.commit()

    while_taking(sink, ANNA, close_it)
    report = store.deliver()
    assert (report.sent, report.skipped, recipients(sink)) == (2, 1, [ANNA, CARA])
    assert store.invitation(ANNA).status == store.invitation(CARA).status == "sent"
    assert store.outbox() == []


@pytest.mark.parametrize("reply", ["550 5.1.1 unknown", "451 4.2.1 greylisted", "421 too many"])
def test_a_mail_that_was_made_early_and_refused_is_nobody_else_s(
    store: Store, sink: Sink, reply: str
) -> None:
    queue(store, ANNA, BEN, CARA, message="Come in")
    sink.refused[BEN] = reply
    store.deliver()
    assert recipients(sink) == [ANNA, CARA]
    for each in (ANNA, CARA):
        (mail,) = sink.to(each)
        assert f"We use your address, {each}," in " ".join(mail.text.split())
        assert store.history(each) == [("send", "not_sent", "sent", "system")]


def test_a_template_that_fails_while_a_mail_leaves_is_told_once(store: Store, sink: Sink) -> None:
    row = MailTemplate(code="own", kind="invitation", name="Own", language="en")
    contents = {"en": {"subject": "Hi", "text": "{{ 1 / 0 }}", "html": "{{ link }}"}}
    with store.session() as db:
        db.add(row)
        db.flush()
        db.add(
            MailTemplateVersion(code="own", number=1, name="Own", language="en", contents=contents)
        )
        db.commit()
    store.setting("email_template", "own")
    queue(store, ANNA, BEN, CARA)
    assert store.deliver().sent == 3
    assert all("Create an account" in mail.text for mail in sink.mails)
    with store.session() as db:
        faults = sa.select(sa.func.count()).select_from(MailTemplateFault)
        assert db.scalar(faults) == 1


def test_a_mail_edited_while_the_one_before_it_leaves_says_what_it_says_then(
    store: Store, sink: Sink
) -> None:
    _, ben = queue(store, ANNA, BEN)

    def edit() -> None:
        with store.session() as db:
            row = db.get_one(Invitation, ben)
            row.message, row.version = "Written a moment ago.", row.version + 1
            db.commit()

    while_taking(sink, ANNA, edit)
    assert store.deliver().sent == 2
    assert "Written a moment ago." in sink.to(BEN)[0].text


def test_an_edit_of_a_mail_that_is_leaving_keeps_its_end(store: Store, sink: Sink) -> None:
    anna, _ = queue(store, ANNA, BEN)

    def edit() -> None:
        with store.session() as db:
            row = db.get_one(Invitation, anna)
            row.group_code, row.version = "vip", row.version + 1
            db.commit()

    while_taking(sink, ANNA, edit)
    assert store.deliver().sent == 2
    assert store.history(ANNA) == [("send", "not_sent", "sent", "system")]
    assert store.invitation(ANNA).group_code == "vip"


@pytest.mark.parametrize("database", ["postgresql"])  # SQLite has one writer at a time
def test_who_holds_the_next_invitation_does_not_hold_up_the_end_of_the_one_before(
    store: Store, sink: Sink
) -> None:
    _, ben = queue(store, ANNA, BEN)
    held: list[sa.Connection] = []
    ends: list[tuple[str, str]] = []

    def hold() -> None:
        with store.app.app_context():
            held.append(engine().connect())
        held[0].execute(sa.select(Invitation.id).where(Invitation.id == ben).with_for_update())

    def let_go() -> None:
        wait_for(lambda: len(sink.mails) == 1 and bool(held))
        try:
            wait_for(lambda: seen_by_others(store)[ANNA][0] == "sent", seconds=10)
            ends.append(seen_by_others(store)[ANNA])
        finally:
            held[0].close()

    while_taking(sink, ANNA, hold)
    watcher = Thread(target=let_go)
    watcher.start()
    assert store.deliver().sent == 2
    watcher.join()
    assert ends == [("sent", "delivered")]


@pytest.mark.parametrize("database", ["postgresql"])  # SQLite has one writer at a time
def test_who_waited_for_a_mailbox_looks_again_whether_it_has_room(store: Store, sink: Sink) -> None:
    queue(store, ANNA, BEN)
    [another] = insert(store, [row(BEN, "not_sent", inviter_key="2", inviter_email="b@b.test")])
    held: list[Session] = []
    waits = sa.text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def hold() -> None:
        """Be a worker that begins to send another mail to Ben."""
        with store.app.app_context():
            held.append(Session(engine()))
            take_turn(held[0], turn_for(store.invitation(BEN, store.inviter)))
        its = sa.update(Invitation).where(Invitation.id == another)
        held[0].execute(its.values(mail_state=MailState.SENDING))

    def go_on() -> None:
        wait_for(lambda: bool(held))
        with store.app.app_context(), engine().connect() as watching:
            watched = watching.execution_options(isolation_level="AUTOCOMMIT")
            wait_for(lambda: watched.scalar(waits) == 1)
        held[0].commit()
        held[0].close()

    while_taking(sink, ANNA, hold)
    watcher = Thread(target=go_on)
    watcher.start()
    report = store.deliver()
    watcher.join()
    assert (report.sent, report.deferred, recipients(sink)) == (1, 1, [ANNA])
    assert store.history(ANNA) == [("send", "not_sent", "sent", "system")]


@pytest.mark.parametrize("database", ["postgresql"])
def test_a_connection_to_the_database_that_breaks_costs_no_mail_and_no_second_copy(
    store: Store, sink: Sink
) -> None:
    queue(store, ANNA, BEN, CARA)

    def end_all() -> None:
        ending = sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with store.app.app_context(), engine().connect() as another:
            another.execute(ending)

    while_taking(sink, BEN, end_all)  # the one that the end of Anna's mail went over, too
    assert store.deliver().sent == 3
    assert recipients(sink) == [ANNA, BEN, CARA]
    assert {status for status, _ in seen_by_others(store).values()} == {"sent"}


def test_workers_leave_others_a_connection_while_a_server_takes_its_time(
    make_store: MakeStore, sink: Sink
) -> None:
    store = make_store(SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 4, "max_overflow": 0})
    queue(store, *many(60))
    with store.app.app_context():
        pool: Any = engine().pool
    seen: list[int] = []
    together = Barrier(6, timeout=30)

    def look(mail: Mail) -> None:
        together.wait()
        wait_for(lambda: pool.checkedout() < 4)  # who makes the next mail may read just now
        seen.append(pool.checkedout())
        together.wait()

    store.setting("batch_size", 10)
    sink.while_taking = look
    in_threads(store.deliver, 6)
    assert len(sink.mails) == 60
    assert max(seen) == 3


def test_a_connection_that_takes_its_time_holds_up_no_other_clerk(store: Store, sink: Sink) -> None:
    queue(store, *many(4))
    with store.app.app_context():
        used = engine()
    asked, go_on = Event(), Event()

    def wait(*given: Any) -> None:
        if not asked.is_set():
            asked.set()
            assert go_on.wait(30)

    slow, quick = Thread(target=_spare_connection, args=[used]), Thread(target=store.deliver)
    used.dispose()  # the next one is made
    sa.event.listen(used, "do_connect", wait)
    slow.start()
    assert asked.wait(30)
    try:
        quick.start()
        quick.join(10)
        assert len(sink.mails) == 4
    finally:
        go_on.set()
        slow.join()
        quick.join()


def test_a_mail_is_told_of_before_the_next_one_leaves(store: Store, sink: Sink) -> None:
    queue(store, *many(3))
    left: list[int] = []

    def receive(sender: Any, **words: Any) -> None:
        left.append(len(sink.mails))

    with invitation_sent.connected_to(receive):
        assert store.deliver().sent == 3
    assert left == [1, 2, 3]


@pytest.mark.parametrize("fails", ["customers_among", "is_active"])
def test_a_store_that_cannot_tell_of_one_person_delays_that_mail_alone(
    store: Store, sink: Sink, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    host = store.app.extensions["invitations"].host
    queue(store, BEN, inviter_key="2")
    real = getattr(host, fails)

    def answer(asked: Any, *more: Any) -> Any:
        if fails == "customers_among" or host.key(asked) == "2":
            raise RuntimeError("The store is broken")
        return real(asked, *more)

    monkeypatch.setattr(host, fails, answer)
    queue(store, ANNA, CARA)
    report = store.deliver()
    expected = [ANNA, BEN, CARA] if fails == "customers_among" else [ANNA, CARA]
    assert sorted(recipients(sink)) == expected
    assert report.deferred == 3 - len(expected)


def test_an_inviter_who_is_disabled_in_the_middle_of_a_batch_is_seen_before_long(
    store: Store, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "FRESH", 0.0)
    host = store.app.extensions["invitations"].host
    queue(store, ANNA, BEN)
    disable = lambda: monkeypatch.setattr(host, "is_active", lambda customer: False)  # noqa: E731
    while_taking(sink, ANNA, disable)
    assert (store.deliver().sent, recipients(sink)) == (1, [ANNA])
    assert store.invitation(BEN).mail_error == "inviter disabled"


def test_a_mail_has_one_transaction_and_few_statements_of_its_own(
    store: Store, sink: Sink, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.app.app_context():
        used = engine()
    counts: list[Counter[str]] = []
    sa.event.listen(used, "commit", lambda connection: counts[-1].update(["commits"]))
    sa.event.listen(used.pool, "checkout", lambda *given: counts[-1].update(["connections"]))
    sa.event.listen(used, "before_cursor_execute", lambda *given: counts[-1].update(["statements"]))
    run = Straight.execute

    def count(self: Straight, *given: Any) -> Any:
        counts[-1].update(["statements"])
        return run(self, *given)

    monkeypatch.setattr(Straight, "execute", count)
    for number in (10, 30):
        counts.append(Counter())
        queue(store, *(f"{number}.{each}" for each in many(number)))
        counts.append(Counter())
        assert store.deliver().sent == number
    few, more = counts[1], counts[3]
    whole = {"sqlite": {"commits": 20, "statements": 100}, "postgresql": {"statements": 20}}
    assert more - few == whole[database]  # there each is a round trip, and a statement is committed
