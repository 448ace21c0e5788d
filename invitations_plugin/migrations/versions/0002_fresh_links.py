"""Who asks for a fresh link, an index of what senders see, and the end of counted windows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ASKED = sa.text("asked_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("invitations_invitation", sa.Column("asked_at", sa.DateTime(), nullable=True))
    op.create_index(
        "ix_invitations_invitation_inviter_key_asked_id",
        "invitations_invitation",
        ["inviter_key", "id"],
        sqlite_where=ASKED,
        postgresql_where=ASKED,
    )
    op.create_index(
        "ix_invitations_invitation_inviter_key_seen",
        "invitations_invitation",
        ["inviter_key", "id", "status", "mail_state", "expires_at", "sender_canceled"],
    )
    op.drop_index("ix_invitations_invitation_inviter_key_id", table_name="invitations_invitation")
    op.add_column("invitations_quota", sa.Column("ends_at", sa.DateTime(), nullable=True))
    # Counts of a minute, whose end nobody wrote down.
    op.execute("DELETE FROM invitations_quota WHERE subject LIKE 'guess:%'")


def downgrade() -> None:
    # Straight, not by a batch: that would make the table anew and, with foreign keys on,
    # take its history and its mails along.
    op.execute("DELETE FROM invitations_quota WHERE ends_at IS NOT NULL")
    op.drop_column("invitations_quota", "ends_at")
    op.create_index(
        "ix_invitations_invitation_inviter_key_id", "invitations_invitation", ["inviter_key", "id"]
    )
    op.drop_index("ix_invitations_invitation_inviter_key_seen", table_name="invitations_invitation")
    op.drop_index(
        "ix_invitations_invitation_inviter_key_asked_id", table_name="invitations_invitation"
    )
    op.drop_column("invitations_invitation", "asked_at")
