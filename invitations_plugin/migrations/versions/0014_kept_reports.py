"""Figures of inviters by scope, and of what was bought: no report looks at the rows for them.

Nothing is counted here, so it is quick however many invitations there are: the worker counts
the figures anew, and until then reports read the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from invitations_plugin.reports import triggers

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INVITER, STATE = "invitations_inviter_figure", "invitations_figure_state"
MONEY, DELTA = "invitations_money_figure", "invitations_money_delta"
BROUGHT: Final = "invitations_inviter_money"
COUNTS: Final = ("sent", "accepted", "discarded", "purchased")
LENGTHS: Final[Mapping[str, int]] = {"scope": 80, "unit": 8, "inviter_key": 255, "currency": 8}
DAYS: Final = ("day", "month", "first")
BUSY: Final = ("invitations_figure_delta", DELTA)


def upgrade() -> None:
    op.drop_table(INVITER)
    _create_inviters("scope", "unit", "first")
    _create_money(MONEY, ["timezone", "day", "website", "store_view"], sa.BigInteger())
    _create_money(BROUGHT, ["timezone", "scope", "unit", "first", "inviter_key"], sa.Integer())
    _create_deltas()
    triggers.create(op.get_bind(), ["money"])
    if op.get_bind().dialect.name == "postgresql":
        for name in BUSY:  # read by every report, and emptied by the worker all the time
            op.execute(
                f"ALTER TABLE {name} SET (autovacuum_vacuum_scale_factor = 0,"
                " autovacuum_vacuum_threshold = 2000)"
            )
    _count_anew()


def downgrade() -> None:
    triggers.drop(op.get_bind(), ["money"])
    op.drop_table(DELTA)
    op.drop_table(BROUGHT)
    op.drop_table(MONEY)
    op.drop_table(INVITER)
    _create_inviters("month", "website", "store_view")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"ALTER TABLE {BUSY[0]} RESET"
            " (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)"
        )
    _count_anew()


def _create_inviters(*place: str) -> None:
    keys = ["timezone", *place, "inviter_key"]
    is_new = "scope" in place
    amount = [sa.Column("amount", sa.BigInteger(), nullable=False)] if is_new else []
    op.create_table(
        INVITER,
        *map(_key, keys),
        *(sa.Column(each, sa.Integer(), nullable=False) for each in COUNTS),
        *amount,
        sa.PrimaryKeyConstraint(*keys, name=f"pk_{INVITER}"),
        sqlite_with_rowid=not is_new,
    )


def _create_money(name: str, place: Sequence[str], orders: sa.types.TypeEngine[int]) -> None:
    keys = [*place, "currency"]
    op.create_table(
        name,
        *map(_key, keys),
        sa.Column("orders", orders, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*keys, name=f"pk_{name}"),
        sqlite_with_rowid=name == MONEY,
    )


def _create_deltas() -> None:
    op.create_table(
        DELTA,
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("invitation_id", BIG_ID, nullable=False),
        *map(_key, ("inviter_key", "website", "store_view")),
        sa.Column("sent_at", sa.DateTime(), nullable=False),
        _key("currency"),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{DELTA}"),
        sqlite_autoincrement=True,
    )
    op.create_index(f"ix_{DELTA}_invitation_id", DELTA, ["invitation_id"])


def _key(name: str) -> sa.Column[Any]:
    text = sa.String(length=LENGTHS.get(name, 64))
    kind: sa.types.TypeEngine[Any] = sa.Date() if name in DAYS else text
    return sa.Column(name, kind, nullable=False)


def _count_anew() -> None:
    """Let the worker count all figures again."""
    state = sa.table(
        STATE, sa.column("name"), sa.column("timezones", sa.JSON()), sa.column("is_whole")
    )
    known = sa.update(state).where(state.c.name == "figures")
    op.execute(known.values(timezones={}, is_whole=sa.false()))
