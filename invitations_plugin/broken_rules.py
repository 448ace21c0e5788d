"""The promises that tables can show: each function says one, and returns what breaks it.

That is a condition on a row, or what a search among ids finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from .clock import now
from .database import engine
from .lifecycle import MOVES, OPEN
from .models import (
    Base,
    History,
    Invitation,
    Job,
    JobState,
    MailState,
    OptOut,
    Outbox,
    OutboxState,
    Status,
)
from .state import host, settings_of, store_view

FEW = 500  # keys that a store is asked about at a time
IN_FLIGHT = timedelta(hours=1)  # no message takes so long to be handed over
LATE = timedelta(minutes=10)  # a worker that lives takes back at once what a dead one held
OVERDUE = timedelta(days=1)
MAILS = ("invitation", "resend")  # the kinds of which an invitation has one at a time
WAITING = (MailState.QUEUED, MailState.SENDING, MailState.PARKED)
HELD = (OutboxState.CLAIMED, OutboxState.SENDING)
CLOSED = (Status.ACCEPTED, Status.DISCARDED, Status.DECLINED, Status.EXPIRED)
Broken = Callable[[], sa.ColumnElement[bool]]


def _has_mail(*states: str) -> sa.ColumnElement[bool]:
    row = Outbox
    found = sa.exists().where(row.invitation_id == Invitation.id, row.kind.in_(MAILS))
    return found.where(row.state.in_(states)) if states else found


def _has_history(*actions: str) -> sa.ColumnElement[bool]:
    found = sa.exists().where(History.invitation_id == Invitation.id)
    return found.where(History.action.in_(actions)) if actions else found


def is_invited_before() -> sa.ColumnElement[bool]:
    """An inviter invites an address once a website."""
    row, other = Invitation, aliased(Invitation)
    same = (other.website == row.website, other.inviter_key == row.inviter_key)
    return sa.exists().where(*same, other.email_hash == row.email_hash, other.id < row.id)


def waits_without_mail() -> sa.ColumnElement[bool]:
    """What waits has its mail in the outbox."""
    return sa.and_(Invitation.mail_state.in_(WAITING), ~_has_mail())


def waits_after_its_end() -> sa.ColumnElement[bool]:
    """What waits no more has no mail in the outbox."""
    return sa.and_(Invitation.mail_state.not_in(WAITING), _has_mail())


def has_two_mails() -> sa.ColumnElement[bool]:
    """An invitation has one mail at a time in the outbox."""
    row, other = Outbox, aliased(Outbox)
    same = sa.and_(other.invitation_id == row.invitation_id, other.id < row.id)
    return sa.and_(row.kind.in_(MAILS), sa.exists().where(same, other.kind.in_(MAILS)))


def is_sending_in_name_only() -> sa.ColumnElement[bool]:
    """What is being sent is so in the outbox, too."""
    is_leaving = Invitation.mail_state == MailState.SENDING
    return sa.and_(is_leaving, ~_has_mail(OutboxState.SENDING))


def is_held_by_nobody() -> sa.ColumnElement[bool]:
    """Exactly what is claimed or sent has a holder."""
    row = Outbox
    has_holder = sa.and_(row.claim.is_not(None), row.lease_until.is_not(None))
    return sa.or_(
        sa.and_(row.state.in_(HELD), ~has_holder),
        sa.and_(row.state.not_in(HELD), row.claim.is_not(None)),
    )


def is_left_behind() -> sa.ColumnElement[bool]:
    """What a dead worker held is taken back."""
    return sa.and_(Outbox.state.in_(HELD), Outbox.lease_until < now() - LATE)


def is_overdue() -> sa.ColumnElement[bool]:
    """A mail that is due waits less than a day."""
    if not settings_of(store_view("")).enabled:  # then it waits, and that is meant
        return sa.false()
    return sa.and_(Outbox.state == OutboxState.QUEUED, Outbox.due_at < now() - OVERDUE)


def is_sent_without_a_try() -> sa.ColumnElement[bool]:
    """What was sent has a try in its history."""
    # What was imported without a past has none to show.
    tried = _has_history("send", "skip")
    return sa.and_(Invitation.status == Status.SENT, _has_history(), ~tried)


def left_after_the_close(db: Session, first: int, last: int) -> Sequence[int]:
    """Nothing leaves once it is closed."""
    note, close, opening = History, aliased(History), aliased(History)
    reopened = sa.exists().where(
        opening.invitation_id == note.invitation_id,
        opening.to_status == Status.NOT_SENT,
        opening.id > close.id,
        opening.id < note.id,
    )
    closing = sa.and_(
        close.invitation_id == note.invitation_id,
        close.to_status == note.from_status,
        close.from_status != close.to_status,
        close.id < note.id,
    )
    query = sa.select(note.id, note.at, close.at).join(close, closing)
    query = query.where(note.from_status.in_(CLOSED), ~reopened)
    return _left_too_late(db, query, first, last)


def left_after_the_opt_out(db: Session, first: int, last: int) -> Sequence[int]:
    """Nothing leaves to who opted out."""
    note, row = History, Invitation
    query = sa.select(note.id, note.at, OptOut.created_at).join(row, row.id == note.invitation_id)
    query = query.join(OptOut, OptOut.email_hash == row.recipient_hash)
    return _left_too_late(db, query.where(OptOut.created_at < note.at), first, last)


def _left_too_late(
    db: Session, query: sa.Select[*tuple[Any, ...]], first: int, last: int
) -> list[int]:
    """Return the tries that ended long after what forbade them: longer than one is in flight."""
    note = History
    tries = query.where(note.id.between(first, last), note.action == "send").order_by(note.id)
    late = [number for number, at, since in db.execute(tries) if at - since > IN_FLIGHT]
    return list(dict.fromkeys(late))


def is_accepted_by_halves() -> sa.ColumnElement[bool]:
    """Exactly what is accepted has a day and an account."""
    row = Invitation
    has_date = row.registered_at.is_not(None)
    is_tied = sa.and_(row.status != Status.ACCEPTED, row.customer_key.is_not(None))
    return sa.or_(is_tied, (row.status == Status.ACCEPTED) != has_date)


def shares_an_account() -> sa.ColumnElement[bool]:
    """An account accepts one invitation."""
    row, other = Invitation, aliased(Invitation)
    return sa.exists().where(other.customer_key == row.customer_key, other.id < row.id)


def without_account(db: Session, first: int, last: int) -> Sequence[int]:
    """Who accepted has an account in the store.

    One that was deleted through the store's session is untied from its invitation.
    """
    row = Invitation
    query = sa.select(row.id, row.customer_key).where(
        row.id.between(first, last),
        row.status == Status.ACCEPTED,
        row.customer_key.is_not(None),
    )
    keys = {number: str(key) for number, key in db.execute(query.order_by(row.id))}
    asked = list(keys.values())
    there: set[str] = set()
    for start in range(0, len(asked), FEW):
        there.update(host().customers(asked[start : start + FEW]))
    return [number for number, key in keys.items() if key not in there]


def is_no_legal_move() -> sa.ColumnElement[bool]:
    """Each move is a legal one."""
    note = History
    legal = sa.or_(
        *(
            sa.and_(note.from_status.in_(step.sources), note.to_status == step.target)
            for step in MOVES.values()
        )
    )
    return sa.and_(note.from_status != note.to_status, ~legal)


def ends_elsewhere() -> sa.ColumnElement[bool]:
    """The history ends where the invitation stands."""
    note = History
    last = (
        sa.select(note.to_status)
        .where(note.invitation_id == Invitation.id, note.to_status.is_not(None))
        .order_by(note.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return last != Invitation.status


def is_open_after_its_end() -> sa.ColumnElement[bool]:
    """What has ended is expired within a day."""
    return sa.and_(Invitation.status.in_(OPEN), Invitation.expires_at < now() - OVERDUE)


def keeps_what_was_purged() -> sa.ColumnElement[bool]:
    """What was purged keeps neither address nor message."""
    row = Invitation
    kept = sa.or_(row.email.is_not(None), row.message.is_not(None))
    return sa.and_(row.purged_at.is_not(None), kept)


def is_left_job() -> sa.ColumnElement[bool]:
    """A mass action that was left goes on."""
    return sa.and_(Job.state == JobState.RUNNING, Job.lease_until < now() - LATE)


def _is_orphan(model: type[Any]) -> sa.ColumnElement[bool]:
    number = model.invitation_id
    return sa.and_(number.is_not(None), ~sa.exists().where(Invitation.id == number))


def damage(db: Session, first: int, last: int) -> Sequence[str]:
    """The database finds no damage in its tables.

    It is asked about itself: pages on SQLite, constraints and indexes elsewhere.
    """
    names = sorted(Base.metadata.tables)
    look = _sqlite_damage if engine().dialect.name == "sqlite" else _postgresql_damage
    return [each for name in names for each in look(db, name)]


def _sqlite_damage(db: Session, table: str) -> Iterator[str]:
    connection = db.connection(bind_arguments={"mapper": Invitation})
    for (said,) in connection.exec_driver_sql(f'PRAGMA integrity_check("{table}")'):
        if said != "ok":
            yield f"{table}: {said}"
    for name, row, *_ in connection.exec_driver_sql(f'PRAGMA foreign_key_check("{table}")'):
        yield f"{name}: row {row} names one that is not there"


def _postgresql_damage(db: Session, table: str) -> Iterator[str]:
    connection = db.connection(bind_arguments={"mapper": Invitation})
    asked = {
        "constraint {} of {} was never checked": "SELECT conname FROM pg_constraint"
        " WHERE conrelid = CAST(:table AS regclass) AND NOT convalidated",
        "index {} of {} cannot be used": "SELECT CAST(indexrelid AS regclass) FROM pg_index"
        " WHERE indrelid = CAST(:table AS regclass) AND NOT indisvalid",
    }
    for words, query in asked.items():
        for name in connection.scalars(sa.text(query), {"table": table}):
            yield words.format(name, table)


def outbox_without_invitation() -> sa.ColumnElement[bool]:
    """An outbox row belongs to an invitation."""
    return _is_orphan(Outbox)


def history_without_invitation() -> sa.ColumnElement[bool]:
    """The history belongs to invitations."""
    return _is_orphan(History)
