"""Who calls the delivery: a thread in the process, or a process of its own.

They are only clocks: what has to be done, and by whom, stands in the database.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from queue import Empty, SimpleQueue

from flask import Flask

from . import delivery
from .database import atomically, session
from .lifecycle import expire_due
from .state import State
from .throttle import forget
from .turns import forget_turns

log = logging.getLogger(__name__)

POLL = 2.0  # seconds between looks at the outbox that nobody asked for
PAUSE = 30.0  # seconds of rest for a mail server that is away
HOUR = 3600.0


class Clock:
    """What a worker does, look after look, until it is told to stop."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.stop_asked = False
        # An Event would lock up when a signal's handler sets what the handled code waits for.
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._next_upkeep = 0.0

    def wake(self) -> None:
        """Look at the outbox now."""
        if self._calls.empty():
            self._calls.put(None)

    def stop(self) -> None:
        """End after the message in hand."""
        self.stop_asked = True
        self._calls.put(None)

    def run(self) -> None:
        """Look, wait, look again; no fault of one look ends the worker."""
        while not self.stop_asked:
            pause = POLL
            try:
                with self.app.app_context():
                    pause = self._look()
            except Exception:
                log.exception("A look at the outbox failed; the next one comes")
            self._wait(pause)

    def _wait(self, seconds: float) -> None:
        """Wait for a call or the time; a server that is away is left its rest."""
        end = time.monotonic() + seconds
        try:
            self._calls.get(timeout=seconds)
            while seconds > POLL and not self.stop_asked:
                self._calls.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            return

    def _look(self) -> float:
        if time.monotonic() >= self._next_upkeep:
            self._next_upkeep = time.monotonic() + HOUR
            expire_all()
            atomically(lambda: forget(session()))
            atomically(lambda: forget_turns(session()))
        report = delivery.deliver(stop=lambda: self.stop_asked)
        return PAUSE if report.unreachable else POLL


class DeliveryThread(Clock):
    """The clock in a thread of the store's own process."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.pid = os.getpid()
        self._thread = threading.Thread(target=self.run, name="invitations", daemon=True)
        self._thread.start()
        atexit.register(self.end)  # a process that ends hands its message over first

    @property
    def is_alive(self) -> bool:
        """Return whether it runs in this process: a fork keeps the object, not the thread."""
        return self.pid == os.getpid() and self._thread.is_alive()

    def end(self, timeout: float = 30.0) -> None:
        """Stop and wait, up to ``timeout`` seconds."""
        self.stop()
        atexit.unregister(self.end)
        if self.is_alive:
            self._thread.join(timeout)


_starting = threading.Lock()


def start_delivery(app: Flask) -> None:
    """Start the delivery in this process, once, where the app wants it here.

    The first request does it too; a server that starts with mail waiting need not wait.
    """
    mounted: State = app.extensions["invitations"]
    if mounted.app.config["INVITATIONS_DELIVERY"] != "thread":
        return
    if mounted.thread is not None and mounted.thread.is_alive:
        return
    with _starting:
        if mounted.thread is None or not mounted.thread.is_alive:
            mounted.thread = DeliveryThread(mounted.app)


def expire_all() -> int:
    """Mark every invitation whose link has ended; return how many."""
    total = 0
    while done := atomically(lambda: expire_due(session())):
        total += done
    return total
