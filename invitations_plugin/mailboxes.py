"""How much one mailbox receives from all senders together: what is beyond it waits its turn.

Refusing would tell a sender that somebody else invited the same person.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from .clock import now
from .database import Runner
from .models import History, Invitation, MailState, Status
from .settings import Settings
from .turns import take_turn

DAY, MONTH = timedelta(days=1), timedelta(days=30)
OPTED_OUT = "opted out"
WHILE_ONE_LEAVES = timedelta(minutes=1)
ANY_NUMBER: Final = 2**31 - 1  # of mails where nothing limits them

# Under a name of their own, for a statement that changes an invitation asks about others.
_OTHER = Invitation.__table__.alias("another")
_NOTE, _ROW = History.__table__.c, _OTHER.c
_MINE: Final[sa.BindParameter[int]] = sa.bindparam("mine")
_ITS_OWN: Final = _ROW.recipient_hash == sa.bindparam("mailbox")
# One whose end is unknown may have arrived; this mail's own repetition is the same mail.
_LOST: Final = sa.and_(_NOTE.action == "unknown", _NOTE.invitation_id != _MINE)
# What only seemed to leave counts as well, so that its sender cannot tell it apart.
_SEEMED: Final = sa.and_(
    _NOTE.action == "skip", sa.or_(_NOTE.reason == OPTED_OUT, _NOTE.reason == Status.DECLINED)
)
RECEIVED: Final = (
    sa.select(_NOTE.at)
    .join(_OTHER, _ROW.id == _NOTE.invitation_id)
    .where(
        _ITS_OWN,
        sa.or_(_NOTE.action == "send", _LOST, _SEEMED),
        _NOTE.at > sa.bindparam("since"),
    )
    .order_by(_NOTE.at.desc())
)
"""When mails left for a mailbox in the longest window, the newest first."""

_IS_ONE_LEAVING: Final = sa.exists().where(
    _ITS_OWN, _ROW.mail_state == MailState.SENDING, _ROW.id != _MINE
)
_NUMBER: Final = (
    sa.select(sa.func.count()).select_from(RECEIVED.order_by(None).subquery()).scalar_subquery()
)
FILLING: Final = sa.select(_IS_ONE_LEAVING, _NUMBER)
"""Whether another mail leaves for a mailbox just now, and how many did in that window."""

_ROOM: Final = sa.bindparam("room", type_=sa.BigInteger())
IS_LIMITED: Final = _ROOM < ANY_NUMBER
HAS_ROOM: Final = sa.and_(~_IS_ONE_LEAVING, _ROOM > _NUMBER)
"""Whether a mailbox has room whenever they came, by what :func:`asked_of` gives."""


def turn_of(session: Runner, row: Invitation, settings: Settings) -> datetime | None:
    """Return when a mail's turn comes, in UTC, None for now.

    It holds the mailbox until the commit, so that two workers do not both find room.
    """
    given = asked_of(row, settings)
    if given["room"] == ANY_NUMBER:
        return None
    take_turn(session, turn_for(row))
    is_one_leaving, received = session.execute(FILLING, given).one()
    if is_one_leaving:
        return now() + WHILE_ONE_LEAVES
    if received < given["room"]:  # whenever they came
        return None
    return next_turn(session, row.recipient_hash, settings, row.id)


def asked_of(row: Invitation, settings: Settings) -> dict[str, Any]:
    """Return what a statement is given that asks about the mailbox of a mail."""
    limits = [each for each in (settings.mailbox_per_day, settings.mailbox_per_month) if each]
    room = min(limits, default=ANY_NUMBER)
    return {
        "mailbox": row.recipient_hash,
        "mine": row.id,
        "since": now() - MONTH,
        "room": room,
    }


def turn_for(row: Invitation) -> str:
    """Return the subject of a mailbox's turn."""
    return f"mailbox:{row.recipient_hash}"


def next_turn(
    session: Runner, recipient_hash: str, settings: Settings, number: int = 0
) -> datetime | None:
    """Return when a mailbox has room for one mail more, in UTC, None for now.

    :param number: the invitation whose mail it is, 0 for one that is not made yet.
    """
    limits = ((settings.mailbox_per_day, DAY), (settings.mailbox_per_month, MONTH))
    received = _received(session, recipient_hash, number)
    opens = [_opens_at(received, limit, length) for limit, length in limits if limit]
    return max((each for each in opens if each is not None), default=None)


def _received(session: Runner, recipient_hash: str, number: int) -> list[datetime]:
    """Return when mails left for the mailbox in the longest window, the newest first."""
    given = {"mailbox": recipient_hash, "mine": number, "since": now() - MONTH}
    return list(session.scalars(RECEIVED, given))


def _opens_at(received: list[datetime], limit: int, length: timedelta) -> datetime | None:
    """Return when there is room again, None where there is some now."""
    counted = [at for at in received if at > now() - length]
    return counted[limit - 1] + length if len(counted) >= limit else None
