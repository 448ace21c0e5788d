"""The clerk of a process: it notes the ends of its senders' mails, and begins their next ones.

What waits for it is one transaction, for each wants the disk once, and a sender makes a mail
meanwhile. The clerk decides nothing: what is unusual it leaves to the sender, undone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Final

import sqlalchemy as sa

from .database import engine
from .turnover import NOTHING, Done, Given, can_share, ready_for, turn_over_all

REST: Final = 1.0  # seconds without work after which it gives its connection back
_taking = Lock()
_coming: Final[list[sa.Pool]] = []  # the pool of each connection that is about to be kept


class Clerk:
    """Does turnovers in a thread, over a connection that it keeps while there are any.

    The thread starts with the first one; :meth:`close` ends it.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[_Turnover | None] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None

    def turn_over(self, given: Given, meanwhile: Callable[[], None]) -> Done:
        """Note the end of a mail and begin the next one.

        :param given: what :data:`~.outbox_sql.SENT_AND_MARKED` is given.
        :param meanwhile: done once while that is waited for; it raises nothing.
        :raises Exception: whatever was wrong with any of those that were done together; then
            none of them is done.
        """
        asked = _Turnover(given)
        self._start()
        self._asked.put(asked)
        try:
            asked.is_under_way.wait()  # two threads that compute only take time from each other
            meanwhile()
        finally:
            asked.exception()  # also for who is interrupted: nothing goes on behind their back
        return asked.result()

    def close(self) -> None:
        """End the thread; another turnover starts the next one."""
        with self._starting:
            if self._thread is not None:
                self._asked.put(None)
                self._thread.join()
                self._thread = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                desk = _Desk(engine())
                self._thread = Thread(
                    target=self._run, args=(desk,), name="invitations-clerk", daemon=True
                )
                self._thread.start()

    def _run(self, desk: _Desk) -> None:
        while asked := self._next(desk):
            desk.do(asked)
        desk.rest()

    def _next(self, desk: _Desk) -> list[_Turnover]:
        """Wait for work and return all that there is; none is the end."""
        found = list[_Turnover]()
        try:
            one = self._asked.get(timeout=REST)
        except Empty:
            desk.rest()
            one = self._asked.get()
        with suppress(Empty):
            while one is not None:
                found.append(one)
                one = self._asked.get_nowait()
        if one is None and found:
            self._asked.put(None)  # the end comes after these
        return found


class _Turnover(Future[Done]):
    """One that is asked for; ``is_under_way`` once nothing is left but to wait for the disk."""

    def __init__(self, given: Given) -> None:
        super().__init__()
        self.given = given
        self.is_under_way = Event()


class _Desk:
    """The connection that a clerk works over, kept while there is work.

    Asking the pool for each time takes as long as some statements: it tries what it hands out.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._may_share = can_share(engine.dialect)
        self._engine = ready_for(engine)
        self._kept: sa.Connection | None = None

    def do(self, asked: Sequence[_Turnover]) -> None:
        """Do turnovers, together if that can be, and tell each what came of it."""
        for some in [asked] if self._may_share else [[each] for each in asked]:
            try:
                done = self._do(some)
            except BaseException as error:  # whoever waits must hear of it, whatever it is
                self._throw_away()
                for each in some:
                    each.set_exception(error)
            else:
                for each, its in zip(some, done, strict=True):
                    each.set_result(its)
            _say_under_way(some)

    def _do(self, some: Sequence[_Turnover]) -> Sequence[Done]:
        if self._kept is None:
            self._kept = _spare_connection(self._engine)
        if self._kept is None:
            return [NOTHING] * len(some)
        given = [each.given for each in some]
        return turn_over_all(self._kept, given, lambda: _say_under_way(some))

    def rest(self) -> None:
        """Give the connection back; one that is broken is in nobody's way."""
        kept, self._kept = self._kept, None
        if kept is not None:
            with suppress(Exception):
                kept.close()

    def _throw_away(self) -> None:
        """Use another connection from now on: this one may be broken."""
        if self._kept is not None:
            with suppress(Exception):
                self._kept.invalidate()
        self.rest()


def _say_under_way(some: Sequence[_Turnover]) -> None:
    for each in some:
        each.is_under_way.set()


def _spare_connection(engine: sa.Engine) -> sa.Connection | None:
    """Return a connection to keep, None where the pool has none to spare.

    One of a pool's own is always left, for others want connections as well.
    """
    pool = engine.pool
    if not isinstance(pool, sa.pool.QueuePool):
        return None
    with _taking:  # of two who see the last but one, one takes it
        if pool.checkedout() + _coming.count(pool) >= pool.size() - 1:
            return None
        _coming.append(pool)
    try:  # nobody waits for this one: a database that is away may take its time
        return engine.connect()
    finally:
        _coming.remove(pool)
