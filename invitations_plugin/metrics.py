"""The delivery's figures as Prometheus reads them, made anew at each question.

They come from the database, so every process of the store tells the same. The package
``prometheus_client`` is optional (``invitations-plugin[metrics]``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from sqlalchemy.orm import Session

from . import backlog, heartbeat, tries, watch
from .backlog import Place
from .clock import now
from .watch_models import Worker

PACKAGE = "prometheus_client"
MISSING = "The metrics need a package more: pip install 'invitations-plugin[metrics]'"
# Name and help of what stands once for each place of a mail.
PLACES = {
    Place.DUE: ("queued", "Mails that are due and wait for a worker"),
    Place.LATER: ("later", "Mails that wait for their turn"),
    Place.DEFERRED: ("deferred", "Mails that are tried again later"),
    Place.SENDING: ("sending", "Mails that a worker holds"),
    Place.PARKED: ("parked", "Mails of unknown end that wait for a decision"),
    Place.FAILED: ("failed", "Mails that failed for good and that nobody dealt with since"),
}


def is_available() -> bool:
    """Return whether the package is installed."""
    return find_spec(PACKAGE) is not None


def exposed(db: Session) -> tuple[bytes, str]:
    """Return the figures as text, and its content type."""
    from prometheus_client import CollectorRegistry, exposition

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(db))
    return exposition.generate_latest(registry), exposition.CONTENT_TYPE_LATEST


class _Figures:
    """What Prometheus collects, each family once."""

    def __init__(self, db: Session) -> None:
        self.db = db

    def collect(self) -> Iterator[Any]:
        """Yield the families of figures."""
        yield from _outbox(self.db)
        yield from _tries(self.db)
        yield from _workers(self.db)


def _family(name: str, text: str, *labels: str) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(f"invitations_{name}", f"{text}.", labels=labels)


def _single(name: str, text: str, value: float) -> Any:
    family = _family(name, text)
    family.add_metric([], value)
    return family


def _outbox(db: Session) -> Iterator[Any]:
    counted, sight = backlog.read(db), watch.look(db)
    for place, (name, text) in PLACES.items():
        yield _single(f"outbox_{name}", text, counted.at(place))
    text = "How long the oldest mail that is due waits"
    yield _single("outbox_oldest_seconds", text, sight.age.total_seconds())
    text = "Whether a worker was refused by the mail server at its last look"
    yield _single("mail_server_refusing", text, bool(sight.refused))
    troubles = _family("trouble", "What keeps mail from leaving", "kind")
    for each in watch.Trouble:
        troubles.add_metric([each], each in sight.troubles)
    yield troubles


def _tries(db: Session) -> Iterator[Any]:
    for window, found in zip(("hour", "day"), tries.rates(db), strict=True):
        family = _family(f"tries_last_{window}", f"Tries of mails in the last {window}", "outcome")
        for outcome, number in asdict(found).items():
            family.add_metric([outcome], number)
        yield family
    text = "Mails of the last day that may have arrived twice"
    yield _single("duplicates_suspected_last_day", text, tries.suspected_twice(db))


def _workers(db: Session) -> Iterator[Any]:
    found = heartbeat.workers(db)
    alive = sum(heartbeat.is_alive(each) for each in found)
    yield _single("workers_alive", "Workers that gave a sign of life of late", alive)
    seen = _family("worker_silent_seconds", "Since a worker was seen last", "kind", "host", "pid")
    for each in found:
        if each.ended_at is None:
            seen.add_metric([each.kind, each.host, str(each.pid)], _silent_for(each))
    yield seen


def _silent_for(worker: Worker) -> float:
    return (now() - worker.seen_at).total_seconds()
