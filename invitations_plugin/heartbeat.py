"""Signs of life: who drives the delivery, and when each of them was last seen."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .database import atomically, insert_into, session
from .delivery import Report
from .watch_models import Worker

EVERY = 15.0  # seconds between two signs of life
SILENT = timedelta(minutes=2)  # after which a worker that gave none is taken for dead
KEPT = timedelta(days=1)
MOST = 50  # workers that are told of
THREAD, WORKER, COMMAND = "thread", "worker", "command"


class Heart:
    """One worker's sign of life.

    :param kind: what drives the delivery: :data:`THREAD`, :data:`WORKER`, :data:`COMMAND`, or
        the name of another engine, of at most 16 characters.
    """

    def __init__(self, kind: str) -> None:
        host = socket.gethostname()[:255]
        self._row: dict[str, Any] = {
            "id": _id_of(kind, host),
            "kind": kind,
            "host": host,
            "pid": os.getpid(),
            "started_at": now(),
            "refused": None,
        }
        self._next = 0.0

    def beat(self, report: Report | None = None) -> None:
        """Say that this worker lives, and what it did; written at most every :data:`EVERY` seconds.

        What changes about the mail server is written at once.
        """
        is_news = report is not None and self._take(report)
        if is_news or time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            self._write()

    def end(self) -> None:
        """Say that this worker ends as it should."""
        self._write(ended_at=now())

    def _take(self, report: Report) -> bool:
        """Keep what a run came to; return whether the mail server is away, or back, since."""
        before, self._row["refused"] = (
            self._row["refused"],
            (report.unreachable or "")[:255] or None,
        )
        if report.handled:
            names = ("sent", "deferred", "failed", "skipped")
            self._row |= {"did": {name: getattr(report, name) for name in names}, "did_at": now()}
        return (before is None) != (report.unreachable is None)

    def _write(self, **more: Any) -> None:
        values = self._row | {"seen_at": now()} | more
        atomically(lambda: _keep(session(), values))


def _id_of(kind: str, host: str) -> str:
    """Return what a worker is known by; a scheduler's commands of a machine are one worker."""
    if kind == COMMAND:
        return hashlib.sha256(host.encode()).hexdigest()[:16]
    return secrets.token_hex(8)


def _keep(db: Session, values: dict[str, Any]) -> None:
    fresh = {name: value for name, value in values.items() if name != "id"}
    statement = insert_into(db, Worker).values(**values)
    db.execute(statement.on_conflict_do_update(index_elements=[Worker.id], set_=fresh))


def workers(db: Session) -> Sequence[Worker]:
    """Return who drove the delivery in the last day, whoever was seen last first."""
    query = sa.select(Worker).where(Worker.seen_at >= now() - KEPT)
    return db.scalars(query.order_by(Worker.seen_at.desc(), Worker.id).limit(MOST)).all()


def is_alive(worker: Worker) -> bool:
    """Return whether a worker gave a sign of life of late."""
    return worker.ended_at is None and worker.seen_at > now() - SILENT


def is_lively() -> sa.ColumnElement[bool]:
    """Return :func:`is_alive` as SQL."""
    return sa.and_(Worker.ended_at.is_(None), Worker.seen_at > now() - SILENT)


def forget(db: Session) -> None:
    """Remove who was not seen for a day. The caller commits."""
    db.execute(sa.delete(Worker).where(Worker.seen_at < now() - KEPT))
