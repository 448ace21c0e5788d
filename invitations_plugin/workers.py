"""Who calls the delivery: a thread in the process, or a process of its own.

They are only clocks: what has to be done, and by whom, stands in the database.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from flask import Flask

from . import delivery, exports, jobs, searchable
from .database import atomically, session
from .lifecycle import expire_due
from .models import Invitation
from .purging import purge_due
from .reports import keeping
from .settings import forget as forget_settings
from .state import State
from .throttle import forget
from .turns import forget_turns

log = logging.getLogger(__name__)

POLL = 2.0  # seconds between looks that nobody asked for
PAUSE = 30.0  # seconds of rest for a mail server that is away
TURN = 2.0  # seconds that mass actions may take before mail has its turn, and mail before them
MAIL_TURN = 10.0  # seconds that mail may take before somebody looks for mass actions
HOUR = 3600.0
OURS = {"mapper": Invitation}


class Clock:
    """What a worker does, look after look, until it is told to stop."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.stop_asked = False
        # An Event would lock up when a signal's handler sets what the handled code waits for.
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._next_upkeep = 0.0
        self._next_mail = 0.0

    def wake(self) -> None:
        """Look now."""
        if self._calls.empty():
            self._calls.put(None)

    def stop(self) -> None:
        """End after the message, or the chunk of a mass action, in hand."""
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
            with suppress(Empty):
                self._calls.get(timeout=pause)

    def _look(self) -> float:
        """Do what is due by turns: mass actions, mail, figures of the reports.

        Return the seconds to the next look.
        """
        if time.monotonic() >= self._next_upkeep:
            self._next_upkeep = time.monotonic() + HOUR
            expire_all()
            purge_all()
            atomically(lambda: forget(session()))
            atomically(lambda: forget_turns(session()))
            atomically(lambda: jobs.forget(session()))
            atomically(lambda: exports.forget(session()))
            settle_search()
        is_done = jobs.run_all(self._after(TURN))
        if time.monotonic() >= self._next_mail:
            is_over = self._after(MAIL_TURN if is_done else TURN)
            report = delivery.deliver(stop=is_over)
            self._next_mail = time.monotonic() + (PAUSE if report.unreachable else 0.0)
            is_done = is_done and not is_over()
        is_done = keeping.keep(self._after(TURN)) and is_done
        return POLL if is_done else 0.0

    def _after(self, seconds: float) -> Callable[[], bool]:
        """Return what says that so much time is over, or that this worker shall end."""
        end = time.monotonic() + seconds
        return lambda: self.stop_asked or time.monotonic() >= end


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


def settle_search() -> None:
    """Let the search's index let go of the addresses that were erased, step by step."""
    while atomically(lambda: searchable.settle(session().connection(bind_arguments=OURS))):
        pass


def expire_all() -> int:
    """Mark every invitation whose link has ended; return how many."""
    total = 0
    while done := atomically(lambda: expire_due(session())):
        total += done
    return total


def purge_all() -> int:
    """Forget the addresses of every invitation whose time is over; return how many."""
    total = 0
    forget_settings()
    while done := atomically(lambda: purge_due(session())):
        total += done
    return total
