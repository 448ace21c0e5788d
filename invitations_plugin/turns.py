"""Rows that two transactions take in turn, so that what they count holds."""

from __future__ import annotations

from sqlalchemy.orm import Session

from .clock import now
from .database import insert_into
from .models import Quota


def take_turn(session: Session, subject: str) -> None:
    """Hold the row of this name until the commit; whoever else wants it waits."""
    row = insert_into(session, Quota).values(subject=subject, taken=1, updated_at=now())
    session.execute(
        row.on_conflict_do_update(
            index_elements=[Quota.subject],
            set_={"taken": Quota.taken + 1, "updated_at": now()},
        )
    )
