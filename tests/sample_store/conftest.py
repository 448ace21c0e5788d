"""A store of its own for every test, with the demo's accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from sample_store import create_app, demo
from sample_store.catcher import Catcher
from sample_store.database import db, prepare
from sample_store.mails import Mailbox

from ..support.databases import Databases
from ..support.sharing import Compiled
from .shopper import Shopper

CHEAP = "pbkdf2:sha256:1"


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[..., Flask]:
    """Return a function that builds a store with an empty instance."""

    def make(**config: object) -> Flask:
        given = {
            "INSTANCE_PATH": str(tmp_path),
            "INVITATIONS_DELIVERY": "none",
            "PASSWORD_METHOD": CHEAP,
            "TESTING": True,
        }
        return create_app(given | config)

    return make


@pytest.fixture
def store_app(
    make_app: Callable[..., Flask], databases: Databases, tmp_path: Path, compiled: Compiled
) -> Flask:
    """A store with the demo's accounts.

    Its context is not left open: requests would share it, and with it the signed-in user.
    """

    def fill(url: str) -> None:
        app = make_app(DATABASE_URL=url)
        prepare(app)
        with app.app_context():
            demo.seed()
            db.engine.dispose()

    databases.sqlite("store", fill, tmp_path)  # the file that a store has in its instance
    made = make_app()
    compiled.give_to(made)
    return made


@pytest.fixture
def in_store(store_app: Flask) -> Iterator[Flask]:
    """The same store with its context open, for tests without requests."""
    with store_app.app_context():
        yield store_app


@pytest.fixture
def browser(store_app: Flask) -> Shopper:
    """A visitor of the store."""
    return Shopper(store_app.test_client())


@pytest.fixture
def mailbox(store_app: Flask) -> Mailbox:
    """The folder that the store's mailbox shows."""
    return Mailbox(Path(store_app.instance_path) / "mailbox")


@pytest.fixture
def catcher(mailbox: Mailbox) -> Iterator[Catcher]:
    """A running SMTP server that fills the mailbox."""
    running = Catcher(mailbox).start()
    yield running
    running.stop()
