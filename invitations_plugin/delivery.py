"""Delivery: take mails from the outbox, make them, hand them to the server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from . import circuit, endings, in_hand, mail_templates, outbox, recovery
from .beginning import Begun, Known, NotNow, Prepared, begin, prepare
from .clerk import Clerk
from .clock import now
from .database import Busy, atomically, committed, our_connection, session
from .endings import Taken
from .lifecycle import Changed
from .line import Line
from .outbox import ClaimLost, Entry
from .settings import Settings, forget
from .smtp import (
    Ambiguous,
    Broken,
    Connection,
    Permanent,
    SenderRefused,
    Temporary,
    Unreachable,
    describe,
)
from .state import settings_of, store_view
from .text import without_addresses
from .turnover import asked

log = logging.getLogger(__name__)

T = TypeVar("T")


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


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run tells of, what ends it, and what it sends over and notes by."""

    report: Report
    stop: Callable[[], bool]
    line: Line
    clerk: Clerk


@dataclass(slots=True)
class _Batch:
    """What was claimed together; ``taken`` is the mail before, whose end is not noted yet, and
    ``made`` has the next ones by the ids of their entries, as far as they are made.
    """

    left: list[Entry]
    claim: str
    kept_until: datetime
    run: _Run
    known: Known = field(default_factory=Known)
    taken: Taken | None = None
    made: dict[int, Prepared | None] = field(default_factory=dict)

    def prepare(self, place: int = 0) -> None:
        """Make a mail of those that are left, if it can be made; what is wrong with it shows
        when it is begun.
        """
        entry = self.left[place] if place < len(self.left) else None
        if entry is not None and entry.id not in self.made:
            with suppress(Exception):
                self.made[entry.id] = committed(lambda: prepare(entry, self.known))


def deliver(
    limit: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    line: Line | None = None,
    clerk: Clerk | None = None,
) -> Report:
    """Send what is due, batch after batch, until nothing is left or the server is away.

    With invitations switched off or mail held, what is queued waits.

    :param limit: at most this many messages; all that are due without it.
    :param stop: asked before each message; true ends the run and gives back the rest.
    :param line: the caller's own to the mail server, kept for its next run; without it the
        connection ends with this one.
    :param clerk: of all senders of this process, likewise.
    """
    report = Report()
    with (
        nullcontext(line) if line is not None else closing(Line()) as used,
        nullcontext(clerk) if clerk is not None else closing(Clerk()) as helper,
    ):
        run = _Run(report, stop, used, helper)
        while report.unreachable is None and not stop():
            used.most = size = _batch_size()
            most = size if limit is None else min(size, limit - report.handled)
            send = _deliver_shut if circuit.seen().is_shut else _deliver_next
            if not send(most, run):
                break
        used.rest()
    return report


def _deliver_next(most: int, run: _Run) -> bool:
    """Send the next batch; return whether there was any."""
    entries = outbox.claim(most)
    if entries:
        _deliver_batch(entries, run)
    return bool(entries)


def _deliver_shut(most: int, run: _Run) -> bool:
    """Send what may leave while the server is left alone: notices, and when it is time one
    mail to try it. Return whether there was any.
    """
    report = run.report
    told = outbox.claim(most, notices=True)  # staff's own server may be another one
    if told:
        _deliver_batch(told, run)
        return True
    probe = outbox.claim(min(most, 1), notices=False)
    if not probe:
        return False
    if not atomically(lambda: circuit.take_probe(session())):
        atomically(lambda: outbox.release(session(), probe))
        report.unreachable = circuit.seen().text
        return False
    asked = report.asked
    _deliver_batch(probe, run)
    if report.asked == asked:  # closed meanwhile, or the run was stopped: the next one may try
        atomically(lambda: circuit.probe_now(session()))
    return True


def _batch_size() -> int:
    """Return how many to take next by the settings of this moment; 0 when switched off."""
    forget()
    mail_templates.forget()
    settings = settings_of(store_view(""))
    circuit.look(session())
    if not _is_on(settings):
        return 0
    recovery.recover(never_twice=settings.never_twice)
    return settings.batch_size


def _is_on(settings: Settings) -> bool:
    return settings.enabled and not settings.hold_outbox


def _deliver_batch(entries: Sequence[Entry], run: _Run) -> None:
    """Send claimed rows, on a new connection whenever one breaks; give back the rest.

    All of them, where mail was switched off or held between the last look and the claim.
    """
    first = entries[0]
    batch = _Batch(list(entries), first.claim, first.lease_until, run)
    forget()  # a setting changed before a mail was queued holds for it
    if not _is_on(settings_of(store_view(""))):
        return atomically(lambda: outbox.release(session(), entries))
    in_hand.take(batch.claim)
    try:
        while batch.left and not run.stop():
            with run.line.connection() as connection:
                _use_connection(connection, batch)
    except Unreachable as error:
        run.report.unreachable = str(error)
        log.warning("The mail server is away: %s", without_addresses(str(error)))
    finally:
        try:
            atomically(lambda: outbox.release(session(), batch.left))
        finally:
            in_hand.drop(batch.claim)


def _use_connection(connection: Connection, batch: _Batch) -> None:
    """Send until nothing is left or the connection is of no more use."""
    batch.known.ask(batch.left)
    batch.prepare()  # before the database is held for it
    try:
        while batch.left and connection.is_open and not batch.run.stop():
            _keep_alive(batch)
            if not _send_next(connection, batch):
                break
    finally:
        _settle(batch)


def _keep_alive(batch: _Batch) -> None:
    """Keep what is left, when half of its lease is over."""
    if now() > batch.kept_until - outbox.LEASE / 2:
        _settle(batch)
        batch.kept_until = atomically(lambda: outbox.keep_alive(session(), batch.claim))


def _send_next(connection: Connection, batch: _Batch) -> bool:
    """Send the next; return whether the line is still up.

    An entry leaves ``left`` before it is sent: should this worker fail from here on, its
    row must not be given back as untouched.
    """
    prepared = batch.made.pop(batch.left[0].id, None)
    begun = _go_on(batch, prepared)
    entry, report = batch.left.pop(0), batch.run.report
    try:
        _deliver_one(connection, entry, prepared, begun, batch)
    except Broken as error:
        # A server may take so many a connection; one that fell silent is not asked again.
        if connection.num_emails and not error.hung:
            batch.left.insert(0, entry)
        else:
            report.deferred += 1
            _doubt(entry, report, outbox.deferred, str(error), silent=True)
        return False
    except Ambiguous as error:
        report.deferred += 1
        _doubt(entry, report, _unknown, str(error), silent=True, may_have_left=True)
        return False
    return True


def _go_on(batch: _Batch, prepared: Prepared | None) -> Begun | None:
    """Note the end of the mail before and begin the next one in one transaction.

    Returns None where that cannot be: then the end stands alone, and the next one, with
    whatever is wrong with it, is begun by itself.
    """
    taken, begun = batch.taken, None
    try:
        if taken is not None and endings.is_plain():
            with suppress(Exception):
                begun = _turn_over(batch, taken, prepared)
    finally:
        _settle(batch)
    return begun


def _turn_over(batch: _Batch, taken: Taken, prepared: Prepared | None) -> Begun | None:
    """Have the clerk do it, as far as it is plain, and make the mail after the next meanwhile."""
    both = asked(taken, batch.left[0], prepared)
    if both is None:
        return None
    is_noted, is_begun = batch.run.clerk.turn_over(both.given, partial(batch.prepare, 1))
    batch.taken = None if is_noted else taken
    return both.begun if is_begun else None


def _settle(batch: _Batch) -> None:
    """Note the end of the mail before, if that is still to be done."""
    taken, batch.taken = batch.taken, None
    if taken is not None:
        endings.settle(taken)


def _deliver_one(
    connection: Connection,
    entry: Entry,
    prepared: Prepared | None,
    begun: Begun | NotNow | None,
    batch: _Batch,
) -> None:
    """Send one row; whatever is wrong with it stays its own.

    :param begun: what its beginning came to, None where it is not begun.
    """
    report = batch.run.report
    try:
        if begun is None:
            begun = atomically(lambda: begin(our_connection(), entry, batch.known, prepared))
        if isinstance(begun, Begun):
            answer = connection.deliver(begun.message, begun.until, batch.prepare)
            batch.taken = Taken(begun, answer)
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
        _put_off(entry, error)
    else:
        _count(begun, report)


def _put_off(entry: Entry, error: Exception) -> None:
    said = str(error)
    if not isinstance(error, Temporary):  # a template, a setting: somebody will mend it
        log.error("%s cannot be mailed now", entry.name, exc_info=error)
        said = describe(error)
    _finish(entry, outbox.deferred, said)


def _count(begun: Begun | NotNow, report: Report) -> None:
    report.sent += isinstance(begun, Begun)
    report.unasked += isinstance(begun, NotNow)
    report.skipped += begun is NotNow.SKIPPED
    report.deferred += begun is NotNow.WAITS


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
        log.warning("%s did not leave: %s", entry.name, without_addresses(error))
    try:
        return atomically(lambda: step(session(), entry, error[:255]))
    except ClaimLost:
        log.warning("%s was taken over by another worker", entry.name)
        return None
