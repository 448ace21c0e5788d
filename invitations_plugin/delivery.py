"""The outbox: claim, send, and note how each mail ended.

Every step is committed before the next, and every statement names the claim, so that a
worker that died loses nothing and one that wakes late changes nothing.
"""

from __future__ import annotations

import logging
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from .clock import now
from .database import Busy, atomically, session
from .events import announce
from .lifecycle import THE_SYSTEM, LifecycleError, move, note
from .mail import invitation_sent
from .models import Invitation, MailState, Outbox, OutboxState, Status
from .opt_outs import is_opted_out
from .signals import invitation_sent as sent_signal
from .smtp import (
    Ambiguous,
    Broken,
    Connection,
    Permanent,
    Temporary,
    Unreachable,
    connect,
    describe,
)
from .state import host, settings_of, store_view

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
# Longer than any one message can take; a sending row found after it has an unknown end.
SENDING_LEASE = timedelta(minutes=10)
AMBIGUOUS_WAIT = timedelta(minutes=30)
RETRIES = [timedelta(minutes=m) for m in (1, 5, 30, 120, 360, 720, 1440, 2880)]
JITTER = 0.2
GIVE_UP = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class Entry:
    """A claimed row of the outbox, as it was when claimed."""

    id: int
    invitation_id: int
    message_id: str
    tries: int
    ambiguous: int
    claim: str


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A row that a dead worker left while sending."""

    id: int
    invitation_id: int
    ambiguous: int
    claim: str


class ClaimLost(Exception):
    """Another worker has this row by now."""


@dataclass(slots=True)
class Report:
    """What a run did."""

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    skipped: int = 0
    unreachable: str | None = None

    @property
    def handled(self) -> int:
        """How many rows of the outbox had a turn."""
        return self.sent + self.deferred + self.failed + self.skipped


def deliver(limit: int | None = None, stop: Callable[[], bool] = lambda: False) -> Report:
    """Send what is due, batch after batch, until nothing is left or the server is away.

    With invitations switched off, what is queued waits.

    :param limit: at most this many messages; all that are due without it.
    :param stop: asked before each message; true ends the run and gives back the rest.
    """
    report = Report()
    if not settings_of(store_view("")).enabled:
        return report
    recover()
    while report.unreachable is None and (limit is None or report.handled < limit):
        if stop():
            break
        size = settings_of(store_view("")).batch_size
        entries = claim(size if limit is None else min(size, limit - report.handled))
        if not entries:
            break
        _deliver_batch(entries, report, stop)
    return report


def claim(size: int) -> list[Entry]:
    """Take up to ``size`` rows that are due, those never tried first, for this worker alone."""
    token = secrets.token_hex(16)
    return atomically(lambda: _claim(session(), size, token))


def _claim(db: Session, size: int, token: str) -> list[Entry]:
    row, at = Outbox, now()
    dead = sa.and_(row.state == OutboxState.CLAIMED, row.lease_until <= at)
    due = sa.and_(row.state == OutboxState.QUEUED, row.due_at <= at)
    picked = (
        sa.select(row.id)
        .where(sa.or_(due, dead))
        .order_by(row.tries > 0, row.due_at, row.id)
        .limit(size)
        .with_for_update(skip_locked=True)  # one statement is enough on SQLite
        .cte("picked")
    )
    found = db.execute(
        sa.update(row)
        .where(row.id.in_(sa.select(picked.c.id)))
        .values(state=OutboxState.CLAIMED, claim=token, lease_until=at + LEASE)
        .returning(row.id, row.invitation_id, row.message_id, row.tries, row.ambiguous, row.claim),
        execution_options={"synchronize_session": False},
    ).all()
    return [Entry(**each._mapping) for each in sorted(found)]


def recover() -> int:
    """Take back rows that a dead worker left while sending: once more later, then parked.

    Nobody knows whether such a mail arrived, so it goes again half an hour later with the
    same Message-ID, and at the second time waits for a person. Returns how many.
    """
    return atomically(lambda: _recover(session()))


def _recover(db: Session) -> int:
    row = Outbox
    query = sa.select(row.id, row.invitation_id, row.ambiguous, row.claim).where(
        row.state == OutboxState.SENDING, row.lease_until <= now()
    )
    found = db.execute(query.order_by(row.id)).all()
    for each in found:
        _set_ambiguous(
            db,
            Abandoned(**each._mapping),
            "The worker ended while the message was being handed over.",
        )
    return len(found)


def _deliver_batch(entries: Sequence[Entry], report: Report, stop: Callable[[], bool]) -> None:
    """Send claimed rows, on a new connection whenever one breaks; give back the rest."""
    left = list(entries)
    try:
        while left and not stop():
            with connect() as connection:
                _use_connection(connection, left, report, stop)
    except Unreachable as error:
        report.unreachable = str(error)
        log.warning("The mail server is away: %s", error)
    finally:
        atomically(lambda: _release(session(), left))


def _use_connection(
    connection: Connection, left: list[Entry], report: Report, stop: Callable[[], bool]
) -> None:
    """Send until nothing is left or the connection is of no more use.

    An entry leaves ``left`` before it is sent: should this worker fail from here on, its
    row must not be given back as untouched.
    """
    while left and not stop():
        entry = left.pop(0)
        try:
            _deliver_one(connection, entry, report)
        except Broken as error:
            if connection.num_emails:  # a server may take so many a connection
                left.insert(0, entry)
            else:
                report.deferred += 1
                _finish(entry, _deferred, str(error))
            return
        except Ambiguous as error:
            report.deferred += 1
            _finish(entry, _set_ambiguous, str(error))
            return


def _deliver_one(connection: Connection, entry: Entry, report: Report) -> None:
    """Send one row; whatever is wrong with it stays its own."""
    try:
        row = atomically(lambda: _begin(session(), entry))
        if row is not None:
            view = store_view(row.store_view)
            connection.deliver(invitation_sent(row, view, settings_of(view), entry.message_id))
    except (Broken, Ambiguous, Busy, DBAPIError):
        raise
    except ClaimLost:
        report.skipped += 1
    except Temporary as error:
        report.deferred += 1
        _finish(entry, _deferred, str(error))
    except Exception as error:
        log.exception("Invitation %s cannot be mailed", entry.invitation_id)
        report.failed += 1
        _finish(entry, _failed, str(error) if isinstance(error, Permanent) else describe(error))
    else:
        _note_sent(entry, report, was_skipped=row is None)


def _finish(entry: Entry, step: Callable[[Session, Entry, str], None], error: str) -> None:
    """Note how a try ended, unless another worker has the row by now."""
    try:
        atomically(lambda: step(session(), entry, error))
    except ClaimLost:
        log.warning("Invitation %s was taken over by another worker", entry.invitation_id)


def _begin(db: Session, entry: Entry) -> Invitation | None:
    """Mark a row as being sent, unless its invitation must not be mailed any more.

    :raises ClaimLost: when this worker's claim is not the row's any more.
    """
    row = db.get(Invitation, entry.invitation_id, populate_existing=True)
    reason = _reason_to_skip(db, row)
    if reason is not None:
        _close(db, entry)
        if row is not None:
            _set_skipped(db, row, reason)
        return None
    _mine(db, entry, state=OutboxState.SENDING, lease_until=now() + SENDING_LEASE)
    _set_mail(
        db,
        entry.invitation_id,
        mail_state=MailState.SENDING,
        existing_customer=_has_account(db, row),
    )
    # The rest of the batch is kept from going stale while this message takes its time.
    db.execute(
        sa.update(Outbox)
        .where(Outbox.claim == entry.claim, Outbox.state == OutboxState.CLAIMED)
        .values(lease_until=now() + LEASE)
    )
    return row


def _has_account(db: Session, row: Invitation | None) -> bool:
    """Return whether the address is a customer's: found out here, where no sender can time it."""
    if row is None or row.email is None:
        return False
    return host().customer_by_email(db, row.email, row.website) is not None


def _reason_to_skip(db: Session, row: Invitation | None) -> str | None:
    """Return why a mail must not leave, read again right before it would."""
    if row is None or row.email is None:
        return "erased"
    if row.status != Status.NOT_SENT:
        return row.status
    if row.expires_at <= now():
        return "expired"
    return "opted out" if is_opted_out(db, row.recipient_hash) else None


def _set_skipped(db: Session, row: Invitation, reason: str) -> None:
    values: dict[str, Any] = {"mail_state": MailState.SKIPPED, "mail_error": reason}
    if reason != "opted out":
        _set_mail(db, row.id, **values)
        return
    # To its sender it looks like any other that was sent.
    at = now()
    values |= {"sent_at": row.sent_at or at, "last_sent_at": at}
    move(db, row, "send", THE_SYSTEM, values, action="skip", reason=reason)


def _note_sent(entry: Entry, report: Report, *, was_skipped: bool) -> None:
    """Note that the server took a mail; also when the invitation changed meanwhile."""
    if was_skipped:
        report.skipped += 1
        return
    report.sent += 1
    try:
        row = atomically(lambda: _sent(session(), entry))
    except ClaimLost:
        log.warning("Invitation %s was taken over while it left", entry.invitation_id)
        return
    if row is not None:
        announce(sent_signal, [row])


def _sent(db: Session, entry: Entry) -> Invitation | None:
    _close(db, entry)
    row = db.get(Invitation, entry.invitation_id, populate_existing=True)
    if row is None:
        return None
    at = now()
    values = {
        "sent_at": row.sent_at or at,
        "last_sent_at": at,
        "mail_state": MailState.DELIVERED,
        "mail_error": None,
        "mail_tries": entry.tries + 1,
    }
    try:
        move(db, row, "send", THE_SYSTEM, values)
    except LifecycleError:
        _set_mail(db, row.id, **values)
        note(db, row.id, THE_SYSTEM, "send", row.status, row.status, "closed while it left")
    return row


def _deferred(db: Session, entry: Entry, error: str) -> None:
    """Try again later; give up five days after the mail was made."""
    created_at = db.scalar(sa.select(Outbox.created_at).where(Outbox.id == entry.id))
    if created_at is not None and now() - created_at > GIVE_UP:
        _failed(db, entry, error)
        return
    wait = RETRIES[min(entry.tries, len(RETRIES) - 1)] * random.uniform(1 - JITTER, 1 + JITTER)
    _mine(
        db,
        entry,
        state=OutboxState.QUEUED,
        claim=None,
        lease_until=None,
        tries=entry.tries + 1,
        due_at=now() + wait,
        last_error=error,
    )
    _set_mail(
        db,
        entry.invitation_id,
        mail_state=MailState.QUEUED,
        mail_error=error,
        mail_tries=entry.tries + 1,
    )
    note(db, entry.invitation_id, THE_SYSTEM, "defer", reason=error)


def _failed(db: Session, entry: Entry, error: str) -> None:
    _close(db, entry)
    _set_mail(
        db,
        entry.invitation_id,
        mail_state=MailState.FAILED,
        mail_error=error,
        mail_tries=entry.tries + 1,
    )
    note(db, entry.invitation_id, THE_SYSTEM, "fail", reason=error)


def _set_ambiguous(db: Session, entry: Entry | Abandoned, error: str) -> None:
    """Repeat a mail of unknown end once, and park it at the second time."""
    again = entry.ambiguous == 0
    _mine(
        db,
        entry,
        state=OutboxState.QUEUED if again else OutboxState.PARKED,
        claim=None,
        lease_until=None,
        ambiguous=entry.ambiguous + 1,
        due_at=now() + AMBIGUOUS_WAIT,
        last_error=error,
    )
    state = MailState.QUEUED if again else MailState.PARKED
    _set_mail(db, entry.invitation_id, mail_state=state, mail_error=error)
    note(db, entry.invitation_id, THE_SYSTEM, "unknown", reason=error)


def _release(db: Session, entries: Sequence[Entry]) -> None:
    """Give rows back untouched, for the next run."""
    ids = [entry.id for entry in entries]
    if not ids:
        return
    db.execute(
        sa.update(Outbox)
        .where(Outbox.id.in_(ids), Outbox.claim == entries[0].claim)
        .values(state=OutboxState.QUEUED, claim=None, lease_until=None)
    )
    db.execute(
        sa.update(Invitation)
        .where(
            Invitation.id.in_([entry.invitation_id for entry in entries]),
            Invitation.mail_state == MailState.SENDING,
        )
        .values(mail_state=MailState.QUEUED)
    )


def _mine(db: Session, entry: Entry | Abandoned, **values: object) -> None:
    """Change a row of the outbox that is still this worker's.

    :raises ClaimLost: when it is not.
    """
    changed = db.execute(
        sa.update(Outbox).where(Outbox.id == entry.id, Outbox.claim == entry.claim).values(**values)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise ClaimLost


def _close(db: Session, entry: Entry) -> None:
    changed = db.execute(
        sa.delete(Outbox).where(Outbox.id == entry.id, Outbox.claim == entry.claim)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise ClaimLost


def _set_mail(db: Session, invitation_id: int, **values: object) -> None:
    db.execute(sa.update(Invitation).where(Invitation.id == invitation_id).values(**values))
