"""The POST that sends five invitations: ours, and what people write by hand."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from time import perf_counter

import sqlalchemy as sa
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from invitations_plugin.models import History, Invitation
from sample_store.database import db
from sample_store.models import Customer
from tests.support.stores import SEND, Store, Visitor

from . import by_hand, smtp
from .places import Places, both
from .report import Section, in_short, times_table
from .timing import WARM_UP, Contender, Make, Once, Times, take_turns

FRIENDS = 5
GOAL = 2.0
OURS, PEER = "ours", "by hand, outbox"
SHORT = "five invitations sent, times a view by hand"
NO_LIMITS = {f"INVITATIONS_MAX_{name}": 0 for name in ("PER_HOUR", "PER_DAY", "PENDING")}
TITLE = "Send five invitations"
ABOUT = f"""One POST with five new addresses, as the server's work from the WSGI call to the end of
the answer. Each variant has a process and a database of its own; all take turns, in an order
that changes each round. Limits are off.

- *{OURS}*: the sample store with login, CSRF and translations; a worker elsewhere sends.
- *{OURS}, thread*: the same with its delivery thread, while the mail server answers, refuses, or
  takes connections and stays silent.
- *{PEER}*: a Flask view with Flask-Login and CSRF that checks the addresses by email-validator,
  inserts the same rows into the same tables by SQLAlchemy Core, and does nothing else.
- *by hand, inline*: the same view without an outbox, which sends by Flask-Mail before it answers,
  a connection a mail, to a server at 0 or 10 ms for a reply."""


def measure(requests: int) -> Section:
    """Compare all of them on both databases."""
    parts, short = [ABOUT], {}
    for places in both():
        with ExitStack() as stack:
            found = take_turns(_contenders(places, stack), requests, f"send, {places.kind}")
        _check(places, found)
        version = places.version()
        parts.append(_told(version, found))
        short[version.partition(" ")[0]] = {SHORT: f"{_ratio(found):.2f}"}
    return Section(TITLE, "\n\n".join(parts), in_short(short, {SHORT: f"at most {GOAL:g}"}))


def _ratio(found: dict[str, Times]) -> float:
    return found[OURS].p50 / found[PEER].p50


def _check(places: Places, found: dict[str, Times]) -> None:
    """Find out whether everybody did the work, all of it."""
    for name, times in found.items():
        expected = (len(times.seconds) + WARM_UP) * FRIENDS
        for model in (Invitation, History):
            query = sa.select(sa.func.count()).select_from(model)
            written = places.scalar(name, query.where(_is_creation(model)))
            if written != expected:
                raise RuntimeError(f"{name} wrote {written} {model.__tablename__}")


def _is_creation(model: type[Invitation] | type[History]) -> sa.ColumnElement[bool]:
    """A delivery thread writes history, too."""
    return History.action == "create" if model is History else sa.true()


def _contenders(places: Places, stack: ExitStack) -> Iterator[Contender]:
    local, far, silent = (stack.enter_context(smtp.server(delay)) for delay in (0, 0.01, None))
    folder = str(places.folder)

    def ready(name: str, make: Make, *more: object, every: int = 1) -> Contender:
        return Contender(name, make, (places.url(name), folder, *more), every)

    yield ready(OURS, ours, "none", smtp.GONE)
    yield ready(PEER, peer, None)
    yield ready(f"{OURS}, thread, server answers", ours, "thread", local)
    yield ready(f"{OURS}, thread, server refuses", ours, "thread", smtp.GONE)
    yield ready(f"{OURS}, thread, server silent", ours, "thread", silent)
    yield ready("by hand, inline, local", peer, local)
    yield ready("by hand, inline, 10 ms", peer, far, every=4)


@contextmanager
def ours(url: str, instance: str, delivery: str, mail_port: int) -> Iterator[Once]:
    """The sample store with a signed-in customer at the form."""
    # Its thread would say at every POST that the server is away.
    logging.getLogger("invitations_plugin").setLevel(logging.ERROR)
    config = {
        "DATABASE_URL": url,
        "INSTANCE_PATH": instance,
        "INVITATIONS_DELIVERY": delivery,
        "INVITATIONS_SMTP_TIMEOUT": 2,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": mail_port,
    }
    store = Store(**config, **NO_LIMITS)
    with closing(store):
        visitor = store.customer()
        visitor.get(SEND)
        yield _Form(store.app, visitor, SEND).post


@contextmanager
def peer(url: str, instance: str, mail_port: int | None) -> Iterator[Once]:
    """The hand-written view with the same customer signed in."""
    app = by_hand.create_app(url, mail_port)
    with app.app_context():
        number = db.session.scalars(
            sa.select(Customer.id).where(Customer.email == Store.inviter)
        ).one()
    visitor = Visitor(app.test_client())
    visitor.get(f"/sign-in/{number}")
    visitor.get("/send")
    yield _Form(app, visitor, "/send").post


class _Form:
    """A form as a browser holds it, sent over and over with new friends."""

    def __init__(self, app: Flask, visitor: Visitor, path: str) -> None:
        cookie = visitor.client.get_cookie(app.config["SESSION_COOKIE_NAME"])
        if cookie is None or not visitor.token:
            raise RuntimeError("Nobody is signed in.")
        self.app, self.path, self.token = app, path, visitor.token
        self.headers = [("Cookie", f"{cookie.key}={cookie.value}")]

    def post(self) -> float:
        """Send five invitations and return the seconds."""
        environ = EnvironBuilder(
            self.path, method="POST", data=self._data(), headers=self.headers
        ).get_environ()
        start = perf_counter()
        _, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        seconds = perf_counter() - start
        if not status.startswith("302") or "login" in headers["Location"]:
            raise RuntimeError(f"{self.path} answered {status}")
        return seconds

    def _data(self) -> dict[str, str]:
        friends = {f"emails-{row}": f"{secrets.token_hex(8)}@example.com" for row in range(FRIENDS)}
        return {"csrf_token": self.token, "submission": secrets.token_urlsafe(16), **friends}


def _told(database: str, found: dict[str, Times]) -> str:
    """Return the table of one database, and whether the goal is reached."""
    ratio = _ratio(found)
    verdict = "reached" if ratio <= GOAL else "missed"
    goal = f"Goal: at most {GOAL:g} times '{PEER}': {ratio:.2f}, {verdict}."
    return f"**{database}**\n\n{times_table('variant', found, PEER)}\n\n{goal}"
