"""What this process has claimed: let go of at once when the process shall end."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import Outbox, OutboxState

_claims: set[str] = set()


def take(claim: str) -> None:
    """Remember a claim of this process."""
    _claims.add(claim)


def drop(claim: str) -> None:
    """Forget a claim of which nothing is in hand any more."""
    _claims.discard(claim)


def let_go(db: Session) -> None:
    """Give back what is claimed and nobody has begun to send; the caller commits.

    Whoever holds it finds the claim gone. For a process that shall end while its server takes
    its time over one mail: the others need not wait for that.
    """
    if not _claims:
        return
    row = Outbox
    mine = sa.and_(row.claim.in_(tuple(_claims)), row.state == OutboxState.CLAIMED)
    values = {"state": OutboxState.QUEUED, "claim": None, "lease_until": None}
    db.execute(sa.update(row).where(mine).values(values))
