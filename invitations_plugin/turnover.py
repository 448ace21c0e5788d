"""From one mail to the next: the end of one and the beginning of the other, committed together.

A worker that dies in between has none of both to mend, and the disk is waited for once.
"""

from __future__ import annotations

from . import endings, marking, outbox_sql
from .beginning import Begun, Known, NotNow, Prepared, begin
from .clock import now
from .database import committed, is_postgresql, kept_connection, our_connection
from .endings import Taken
from .mailboxes import turn_for
from .outbox import Entry
from .sent import noted
from .straight import straight


def turn_over(
    taken: Taken, entry: Entry, known: Known, prepared: Prepared | None
) -> tuple[bool, Begun | NotNow | None]:
    """Note the end of a mail and begin the next one in one transaction.

    Returns whether the end is noted, and what the beginning came to, None where the next one is
    to be begun by itself.

    :raises Exception: whatever is wrong with either; then nothing is noted nor begun.
    """
    if is_postgresql():
        return _at_once(taken, entry, prepared)
    return True, committed(lambda: _step_by_step(taken, entry, known, prepared))


def _step_by_step(
    taken: Taken, entry: Entry, known: Known, prepared: Prepared | None
) -> Begun | NotNow:
    db = our_connection()
    endings.note(db, taken)
    # What this transaction holds must not wait for whoever holds the next invitation.
    return begin(db, entry, known, prepared, waits=False)


def _at_once(
    taken: Taken, entry: Entry, prepared: Prepared | None
) -> tuple[bool, Begun | NotNow | None]:
    """Do it by a single statement, as far as that can be: what is unusual goes its own way."""
    before, row = taken.begun.entry, taken.begun.row
    if row is None or prepared is None or not prepared.is_of(entry):
        return False, None
    until, lasting = marking.lease()
    given = noted(before, row, taken.answer) | marking.marked(prepared.row, prepared.settings)
    given |= marking.leaving(entry) | lasting
    given |= {"subject": turn_for(prepared.row), "taken_at": now()}
    db = kept_connection() or our_connection()
    run = lambda: straight(db).execute(outbox_sql.SENT_AND_MARKED, given).fetchall()  # noqa: E731
    [(is_noted, is_begun)] = committed(run)
    begun = Begun(entry, prepared.row, prepared.message, until) if is_begun else None
    return bool(is_noted), begun
