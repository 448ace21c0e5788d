"""Turns: of two transactions that must not cross, the second waits for the first one's end."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .database import Runner, engine, insert_for
from .models import Quota

LONGEST = timedelta(hours=1)  # no transaction lasts so long


def take_turn(session: Runner, subject: str) -> None:
    """Hold a subject's row until the commit: two who take it come one after the other."""
    session.execute(
        _taking(engine().dialect.name), {"subject": subject, "taken": 1, "updated_at": now()}
    )


@cache
def _taking(dialect: str) -> Any:
    return _over(insert_for(dialect, Quota.__table__))


def _over(row: Any) -> Any:
    table = Quota.__table__
    changed = {"taken": table.c.taken + 1, "updated_at": row.excluded.updated_at}
    return row.on_conflict_do_update(index_elements=[table.c.subject], set_=changed)


def is_taken_as_seen(is_wanted: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return what takes a turn within a statement of PostgreSQL, and whether it was free.

    Who waited for it must look again: a statement sees nothing of what came after it began.
    """
    table = Quota.__table__
    subject = sa.bindparam("subject", type_=table.c.subject.type)
    new = sa.select(subject, 1, sa.bindparam("taken_at", type_=table.c.updated_at.type))
    columns = ["subject", "taken", "updated_at"]
    taking = _over(insert_for("postgresql", table).from_select(columns, new.where(is_wanted)))
    taken = taking.returning(table.c.taken).cte("turn")
    before = sa.select(table.c.taken).where(table.c.subject == subject).scalar_subquery()
    return sa.exists(
        sa.select(taken.c.taken).where(taken.c.taken == sa.func.coalesce(before, 0) + 1)
    )


def take_address_turn(session: Session, website: str, email_hash: str) -> None:
    """Take the turn of an invited address: one invitation of it is accepted at a time."""
    take_turn(session, f"address:{website}:{email_hash}")


def forget_turns(session: Session) -> None:
    """Remove the rows whose turn is over; a count has an end of its own. The caller commits."""
    old = sa.and_(Quota.ends_at.is_(None), Quota.updated_at < now() - LONGEST)
    session.execute(sa.delete(Quota).where(old))
