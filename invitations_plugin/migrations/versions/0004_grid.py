"""Indexes for every sort and filter of the grid."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from invitations_plugin import searchable

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = "invitations_invitation"
START = "substr(message, 1, 40)"
KNOWN = sa.text("message IS NOT NULL")
INDEXES: dict[str, list[str]] = {
    "expires_at_id": ["expires_at", "id"],
    "lower_inviter_name": ["lower(inviter_name)", "id"],
    "lower_inviter_email": ["lower(inviter_email)", "id"],
    "lower_email": ["lower(email)", "id"],
    "mail_state_id": ["mail_state", "id"],
    "status_sent_at_id": ["status", "sent_at", "id"],
    "status_website_group_code_sent_at_id": ["status", "website", "group_code", "sent_at", "id"],
}
BEFORE = ("inviter_email", "email")


def upgrade() -> None:
    _sort_by_code_point("C")
    for column in BEFORE:
        op.drop_index(f"ix_{TABLE}_{column}_id", TABLE)
    for name, columns in INDEXES.items():
        op.create_index(f"ix_{TABLE}_{name}", TABLE, [sa.text(each) for each in columns])
    op.create_index(
        f"ix_{TABLE}_message_start",
        TABLE,
        [sa.text(START), sa.text("id")],
        sqlite_where=KNOWN,
        postgresql_where=KNOWN,
    )


def downgrade() -> None:
    searchable.drop(op.get_bind())  # what upgrade() makes once the tables are up to date
    for name in (*INDEXES, "message_start"):
        op.drop_index(f"ix_{TABLE}_{name}", TABLE)
    for column in BEFORE:
        op.create_index(f"ix_{TABLE}_{column}_id", TABLE, [column, "id"])
    _sort_by_code_point("default")


def _sort_by_code_point(collation: str) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return  # SQLite always does
    for column, kind in (("inviter_name", "varchar(255)"), ("message", "text")):
        op.execute(f'ALTER TABLE {TABLE} ALTER COLUMN {column} TYPE {kind} COLLATE "{collation}"')
