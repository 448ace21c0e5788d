"""The beginning of a mail: it is looked at once more, made, and marked as being sent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from . import mailboxes, marking, notices, outbox
from .clock import now
from .database import Runner, atomically, session
from .host import StoreView
from .mail import invitation_sent, staff_notice
from .models import Invitation, Status
from .outbox import Entry
from .people import People
from .settings import Settings
from .smtp import Message, Temporary
from .state import settings_of, store_view

ERASED = "erased"


class NotNow(Enum):
    """What becomes of a mail that does not leave."""

    SKIPPED = auto()
    WAITS = auto()


@dataclass(frozen=True, slots=True)
class Begun:
    """A mail that is marked as being sent, until :func:`time.monotonic` says so much.

    A notice to staff has no invitation.
    """

    entry: Entry
    row: Invitation | None
    message: Message
    until: float


@dataclass(slots=True)
class Known:
    """What is asked once for a batch: its invitations, their people, and their store views.

    What the invitations were then holds for those that nobody changed since.
    """

    people: People = field(default_factory=People)
    rows: dict[int, Invitation] = field(default_factory=dict)
    views: dict[tuple[str, str], tuple[StoreView, Settings]] = field(default_factory=dict)

    def ask(self, entries: Sequence[Entry]) -> None:
        """Ask about a batch; of a batch that is under way it was asked before."""
        ids = [each.invitation_id for each in entries if each.invitation_id is not None]
        if ids and not self.people.were_asked_for:
            found = atomically(lambda: marking.read_all(session(), ids))
            self.rows = {row.id: row for row in found}
            self.people.ask(found)

    def view_of(self, row: Invitation) -> tuple[StoreView, Settings]:
        """Return the store view of an invitation, and its settings."""
        place = row.store_view, row.website
        if place not in self.views:
            view = store_view(*place)
            self.views[place] = view, settings_of(view)
        return self.views[place]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mail that is made, of an invitation as it was when its batch was asked about.

    ``until`` is how long what is known of its people holds, by :func:`time.monotonic`.
    """

    entry: Entry
    row: Invitation
    settings: Settings
    message: Message
    until: float

    def is_of(self, entry: Entry) -> bool:
        """Return whether this is the mail of an entry, and may still be."""
        return self.entry == entry and time.monotonic() < self.until


def prepare(entry: Entry, known: Known) -> Prepared | None:
    """Make a mail before it is begun, so that nobody waits for that in the database.

    Returns None where it does not leave, as far as is known, or is to be made when it is begun.

    :raises Exception: whatever is wrong with the mail.
    """
    row = known.rows.pop(entry.invitation_id or 0, None)
    if row is None or _reason_to_skip(row, False, known.people) is not None:
        return None
    view, settings = known.view_of(row)
    if view.website != row.website:
        return None
    row.existing_customer = known.people.has_account(row)
    message = invitation_sent(row, view, settings, entry.message_id)
    return Prepared(entry, row, settings, message, known.people.hold_until)


def begin(db: Runner, entry: Entry, known: Known, prepared: Prepared | None) -> Begun | NotNow:
    """Mark a row as being sent and return its mail, or why it does not leave.

    The mail is made first: no transaction stays open while the server takes its time.

    :param prepared: its mail, where it was made before; another's is none. It leaves if all is
        still as it was then, which the statement that marks it finds out, or is made anew.
    :raises ClaimLost: when this worker's claim is not the row's any more.
    :raises Changed: when somebody changed the invitation after it was read.
    :raises Exception: whatever is wrong with the mail.
    """
    if entry.payload is not None:
        return _begin_notice(db, entry, entry.payload)
    if prepared is not None and prepared.is_of(entry):
        until = marking.mark_as_read(db, entry, prepared.row, prepared.settings)
        if until is not None:
            return Begun(entry, prepared.row, prepared.message, until)
    found = marking.read(db, entry.invitation_id or 0)
    if found is not None:
        return _begin_invitation(db, entry, *found, known)
    outbox.skip(db, entry, None, ERASED)
    return NotNow.SKIPPED


def _begin_notice(db: Runner, entry: Entry, payload: dict[str, Any]) -> Begun | NotNow:
    if entry.recipient is None or not notices.is_wanted(entry.recipient):
        outbox.skip(db, entry, None, "not wanted any more")
        return NotNow.SKIPPED
    until = marking.mark_sending(db, entry, None)
    view = store_view("")
    settings = settings_of(view)
    made = staff_notice(payload, entry.recipient, view, settings, entry.message_id)
    return Begun(entry, None, made, until)


def _begin_invitation(
    db: Runner, entry: Entry, row: Invitation, is_opted_out: bool, known: Known
) -> Begun | NotNow:
    reason = _reason_to_skip(row, is_opted_out, known.people)
    if reason is not None and not outbox.seems_to_leave(row, reason):
        outbox.skip(db, entry, row, reason)
        return NotNow.SKIPPED
    view, settings = known.view_of(row)
    if view.website != row.website:  # its link would lead nowhere
        raise Temporary(f"The store has no website {row.website!r}.")
    turn = mailboxes.turn_of(db, row, settings)
    if turn is not None:
        outbox.wait(db, entry, row, turn, settings)
        return NotNow.WAITS
    if reason is not None:
        outbox.skip(db, entry, row, reason)
        return NotNow.SKIPPED
    # Found out here, where no sender can time it.
    row.existing_customer = known.people.has_account(row)
    until = marking.mark_sending(db, entry, row)
    return Begun(entry, row, invitation_sent(row, view, settings, entry.message_id), until)


def _reason_to_skip(row: Invitation, is_opted_out: bool, people: People) -> str | None:
    """Return why a mail must not leave, read again right before it would."""
    if row.email is None:
        return ERASED
    if row.status != Status.NOT_SENT:
        return row.status
    if row.expires_at <= now():
        return "expired"
    if not people.is_active(row):
        return "inviter disabled"
    return mailboxes.OPTED_OUT if is_opted_out else None
