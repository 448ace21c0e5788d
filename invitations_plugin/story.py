"""What is known of one invitation beyond its row: history, waiting mail, others beside it.

Each question is answered by an index and reads a bounded number of rows, however many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import History, Invitation, Outbox
from .scope import websites, within

MOST_ENTRIES = 200
MOST_RELATED = 5

I = Invitation  # noqa: E741  # named once, used on every line below
RELATED_COLUMNS = (
    I.id,
    I.inviter_key,
    I.inviter_email,
    I.email,
    I.status,
    I.website,
    I.created_at,
    I.sent_at,
)


@dataclass(frozen=True, slots=True)
class Some:
    """The newest of some rows, and whether there are older ones."""

    rows: Sequence[Any]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Story:
    """An invitation's history, newest first; its mail that still has to leave; its relatives."""

    history: Some
    waiting: Outbox | None
    same_address: Some
    same_inviter: Some


def read_story(session: Session, row: Invitation) -> Story:
    """Read all that a page about one invitation tells beside its row."""
    return Story(
        _history(session, row.id),
        session.scalars(
            sa.select(Outbox).where(Outbox.invitation_id == row.id).order_by(Outbox.id.desc())
        ).first(),
        _related(session, row, I.email_hash == row.email_hash),
        _related(session, row, I.inviter_key == row.inviter_key) if row.inviter_key else NONE,
    )


NONE = Some((), has_more=False)


def _history(session: Session, invitation_id: int) -> Some:
    query = sa.select(History).where(History.invitation_id == invitation_id)
    newest = query.order_by(History.id.desc()).limit(MOST_ENTRIES + 1)
    return _some(session.scalars(newest).all(), MOST_ENTRIES)


def _related(session: Session, row: Invitation, is_related: sa.ColumnElement[bool]) -> Some:
    query = sa.select(*RELATED_COLUMNS).where(is_related, I.id != row.id, *within(websites()))
    newest = query.order_by(I.id.desc()).limit(MOST_RELATED + 1)
    return _some(session.execute(newest).all(), MOST_RELATED)


def _some(rows: Sequence[Any], most: int) -> Some:
    return Some(rows[:most], len(rows) > most)
