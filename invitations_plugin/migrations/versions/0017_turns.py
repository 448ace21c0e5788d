"""An index of whose turn it is in the outbox, in place of one that made each claim look at all.

It is built in a moment: the outbox holds only what still has to leave.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

OUTBOX = "invitations_outbox"
TURN, OLDER = "ix_invitations_outbox_turn", "ix_invitations_outbox_state_due_at_id"
WAS_TRIED = sa.text("CAST(tries > 0 AS INTEGER)")


def upgrade() -> None:
    op.create_index(TURN, OUTBOX, ["state", WAS_TRIED, "due_at", "id"])
    op.drop_index(OLDER, OUTBOX)


def downgrade() -> None:
    op.create_index(OLDER, OUTBOX, ["state", "due_at", "id"])
    op.drop_index(TURN, OUTBOX)
