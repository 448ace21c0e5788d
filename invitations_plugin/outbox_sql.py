"""The statements that each mail needs, built once: building one takes longer than it runs."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from .models import Invitation, MailState, Outbox, OutboxState
from .opt_outs import is_among_opted_out

_MAIL, _ROW = Outbox.__table__, Invitation.__table__
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

MARK_INVITATION: Final = (
    sa.update(_ROW)  # type: ignore[arg-type]
    .where(_NUMBER, _ROW.c.version == sa.bindparam("as_read"))
    .values(mail_state=MailState.SENDING, existing_customer=sa.bindparam("is_customer"))
)

KEEP: Final = (
    sa.update(_MAIL)  # type: ignore[arg-type]
    .where(_MAIL.c.claim == sa.bindparam("held_by"), _MAIL.c.state == OutboxState.CLAIMED)
    .values(lease_until=sa.bindparam("until"))
)

CLOSE: Final = sa.delete(_MAIL).where(_MINE)  # type: ignore[arg-type]
