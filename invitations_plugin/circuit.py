"""The circuit: a mail server that has nobody's mail is left alone, and no mail is given up for it.

Which mails it would not have is kept in the database, so that workers and single runs tell it
together. Once they are too many in a row, nothing is sent but a probe now and then; what failed
by the outage waits again. One mail that is taken ends it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from flask import g
from sqlalchemy.orm import Session

from . import notices, outbox
from .clock import now
from .database import insert_into
from .delivery_models import ONLY, DeliveryState
from .models import Invitation
from .outbox import Entry
from .spared import Tried, as_tried, bring_back
from .text import without_addresses

log = logging.getLogger(__name__)

REFUSALS, DOMAINS = 5, 3  # so many in a row, to recipients at so many domains
ANYWHERE = 20  # in a row, wherever the recipients are
SILENCES = 3  # answers in a row that never came
MEMORY = timedelta(days=3)  # that a mail counts for
MOST_SPARED = 3  # times that one mail comes back
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
# "550 5.1.1" is about the recipient's address or mailbox, not about who writes (RFC 3463).
OF_THE_ADDRESS = re.compile(r"\d{3}[ -]5\.(1\.([0-6]|10)|2\.\d+)\b")
CACHE: Final = "_invitations_circuit"


@dataclass(frozen=True, slots=True)
class Circuit:
    """How the circuit stands: ``since`` when it is shut, None where mail may leave."""

    since: datetime | None = None
    probe_at: datetime | None = None
    probes: int = 0
    reason: str = ""
    is_suspected: bool = False

    @property
    def is_shut(self) -> bool:
        """Return whether nothing but probes may leave."""
        return self.since is not None

    @property
    def text(self) -> str:
        """What a log or a command says of a server that is left alone."""
        at = f"{self.probe_at:%Y-%m-%d %H:%M} UTC" if self.probe_at else "the next run"
        return f"It takes nobody's mail ({self.reason}); one mail tries again at {at}."


def look(db: Session) -> Circuit:
    """Return how the circuit stands now; :func:`took` acts on what was seen last."""
    row = DeliveryState
    columns = (row.shut_at, row.probe_at, row.probes, row.reason, row.suspects)
    found, seen = db.execute(sa.select(*columns)).first(), Circuit()
    if found is not None:
        since, probe_at, probes, reason, suspects = found
        seen = Circuit(since, probe_at, probes, reason or "", bool(suspects))
    setattr(g, CACHE, seen)
    return seen


def seen() -> Circuit:
    """Return how the circuit stood when this worker looked last."""
    found: Circuit = g.get(CACHE) or Circuit()
    return found


def is_well() -> bool:
    """Return whether the server had every mail of late, as far as this worker saw."""
    return not (seen().is_shut or seen().is_suspected)


def take_probe(db: Session) -> bool:
    """Take the right to try the server with one mail; of several workers one has it.

    The next probe, should this one come to nothing, is due after a pause that grows.
    """
    row, at = DeliveryState, now()
    pause = min(FIRST_PAUSE * 2 ** min(seen().probes + 1, 10), LONGEST_PAUSE)
    statement = sa.update(row).where(row.shut_at.is_not(None), row.probe_at <= at)
    changed = db.execute(statement.values(probe_at=at + pause, probes=row.probes + 1))
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def probe_now(db: Session) -> bool:
    """Let one mail try the server at once, as if the last probe had not been.

    Returns whether it is left alone at all.
    """
    row = DeliveryState
    values = {"probe_at": now(), "probes": seen().probes}
    statement = sa.update(row).where(row.shut_at.is_not(None)).values(values)
    return bool(db.execute(statement).rowcount)  # type: ignore[attr-defined]


def took(db: Session) -> None:
    """Note that the server took a mail: it is well, whatever it would not have before.

    The caller commits and lets :func:`look_again`: what is not committed is not remembered.
    """
    if is_well():
        return
    well: dict[str, Any] = {
        "suspects": [],
        "shut_at": None,
        "probe_at": None,
        "probes": 0,
        "reason": None,
    }
    db.execute(sa.update(DeliveryState).values(well))


def look_again(db: Session) -> None:
    """Look how the circuit stands after a mail that the server took."""
    before = seen()
    if not is_well() and not look(db).is_shut and before.is_shut:
        log.warning("The mail server takes mail again")


def is_of_everyone(error: str) -> bool:
    """Return whether a refusal may be meant for whoever writes: not for this one recipient."""
    return error[:1] == "5" and not OF_THE_ADDRESS.match(error)


def note(
    db: Session,
    entry: Entry,
    error: str,
    *,
    step: Callable[[Session, Entry, str], None],
    silent: bool = False,
    may_have_left: bool = False,
) -> int | None:
    """Note a try of which the server would have nothing, and what that says of the server.

    With too many in a row it is left alone: their tries do not count, and those that failed
    wait again. Returns how many do once it is left alone, None while it is not.

    :param step: how the try ends for the mail itself, a step of the outbox.
    :param silent: whether the server gave no answer at all.
    :param may_have_left: whether the mail may have left all the same.
    """
    counts = entry.payload is None and (silent or is_of_everyone(error))
    is_probe = counts and seen().is_shut and entry.spared < MOST_SPARED
    if is_probe and not may_have_left:
        outbox.put_back(db, entry, error)
    else:
        step(db, entry, error)
    if is_probe:
        return 0
    return _suspect(db, entry, error, silent) if counts else None


def _suspect(db: Session, entry: Entry, error: str, silent: bool) -> int | None:
    if entry.spared >= MOST_SPARED:
        return None
    db.execute(insert_into(db, DeliveryState).values(id=ONLY).on_conflict_do_nothing())
    row = db.get_one(DeliveryState, ONLY, populate_existing=True, with_for_update=True)
    row.suspects = [*_others(row.suspects, entry), _as_suspect(db, entry, silent)]
    back = None
    if row.shut_at is not None or _is_everyone(row.suspects):
        said = without_addresses(error)  # it goes to others, who never hear of this recipient
        if row.shut_at is None:
            _shut(db, row, said)
        back = bring_back(db, [Tried(**each["row"]) for each in row.suspects], said)
        row.suspects = []
    db.flush()
    look(db)
    return back


def _shut(db: Session, row: DeliveryState, error: str) -> None:
    row.shut_at, row.probe_at, row.reason = now(), now() + FIRST_PAUSE, error
    notices.notify(db, "everyone_refused", reason=error, since=row.shut_at)
    log.error("The mail server takes nobody's mail, so it is left alone: %s", error)


def _others(suspects: Sequence[dict[str, Any]], entry: Entry) -> list[dict[str, Any]]:
    """Return the suspects that still count: one mail that is tried again is no second one."""
    oldest = (now() - MEMORY).isoformat()
    return [
        each
        for each in suspects
        if each["at"] > oldest and each["row"]["message_id"] != entry.message_id
    ]


def _as_suspect(db: Session, entry: Entry, silent: bool) -> dict[str, Any]:
    invitation = db.get(Invitation, entry.invitation_id)
    address = (invitation.email if invitation is not None else None) or ""
    return {
        "at": now().isoformat(),
        "silent": silent,
        "domain": address.rpartition("@")[2].lower(),
        "row": as_tried(entry),
    }


def _is_everyone(suspects: Sequence[dict[str, Any]]) -> bool:
    """Return whether what the server would not have is no matter of single recipients."""
    last = [each["silent"] for each in suspects[-SILENCES:]]
    domains = {each["domain"] for each in suspects}
    many = len(suspects) >= REFUSALS and len(domains) >= DOMAINS
    return (len(last) == SILENCES and all(last)) or many or len(suspects) >= ANYWHERE
