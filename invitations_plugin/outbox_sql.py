"""The statements that each mail needs, built once: building one takes longer than it runs."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from .lifecycle import IS_AS_SEEN, MOVE, NOTE
from .mailboxes import HAS_ROOM, IS_LIMITED
from .models import History, Invitation, MailState, Outbox, OutboxState, Status
from .opt_outs import is_among_opted_out
from .turns import is_taken_as_seen

_MAIL, _ROW, _NOTE = Outbox.__table__, Invitation.__table__, History.__table__
NOTED: Final = [name for name in _NOTE.c.keys() if name != "id"]  # noqa: SIM118  # no mapping
AS_SENT: Final = ("status", "sent_at", "last_sent_at", "mail_state", "mail_error", "mail_tries")
_NUMBER: Final = _ROW.c.id == sa.bindparam("number")
_IS_HELD: Final = _MAIL.c.claim == sa.bindparam("held_by")
_MINE: Final = sa.and_(_MAIL.c.id == sa.bindparam("mail"), _IS_HELD)

READ: Final = sa.select(*_ROW.c, is_among_opted_out(_ROW.c.recipient_hash)).where(_NUMBER)
"""An invitation, and whether its mailbox opted out."""

READ_AND_HOLD: Final = READ.with_for_update(key_share=True, of=_ROW)
"""The same, and nobody changes it until the commit."""

MARK_MAIL: Final = (
    sa.update(_MAIL)  # type: ignore[arg-type]
    .where(_MAIL.c.id == sa.bindparam("leaving_mail"), _IS_HELD)
    .values(state=OutboxState.SENDING, lease_until=sa.bindparam("until"))
)

_MARKING: Final = sa.update(_ROW).values(  # type: ignore[arg-type]
    mail_state=MailState.SENDING, existing_customer=sa.bindparam("is_customer")
)
_IS_AS_READ: Final = sa.and_(
    _ROW.c.id == sa.bindparam("leaving"), _ROW.c.version == sa.bindparam("as_read")
)

MARK_INVITATION: Final = _MARKING.where(_IS_AS_READ)

_MAY_LEAVE: Final = (
    sa.select(_ROW.c.id)
    .where(
        _IS_AS_READ,
        _ROW.c.status == Status.NOT_SENT,
        _ROW.c.email == sa.bindparam("address"),
        ~is_among_opted_out(_ROW.c.recipient_hash),
        HAS_ROOM,
    )
    .with_for_update(key_share=True, of=_ROW, skip_locked=True)
)

MARK_AS_READ: Final = _MARKING.where(_ROW.c.id.in_(_MAY_LEAVE))
"""Mark an invitation that is still as it was read and whose mail may leave. Where somebody
changes it just now, it is not waited for.
"""


def _is_there(found: sa.CTE) -> sa.ColumnElement[bool]:
    return sa.exists(sa.select(found.c[0]))


def _mark_both(may_leave: sa.Select[Any]) -> Any:
    free = may_leave.cte("free")
    begun = MARK_MAIL.where(_is_there(free)).returning(_MAIL.c.id).cte("begun")
    return _MARKING.where(_ROW.c.id.in_(sa.select(free.c.id)), _is_there(begun))


MARK_BOTH: Final = _mark_both(_MAY_LEAVE)
"""That and :data:`MARK_MAIL` in one statement, as PostgreSQL can: each is a round trip."""

KEEP: Final = (
    sa.update(_MAIL)  # type: ignore[arg-type]
    .where(_IS_HELD, _MAIL.c.state == OutboxState.CLAIMED)
    .values(lease_until=sa.bindparam("until"))
)

CLOSE: Final = sa.delete(_MAIL).where(_MINE)  # type: ignore[arg-type]

MOVE_AS_SENT: Final = MOVE.values(
    {name: sa.bindparam(f"new_{name}", type_=_ROW.c[name].type) for name in AS_SENT}
)
_SAID: Final = {name: sa.bindparam(f"said_{name}", type_=_NOTE.c[name].type) for name in NOTED}
NOTE_AS_SENT: Final = NOTE.values(_SAID)


def _sent(*, waits: bool) -> tuple[sa.CTE, sa.CTE]:
    """Return the end of a mail: its invitation that moved, and its history."""
    held = sa.select(_ROW.c.id).where(IS_AS_SEEN)
    seen = held.with_for_update(key_share=True, skip_locked=not waits).cte("seen")
    closed = CLOSE.where(_is_there(seen)).returning(_MAIL.c.id).cte("closed")
    moved = MOVE_AS_SENT.where(_is_there(closed)).returning(_ROW.c.id).cte("moved")
    said = sa.select(*_SAID.values()).select_from(moved)
    return moved, NOTE.from_select(NOTED, said).cte("noted")


def _at_once() -> Any:
    moved, noted = _sent(waits=True)
    return sa.select(_is_there(moved)).add_cte(noted)


SENT: Final = _at_once()
"""The end of a mail that the server took in one statement, as PostgreSQL can: whether all of it
was done. Nothing was, where the row is not this worker's or its invitation not as it was read.
"""


def _with_the_next() -> Any:
    moved, noted = _sent(waits=False)
    is_done = _is_there(moved)
    has_turn = sa.or_(~IS_LIMITED, is_taken_as_seen(sa.and_(IS_LIMITED, is_done)))
    marked = _mark_both(_MAY_LEAVE.where(is_done, has_turn)).returning(_ROW.c.id).cte("marked")
    return sa.select(is_done, _is_there(marked)).add_cte(noted)


SENT_AND_MARKED: Final = _with_the_next()
"""That, the turn of the next one's mailbox and :data:`MARK_BOTH` in one statement: whether the
one ended, and whether the next one began. Several may be one transaction, so it waits for nobody
who holds the invitation.
"""
