"""Signs of life of workers, alarms, and an index of the tries of mails."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TRIES = "ix_invitations_history_tries"
IS_TRY = sa.text("message_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "invitations_worker",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.Column("did", sa.JSON(), nullable=True),
        sa.Column("did_at", sa.DateTime(), nullable=True),
        sa.Column("refused", sa.String(length=255), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_invitations_worker"),
    )
    op.create_table(
        "invitations_alarm",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("told_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_invitations_alarm"),
    )
    op.create_index(
        TRIES,
        "invitations_history",
        ["action", "at"],
        sqlite_where=IS_TRY,
        postgresql_where=IS_TRY,
    )


def downgrade() -> None:
    op.drop_index(TRIES, "invitations_history")
    for name in ("invitations_alarm", "invitations_worker"):
        op.drop_table(name)
