"""The grid as each member of staff likes it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DEFAULT = sa.text("is_default")


def upgrade() -> None:
    op.create_table(
        "invitations_view",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("actor_key", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invitations_view"),
        sa.UniqueConstraint("actor_key", "name", name="uq_invitations_view_actor_key_name"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_invitations_view_default",
        "invitations_view",
        ["actor_key"],
        unique=True,
        sqlite_where=DEFAULT,
        postgresql_where=DEFAULT,
    )


def downgrade() -> None:
    op.drop_table("invitations_view")
