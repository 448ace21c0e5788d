"""Workers under one parent, as ``worker --processes`` makes them: who dies or is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import sqlalchemy as sa

from invitations_plugin.watch_models import Worker

from ..support.outbox import many, queue, wait_for
from ..support.processes import ROOT, environment
from ..support.sink import Sink
from ..support.stores import Store
from .judging import Run

IMPATIENT = (
    "from tests.faults.impatient import shorten; shorten();"
    "from invitations_plugin import parent; parent.LOOK = parent.PAUSE = 0.1;"
    "from flask.cli import main; main()"
)
MAILS = many(100)
SLOW = 120.0  # seconds in which several processes have begun on a machine that has much to do


@contextmanager
def family(store: Store, sink: Sink, number: int, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a parent with its workers, all of them at work; leave none of them behind."""
    given = ("invitations", "worker", "--processes", str(number), *more)
    with subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, *given],
        cwd=ROOT,
        env=environment(store, sink, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            wait_for(lambda: len(children(store)) == number, SLOW)
            yield running
        finally:
            running.kill()
            for pid in children(store):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def children(store: Store, *, ended: bool | None = None) -> set[int]:
    """Return the workers that gave a sign of life: all, or those that ended well or did not."""
    query = sa.select(Worker.pid)
    if ended is not None:
        query = query.where(Worker.ended_at.is_not(None) == ended)
    with store.session() as db:
        return set(db.scalars(query))


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def end(running: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> str:
    """Tell a parent to end, see that it does so well, and return what was complained of."""
    running.send_signal(number)
    said, complaints = running.communicate(timeout=60)
    assert running.returncode == 0, complaints
    assert "workers send invitations; Ctrl-C ends them.\nThe workers have ended.\n" in said
    return complaints


def test_several_processes_share_an_outbox(store: Store, sink: Sink, run: Run) -> None:
    with family(store, sink, 4) as running:
        queue(store, *MAILS)
        wait_for(lambda: store.outbox() == [])
        assert end(running) == ""
    assert run.judge(store, sink, MAILS) == set()
    assert (len(children(store, ended=True)), children(store, ended=False)) == (4, set())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("database", ["sqlite"])
def test_a_parent_told_to_end_ends_all_after_the_mail_in_hand(
    store: Store, sink: Sink, run: Run, number: signal.Signals
) -> None:
    sink.delay = 0.02
    with family(store, sink, 2, "--threads", "2") as running:
        queue(store, *MAILS)
        wait_for(lambda: len(sink.mails) >= 10)
        assert end(running, number) == ""
    assert not any(map(is_there, children(store)))
    assert {each.state for each in store.outbox()} <= {"queued"}
    store.deliver()
    assert run.judge(store, sink, MAILS) == set()


def test_a_child_that_is_killed_is_replaced(store: Store, sink: Sink, run: Run) -> None:
    sink.delay = 0.02
    with family(store, sink, 2) as running:
        queue(store, *MAILS)
        wait_for(lambda: len(sink.mails) >= 10)
        doomed = min(children(store))
        os.kill(doomed, signal.SIGKILL)
        wait_for(lambda: len(children(store)) == 3, SLOW)
        wait_for(lambda: store.outbox() == [])
        assert f"Worker process {doomed} ended with -9" in end(running)
    assert len(run.judge(store, sink, MAILS)) <= 1


@pytest.mark.parametrize("database", ["sqlite"])
def test_the_children_of_a_parent_that_is_killed_end(store: Store, sink: Sink, run: Run) -> None:
    sink.delay = 0.02
    with family(store, sink, 2) as running:
        queue(store, *MAILS)
        wait_for(lambda: len(sink.mails) >= 10)
        running.kill()
        wait_for(lambda: children(store, ended=False) == set())
        wait_for(lambda: not any(map(is_there, children(store))))
    assert {each.state for each in store.outbox()} <= {"queued"}
    store.deliver()
    assert run.judge(store, sink, MAILS) == set()
