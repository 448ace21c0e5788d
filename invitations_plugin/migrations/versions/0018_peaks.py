"""The most that an inviter had in a day or week, so that lists sorted by a count look at few.

Nothing is counted here: the worker counts the figures anew, and until then reports read the rows.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from invitations_plugin.reports import folding

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLE, STATE = "invitations_inviter_peak", "invitations_figure_state"
KEYS: dict[str, sa.types.TypeEngine[Any]] = {
    "timezone": sa.String(64),
    "unit": sa.String(8),
    "month": sa.Date(),
}


def upgrade() -> None:
    op.create_table(
        TABLE,
        *(sa.Column(name, kind, nullable=False) for name, kind in KEYS.items()),
        sa.Column("inviter_key", sa.String(255), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("sent", "accepted", "purchased")
        ),
        sa.PrimaryKeyConstraint(*KEYS, "inviter_key", name=f"pk_{TABLE}"),
        sqlite_with_rowid=False,
    )
    folding.forget(op.get_bind())


def downgrade() -> None:
    op.drop_table(TABLE)
    op.execute(f"DELETE FROM {STATE} WHERE name LIKE 'peaks %'")  # noqa: S608  # a name of ours
    folding.forget(op.get_bind())
