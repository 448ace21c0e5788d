"""One parent of several workers: it starts them, puts others in place of those that die, ends them.

Each is a fresh start of the very command that the parent was, as Flask's own reloader does it:
a fork would share the store's open connections and know nothing of its threads.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue

log = logging.getLogger(__name__)

MARK = "INVITATIONS_WORKER_CHILD"  # in the environment of who was started by a parent
LOOK = 0.5  # seconds between two looks whether all are alive
PAUSE = 1.0  # seconds until another one takes the place of who died, twice as many each time
LONGEST_PAUSE = 60.0
LONG = 60.0  # seconds of life after which a death is a first one
MARGIN = 5.0  # seconds beyond its own grace that a worker has to end


class Place:
    """The place of one worker at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._next = 0.0
        self._pause = PAUSE

    def fill(self, leash: int) -> None:
        """Start a worker where there is none, once it is time."""
        if self._process is not None:
            self._mourn(self._process)
        if self._process is None and time.monotonic() >= self._next:
            self._started = time.monotonic()
            self._process = _start(leash)

    def _mourn(self, process: subprocess.Popen[bytes]) -> None:
        code = process.poll()
        if code is None:
            return
        died, self._process = time.monotonic(), None
        if died - self._started > LONG:
            self._pause = PAUSE
        log.warning(
            "Worker process %s ended with %s; another one is started in %g seconds",
            process.pid,
            code,
            self._pause,
        )
        self._next = died + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def tell_to_end(self) -> None:
        """Pass on that the worker shall end."""
        if self._process is not None:
            self._process.terminate()

    def clear(self, until: float) -> None:
        """Wait for its end; who is there after ``until``, by :func:`time.monotonic`, is killed."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("Worker process %s did not end in time", self._process.pid)
            self._process.kill()
            self._process.wait()


class Parent:
    """Keeps a number of workers at work until told to stop.

    :param grace: seconds that a worker which shall end takes at most.
    """

    def __init__(self, number: int, grace: float) -> None:
        self._places = [Place() for _ in range(number)]
        self._grace = grace
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._stop_asked = False

    def stop(self) -> None:
        """End after all workers have ended; a signal's handler may call it."""
        self._stop_asked = True
        self._calls.put(None)

    def run(self) -> None:
        """Watch over the workers, and tell them to end at last."""
        leash, its_end = os.pipe()
        try:
            self._watch(leash)
            self._end()
        finally:
            os.close(leash)
            os.close(its_end)

    def _watch(self, leash: int) -> None:
        while not self._stop_asked:
            for each in self._places:
                each.fill(leash)
            with suppress(Empty):
                self._calls.get(timeout=LOOK)

    def _end(self) -> None:
        for each in self._places:
            each.tell_to_end()
        until = time.monotonic() + self._grace + MARGIN
        for each in self._places:
            each.clear(until)


def _start(leash: int) -> subprocess.Popen[bytes]:
    """Start this command once more, as a child.

    :param leash: its standard input, a pipe that nobody but the parent writes to: however the
        parent ends, the child finds it closed.
    """
    command = [sys.executable, *sys.orig_argv[1:]]
    env = os.environ | {MARK: "1"}
    return subprocess.Popen(command, env=env, stdin=leash)  # noqa: S603  # it runs already


def has_parent() -> bool:
    """Return whether a parent started this process, which is told to end once that is gone."""
    is_child = os.environ.pop(MARK, None) is not None  # whatever it starts is no child of ours
    if is_child:
        threading.Thread(target=_outlive, name="invitations-parent", daemon=True).start()
    return is_child


def _outlive() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
