"""A worker's line to the mail server: one connection, kept from batch to batch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .smtp import Connection, connect

FRESH = 2.0  # seconds of rest after which the server is asked whether it is still there
LONGEST_REST = 30.0  # seconds; a server ends a line that rests for minutes by itself


class Line:
    """One connection at a time, used again while it is healthy; it belongs to one thread.

    ``most`` is how many messages one connection carries. :meth:`close` ends what is kept.
    """

    most = 1

    def __init__(self) -> None:
        self._kept: Connection | None = None
        self._server: object = None
        self._used_at = 0.0

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a connection that takes a message; it stays open where nothing went wrong.

        :raises Unreachable: when there is none to be had.
        """
        chosen = self._take()
        self._kept = None
        try:
            yield chosen
        except BaseException:
            chosen.__exit__()
            raise
        if chosen.is_open:
            self._kept, self._used_at = chosen, time.monotonic()
        else:
            chosen.__exit__()

    def _take(self) -> Connection:
        fresh = connect()
        server = _server_of(fresh)
        kept = self._kept
        if kept is not None:
            kept.most = self.most
            if self._server == server and self._is_healthy(kept):
                return kept
        self.close()
        self._server, fresh.most = server, self.most
        return fresh.__enter__()

    def _is_healthy(self, kept: Connection) -> bool:
        rest = time.monotonic() - self._used_at
        if not kept.is_open or rest > LONGEST_REST:
            return False
        return rest < FRESH or kept.still_answers()

    def rest(self) -> None:
        """End a connection that nothing was sent over for long."""
        if time.monotonic() - self._used_at > LONGEST_REST:
            self.close()

    def __del__(self) -> None:
        """Leave no connection behind where nobody closed it."""
        self.close()

    def close(self) -> None:
        """Say goodbye."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.__exit__()


def _server_of(connection: Connection) -> tuple[Any, ...]:
    """Return all that makes a connection another one when it changes."""
    mail = connection.mail
    names = ("server", "port", "use_tls", "use_ssl", "username", "password", "suppress")
    return tuple(getattr(mail, name) for name in names)
