"""What becomes of a customer's invitations when the store deletes the account."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .erased_filters import forget_filters, naming
from .lifecycle import MOVES, SENDER, Actor, free_customer_keys, new_stand_in, note_values
from .models import History, Invitation
from .reports import forget_name


def forget_customer(session: Session, key: str, called: Collection[str] = ()) -> None:
    """Take a customer whose account is deleted out of the rows; the key may be given anew.

    What waits for an answer is closed, and names and messages go; what was accepted stays.
    The first statement on the rows keeps them from everybody else until the end of the
    transaction, so that the history tells exactly what each one was before.

    :param called: the address and the name of the account, beside those that the rows have.
    """
    row, gone = Invitation.__table__, new_stand_in()
    forget_name(session, key)
    forget_filters(session, key, naming({*called, *_called(session, key)}), gone)
    free_customer_keys(session, [key])
    unnamed = {"inviter_key": gone, "inviter_email": None, "inviter_name": "", "message": None}
    session.execute(sa.update(row).where(row.c.inviter_key == key).values(unnamed))  # type: ignore[arg-type]
    _unname_history(session, key, gone)
    _close_all_of(session, gone)


def _called(session: Session, key: str) -> Sequence[str]:
    """Return the addresses and names that a customer has in the rows, as inviter or invited."""
    row = Invitation.__table__.c
    own = row.inviter_key == key
    said = sa.union(
        sa.select(row.inviter_email).where(own),
        sa.select(row.inviter_name).where(own),
        sa.select(row.email).where(row.customer_key == key),
    )
    return [text for text in session.scalars(said) if text]


def _unname_history(session: Session, key: str, gone: str) -> None:
    entry, row = History.__table__, Invitation.__table__
    session.execute(
        sa.update(entry)  # type: ignore[arg-type]
        .where(
            entry.c.invitation_id.in_(sa.select(row.c.id).where(row.c.inviter_key == gone)),
            entry.c.actor_kind == SENDER,
            entry.c.actor_key == key,
        )
        .values(actor_key=gone, actor_name="")
    )


def _close_all_of(session: Session, inviter_key: str) -> None:
    """Close what an erased inviter left open, however much, in two statements."""
    row, entry, step = Invitation.__table__, History.__table__, MOVES["discard"]
    is_open = sa.and_(row.c.inviter_key == inviter_key, row.c.status.in_(step.sources))
    said = note_values(
        0, Actor(SENDER, inviter_key), "cancel", None, step.target, "account deleted"
    )
    written: dict[str, Any] = {
        name: sa.literal(value, entry.c[name].type) for name, value in said.items()
    }
    written |= {"invitation_id": row.c.id, "from_status": row.c.status}
    notes = sa.select(*written.values()).where(is_open)
    session.execute(
        sa.insert(entry).from_select(list(written), notes, include_defaults=False)  # type: ignore[arg-type]
    )
    session.execute(
        sa.update(row)  # type: ignore[arg-type]
        .where(is_open)
        .values(status=step.target, discarded_by=SENDER, version=row.c.version + 1)
    )
