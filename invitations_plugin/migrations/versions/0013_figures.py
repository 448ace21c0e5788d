"""Figures of reports kept beside the invitations, and what is bought by who accepted.

Nothing is counted here, so it is quick however many invitations there are: the worker does
it afterwards, and until then reports read the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from invitations_plugin.reports import triggers

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FIGURE, INVITER = "invitations_figure", "invitations_inviter_figure"
DELTA, STATE = "invitations_figure_delta", "invitations_figure_state"
PURCHASE = "invitations_purchase"
COUNTS = ("sent", "accepted", "discarded", "purchased")


def upgrade() -> None:
    _create_deltas()
    place = ["website", "store_view"]
    _create_figures(FIGURE, ["timezone", "day", *place], sa.BigInteger)
    _create_figures(INVITER, ["timezone", "month", *place, "inviter_key"], sa.Integer)
    op.create_table(
        STATE,
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("timezones", sa.JSON(), nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.Column("done_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=f"pk_{STATE}"),
    )
    _create_purchases()
    triggers.create(op.get_bind(), triggers.COUNTING)


def downgrade() -> None:
    triggers.drop(op.get_bind(), triggers.COUNTING)
    for name in (PURCHASE, STATE, INVITER, FIGURE, DELTA):
        op.drop_table(name)


def _create_deltas() -> None:
    op.create_table(
        DELTA,
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("invitation_id", BIG_ID, nullable=False),
        sa.Column("inviter_key", sa.String(length=255), nullable=False),
        sa.Column("website", sa.String(length=64), nullable=False),
        sa.Column("store_view", sa.String(length=64), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS),
        sa.PrimaryKeyConstraint("id", name=f"pk_{DELTA}"),
        sqlite_autoincrement=True,
    )
    op.create_index(f"ix_{DELTA}_invitation_id", DELTA, ["invitation_id"])


def _create_figures(name: str, keys: Sequence[str], count: type[sa.Integer]) -> None:
    types: dict[str, sa.types.TypeEngine[Any]] = {
        "day": sa.Date(),
        "month": sa.Date(),
        "inviter_key": sa.String(length=255),
    }
    op.create_table(
        name,
        *(sa.Column(each, types.get(each, sa.String(length=64)), nullable=False) for each in keys),
        *(sa.Column(each, count(), nullable=False) for each in COUNTS),
        sa.PrimaryKeyConstraint(*keys, name=f"pk_{name}"),
    )


def _create_purchases() -> None:
    op.create_table(
        PURCHASE,
        sa.Column("invitation_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("website", sa.String(length=64), nullable=False),
        sa.Column("store_view", sa.String(length=64), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("invitation_id", "currency", name=f"pk_{PURCHASE}"),
    )
    op.create_index(f"ix_{PURCHASE}_sent_at_invitation_id", PURCHASE, ["sent_at", "invitation_id"])
