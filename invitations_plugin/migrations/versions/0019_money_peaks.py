"""The most that a day or week brought an inviter, so that lists sorted by revenue look at few.

Nothing is counted here: the worker counts the figures anew, and until then reports read the rows.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from invitations_plugin.reports import folding

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLE = "invitations_inviter_peak"


def upgrade() -> None:
    amount = sa.Column("amount", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column(TABLE, amount)
    folding.forget(op.get_bind())


def downgrade() -> None:
    op.drop_column(TABLE, "amount")
    folding.forget(op.get_bind())
