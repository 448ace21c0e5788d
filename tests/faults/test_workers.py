"""Workers that are killed, told to end, frozen and many: nothing is lost, next to nothing twice."""

from __future__ import annotations

import random
import signal

import pytest

from ..support.outbox import many, queue, wait_for
from ..support.sink import Mail, Sink
from ..support.stores import Store
from .crew import Crew
from .judging import WHOLE, Run

ROUNDS = range(20 if WHOLE else 1)
MAILS = many(100)


def is_empty(store: Store) -> bool:
    return store.outbox() == []


@pytest.mark.parametrize("number", [1, 2, 4] if WHOLE else [2])
@pytest.mark.parametrize("round_", ROUNDS)
def test_workers_are_killed(
    store: Store, sink: Sink, crew: Crew, run: Run, number: int, round_: int
) -> None:
    sink.delay = 0.01
    queue(store, *MAILS)
    crew.add(number)
    for at in sorted(random.Random(round_).sample(range(5, 90), 2)):
        wait_for(lambda at=at: len(sink.mails) >= at)  # type: ignore[misc]
        crew.kill()
    wait_for(lambda: is_empty(store))
    crew.end()
    assert len(run.judge(store, sink, MAILS)) <= crew.kills


@pytest.mark.parametrize("number", [1, 2, 4] if WHOLE else [2])
def test_workers_are_told_to_end(
    store: Store, sink: Sink, crew: Crew, run: Run, number: int
) -> None:
    sink.delay = 0.01
    queue(store, *MAILS)
    crew.add(number)
    wait_for(lambda: len(sink.mails) >= 30)
    crew.end()
    assert {each.state for each in store.outbox()} == {"queued"}
    crew.add(number)
    wait_for(lambda: is_empty(store))
    crew.end()
    assert run.judge(store, sink, MAILS) == set()


def test_a_frozen_worker_wakes_when_its_time_is_over(
    store: Store, sink: Sink, crew: Crew, run: Run
) -> None:
    queue(store, *MAILS)

    def freeze(mail: Mail) -> None:
        if len(sink.mails) == 5:
            crew.members[0].signal(signal.SIGSTOP)

    sink.while_taking = freeze
    crew.add()
    wait_for(lambda: len(sink.mails) == 5)
    in_hand = sink.mails[-1].recipients
    crew.add()
    wait_for(lambda: is_empty(store))
    ended = [(row.version, row.mail_state, row.mail_tries) for row in store.invitations()]
    crew.members[0].signal(signal.SIGCONT)
    wait_for(lambda: "taken over" in crew.complaints())
    crew.end()
    assert run.judge(store, sink, MAILS) == set(in_hand)
    assert [(row.version, row.mail_state, row.mail_tries) for row in store.invitations()] == ended


def test_a_worker_frozen_before_the_message_does_not_send_it_when_its_time_is_over(
    store: Store, sink: Sink, crew: Crew, run: Run
) -> None:
    queue(store, *MAILS)
    doomed = MAILS[5]

    def freeze(address: str) -> None:
        if address == doomed and sink.asked_for.count(doomed) == 1:
            crew.members[0].signal(signal.SIGSTOP)

    sink.while_asking = freeze
    crew.add()
    wait_for(lambda: doomed in sink.asked_for)
    crew.add()
    wait_for(lambda: is_empty(store))
    crew.members[0].signal(signal.SIGCONT)
    crew.end()
    assert run.judge(store, sink, MAILS) == set()


@pytest.mark.parametrize("number", [1, 2, 4, 8] if WHOLE else [4])
def test_workers_share_an_outbox(
    store: Store, sink: Sink, crew: Crew, run: Run, number: int
) -> None:
    mails = many(1000 if WHOLE else 100)
    queue(store, *mails)
    crew.add(number)
    wait_for(lambda: is_empty(store), 120)
    crew.end()
    assert run.judge(store, sink, mails) == set()
