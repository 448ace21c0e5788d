"""How long it took until somebody accepted or bought, counted beside the other figures.

Nothing is counted here; only two indexes are built, in seconds at a million invitations: one of
an inviter's moments, and one of moments that tells whose they are, in place of one that does not.
The worker counts the figures anew, and until then reports read the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from invitations_plugin.reports import folding, triggers

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLE, DELTA = "invitations_time_figure", "invitations_figure_delta"
INVITATION = "invitations_invitation"
PLACE = ["website", "store_view"]
INDEXES = {
    "ix_invitations_invitation_inviter_key_when": ["inviter_key", "sent_at", *PLACE],
    "ix_invitations_invitation_sent_at_whose": ["sent_at", "id", "inviter_key", *PLACE],
}
OLDER = {"ix_invitations_invitation_sent_at_id": ["sent_at", "id"]}
MOMENTS = ("accepted_at", "bought_at")
KEYS = {"timezone": 64, "unit": 8, "first": 0, "website": 64, "store_view": 64, "what": 12}


def upgrade() -> None:
    connection = op.get_bind()
    triggers.drop(connection)
    for name in MOMENTS:
        op.add_column(DELTA, sa.Column(name, sa.DateTime(), nullable=True))
    op.create_table(
        TABLE,
        *(sa.Column(name, _type(length), nullable=False) for name, length in KEYS.items()),
        sa.Column("bucket", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*KEYS, "bucket", name=f"pk_{TABLE}"),
        sqlite_with_rowid=False,
    )
    _replace(OLDER, INDEXES)
    triggers.create(connection)
    folding.forget(connection)


def downgrade() -> None:
    connection = op.get_bind()
    triggers.drop(connection)
    _replace(INDEXES, OLDER)
    op.drop_table(TABLE)
    for name in MOMENTS:
        op.drop_column(DELTA, name)
    triggers.create(connection)
    folding.forget(connection)


def _replace(known: Mapping[str, list[str]], new: Mapping[str, list[str]]) -> None:
    for name, columns in new.items():
        op.create_index(name, INVITATION, columns)
    for name in known:
        op.drop_index(name, INVITATION)


def _type(length: int) -> sa.types.TypeEngine[Any]:
    return sa.String(length=length) if length else sa.Date()
