"""The statements that each mail needs, built once: building one takes longer than it runs."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from .lifecycle import MOVE, NOTE
from .mailboxes import HAS_ROOM
from .models import History, Invitation, MailState, Outbox, OutboxState, Status
from .opt_outs import is_among_opted_out

_MAIL, _ROW, _NOTE = Outbox.__table__, Invitation.__table__, History.__table__
NOTED: Final = [name for name in _NOTE.c.keys() if name != "id"]  # noqa: SIM118  # no mapping
AS_SENT: Final = ("status", "sent_at", "last_sent_at", "mail_state", "mail_error", "mail_tries")
_NUMBER: Final = _ROW.c.id == sa.bindparam("number")
_MINE: Final = sa.and_(_MAIL.c.id == sa.bindparam("mail"), _MAIL.c.claim == sa.bindparam("held_by"))

READ: Final = sa.select(*_ROW.c, is_among_opted_out(_ROW.c.recipient_hash)).where(_NUMBER)
"""An invitation, and whether its mailbox opted out."""

READ_AND_HOLD: Final = READ.with_for_update(key_share=True, of=_ROW)
"""The same, and nobody changes it until the commit."""

READ_IF_FREE: Final = READ.with_for_update(key_share=True, of=_ROW, skip_locked=True)
"""The same without a wait for somebody who changes it: then there is none."""

MARK_MAIL: Final = (
    sa.update(_MAIL)  # type: ignore[arg-type]
    .where(_MINE)
    .values(state=OutboxState.SENDING, lease_until=sa.bindparam("until"))
)

_MARKING: Final = sa.update(_ROW).values(  # type: ignore[arg-type]
    mail_state=MailState.SENDING, existing_customer=sa.bindparam("is_customer")
)
_IS_AS_READ: Final = sa.and_(_NUMBER, _ROW.c.version == sa.bindparam("as_read"))

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

_FREE: Final = _MAY_LEAVE.cte("free")
_BEGUN: Final = MARK_MAIL.where(sa.exists(sa.select(_FREE.c.id))).returning(_MAIL.c.id).cte("begun")
MARK_BOTH: Final = _MARKING.where(
    _ROW.c.id.in_(sa.select(_FREE.c.id)), sa.exists(sa.select(_BEGUN.c.id))
)
"""That and :data:`MARK_MAIL` in one statement, as PostgreSQL can: each is a round trip."""

KEEP: Final = (
    sa.update(_MAIL)  # type: ignore[arg-type]
    .where(_MAIL.c.claim == sa.bindparam("held_by"), _MAIL.c.state == OutboxState.CLAIMED)
    .values(lease_until=sa.bindparam("until"))
)

CLOSE: Final = sa.delete(_MAIL).where(_MINE)  # type: ignore[arg-type]

_CLOSED: Final = CLOSE.returning(_MAIL.c.id).cte("closed")
_IS_CLOSED: Final = sa.exists(sa.select(_CLOSED.c.id))
_MOVED: Final = (
    MOVE.where(_IS_CLOSED)
    .values({name: sa.bindparam(f"new_{name}", type_=_ROW.c[name].type) for name in AS_SENT})
    .returning(_ROW.c.id)
    .cte("moved")
)
_SAID: Final = [sa.bindparam(f"said_{name}", type_=_NOTE.c[name].type) for name in NOTED]
_NOTED: Final = NOTE.from_select(NOTED, sa.select(*_SAID).select_from(_MOVED)).cte("noted")
SENT: Final = sa.select(_IS_CLOSED, sa.exists(sa.select(_MOVED.c.id))).add_cte(_NOTED)
"""The end of a mail that the server took in one statement, as PostgreSQL can: whether the row
was this worker's, and whether its invitation was as it was read, so that it moved.
"""
