"""Who stopped a mass action."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLE = "invitations_job"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("stopper_key", sa.String(length=255), nullable=True))
    op.add_column(TABLE, sa.Column("stopper_name", sa.String(length=255), nullable=True))


def downgrade() -> None:
    op.drop_column(TABLE, "stopper_name")
    op.drop_column(TABLE, "stopper_key")
