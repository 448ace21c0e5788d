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
from flask import current_app
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from .clock import now
from .database import Busy, atomically, session
from .events import announce
from .lifecycle import THE_SYSTEM, Changed, LifecycleError, move, note
from .mail import invitation_sent
from .models import Invitation, MailState, Outbox, OutboxState, Status
from .opt_outs import is_opted_out
from .settings import forget
from .signals import invitation_sent as sent_signal
from .smtp import (
    Ambiguous,
    Broken,
    Connection,
    Message,
    Permanent,
    Temporary,
    Unreachable,
    connect,
    describe,
)
from .state import host, settings_of, store_view

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
AMBIGUOUS_WAIT = timedelta(minutes=30)
# Five days in all; the last one fills them up.
RETRIES = [timedelta(minutes=m) for m in (1, 5, 30, 120, 360, 720, 1440, 2880, 1644)]
JITTER = 0.2


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
    while report.unreachable is None and not stop():
        size = _batch_size()
        entries = claim(size if limit is None else min(size, limit - report.handled))
        if not entries:
            break
        _deliver_batch(entries, report, stop)
    return report


def _batch_size() -> int:
    """Return how many to take next by the settings of this moment; 0 when switched off."""
    forget()
    settings = settings_of(store_view(""))
    if settings.enabled:
        recover()
    return settings.batch_size if settings.enabled else 0


def claim(size: int) -> list[Entry]:
    """Take up to ``size`` rows that are due, those never tried first, for this worker alone."""
    if size < 1:
        return []
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
    error = "The worker ended while the message was being handed over."
    count = 0
    for each in found:
        try:
            _set_ambiguous(db, Abandoned(**each._mapping), error)
            count += 1
        except ClaimLost:  # another worker took it back in this moment
            continue
    return count


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
    while left and connection.is_open and not stop():
        entry = left.pop(0)
        try:
            _deliver_one(connection, entry, report)
        except Broken as error:
            # A server may take so many a connection; one that fell silent is not asked again.
            if connection.num_emails and not error.hung:
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
        message = atomically(lambda: _begin(session(), entry))
        if message is not None:
            connection.deliver(message)
    except (Broken, Ambiguous, Busy, DBAPIError):
        raise
    except (ClaimLost, Changed):
        report.skipped += 1
    except Permanent as error:
        report.failed += 1
        _finish(entry, _failed, str(error))
    except Exception as error:
        report.deferred += 1
        if not isinstance(error, Temporary):  # a template, a setting: somebody will mend it
            log.exception("Invitation %s cannot be mailed now", entry.invitation_id)
        _finish(entry, _deferred, str(error) if isinstance(error, Temporary) else describe(error))
    else:
        _note_sent(entry, report, was_skipped=message is None)


def _finish(entry: Entry, step: Callable[[Session, Entry, str], None], error: str) -> None:
    """Note how a try ended, unless another worker has the row by now."""
    try:
        atomically(lambda: step(session(), entry, error[:255]))
    except ClaimLost:
        log.warning("Invitation %s was taken over by another worker", entry.invitation_id)


def _begin(db: Session, entry: Entry) -> Message | None:
    """Mark a row as being sent and return its mail; None when it must not leave any more.

    The mail is made first: no transaction stays open while the server takes its time.

    :raises ClaimLost: when this worker's claim is not the row's any more.
    """
    row = db.get(Invitation, entry.invitation_id, populate_existing=True)
    reason = _reason_to_skip(db, row)
    if row is None or reason is not None:
        _close(db, entry)
        if row is not None:
            _set_skipped(db, row, str(reason))
        return None
    _mine(db, entry, state=OutboxState.SENDING, lease_until=now() + _sending_lease())
    row.mail_state, row.existing_customer = MailState.SENDING, _has_account(row)
    db.flush()
    _keep_alive(db, entry)
    view = store_view(row.store_view)
    return invitation_sent(row, view, settings_of(view), entry.message_id)


def _sending_lease() -> timedelta:
    """Return more than any one message can take; a row found after it has an unknown end."""
    timeout = float(current_app.config["INVITATIONS_SMTP_TIMEOUT"])
    return max(timedelta(minutes=10), timedelta(seconds=30 * timeout))


def _keep_alive(db: Session, entry: Entry) -> None:
    """Keep the rest of the batch, when half of its lease is over."""
    row, at = Outbox, now()
    db.execute(
        sa.update(row)
        .where(
            row.claim == entry.claim,
            row.state == OutboxState.CLAIMED,
            row.lease_until < at + LEASE / 2,
        )
        .values(lease_until=at + LEASE)
    )


def _has_account(row: Invitation) -> bool:
    """Return whether the address is a customer's: found out here, where no sender can time it."""
    return row.email is not None and host().customer_by_email(row.email, row.website) is not None


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
    # To its sender it looks like any other that was sent.
    as_if_sent = values | {"sent_at": row.sent_at or now(), "last_sent_at": now()}
    if reason == "opted out":
        move(db, row, "send", THE_SYSTEM, as_if_sent, action="skip", reason=reason)
    else:
        _set_mail(db, row.id, **as_if_sent if row.status == Status.DECLINED else values)


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
        at = now()
        atomically(lambda: _set_mail(session(), entry.invitation_id, last_sent_at=at))
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
    """Try again later; give up five days after the first try."""
    if entry.tries >= len(RETRIES):
        _failed(db, entry, error)
        return
    wait = RETRIES[entry.tries] * random.uniform(1 - JITTER, 1 + JITTER)
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
