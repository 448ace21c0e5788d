"""A mail server that refuses, hangs, drops the line or takes its time: each mail has its end."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise

import pytest

from ..support.outbox import queue, recipients, wait_for
from ..support.sink import Mail, Sink
from ..support.stores import MakeStore, Store
from .conftest import MakeCrew
from .crew import Crew
from .impatient import AGAIN, LEASE
from .judging import WHOLE, Run, broken_rules

EACH = 10 if WHOLE else 2
# What the server does to a mail, and how many copies of it arrive.
ONCE = {
    "ok": [],
    "greylisted": ["RCPT 451 4.2.1 later", "RCPT 452 4.2.2 still later"],
    "busy": ["DATA 451 4.3.0 later"],
    "hangs": ["RCPT silence"],
    "hangs-up": ["RCPT drop"],
    "goes": ["RCPT 421 4.3.2 going"],
    "drops": ["DATA drop"],
    "says-so-and-drops": ["DATA 250 drop"],
}
TWICE = {"takes-and-drops": ["DATA taken drop"], "takes-and-is-silent": ["DATA taken silence"]}
NEVER = {
    "unknown": ["RCPT 550 5.1.1 unknown"],
    "spam": ["DATA 554 5.7.1 refused"],
    "gone": ["RCPT 550 drop"],
}
PARKED = {"drops-always": ["DATA drop", "DATA drop"]}


def addresses(*modes: dict[str, list[str]]) -> list[str]:
    return [
        f"{name}{place}@example.com" for mode in modes for name in mode for place in range(EACH)
    ]


def script(sink: Sink, *modes: dict[str, list[str]]) -> None:
    for mode in modes:
        for name, answers in mode.items():
            for address in addresses({name: answers}):
                sink.script[address] = list(answers)


@pytest.fixture
def hasty(make_store: MakeStore, make_crew: MakeCrew) -> Crew:
    """A crew that waits half a second for an answer, and five for that to a message."""
    return make_crew(make_store(), INVITATIONS_SMTP_TIMEOUT="0.3")


def test_every_mode_of_a_mail_server_at_once(hasty: Crew, sink: Sink, run: Run) -> None:
    store, everybody = hasty.store, (ONCE, TWICE, NEVER)
    script(sink, *everybody)
    queue(store, *addresses(*everybody), "jörg@example.com")
    hasty.add(2)
    wait_for(lambda: store.outbox() == [], 60)
    hasty.end()
    assert run.judge(store, sink, addresses(ONCE, TWICE)) == set(addresses(TWICE))
    assert not set(recipients(sink)) & set(addresses(NEVER))
    for address in (*addresses(NEVER), "jörg@example.com"):
        assert store.invitation(address).mail_state == "failed"
        assert sink.asked_for.count(address) <= 1


def test_what_has_no_known_end_twice_waits_for_a_person(hasty: Crew, sink: Sink) -> None:
    store = hasty.store
    script(sink, PARKED)
    queue(store, *addresses(PARKED, ONCE))
    hasty.add()
    wait_for(lambda: {each.state for each in store.outbox()} == {"parked"}, 60)
    hasty.end()
    assert Counter(sink.asked_for)[addresses(PARKED)[0]] == 2
    assert sorted(recipients(sink)) == sorted(addresses(ONCE))
    assert {store.invitation(each).mail_state for each in addresses(PARKED)} == {"parked"}
    assert broken_rules(store) == {}


def test_a_second_copy_waits_its_time(hasty: Crew, sink: Sink) -> None:
    store, taken = hasty.store, list[float]()
    queue(store, "anna@example.com")
    sink.script["anna@example.com"] = ["DATA taken drop"]

    def note(mail: Mail) -> None:
        taken.append(time.monotonic())

    sink.while_taking = note
    hasty.add()
    wait_for(lambda: store.outbox() == [])
    hasty.end()
    (between,) = [later - before for before, later in pairwise(taken)]
    assert between >= AGAIN.total_seconds()


def test_a_slow_answer_is_waited_for_and_nobody_else_takes_the_mail(
    store: Store, sink: Sink, crew: Crew, run: Run
) -> None:
    sink.delay = LEASE.total_seconds() + 1
    mails = addresses({"slow": []})
    queue(store, *mails)
    crew.add(2)
    wait_for(lambda: store.outbox() == [])
    crew.end()
    assert run.judge(store, sink, mails) == set()


def test_a_server_that_is_away_costs_no_try(store: Store, sink: Sink, crew: Crew, run: Run) -> None:
    mails = addresses(ONCE)
    queue(store, *mails)
    sink.at_connect = "421 4.3.2 closed"
    crew.add(2)
    wait_for(lambda: sink.connections > 6)
    assert {(each.state, each.tries) for each in store.outbox()} <= {("queued", 0), ("claimed", 0)}
    sink.at_connect = None
    wait_for(lambda: store.outbox() == [])
    crew.end()
    assert run.judge(store, sink, mails) == set()
