"""How many invitations leave in a second: ours, the limit by hand, and the peers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from invitations_plugin import delivery
from invitations_plugin.clerk import Clerk
from invitations_plugin.models import Invitation, MailState
from tests.support.outbox import in_threads, queue
from tests.support.stores import Store

from . import sink
from .places import Places, both
from .report import Section, in_short, judged, table
from .sending_peers import (
    Turn,
    addresses,
    django_invitations,
    flask_mail_alone,
    limit,
    seconds_each,
)
from .timing import Contender, Times, side_by_side, take_turns_at

ROUND_TRIP = 0.01  # seconds
NEAR, FAR = "local", "10 ms round trip"
WORKERS = (1, 4)
TURN = {NEAR: 200, FAR: 50}  # mails a worker, who takes 50 at a time
SHORT_TURN = {NEAR: 50, FAR: 10}  # the peers need longer for each
LONGEST = 4.0  # seconds that one contender may take at one job
OURS, LIMIT = "ours, {} connection{}", "limit, {} connection{}"
PROCESSES = "ours, 4 connections of 4 processes"
JOINED = "limit, 1 connection, one commit a mail"
FLASK_EACH, FLASK_KEPT = "Flask-Mail, a connection each", "Flask-Mail, one connection"
DJANGO = "django-invitations"
PEERS = (FLASK_EACH, FLASK_KEPT, DJANGO)
GOAL_LIMIT, GOAL_PEERS, GOAL_FAR = 0.8, 4.0, 80
TITLE = "Sending"
ABOUT = f"""Mails a second, to postfix's `smtp-sink` on this machine, and to the same behind a proxy
that makes every round trip 10 ms longer. Each variant has a process, connections and a database of
its own; all take turns in an order that changes each round. Every commit waits for the disk.

- *ours*: what waits in the outbox is claimed, checked, written, sent and noted by the delivery,
  each mail's states committed: claimed, sending, sent with its history. Several connections are
  threads, as `flask invitations worker --threads 4` makes them, told to deliver at once and
  measured until the last of them is done; those *of 4 processes* are as `--processes 4` makes them.
- *limit*: the same states, each committed by plain SQL, for messages that were built before, and
  smtplib on a connection that stays; it checks nothing. Several connections are threads. With *one
  commit a mail* the end of each is committed with the beginning of the next, as ours are.
- *{FLASK_EACH}* or for all: texts written before, no database at all.
- *{DJANGO}*: `send_invitation()` of rows made before; it notes that a mail was sent."""


def named(pattern: str, workers: int) -> str:
    return pattern.format(workers, "" if workers == 1 else "s")


def measure(mails: int) -> Section:
    """Compare all of them on both databases.

    :param mails: how many each gets at most, at each distance.
    """
    parts, short = [ABOUT], {}
    with TemporaryDirectory() as name, ExitStack() as stack:
        near = stack.enter_context(sink.sink(Path(name)))
        ports = {NEAR: near, FAR: stack.enter_context(sink.far(near, ROUND_TRIP))}
        for places in both():
            rounds = max(3, mails // TURN[NEAR])
            label = f"sending, {places.kind}"
            contenders = list(_contenders(places, ports))
            found = take_turns_at((NEAR, FAR), contenders, rounds, LONGEST, label)
            _check(places)
            version = places.version()
            figures = _figures(found)
            parts.append(_told(version, found, figures))
            short[version.partition(" ")[0]] = {
                what: f"{value:.0f}" if what == SHORT[-1] else f"{value:.2f}"
                for what, value in zip(SHORT, figures, strict=True)
            }
    goals = (f"at least {GOAL_LIMIT:g}",) * 2 + (f"at least {GOAL_PEERS:g}",) * 3
    wanted = dict(zip(SHORT, (*goals, f"at least {GOAL_FAR}"), strict=True))
    return Section(TITLE, "\n\n".join(parts), in_short(short, wanted))


SHORT = (
    "sending, times the limit, 1 connection",
    "sending, times the limit, 4 connections",
    *(f"sending, 4 connections, times {peer}" for peer in PEERS),
    "mails a second at 10 ms, 4 connections",
)


def _contenders(places: Places, ports: dict[str, int]) -> Iterator[Contender]:
    folder = str(places.folder)
    for workers in WORKERS:
        for pattern, make in ((OURS, ours), (LIMIT, limit)):
            mails = {job: number * workers for job, number in TURN.items()}
            name, turn = named(pattern, workers), Turn(mails, workers, ports)
            yield Contender(name, make, (places.url(name), folder, turn))
    many = Turn({job: number * 4 for job, number in TURN.items()}, 4, ports)
    yield Contender(PROCESSES, our_processes, (places.url(PROCESSES), folder, many))
    yield Contender(JOINED, limit, (places.url(JOINED), folder, Turn(TURN, 1, ports), True))
    turn = Turn(SHORT_TURN, 1, ports)
    yield Contender(FLASK_EACH, flask_mail_alone, (turn, False))
    yield Contender(FLASK_KEPT, flask_mail_alone, (turn, True))
    yield Contender(DJANGO, django_invitations, (places.url(DJANGO), folder, turn))


@contextmanager
def _our_store(url: str, folder: str) -> Iterator[Store]:
    logging.getLogger("invitations_plugin").setLevel(logging.ERROR)
    config = {
        "DATABASE_URL": url,
        "INSTANCE_PATH": folder,
        "INVITATIONS_BASE_URL": "https://shop.example.com",
        "INVITATIONS_DELIVERY": "none",
        "MAIL_SERVER": sink.LOOPBACK,
    }
    with closing(Store(**config)) as store:
        yield store


@contextmanager
def ours(url: str, folder: str, turn: Turn) -> Iterator[Callable[[str], float]]:
    """The sample store with what waits in its outbox, and threads that deliver it."""
    with _our_store(url, folder) as store, _deliverer(url, folder, turn.ports) as deliver:

        def once(job: str) -> float:
            ids = queue(store, *addresses(turn.mails[job]))
            work = partial(in_threads, lambda: deliver(job), turn.workers)
            return seconds_each(work, len(ids))

        yield once


@contextmanager
def our_processes(url: str, folder: str, turn: Turn) -> Iterator[Callable[[str], float]]:
    """The same, and processes that deliver it."""
    worker = Contender("worker", _deliverer, (url, folder, turn.ports))
    with _our_store(url, folder) as store, side_by_side(worker, turn.workers) as deliver:

        def once(job: str) -> float:
            ids = queue(store, *addresses(turn.mails[job]))
            return seconds_each(lambda: deliver(job), len(ids))

        yield once


@contextmanager
def _deliverer(url: str, folder: str, ports: dict[str, int]) -> Iterator[Callable[[str], float]]:
    """A worker that waits to be told."""
    with _our_store(url, folder) as store, closing(Clerk()) as clerk:

        def once(job: str) -> float:
            store.app.config["MAIL_PORT"] = ports[job]
            with store.app.app_context():
                return seconds_each(partial(delivery.deliver, clerk=clerk), 1)

        yield once


def _check(places: Places) -> None:
    """Find out whether everything left.

    :raises RuntimeError: when something did not.
    """
    query = sa.select(sa.func.count()).where(Invitation.mail_state != MailState.DELIVERED)
    for name in (
        PROCESSES,
        JOINED,
        *(named(each, workers) for each in (OURS, LIMIT) for workers in WORKERS),
    ):
        waiting = places.scalar(name, query)
        if waiting:
            raise RuntimeError(f"{name} left {waiting} mails behind")


def _rate(times: Times) -> float:
    """Return mails a second."""
    return 1 / times.p50


def _figures(found: dict[str, dict[str, Times]]) -> tuple[float, ...]:
    """Return the figures of :data:`SHORT`."""
    near, far = ({name: _rate(times) for name, times in found[job].items()} for job in (NEAR, FAR))
    many = named(OURS, WORKERS[-1])
    by_limit = [near[named(OURS, each)] / near[named(LIMIT, each)] for each in WORKERS]
    return (*by_limit, *(near[many] / near[peer] for peer in PEERS), far[many])


def _told(database: str, found: dict[str, dict[str, Times]], figures: tuple[float, ...]) -> str:
    """Return the table of one database and its goals."""
    rows = [
        (name, *(f"{_rate(found[job][name]):,.0f}" for job in (NEAR, FAR))) for name in found[NEAR]
    ]
    goals = (GOAL_LIMIT,) * 2 + (GOAL_PEERS,) * 3 + (GOAL_FAR,)
    lines = [
        judged(f"{what}: at least {goal:g}", f"{value:.2f}", value >= goal)
        for what, value, goal in zip(SHORT, figures, goals, strict=True)
    ]
    heads = ("mails a second", NEAR, FAR)
    return f"**{database}**\n\n{table(heads, rows)}\n\n" + "\n".join(lines)
