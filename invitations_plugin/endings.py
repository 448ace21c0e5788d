"""The end of a mail that the server took: noted whatever happens, for unnoted it leaves again."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from flask import current_app

from . import circuit
from .beginning import Begun
from .database import Busy, Runner, atomically, our_connection, session
from .events import tell
from .models import Invitation
from .outbox import ClaimLost
from .sent import sent, sent_late
from .signals import invitation_sent

log = logging.getLogger(__name__)

INSISTENCE = 30.0  # seconds that a mail which left waits for the database to note it
PAUSE = 0.5  # seconds between two tries of that


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that the server took, with its answer; that is not noted yet."""

    begun: Begun
    answer: str


def is_plain() -> bool:
    """Return whether the end of a mail is nothing but its note in the database: nobody wants
    to be told of it, and it says nothing new of the server.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    return circuit.is_well() and not invitation_sent.has_receivers_for(app)


def note(db: Runner, taken: Taken) -> None:
    """Note that the server took a mail. The caller commits.

    :raises ClaimLost: when another worker has it by now.
    """
    entry = taken.begun.entry
    sent(db, entry, taken.begun.row, taken.answer)
    if entry.payload is None:  # a notice may go another way than mail to customers
        circuit.took(session())


def settle(taken: Taken) -> None:
    """Note that the server took a mail, though the database may be away, and tell of it.

    :raises Busy: when the database is away for too long.
    """
    entry = taken.begun.entry
    try:
        _insist(taken)
    except ClaimLost:
        log.warning("%s was taken over while it left", entry.name)
        atomically(lambda: sent_late(session(), entry))
        return
    _announce(entry.invitation_id)


def _insist(taken: Taken) -> None:
    end = time.monotonic() + INSISTENCE
    while True:
        try:
            atomically(lambda: note(our_connection(), taken))
        except Busy:
            if time.monotonic() > end:
                raise
            time.sleep(PAUSE)
        else:
            return circuit.look_again(session())


def _announce(number: int | None) -> None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    if number is None or not invitation_sent.has_receivers_for(app):
        return
    row = session().get(Invitation, number, populate_existing=True)
    if row is not None:
        tell(invitation_sent, invitation=row)
