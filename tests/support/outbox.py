"""Mails that wait, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import sqlalchemy as sa

from invitations_plugin.lifecycle import new_message_id
from invitations_plugin.models import Outbox

from .rows import ago, by, here, insert, row
from .sink import Sink
from .stores import Store


def queue(store: Store, *addresses: str, **changes: Any) -> list[int]:
    """Write invitations whose mail waits in the outbox, the first the oldest."""
    known = here(store) | by(store) | changes
    ids = insert(store, [row(each, "not_sent", **known) for each in addresses])
    made = [
        {
            "invitation_id": each,
            "message_id": new_message_id("example.com"),
            "due_at": ago(seconds=len(ids) - place),
        }
        for place, each in enumerate(ids)
    ]
    with store.session() as db:
        db.execute(sa.insert(Outbox), made)
        db.commit()
    return ids


def many(number: int) -> list[str]:
    return [f"friend{place:03}@example.com" for place in range(number)]


def change_outbox(store: Store, **values: Any) -> None:
    with store.session() as db:
        db.execute(sa.update(Outbox).values(**values))
        db.commit()


def recipients(sink: Sink) -> list[str]:
    return [address for mail in sink.mails for address in mail.recipients]


def wait_for(happened: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is so; the end of the test run judges how long."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def in_threads(work: Callable[[], object], number: int) -> None:
    """Do the same in several threads, and wait for all of them."""
    threads = [Thread(target=work) for _ in range(number)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
