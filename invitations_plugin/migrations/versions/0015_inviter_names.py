"""Names of inviters kept beside their figures: a report sorts and searches no invitations.

Nothing is read here, so it is quick however many invitations there are: the worker counts the
figures anew and keeps the names with it, and until then reports read the rows.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from invitations_plugin.reports import folding, triggers

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLE = "invitations_inviter_name"
LENGTHS = {"name": 255, "email": 320}


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("inviter_key", sa.String(length=255), nullable=False),
        *(
            sa.Column(name, _sorted_text(length), nullable=False)
            for name, length in LENGTHS.items()
        ),
        sa.PrimaryKeyConstraint("inviter_key", name=f"pk_{TABLE}"),
        sqlite_with_rowid=False,
    )
    for name in LENGTHS:
        op.create_index(f"ix_{TABLE}_lower_{name}", TABLE, [sa.text(f"lower({name})")])
    triggers.create(op.get_bind(), ["name"])
    folding.forget(op.get_bind())


def downgrade() -> None:
    triggers.drop(op.get_bind(), ["name"])
    op.drop_table(TABLE)


def _sorted_text(length: int) -> sa.types.TypeEngine[str]:
    on_postgresql = postgresql.VARCHAR(length, collation="C")
    return sa.String(length).with_variant(on_postgresql, "postgresql")
