"""Rows that operators watch: workers, tries of mails, mails in every place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from invitations_plugin.clock import now
from invitations_plugin.lifecycle import THE_SYSTEM, note
from invitations_plugin.models import History, Invitation, MailState, Outbox, OutboxState
from invitations_plugin.watch_models import Worker

from .outbox import queue
from .rows import ago, one
from .stores import Store

T = TypeVar("T")
IN_ONE = pytest.mark.parametrize("database", ["sqlite"])  # what no database makes another
TIMED_OUT = "TimeoutError: timed out"


def asked(store: Store, question: Callable[[Session], T]) -> T:
    """Ask a store something, outside of any request."""
    with store.session() as db:
        return question(db)


def add_worker(store: Store, **values: Any) -> None:
    """Write a worker that was seen just now."""
    known = {"id": f"worker {now().timestamp()}", "kind": "worker", "host": "web-1", "pid": 4711}
    with store.session() as db:
        db.add(Worker(**known | values))
        db.commit()


def workers(store: Store) -> list[Worker]:
    """Return the rows of all workers, in the order that they started."""
    with store.session() as db:
        found = list(db.scalars(sa.select(Worker).order_by(Worker.started_at, Worker.id)))
        db.expunge_all()
        return found


def put(store: Store, address: str, website: str = "", **values: Any) -> int:
    """Write an invitation whose mail stands in the outbox as ``values`` say; return its id."""
    more = {"website": website} if website else {}
    [number] = queue(store, address, **more)
    if values:
        with store.session() as db:
            db.execute(sa.update(Outbox).where(Outbox.invitation_id == number).values(**values))
            db.commit()
    return number


def park(store: Store, address: str, **more: Any) -> int:
    """Write an invitation whose mail waits for a decision; return its id."""
    state: dict[str, Any] = {"state": OutboxState.PARKED, "ambiguous": 2, "last_error": TIMED_OUT}
    number = put(store, address, **more, **state)
    with store.session() as db:
        values = {"mail_state": MailState.PARKED, "mail_error": TIMED_OUT}
        db.execute(sa.update(Invitation).where(Invitation.id == number).values(**values))
        db.commit()
    return number


def fail(store: Store, address: str, reason: str = "550 no such user", **more: Any) -> int:
    """Write an invitation whose mail failed for good; return its id."""
    state: dict[str, Any] = {
        "status": "not_sent",
        "mail_state": "failed",
        "mail_error": reason,
        "mail_tries": 1,
    }
    return one(store, address, **state | more)


def fill(store: Store) -> None:
    """Let a mail stand in every place, the first two letters of its address the place's."""
    put(store, "due@example.com")
    put(store, "later@example.com", due_at=ago(hours=-1))
    put(store, "deferred@example.com", tries=1, due_at=ago(hours=-1), last_error="451 later")
    put(store, "sending@example.com", state=OutboxState.SENDING, lease_until=ago(minutes=-9))
    park(store, "parked@example.com")
    fail(store, "failed@example.com")


def tried(store: Store, number: int, action: str, reason: str = "", **values: Any) -> None:
    """Write into the history how a try of a mail ended."""
    with store.session() as db:
        note(db, number, THE_SYSTEM, action, reason=reason, message_id=f"<{number}@example.com>")
        db.flush()
        if values:
            newest = sa.select(sa.func.max(History.id)).scalar_subquery()
            db.execute(sa.update(History).where(History.id == newest).values(**values))
        db.commit()


@contextmanager
def refusing(store: Store, said: str = "421 busy") -> Iterator[None]:
    """Let a worker be refused by the mail server for a while."""
    add_worker(store, id="refused", refused=said)
    yield
    with store.session() as db:
        db.execute(sa.update(Worker).where(Worker.id == "refused").values(refused=None))
        db.commit()
