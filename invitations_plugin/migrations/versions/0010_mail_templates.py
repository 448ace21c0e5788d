"""Mail templates that staff write, with their versions and their faults."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEMPLATE = "invitations_mail_template"


def upgrade() -> None:
    op.create_table(
        TEMPLATE,
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("code", name=f"pk_{TEMPLATE}"),
    )
    op.create_table(
        f"{TEMPLATE}_version",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("contents", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("actor_key", sa.String(length=255), nullable=False),
        sa.Column("actor_name", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{TEMPLATE}_version"),
        sa.UniqueConstraint("code", "number", name=f"uq_{TEMPLATE}_version_code_number"),
        sa.ForeignKeyConstraint(
            ["code"],
            [f"{TEMPLATE}.code"],
            name=f"fk_{TEMPLATE}_version_code",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        f"{TEMPLATE}_fault",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=f"pk_{TEMPLATE}_fault"),
    )


def downgrade() -> None:
    for name in (f"{TEMPLATE}_fault", f"{TEMPLATE}_version", TEMPLATE):
        op.drop_table(name)
