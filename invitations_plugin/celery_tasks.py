"""Celery as the clock of the delivery: tasks that only say that there may be something to do.

A message that comes three times, late or never changes nothing: what has to be done, and by
whom, stands in the database.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from flask import Flask

from . import alarms, delivery, jobs
from .database import atomically, session
from .heartbeat import Heart
from .reports import keeping
from .smtp import describe
from .state import is_ready, state_in
from .workers import HOUR, MAIL_TURN, MINUTE, POLL, TURN, deadline, upkeep

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

DELIVER: Final = "invitations.deliver"
FIGURES: Final = 10.0  # seconds between two looks at the figures of the reports


@cache
def _heart(pid: int) -> Heart:
    """Return the sign of life of one of Celery's processes."""
    return Heart("Celery")


def _deliver() -> None:
    heart = _heart(os.getpid())
    heart.beat()
    heart.beat(delivery.deliver(stop=deadline(MAIL_TURN)))


# What each task does, and how many seconds lie between two messages of the beat.
TASKS: Final[dict[str, tuple[Callable[[], object], float]]] = {
    DELIVER: (_deliver, POLL),
    "invitations.jobs": (lambda: jobs.run_all(deadline(MAIL_TURN)), POLL),
    "invitations.figures": (lambda: keeping.keep(deadline(TURN)), FIGURES),
    "invitations.alarms": (lambda: atomically(lambda: alarms.ring(session())), MINUTE),
    "invitations.upkeep": (upkeep, HOUR),
}
CONNECTING: Final = 2.0  # seconds that a broker may take to answer


def init_celery(app: Flask, celery: Celery | None = None) -> Celery:
    """Let Celery drive the delivery of a store, and return the Celery app.

    Adds the tasks of :data:`TASKS` and their beat schedule to ``celery``, the store's own
    Celery app; without one, makes it for the broker ``CELERY_BROKER_URL``. Messages go to
    the queue ``INVITATIONS_CELERY_QUEUE`` where one is named.

    :raises RuntimeError: when the plugin is not mounted, Celery is not installed, or no
        broker is named.
    """
    mounted = state_in(app, "init_celery")
    found = celery or _own_celery(app)
    options = _options(app)
    for name, (work, seconds) in TASKS.items():
        found.task(_within(app, work), name=name, ignore_result=True, shared=False)
        # A message that nobody took before the next one is of no more use.
        entry = {"task": name, "schedule": seconds, "options": {"expires": seconds, **options}}
        found.conf.beat_schedule.setdefault(name, entry)
    _forget_connections_in_children(app)
    mounted.bell = Bell(found, options)
    app.config["INVITATIONS_DELIVERY"] = "celery"
    return found


def broker_of(app: Flask) -> str | None:
    """Return the broker that the app's config, or else the environment, names."""
    key = "CELERY_BROKER_URL"
    return app.config.get(key, os.environ.get(key)) or None


def _own_celery(app: Flask) -> Celery:
    try:
        from celery import Celery
    except ImportError:
        raise RuntimeError(
            "Celery is not installed: pip install 'invitations-plugin[celery]'."
        ) from None
    broker = broker_of(app)
    if broker is None:
        raise RuntimeError("Name a broker in CELERY_BROKER_URL, or give init_celery your Celery.")
    made = Celery(app.name, broker=broker, set_as_current=False)
    made.conf.broker_connection_retry_on_startup = True
    return made


def _options(app: Flask) -> dict[str, Any]:
    queue = app.config["INVITATIONS_CELERY_QUEUE"]
    return {"queue": queue} if queue else {}


def _within(app: Flask, work: Callable[[], object]) -> Callable[[], None]:
    def task() -> None:
        with app.app_context():
            if is_ready():
                work()

    return task


def _forget_connections_in_children(app: Flask) -> None:
    """Let no two processes speak over one connection: Celery forks its workers."""
    from celery.signals import worker_process_init

    def forget(**more: object) -> None:
        with app.app_context():
            for engine in app.extensions["sqlalchemy"].engines.values():
                engine.dispose(close=False)

    worker_process_init.connect(forget, weak=False)


class Bell:
    """Asks Celery to look at once; whoever rings does not wait for the broker.

    Where the broker is away nothing is lost: the beat asks again once it is back.
    """

    def __init__(self, celery: Celery, options: dict[str, Any]) -> None:
        self.celery = celery
        self._options = options
        self._is_asked = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Ring, in a thread of its own; several calls at once are one."""
        self._is_asked.set()
        with self._lock:
            # A fork keeps the object, but not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._ring, name="bell", daemon=True)
                self._thread.start()

    def _ring(self) -> None:
        while self._is_asked.is_set():
            self._is_asked.clear()
            try:
                self.celery.tasks[DELIVER].apply_async(retry=False, expires=HOUR, **self._options)
            except Exception as error:  # each transport has its own
                log.warning("The broker is away, mail waits for the beat: %s", describe(error))

    def faults(self) -> Iterator[str]:
        """Say what keeps the broker from being used."""
        try:
            with self.celery.connection_for_write(connect_timeout=CONNECTING) as connection:
                connection.ensure_connection(max_retries=1, timeout=CONNECTING)
        except Exception as error:  # each transport has its own
            yield f"The broker of Celery cannot be used ({describe(error)}): see CELERY_BROKER_URL."
