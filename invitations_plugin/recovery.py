"""Rows that a dead worker left while sending: nobody knows whether their mail arrived."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .database import atomically, session
from .models import Outbox, OutboxState
from .outbox import ClaimLost, Entry, entry_columns, unknown


def recover(*, never_twice: bool = False) -> int:
    """Take back rows that a dead worker left while sending: see :func:`unknown`.

    Returns how many.
    """
    return atomically(lambda: _recover(session(), never_twice))


def _recover(db: Session, never_twice: bool) -> int:
    row = Outbox
    query = sa.select(*entry_columns())
    query = query.where(row.state == OutboxState.SENDING, row.lease_until <= now())
    found = db.execute(query.order_by(row.id)).all()
    error = "The worker ended while the message was being handed over."
    count = 0
    for each in found:
        try:
            unknown(db, Entry(**each._mapping), error, never_twice=never_twice)
            count += 1
        except ClaimLost:  # another worker took it back in this moment
            continue
    return count
