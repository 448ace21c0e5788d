"""Intervals as a table that a query can join, on both databases."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..models import Invitation
from .periods import Interval

KEPT = "%Y-%m-%d %H:%M:%S.%f"  # as SQLite compares moments


def spans(db: Session, intervals: Sequence[Interval]) -> sa.Subquery:
    """Return the intervals with their ``place``, and where each ``begins`` and ``ends``."""
    rows = [
        {"place": place, "begins": f"{each.begins:{KEPT}}", "ends": f"{each.ends:{KEPT}}"}
        for place, each in enumerate(intervals)
    ]
    document = sa.literal(json.dumps(rows), sa.Text())
    if db.get_bind(Invitation).dialect.name == "postgresql":
        given = sa.func.json_to_recordset(sa.cast(document, sa.JSON())).table_valued(
            sa.column("place", sa.Integer),
            sa.column("begins", sa.DateTime),
            sa.column("ends", sa.DateTime),
        )
        return sa.select(*given.render_derived(with_types=True).c).subquery("span")
    listed = sa.func.json_each(document).table_valued("value")
    return sa.select(
        sa.func.json_extract(listed.c.value, "$.place", type_=sa.Integer).label("place"),
        sa.func.json_extract(listed.c.value, "$.begins", type_=sa.DateTime).label("begins"),
        sa.func.json_extract(listed.c.value, "$.ends", type_=sa.DateTime).label("ends"),
    ).subquery("span")
