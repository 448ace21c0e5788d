"""A mail server that has nobody's mail: left alone, told to staff, and nothing lost by it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa
import time_machine

from invitations_plugin import circuit, endings
from invitations_plugin.clock import now
from invitations_plugin.database import engine
from invitations_plugin.delivery import deliver
from invitations_plugin.models import Invitation, Outbox
from invitations_plugin.notices import notify

from .support.outbox import change_outbox, in_threads, many, queue, recipients
from .support.sink import Sink
from .support.stores import MakeStore, Store

ADA = "ada@staff.example.com"
BLOCKED = "554 5.7.1 your address is blocked"
IN_ONE = pytest.mark.parametrize("database", ["sqlite"])


def scattered(number: int) -> list[str]:
    """Return addresses at as many domains."""
    return [f"friend@shop{place:03}.example.com" for place in range(number)]


def refuse(sink: Sink, *addresses: str, reply: str = BLOCKED) -> None:
    sink.refused.update(dict.fromkeys(addresses, reply))


def blocked(store: Store, sink: Sink, number: int) -> list[str]:
    """Queue mails that the server will not have, whoever they are to; return to whom."""
    friends = scattered(number)
    queue(store, *friends)
    refuse(sink, *friends)
    return friends


def take_again(sink: Sink) -> None:
    sink.refused.clear()
    sink.replies.clear()


def states(store: Store) -> Counter[str]:
    return Counter(each.mail_state for each in store.invitations())


def untried(store: Store) -> bool:
    """Return whether everything waits as if it had never been tried."""
    return {(each.state, each.tries) for each in store.outbox()} == {("queued", 0)}


def is_shut(store: Store) -> bool:
    with store.session() as db:
        return circuit.look(db).is_shut


def test_a_server_that_refuses_everyone_is_left_alone_and_nothing_fails(
    store: Store, sink: Sink
) -> None:
    friends = blocked(store, sink, 40)
    report = store.deliver()
    assert BLOCKED in str(report.unreachable)
    assert (report.failed, report.deferred) == (0, circuit.REFUSALS)
    assert sink.asked_for == friends[:5]
    assert states(store) == {"queued": 40}
    assert untried(store)
    assert store.deliver().unreachable is not None
    assert sink.asked_for == friends[:5]
    assert ("return", None, None, "system") in store.history(friends[0])


def test_one_mail_tries_after_pauses_that_grow_and_all_go_once_it_is_taken(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    friends = blocked(store, sink, 12)
    store.deliver()
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        asked = len(sink.asked_for)
        clock.shift(timedelta(minutes=minutes) / 2)
        store.deliver()
        assert len(sink.asked_for) == asked
        clock.shift(timedelta(minutes=minutes))
        assert store.deliver().unreachable is not None
        assert len(sink.asked_for) == asked + 1
    assert len(set(sink.asked_for[5:])) == 8  # one address that is bad holds nobody up
    take_again(sink)
    clock.shift(timedelta(hours=1))
    assert store.deliver().sent == 12
    assert Counter(recipients(sink)) == Counter(friends)
    assert (store.outbox(), states(store), is_shut(store)) == ([], {"delivered": 12}, False)
    assert {each.mail_tries for each in store.invitations()} == {1}


def test_single_bad_addresses_among_good_ones_fail_alone(store: Store, sink: Sink) -> None:
    friends = scattered(20)
    queue(store, *friends)
    refuse(sink, *friends[::2], reply="550 no such user")
    report = store.deliver()
    assert (report.sent, report.failed, report.unreachable) == (10, 10, None)
    assert store.outbox() == []


@IN_ONE
@pytest.mark.parametrize("reply", ["550 5.1.1 unknown", "552 5.2.2 mailbox full"])
def test_refusals_that_name_the_address_say_nothing_of_the_server(
    store: Store, sink: Sink, reply: str
) -> None:
    friends = scattered(30)
    queue(store, *friends)
    refuse(sink, *friends, reply=reply)
    report = store.deliver()
    assert (report.failed, report.unreachable, store.outbox()) == (30, None, [])


@IN_ONE
def test_a_commit_that_fails_once_does_not_leave_a_server_alone_that_is_well(
    store: Store, sink: Sink, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "PAUSE", 0.0)
    blocked(store, sink, 6)
    store.deliver()
    assert is_shut(store)
    failed: list[str] = []

    def fail_once(connection: sa.Connection) -> None:
        if len(sink.mails) == 1 and not failed:
            failed.append("once")
            raise sa.exc.OperationalError("COMMIT", None, Exception("the database went away"))

    with store.app.app_context():
        sa.event.listen(engine(), "commit", fail_once)
    take_again(sink)
    clock.shift(timedelta(minutes=2))
    assert (store.deliver().sent, failed) == (6, ["once"])
    assert not is_shut(store)


@IN_ONE
def test_one_domain_alone_must_refuse_more(store: Store, sink: Sink) -> None:
    friends = many(30)
    queue(store, *friends)
    refuse(sink, *friends)
    assert store.deliver().unreachable is not None
    assert len(sink.asked_for) == circuit.ANYWHERE
    assert states(store) == {"queued": 30}


@IN_ONE
def test_refusals_add_up_over_runs_until_one_mail_is_taken(store: Store, sink: Sink) -> None:
    friends = scattered(9)
    queue(store, *friends)
    refuse(sink, *friends[:4], *friends[5:])
    for _ in range(4):
        assert store.deliver(limit=1).failed == 1
    assert store.deliver(limit=1).sent == 1
    assert store.deliver().failed == 4
    assert not is_shut(store)


@IN_ONE
def test_a_mail_that_is_refused_again_and_again_fails_in_the_end(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    bad = scattered(5)
    queue(store, *bad)
    refuse(sink, *bad, reply="550 no such user")
    for number in range(circuit.MOST_SPARED):
        assert store.deliver().unreachable is not None
        clock.shift(timedelta(hours=2))
        queue(store, f"good{number}@example.com")
        change_outbox(store, due_at=now() - timedelta(seconds=1))
        with store.session() as db:  # the good one has its turn as the probe
            good = sa.select(Invitation.id).where(Invitation.email.like("good%"))
            first = sa.update(Outbox).where(Outbox.invitation_id.in_(good))
            db.execute(first.values(due_at=now() - timedelta(hours=1)))
            db.commit()
        assert store.deliver(limit=1).sent == 1
    assert store.deliver().failed == 5
    assert (store.outbox(), states(store)) == ([], {"failed": 5, "delivered": 3})


@IN_ONE
@pytest.mark.parametrize("reply", ["silence", "drop", "421 4.3.2 busy"])
def test_a_server_that_is_silent_for_everyone_costs_no_mail_a_try(
    make_store: MakeStore, sink: Sink, clock: time_machine.Traveller, reply: str
) -> None:
    store = make_store(INVITATIONS_SMTP_TIMEOUT=0.3)
    queue(store, *many(10))
    sink.replies["RCPT"] = [reply] * 10
    assert store.deliver().unreachable is not None
    assert len(sink.asked_for) == circuit.SILENCES
    assert untried(store)
    clock.shift(timedelta(minutes=1, seconds=1))
    assert store.deliver().unreachable is not None
    assert {each.tries for each in store.outbox()} == {0}
    take_again(sink)
    clock.shift(timedelta(minutes=3))
    assert store.deliver().sent == 10


@IN_ONE
def test_a_server_that_never_says_whether_it_took_a_mail_is_left_alone_too(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, *many(10))
    sink.replies["DATA"] = ["drop"] * 3
    assert store.deliver().unreachable is not None
    assert sorted(each.ambiguous for each in store.outbox()) == [0] * 7 + [1] * 3
    clock.shift(timedelta(minutes=31))
    store.deliver()
    assert Counter(recipients(sink)) == Counter(many(10))


@IN_ONE
def test_one_mail_that_the_server_chokes_on_is_no_outage(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, "anna@example.com")
    for _ in range(5):
        sink.replies["RCPT"] = ["drop"]
        assert store.deliver().unreachable is None
        clock.shift(timedelta(days=1))
    assert store.outbox()[0].tries == 5


@IN_ONE
def test_a_store_that_may_not_write_at_all_is_told_so_and_no_try_counts(
    store: Store, sink: Sink
) -> None:
    queue(store, *scattered(10))
    sink.replies["MAIL"] = ["550 5.7.1 not from you"] * 10
    assert "not from you" in str(store.deliver().unreachable)
    assert untried(store)


@IN_ONE
def test_a_probe_that_was_closed_meanwhile_leaves_its_turn_to_the_next(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    friends = blocked(store, sink, 12)
    store.deliver()
    take_again(sink)
    for each in friends[5:9]:
        store.change(each, status="declined", sent_at=now())
    clock.shift(timedelta(minutes=1, seconds=1))
    assert store.deliver().sent == 8


def test_of_several_workers_one_tries_the_server(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    blocked(store, sink, 20)
    in_threads(store.deliver, 3)
    assert states(store) == {"queued": 20}
    asked = len(sink.asked_for)
    clock.shift(timedelta(minutes=1, seconds=1))
    in_threads(store.deliver, 3)
    assert len(sink.asked_for) == asked + 1
    assert {(each.state, each.claim) for each in store.outbox()} == {("queued", None)}


def test_staff_are_told_once_even_while_the_server_refuses_customers(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    store.setting("staff_notice_address", ADA)
    blocked(store, sink, 10)
    store.deliver()
    assert store.deliver().sent == 1
    assert recipients(sink) == [ADA]
    notice = sink.mails[0]
    assert notice.message["Subject"] == "The mail server takes no invitations of Linden & Lark"
    assert "554 5.7.1 your address is blocked" in notice.text
    assert is_shut(store)
    clock.shift(timedelta(hours=3))
    store.deliver()
    assert recipients(sink) == [ADA]


@IN_ONE
def test_a_refused_notice_says_nothing_of_the_server(store: Store, sink: Sink) -> None:
    store.setting("staff_notice_address", "\n".join(scattered(6)))
    with store.session() as db:
        notify(db, "template_failed", code="spring", number=1, error="it broke")
        db.commit()
    refuse(sink, *scattered(6))
    report = store.deliver()
    assert (report.failed, report.unreachable, is_shut(store)) == (6, None, False)


@IN_ONE
def test_the_doctor_says_since_when_and_why(store: Store, sink: Sink) -> None:
    blocked(store, sink, 5)
    store.deliver()
    answer = store.app.test_cli_runner().invoke(args=["invitations", "doctor"])
    assert answer.exit_code == 1
    assert f"It takes nobody's mail ({BLOCKED})" in answer.output


@IN_ONE
def test_what_was_sent_again_or_closed_meanwhile_does_not_come_back(
    store: Store, sink: Sink
) -> None:
    friends = blocked(store, sink, 5)
    store.deliver(limit=4)
    store.change(friends[0], status="expired")
    store.deliver()
    assert store.invitation(friends[0]).mail_state == "failed"
    assert len(store.outbox()) == 4


@IN_ONE
def test_a_server_that_puts_off_everything_for_a_while_loses_nothing(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    friends = blocked(store, sink, 6)
    refuse(sink, *friends, reply="451 4.3.2 later")
    for _ in range(10):
        assert store.deliver().failed == 0
        clock.shift(timedelta(minutes=1))
    assert len(sink.asked_for) <= 3 * len(friends)
    take_again(sink)
    clock.shift(timedelta(minutes=36))
    assert store.deliver().sent == 6


@IN_ONE
def test_a_probe_that_was_stopped_before_it_asked_leaves_its_turn_to_the_next(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    blocked(store, sink, 6)
    store.deliver()
    take_again(sink)
    clock.shift(timedelta(minutes=1, seconds=1))
    answers = iter([False])
    with store.app.app_context():
        assert deliver(stop=lambda: next(answers, True)).handled == 0
    assert store.deliver().sent == 6
