"""How much one mailbox receives from all senders together: what is beyond it waits its turn.

Refusing would tell a sender that somebody else invited the same person.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .models import History, Invitation, MailState, Status
from .settings import Settings
from .turns import take_turn

DAY, MONTH = timedelta(days=1), timedelta(days=30)
OPTED_OUT = "opted out"
WHILE_ONE_LEAVES = timedelta(minutes=1)


def turn_of(session: Session, row: Invitation, settings: Settings) -> datetime | None:
    """Return when a mail's turn comes, in UTC, None for now.

    It holds the mailbox until the commit, so that two workers do not both find room.
    """
    if not (settings.mailbox_per_day or settings.mailbox_per_month):
        return None
    take_turn(session, f"mailbox:{row.recipient_hash}")
    if _is_one_leaving(session, row):
        return now() + WHILE_ONE_LEAVES
    return next_turn(session, row.recipient_hash, settings, row.id)


def next_turn(
    session: Session, recipient_hash: str, settings: Settings, number: int = 0
) -> datetime | None:
    """Return when a mailbox has room for one mail more, in UTC, None for now.

    :param number: the invitation whose mail it is, 0 for one that is not made yet.
    """
    limits = ((settings.mailbox_per_day, DAY), (settings.mailbox_per_month, MONTH))
    received = _received(session, recipient_hash, number)
    opens = [_opens_at(received, limit, length) for limit, length in limits if limit]
    return max((each for each in opens if each is not None), default=None)


def _is_one_leaving(session: Session, row: Invitation) -> bool:
    other = Invitation
    query = sa.select(other.id).where(
        other.recipient_hash == row.recipient_hash,
        other.mail_state == MailState.SENDING,
        other.id != row.id,
    )
    return session.scalar(query.limit(1)) is not None


def _received(session: Session, recipient_hash: str, number: int) -> list[datetime]:
    """Return when mails left for the mailbox in the longest window, the newest first.

    One whose end is unknown may have arrived; this mail's own repetition is the same mail.
    What only seemed to leave counts as well, so that its sender cannot tell it apart.
    """
    note, other = History, Invitation
    lost = sa.and_(note.action == "unknown", note.invitation_id != number)
    seemed = sa.and_(note.action == "skip", note.reason.in_((OPTED_OUT, Status.DECLINED)))
    query = (
        sa.select(note.at)
        .join(other, other.id == note.invitation_id)
        .where(
            other.recipient_hash == recipient_hash,
            sa.or_(note.action == "send", lost, seemed),
            note.at > now() - MONTH,
        )
        .order_by(note.at.desc())
    )
    return list(session.scalars(query))


def _opens_at(received: list[datetime], limit: int, length: timedelta) -> datetime | None:
    """Return when there is room again, None where there is some now."""
    counted = [at for at in received if at > now() - length]
    return counted[limit - 1] + length if len(counted) >= limit else None
