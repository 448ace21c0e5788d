"""Limits on how much somebody may do in a while, kept in the database so that all processes
share them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from math import ceil

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .database import insert_into
from .models import Quota


@dataclass(frozen=True, slots=True)
class Window:
    """How much one subject may take in each stretch of time of this length."""

    name: str
    length: timedelta
    most: int


GUESSES = Window("guess", timedelta(minutes=1), 30)  # dead links opened from one place


class WindowFull(Exception):
    """What was asked for does not fit into the running window; ``wait`` in seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(wait)
        self.wait = wait


def count(session: Session, window: Window, subject: str, amount: int = 1) -> None:
    """Take an amount for a subject out of the running window, all of it or nothing.

    The subject is kept as a hash only. The caller commits.

    :raises WindowFull: when the amount does not fit; nothing was written then.
    """
    ends = _end(window)
    if amount > window.most or not _fits(session, window, subject, amount, ends):
        raise _full(ends)


def look(session: Session, window: Window, subject: str, amount: int = 1) -> None:
    """Say whether an amount would fit into the running window, and take nothing.

    :raises WindowFull: when it would not.
    """
    ends = _end(window)
    query = sa.select(Quota.taken).where(Quota.subject == _key(window, subject, ends))
    if (session.scalar(query) or 0) + amount > window.most:
        raise _full(ends)


def _end(window: Window) -> datetime:
    at = now()
    return at - (at - datetime.min) % window.length + window.length


def _full(ends: datetime) -> WindowFull:
    return WindowFull(ceil((ends - now()).total_seconds()))


def _key(window: Window, subject: str, ends: datetime) -> str:
    digest = hashlib.sha256(subject.encode()).hexdigest()[:32]
    return f"{window.name}:{digest}:{ends:%Y%m%d%H%M%S}"


def _fits(session: Session, window: Window, subject: str, amount: int, ends: datetime) -> bool:
    upsert = insert_into(session, Quota).values(
        subject=_key(window, subject, ends),
        taken=amount,
        updated_at=now(),
        ends_at=ends,
    )
    taken = session.scalar(
        upsert.on_conflict_do_update(
            index_elements=[Quota.subject],
            set_={"taken": Quota.taken + amount, "updated_at": now()},
            where=Quota.taken + amount <= window.most,
        ).returning(Quota.taken)
    )
    return taken is not None


def network(address: str) -> str:
    """Return what one visitor's addresses have in common: of IPv6 the network, a /64."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


def forget(session: Session) -> None:
    """Remove the counts of windows that are over."""
    session.execute(sa.delete(Quota).where(Quota.ends_at <= now()))
