"""The Message-ID of each try in the history, and an index of an address's latest invitations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INVITATION, HISTORY = "invitations_invitation", "invitations_history"
BY_ADDRESS, BY_ADDRESS_AND_ID = f"ix_{INVITATION}_email_hash", f"ix_{INVITATION}_email_hash_id"


def upgrade() -> None:
    op.add_column(HISTORY, sa.Column("message_id", sa.String(length=255), nullable=True))
    op.create_index(BY_ADDRESS_AND_ID, INVITATION, ["email_hash", "id"])
    op.drop_index(BY_ADDRESS, table_name=INVITATION)


def downgrade() -> None:
    op.create_index(BY_ADDRESS, INVITATION, ["email_hash"])
    op.drop_index(BY_ADDRESS_AND_ID, table_name=INVITATION)
    op.drop_column(HISTORY, "message_id")
