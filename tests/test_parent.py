"""The parent of several workers: when it starts another one, and when it waits no longer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Thread

import pytest

from invitations_plugin import parent
from invitations_plugin.parent import Parent

from .support.outbox import wait_for

DIES = "raise SystemExit(3)"
IS_DEAF = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
)


class Nursery:
    """Children that do no more than they are told, and when each was started."""

    def __init__(self, code: str) -> None:
        self._code = code
        self.started: list[float] = []
        self.born: list[subprocess.Popen[bytes]] = []

    def __call__(self, leash: int) -> subprocess.Popen[bytes]:
        self.started.append(time.monotonic())
        command = [sys.executable, "-c", self._code]
        self.born.append(subprocess.Popen(command, stdin=leash, stdout=subprocess.PIPE))
        return self.born[-1]

    def close(self) -> None:
        for each in self.born:
            each.kill()
            each.wait()
            if each.stdout is not None:
                each.stdout.close()


@pytest.fixture
def nursery(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    made = Nursery(request.param)
    monkeypatch.setattr(parent, "_start", made)
    monkeypatch.setattr(parent, "LOOK", 0.01)
    yield made
    made.close()


@pytest.mark.parametrize("nursery", [DIES], indirect=True)
def test_who_dies_again_and_again_is_replaced_ever_later(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parent, "PAUSE", 0.2)
    monkeypatch.setattr(parent, "LONGEST_PAUSE", 0.8)
    watching = Parent(1, grace=1)
    thread = Thread(target=watching.run)
    thread.start()
    wait_for(lambda: len(nursery.started) == 5)
    watching.stop()
    thread.join()
    pauses = [
        after - before for before, after in zip(nursery.started, nursery.started[1:], strict=False)
    ]
    assert [each > least for each, least in zip(pauses, (0.2, 0.4, 0.8, 0.8), strict=True)] == [
        True
    ] * 4
    assert "ended with 3; another one is started in 0.8 seconds" in caplog.text


@pytest.mark.parametrize("nursery", [DIES], indirect=True)
def test_who_lived_long_is_replaced_soon(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parent, "PAUSE", 0.1)
    monkeypatch.setattr(parent, "LONG", 0.0)
    watching = Parent(1, grace=1)
    thread = Thread(target=watching.run)
    thread.start()
    wait_for(lambda: len(nursery.started) == 4)
    watching.stop()
    thread.join()
    assert caplog.text.count("in 0.1 seconds") >= 3


@pytest.mark.parametrize("nursery", [IS_DEAF], indirect=True)
def test_who_does_not_end_in_time_is_killed(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parent, "MARGIN", 0.1)
    watching = Parent(2, grace=0.1)
    thread = Thread(target=watching.run)
    thread.start()
    wait_for(lambda: len(nursery.born) == 2)
    for each in nursery.born:
        assert each.stdout is not None
        each.stdout.readline()
    watching.stop()
    thread.join(10)
    assert [each.returncode for each in nursery.born] == [-9, -9]
    assert caplog.text.count("did not end in time") == 2


@pytest.mark.parametrize("nursery", ["import sys; sys.stdin.read()"], indirect=True)
def test_a_child_finds_its_input_closed_when_its_parent_is_gone(nursery: Nursery) -> None:
    near, far = os.pipe()
    child = nursery(near)
    os.close(near)
    assert child.poll() is None
    os.close(far)
    assert child.wait(10) == 0
