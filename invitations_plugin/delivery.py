"""Delivery: take mails from the outbox, make them, hand them to the server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from . import mail_templates, mailboxes, outbox
from .accounts import has_account, inviter_is_active
from .clock import now
from .database import Busy, atomically, session
from .events import announce
from .lifecycle import Changed
from .line import Line
from .mail import invitation_sent
from .models import Invitation, Status
from .opt_outs import is_opted_out
from .outbox import ClaimLost, Entry
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
    describe,
)
from .state import settings_of, store_view

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """What a run did; what waits for its turn counts as deferred."""

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    skipped: int = 0
    unreachable: str | None = None

    @property
    def handled(self) -> int:
        """How many rows of the outbox had a turn."""
        return self.sent + self.deferred + self.failed + self.skipped


class NotNow(Enum):
    """What becomes of a mail that does not leave."""

    SKIPPED = auto()
    WAITS = auto()


def deliver(
    limit: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    line: Line | None = None,
) -> Report:
    """Send what is due, batch after batch, until nothing is left or the server is away.

    With invitations switched off, what is queued waits.

    :param limit: at most this many messages; all that are due without it.
    :param stop: asked before each message; true ends the run and gives back the rest.
    :param line: the caller's own to the mail server, kept for its next run; without it the
        connection ends with this one.
    """
    report = Report()
    with nullcontext(line) if line is not None else closing(Line()) as used:
        while report.unreachable is None and not stop():
            size = _batch_size()
            entries = outbox.claim(size if limit is None else min(size, limit - report.handled))
            if not entries:
                break
            used.most = size
            _deliver_batch(entries, report, stop, used)
        used.rest()
    return report


def _batch_size() -> int:
    """Return how many to take next by the settings of this moment; 0 when switched off."""
    forget()
    mail_templates.forget()
    settings = settings_of(store_view(""))
    if settings.enabled:
        outbox.recover()
    return settings.batch_size if settings.enabled else 0


def _deliver_batch(
    entries: Sequence[Entry], report: Report, stop: Callable[[], bool], line: Line
) -> None:
    """Send claimed rows, on a new connection whenever one breaks; give back the rest."""
    left = list(entries)
    try:
        while left and not stop():
            with line.connection() as connection:
                _use_connection(connection, left, report, stop)
    except Unreachable as error:
        report.unreachable = str(error)
        log.warning("The mail server is away: %s", error)
    finally:
        atomically(lambda: outbox.release(session(), left))


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
                _finish(entry, outbox.deferred, str(error))
            return
        except Ambiguous as error:
            report.deferred += 1
            _finish(entry, outbox.unknown, str(error))
            return


def _deliver_one(connection: Connection, entry: Entry, report: Report) -> None:
    """Send one row; whatever is wrong with it stays its own."""
    answer = ""
    try:
        message = atomically(lambda: _begin(session(), entry))
        if isinstance(message, Message):
            answer = connection.deliver(message)
    except (Broken, Ambiguous, Busy, DBAPIError):
        raise
    except (ClaimLost, Changed):
        report.skipped += 1
    except Permanent as error:
        report.failed += 1
        _finish(entry, outbox.failed, str(error))
    except Exception as error:
        report.deferred += 1
        if not isinstance(error, Temporary):  # a template, a setting: somebody will mend it
            log.exception("Invitation %s cannot be mailed now", entry.invitation_id)
        _finish(
            entry, outbox.deferred, str(error) if isinstance(error, Temporary) else describe(error)
        )
    else:
        _note_end(entry, report, message, answer)


def _finish(entry: Entry, step: Callable[[Session, Entry, str], None], error: str) -> None:
    """Note how a try ended, unless another worker has the row by now."""
    try:
        atomically(lambda: step(session(), entry, error[:255]))
    except ClaimLost:
        log.warning("Invitation %s was taken over by another worker", entry.invitation_id)


def _begin(db: Session, entry: Entry) -> Message | NotNow:
    """Mark a row as being sent and return its mail, or why it does not leave.

    The mail is made first: no transaction stays open while the server takes its time.

    :raises ClaimLost: when this worker's claim is not the row's any more.
    :raises Changed: when somebody changed the invitation after it was read.
    """
    row = db.get(Invitation, entry.invitation_id, populate_existing=True)
    reason = _reason_to_skip(db, row)
    if row is None or (reason is not None and not outbox.seems_to_leave(row, reason)):
        outbox.skip(db, entry, row, str(reason))
        return NotNow.SKIPPED
    view = store_view(row.store_view, row.website)
    if view.website != row.website:  # its link would lead nowhere
        raise Temporary(f"The store has no website {row.website!r}.")
    settings = settings_of(view)
    turn = mailboxes.turn_of(db, row, settings)
    if turn is not None:
        outbox.wait(db, entry, row, turn, settings)
        return NotNow.WAITS
    if reason is not None:
        outbox.skip(db, entry, row, reason)
        return NotNow.SKIPPED
    outbox.mark_sending(db, entry, row)
    # Found out here, where no sender can time it.
    row.existing_customer = has_account(row)
    return invitation_sent(row, view, settings, entry.message_id)


def _reason_to_skip(db: Session, row: Invitation | None) -> str | None:
    """Return why a mail must not leave, read again right before it would."""
    if row is None or row.email is None:
        return "erased"
    if row.status != Status.NOT_SENT:
        return row.status
    if row.expires_at <= now():
        return "expired"
    if not inviter_is_active(row):
        return "inviter disabled"
    return mailboxes.OPTED_OUT if is_opted_out(db, row.recipient_hash) else None


def _note_end(entry: Entry, report: Report, message: Message | NotNow, answer: str) -> None:
    """Note that the server took a mail; also when the invitation changed meanwhile."""
    if isinstance(message, NotNow):
        report.skipped += message is NotNow.SKIPPED
        report.deferred += message is NotNow.WAITS
        return
    report.sent += 1
    try:
        row = atomically(lambda: outbox.sent(session(), entry, answer))
    except ClaimLost:
        log.warning("Invitation %s was taken over while it left", entry.invitation_id)
        atomically(lambda: outbox.sent_late(session(), entry))
        return
    if row is not None:
        announce(sent_signal, [row])
