"""What was changed in the configuration, and by whom; which invitations are to be forgotten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLE = "invitations_setting_change"
CLOSED = "ix_invitations_invitation_closed_expires_at"
IS_CLOSED = "email IS NOT NULL AND status NOT IN ('not_sent', 'sent', 'accepted')"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("actor_key", sa.String(length=255), nullable=False),
        sa.Column("actor_name", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("scope_code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("old_value", sa.JSON(), nullable=True),
        sa.Column("new_value", sa.JSON(), nullable=True),
        sa.Column("undoes", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "scope IN ('default', 'website', 'store')", name="ck_invitations_setting_change_scope"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_invitations_setting_change"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        f"ix_{TABLE}_scope_scope_code_name_id", TABLE, ["scope", "scope_code", "name", "id"]
    )
    op.create_index(
        CLOSED,
        "invitations_invitation",
        ["expires_at"],
        sqlite_where=sa.text(IS_CLOSED),
        postgresql_where=sa.text(IS_CLOSED),
    )


def downgrade() -> None:
    op.drop_index(CLOSED, "invitations_invitation")
    op.drop_table(TABLE)
