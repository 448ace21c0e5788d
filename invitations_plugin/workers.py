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
from contextlib import closing, suppress
from queue import Empty, SimpleQueue

from flask import Flask

from . import alarms, delivery, exports, heartbeat, in_hand, jobs, searchable
from .clerk import Clerk
from .database import atomically, session
from .heartbeat import Heart
from .lifecycle import expire_due
from .line import Line
from .models import Invitation
from .purging import purge_due
from .reports import keeping
from .settings import forget as forget_settings
from .state import is_ready, state_in
from .throttle import forget
from .turns import forget_turns

log = logging.getLogger(__name__)

POLL = 2.0  # seconds between looks that nobody asked for
PAUSE = 30.0  # seconds of rest for a mail server that is away, twice as many each time
LONGEST_PAUSE = 300.0
TURN = 2.0  # seconds that mass actions may take before mail has its turn, and mail before them
MAIL_TURN = 10.0  # seconds that mail may take before somebody looks for mass actions
HOUR = 3600.0
MINUTE = 60.0
MOST_THREADS = 32  # each wants connections to the mail server and to the database
MOST_PROCESSES = 32  # the same, and each has the whole store in memory
OURS = {"mapper": Invitation}


class Sender:
    """Sends mail over a line of its own, look after look, until it is told to stop.

    :param clerk: notes what it sent, with what others of this process did.
    :param kind: what it is called among the workers.
    """

    def __init__(self, app: Flask, clerk: Clerk, kind: str = heartbeat.WORKER) -> None:
        self.app = app
        self._clerk = clerk
        self.heart = Heart(kind)
        self.stop_asked = False
        # An Event would lock up when a signal's handler sets what the handled code waits for.
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._next_mail = 0.0
        self._rest = 0.0
        self._line = Line()

    def wake(self) -> None:
        """Look now."""
        if self._calls.empty():
            self._calls.put(None)

    def stop(self) -> None:
        """End after the message, or the chunk of a mass action, in hand.

        The other messages are let go at once: by a thread, for a signal's handler must not
        use the database in the middle of what it interrupts.
        """
        self._ask_to_stop()
        threading.Thread(target=self._let_go, name="invitations-end", daemon=True).start()

    def _ask_to_stop(self) -> None:
        self.stop_asked = True
        self._calls.put(None)

    def _let_go(self) -> None:
        try:
            with self.app.app_context():
                atomically(lambda: in_hand.let_go(session()))
        except Exception:  # they come back when their lease is over
            log.exception("Messages in hand could not be given back at once")

    def run(self) -> None:
        """Look, wait, look again; no fault of one look ends the worker."""
        with closing(self._line):
            while not self.stop_asked:
                pause = POLL
                try:
                    with self.app.app_context():
                        pause = self._look() if is_ready() else POLL
                except Exception:
                    log.exception("A look at the outbox failed; the next one comes")
                with suppress(Empty):
                    self._calls.get(timeout=pause)
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        try:
            with self.app.app_context():
                if is_ready():
                    self.heart.end()
        except Exception:  # it will be missed, then
            log.exception("The end of a worker could not be noted")

    def _look(self) -> float:
        """Send what is due; return the seconds to the next look."""
        self.heart.beat()
        is_over = self._after(MAIL_TURN)
        self._send(is_over)
        return 0.0 if is_over() else POLL

    def _send(self, is_over: Callable[[], bool]) -> None:
        """Send, unless the server was away a moment ago."""
        if time.monotonic() >= self._next_mail:
            report = delivery.deliver(None, is_over, self._line, self._clerk)
            self.heart.beat(report)
            self._rest = min(max(2 * self._rest, PAUSE), LONGEST_PAUSE) if report.unreachable else 0
            self._next_mail = time.monotonic() + self._rest

    def _after(self, seconds: float) -> Callable[[], bool]:
        """Return what says that so much time is over, or that this worker shall end."""
        is_over = deadline(seconds)
        return lambda: self.stop_asked or is_over()


def deadline(seconds: float) -> Callable[[], bool]:
    """Return what says that so much time is over."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


class Clock(Sender):
    """What a worker does beside sending, with more senders in threads at its side.

    :param threads: how many send, this one included.
    :param kind: what they are called among the workers.
    """

    def __init__(self, app: Flask, threads: int = 1, kind: str = heartbeat.WORKER) -> None:
        super().__init__(app, Clerk(), kind)
        self._next_upkeep = 0.0
        self._next_alarm = 0.0
        self._others = [Sender(app, self._clerk, kind) for _ in range(threads - 1)]

    def wake(self) -> None:
        """Let all of them look now."""
        super().wake()
        for each in self._others:
            each.wake()

    def _ask_to_stop(self) -> None:
        for each in self._others:
            each._ask_to_stop()
        super()._ask_to_stop()

    def run(self) -> None:
        """Work until told to stop, and wait for the others."""
        threads = [
            threading.Thread(target=each.run, name="invitations-sender", daemon=True)
            for each in self._others
        ]
        for each in threads:
            each.start()
        with closing(self._clerk):
            super().run()
            for each in threads:
                each.join()

    def _look(self) -> float:
        """Do what is due by turns: mass actions, mail, figures of the reports.

        Return the seconds to the next look.
        """
        if time.monotonic() >= self._next_upkeep:
            self._next_upkeep = time.monotonic() + HOUR
            upkeep()
        self.heart.beat()
        is_done = jobs.run_all(self._after(TURN))
        is_over = self._after(MAIL_TURN if is_done else TURN)
        self._send(is_over)
        is_done = is_done and not is_over()
        is_done = keeping.keep(self._after(TURN)) and is_done
        if time.monotonic() >= self._next_alarm:
            self._next_alarm = time.monotonic() + MINUTE
            atomically(lambda: alarms.ring(session()))
        return POLL if is_done else 0.0


class DeliveryThread(Clock):
    """The clock in a thread of the store's own process."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app, app.config["INVITATIONS_DELIVERY_THREADS"], heartbeat.THREAD)
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
        self._ask_to_stop()
        atexit.unregister(self.end)
        if self.is_alive:
            self._let_go()
            self._thread.join(timeout)


_starting = threading.Lock()


def start_delivery(app: Flask) -> None:
    """Start the delivery in this process, once, where the app wants it here.

    The first request does it too; a server that starts with mail waiting need not wait.

    :raises RuntimeError: when the plugin is not mounted.
    """
    mounted = state_in(app, "start_delivery")
    if mounted.app.config["INVITATIONS_DELIVERY"] != "thread":
        return
    if mounted.thread is not None and mounted.thread.is_alive:
        return
    with _starting:
        if mounted.thread is None or not mounted.thread.is_alive:
            mounted.thread = DeliveryThread(mounted.app)


def upkeep() -> None:
    """Do what is to be done every hour: end links, forget what is kept no longer."""
    expire_all()
    purge_all()
    atomically(lambda: forget(session()))
    atomically(lambda: forget_turns(session()))
    atomically(lambda: jobs.forget(session()))
    atomically(lambda: exports.forget(session()))
    atomically(lambda: heartbeat.forget(session()))
    settle_search()


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
