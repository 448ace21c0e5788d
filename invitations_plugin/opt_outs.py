"""Mailboxes that want nothing more from this store, kept as keyed hashes only."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .database import insert_into
from .models import OptOut


def opt_out(session: Session, email_hash: str) -> bool:
    """Keep a mailbox from being written to, at once; return whether that is new."""
    statement = insert_into(session, OptOut).values(email_hash=email_hash, created_at=now())
    added = session.scalars(statement.on_conflict_do_nothing().returning(OptOut.email_hash))
    return added.first() is not None


def is_opted_out(session: Session, email_hash: str) -> bool:
    """Return whether a mailbox opted out."""
    query = sa.select(OptOut.email_hash).where(OptOut.email_hash == email_hash)
    return session.scalar(query) is not None


def opted_out_among(session: Session, hashes: Collection[str]) -> set[str]:
    """Return those of some mailboxes that opted out."""
    return set(session.scalars(sa.select(OptOut.email_hash).where(OptOut.email_hash.in_(hashes))))


def is_among_opted_out(email_hash: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return :func:`is_opted_out` as SQL, for a column."""
    return sa.exists().where(OptOut.email_hash == email_hash)
