"""Delivery: take mails from the outbox, make them, hand them to the server."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from . import circuit, in_hand, mail_templates, mailboxes, notices, outbox, recovery
from .accounts import has_account, inviter_is_active
from .clock import now
from .database import Busy, atomically, session
from .events import announce
from .lifecycle import Changed
from .line import Line
from .mail import invitation_sent, staff_notice
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
    SenderRefused,
    Temporary,
    Unreachable,
    describe,
)
from .state import settings_of, store_view

log = logging.getLogger(__name__)

T = TypeVar("T")
INSISTENCE = 30.0  # seconds that a mail which left waits for the database to note it
PAUSE = 0.5  # seconds between two tries of that


@dataclass(slots=True)
class Report:
    """What a run did; what waits for its turn counts as deferred.

    ``unasked`` counts what the server was not asked to take, be it skipped or deferred.
    """

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    skipped: int = 0
    unasked: int = 0
    unreachable: str | None = None

    @property
    def handled(self) -> int:
        """How many rows of the outbox had a turn."""
        return self.sent + self.deferred + self.failed + self.skipped

    @property
    def asked(self) -> int:
        """How many the server was asked to take."""
        return self.handled - self.unasked


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

    With invitations switched off or mail held, what is queued waits.

    :param limit: at most this many messages; all that are due without it.
    :param stop: asked before each message; true ends the run and gives back the rest.
    :param line: the caller's own to the mail server, kept for its next run; without it the
        connection ends with this one.
    """
    report = Report()
    with nullcontext(line) if line is not None else closing(Line()) as used:
        while report.unreachable is None and not stop():
            used.most = size = _batch_size()
            most = size if limit is None else min(size, limit - report.handled)
            send = _deliver_shut if circuit.seen().is_shut else _deliver_next
            if not send(most, report, stop, used):
                break
        used.rest()
    return report


def _deliver_next(most: int, report: Report, stop: Callable[[], bool], line: Line) -> bool:
    """Send the next batch; return whether there was any."""
    entries = outbox.claim(most)
    if entries:
        _deliver_batch(entries, report, stop, line)
    return bool(entries)


def _deliver_shut(most: int, report: Report, stop: Callable[[], bool], line: Line) -> bool:
    """Send what may leave while the server is left alone: notices, and when it is time one
    mail to try it. Return whether there was any.
    """
    told = outbox.claim(most, notices=True)  # staff's own server may be another one
    if told:
        _deliver_batch(told, report, stop, line)
        return True
    probe = outbox.claim(min(most, 1), notices=False)
    if not probe:
        return False
    if not atomically(lambda: circuit.take_probe(session())):
        atomically(lambda: outbox.release(session(), probe))
        report.unreachable = circuit.seen().text
        return False
    asked = report.asked
    _deliver_batch(probe, report, stop, line)
    if report.asked == asked:  # closed meanwhile, or the run was stopped: the next one may try
        atomically(lambda: circuit.probe_now(session()))
    return True


def _batch_size() -> int:
    """Return how many to take next by the settings of this moment; 0 when switched off."""
    forget()
    mail_templates.forget()
    settings = settings_of(store_view(""))
    circuit.look(session())
    if settings.hold_outbox or not settings.enabled:
        return 0
    recovery.recover(never_twice=settings.never_twice)
    return settings.batch_size


def _deliver_batch(
    entries: Sequence[Entry], report: Report, stop: Callable[[], bool], line: Line
) -> None:
    """Send claimed rows, on a new connection whenever one breaks; give back the rest."""
    left = list(entries)
    forget()  # a setting changed before a mail was queued holds for it
    in_hand.take(entries[0].claim)
    try:
        while left and not stop():
            with line.connection() as connection:
                _use_connection(connection, left, report, stop)
    except Unreachable as error:
        report.unreachable = str(error)
        log.warning("The mail server is away: %s", error)
    finally:
        atomically(lambda: outbox.release(session(), left))
        in_hand.drop(entries[0].claim)


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
                _doubt(entry, report, outbox.deferred, str(error), silent=True)
            return
        except Ambiguous as error:
            report.deferred += 1
            _doubt(entry, report, _unknown, str(error), silent=True, may_have_left=True)
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
        report.unasked += 1
    except Permanent as error:
        report.failed += 1
        _doubt(entry, report, outbox.failed, str(error))
    except SenderRefused as error:
        report.deferred += 1
        _doubt(entry, report, outbox.deferred, str(error))
    except Exception as error:
        report.deferred += 1
        if not isinstance(error, Temporary):  # a template, a setting: somebody will mend it
            log.exception("%s cannot be mailed now", entry.name)
        _finish(
            entry, outbox.deferred, str(error) if isinstance(error, Temporary) else describe(error)
        )
    else:
        _note_end(entry, report, message, answer)


def _unknown(db: Session, entry: Entry, error: str) -> None:
    never_twice = settings_of(store_view("")).never_twice
    outbox.unknown(db, entry, error, never_twice=never_twice)


def _doubt(
    entry: Entry,
    report: Report,
    step: Callable[[Session, Entry, str], None],
    error: str,
    *,
    silent: bool = False,
    may_have_left: bool = False,
) -> None:
    """Note a try that may tell of the server more than of this mail.

    :raises Unreachable: when the server is left alone from now on.
    """
    note = partial(circuit.note, step=step, silent=silent, may_have_left=may_have_left)
    back = _finish(entry, note, error)
    if back is None:
        return
    returned = min(back, report.failed)
    report.failed -= returned
    report.deferred += returned
    raise Unreachable(circuit.seen().text)


def _finish(entry: Entry, step: Callable[[Session, Entry, str], T], error: str) -> T | None:
    """Note how a try ended, unless another worker has the row by now."""
    if entry.payload is not None:  # a notice has no history that would tell
        log.warning("%s did not leave: %s", entry.name, error)
    try:
        return atomically(lambda: step(session(), entry, error[:255]))
    except ClaimLost:
        log.warning("%s was taken over by another worker", entry.name)
        return None


def _begin(db: Session, entry: Entry) -> Message | NotNow:
    """Mark a row as being sent and return its mail, or why it does not leave.

    The mail is made first: no transaction stays open while the server takes its time.

    :raises ClaimLost: when this worker's claim is not the row's any more.
    :raises Changed: when somebody changed the invitation after it was read.
    """
    if entry.payload is not None:
        return _begin_notice(db, entry, entry.payload)
    return _begin_invitation(db, entry)


def _begin_notice(db: Session, entry: Entry, payload: dict[str, Any]) -> Message | NotNow:
    if entry.recipient is None or not notices.is_wanted(entry.recipient):
        outbox.skip(db, entry, None, "not wanted any more")
        return NotNow.SKIPPED
    outbox.mark_sending(db, entry, None)
    view = store_view("")
    return staff_notice(payload, entry.recipient, view, settings_of(view), entry.message_id)


def _begin_invitation(db: Session, entry: Entry) -> Message | NotNow:
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
        report.unasked += 1
        report.skipped += message is NotNow.SKIPPED
        report.deferred += message is NotNow.WAITS
        return
    report.sent += 1
    try:
        row = _insist(lambda: _taken(session(), entry, answer))
    except ClaimLost:
        log.warning("%s was taken over while it left", entry.name)
        atomically(lambda: outbox.sent_late(session(), entry))
        return
    if row is not None:
        announce(sent_signal, [row])


def _taken(db: Session, entry: Entry, answer: str) -> Invitation | None:
    row = outbox.sent(db, entry, answer)
    if entry.payload is None:  # a notice may go another way than mail to customers
        circuit.took(db)
    return row


def _insist(note: Callable[[], Invitation | None]) -> Invitation | None:
    """Note something though the database may be away: a mail that left unnoted leaves again."""
    end = time.monotonic() + INSISTENCE
    while True:
        try:
            return atomically(note)
        except Busy:
            if time.monotonic() > end:
                raise
            time.sleep(PAUSE)
