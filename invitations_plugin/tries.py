"""What became of the tries of mails of late: how many, and what mail servers said.

Read from the history by an index of the tries, so that it costs what the last day holds
and not what the table does.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from .clock import now
from .models import History, Invitation
from .scope import websites, within
from .text import without_addresses

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ACTIONS: Final = {"send": "sent", "defer": "deferred", "fail": "failed", "unknown": "unknown"}
MOST_TEXTS = 1000  # different answers that are read for the reasons
MOST_REASONS = 10
# A server's own numbers, which differ from mail to mail in an answer that means the same.
OWN = re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])\w{8,}\b|\b\d{6,}\b")


@dataclass(frozen=True, slots=True)
class Rates:
    """How many tries of mails ended so within some time."""

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    unknown: int = 0


def rates(db: Session) -> tuple[Rates, Rates]:
    """Return what became of the tries of the last hour, and of the last day."""
    row, at = History, now()
    in_hour = sa.func.sum(sa.case((row.at >= at - HOUR, 1), else_=0))
    query = sa.select(row.action, in_hour, sa.func.count()).group_by(row.action)
    found = db.execute(_tries(query, *ACTIONS)).all()
    hour = {ACTIONS[action]: int(number) for action, number, _ in found}
    day = {ACTIONS[action]: int(number) for action, _, number in found}
    return Rates(**hour), Rates(**day)


def _tries(query: Any, *actions: str) -> Any:
    """Keep to the tries of the last day, of the websites that the reader may know of."""
    row = History
    query = query.select_from(row).where(
        row.message_id.is_not(None), row.action.in_(actions), row.at >= now() - DAY
    )
    if websites() is None:
        return query
    return query.join(Invitation, Invitation.id == row.invitation_id).where(*within(websites()))


def reasons(db: Session) -> list[tuple[str, int]]:
    """Return why mails did not leave in the last day, each with its number, the most first.

    Addresses and a server's own numbers are left out, so that one reason stands once.
    """
    number = sa.func.count()
    query = sa.select(History.reason, number).group_by(History.reason)
    query = _tries(query, "defer", "fail", "unknown").order_by(number.desc(), History.reason)
    counted: Counter[str] = Counter()
    for text, many in db.execute(query.limit(MOST_TEXTS)):
        counted[_in_general(text or "")] += many
    return counted.most_common(MOST_REASONS)


def _in_general(text: str) -> str:
    return OWN.sub("…", without_addresses(text))


def suspected_twice(db: Session) -> int:
    """Return how many mails of the last day may have arrived twice.

    Nobody knows how one try ended, and another one followed it.
    """
    row, other = History, aliased(History)
    followed = sa.exists().where(
        other.invitation_id == row.invitation_id,
        other.message_id == row.message_id,
        other.id > row.id,
        other.action.in_(("send", "unknown")),
    )
    query = sa.select(sa.func.count(sa.distinct(row.message_id)))
    return db.scalar(_tries(query, "unknown").where(followed)) or 0
