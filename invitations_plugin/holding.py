"""Held mail: nothing leaves until an operator lets it, as after a restored backup."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from . import circuit
from .clock import now
from .database import among
from .lifecycle import STAFF, Actor, note_all
from .models import NOTICE, Invitation, MailState, Outbox, OutboxState, SettingOverride
from .settings import DEFAULT, By, apply, take_settings_turn
from .state import settings_of, state, store_view

NAME: Final = "hold_outbox"
RESTORED: Final = "A backup was restored, and it may have left before."
IN_HAND: Final = (OutboxState.CLAIMED, OutboxState.SENDING)


def is_held() -> bool:
    """Return whether all mail is held."""
    return settings_of(store_view("")).hold_outbox


def hold(db: Session, by: By, *, restored: bool = False) -> int:
    """Let no mail leave. The caller commits.

    :param restored: whether the data are those of a backup: what a worker had in hand when
        it was made is parked, for that worker has surely sent it since.

    Returns how many were parked.
    """
    take_settings_turn(db)
    apply(db, DEFAULT, {NAME: True}, by)
    return _park(db, by, Outbox.state.in_(IN_HAND)) if restored else 0


def release(db: Session, by: By, *, park: bool = False) -> int:
    """Let mail leave again, and a server that is left alone be tried. The caller commits.

    :param park: whether what waited already when mail was held is parked instead.

    Returns how many were parked.
    """
    take_settings_turn(db)
    since = _held_since(db)
    is_default = state().defaults.settings.hold_outbox
    apply(db, DEFAULT, {NAME: False if is_default else None}, by)
    circuit.probe_now(db)
    waited = (Outbox.state == OutboxState.QUEUED, Outbox.created_at <= since)
    return _park(db, by, *waited) if park else 0


def _held_since(db: Session) -> datetime:
    """Return since when mail is held; now, where the app's own default holds it."""
    row = SettingOverride
    query = sa.select(row.updated_at).where(row.name == NAME, row.scope == DEFAULT.kind)
    return db.scalar(query) or now()


def _park(db: Session, by: By, *which: sa.ColumnElement[bool]) -> int:
    """Set mails aside for a person to decide about; whoever had them in hand has them no more."""
    row = Outbox
    values = {
        "state": OutboxState.PARKED,
        "claim": None,
        "lease_until": None,
        "last_error": RESTORED,
    }
    statement = sa.update(row).where(row.kind != NOTICE, *which).values(values)
    unsynchronized = {"synchronize_session": False}
    found = db.scalars(statement.returning(row.invitation_id), execution_options=unsynchronized)
    ids = [each for each in found if each is not None]
    db.execute(
        sa.update(Invitation)
        .where(among(Invitation.id, ids))
        .values(mail_state=MailState.PARKED, mail_error=RESTORED),
        execution_options=unsynchronized,
    )
    note_all(db, ids, Actor(STAFF, by.key, by.name), "park", None, None)
    return len(ids)
