"""A limit on guessing links, kept in the database so that all processes share it."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .database import insert_into
from .models import Quota

WINDOW = timedelta(minutes=1)
MOST = 30  # dead links an address may open in one window


class TooManyGuesses(Exception):
    """This visitor opened too many links that lead nowhere; ``wait`` in seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(wait)
        self.wait = wait


def count_guess(session: Session, address: str) -> None:
    """Count one dead link that was opened from an IP address. The caller commits.

    :raises TooManyGuesses: above :data:`MOST` in the running minute.
    """
    started = now().replace(second=0, microsecond=0)
    subject = f"guess:{hashlib.sha256(address.encode()).hexdigest()[:32]}:{started:%Y%m%d%H%M}"
    row = insert_into(session, Quota).values(subject=subject, taken=1, updated_at=now())
    taken = session.scalar(
        row.on_conflict_do_update(
            index_elements=[Quota.subject],
            set_={"taken": Quota.taken + 1, "updated_at": now()},
        ).returning(Quota.taken)
    )
    if taken is not None and taken > MOST:
        raise TooManyGuesses(max(1, int((started + WINDOW - now()).total_seconds()) + 1))


def forget_guesses(session: Session) -> None:
    """Remove the counts of windows that are over."""
    old = sa.and_(Quota.subject.startswith("guess:"), Quota.updated_at < now() - 2 * WINDOW)
    session.execute(sa.delete(Quota).where(old))
