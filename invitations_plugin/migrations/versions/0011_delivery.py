"""A mail server that refuses everybody, and the mails that come back from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "invitations_delivery"
OUTBOX = "invitations_outbox"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("suspects", sa.JSON(), nullable=False),
        sa.Column("shut_at", sa.DateTime(), nullable=True),
        sa.Column("probe_at", sa.DateTime(), nullable=True),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=f"pk_{TABLE}"),
    )
    # A worker of the older version goes on writing rows without it.
    op.add_column(OUTBOX, sa.Column("spared", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column(OUTBOX, "spared")
    op.drop_table(TABLE)
