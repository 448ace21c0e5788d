"""Intervals as a table that a query can join, on both databases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..models import Invitation
from .periods import Interval

KEPT = "%Y-%m-%d %H:%M:%S.%f"  # as SQLite compares moments

Types = Mapping[str, sa.types.TypeEngine[Any]]
TYPES: Final[Types] = {
    "place": sa.Integer(),
    "first": sa.Date(),
    "last": sa.Date(),
    "begins": sa.DateTime(),
    "ends": sa.DateTime(),
}


def spans(db: Session, intervals: Sequence[Interval]) -> sa.Subquery | sa.CTE:
    """Return the intervals with their ``place``, ``first`` and ``last`` day, and the moments
    when each ``begins`` and ``ends``.

    SQLite reads the document once, and not again for each row that is joined.
    """
    rows = [{"place": place, **span(each)} for place, each in enumerate(intervals)]
    return as_table(db, rows, TYPES)


def as_table(db: Session, rows: Sequence[Mapping[str, Any]], types: Types) -> sa.Subquery | sa.CTE:
    """Return rows as a table that a query can join, whose columns have those types."""
    document = sa.literal(json.dumps(rows), sa.Text())
    if db.get_bind(Invitation).dialect.name == "postgresql":
        given = sa.func.json_to_recordset(sa.cast(document, sa.JSON()))
        columns = [sa.column(name, kind) for name, kind in types.items()]
        listed = given.table_valued(*columns).render_derived(with_types=True)
        return sa.select(*listed.c).subquery()
    each = sa.func.json_each(document).table_valued("value").c.value
    parts = [
        sa.func.json_extract(each, f"$.{name}", type_=kind).label(name)
        for name, kind in types.items()
    ]
    return sa.select(*parts).cte().prefix_with("MATERIALIZED")


def span(interval: Interval) -> dict[str, str]:
    """Return an interval as :func:`as_table` takes it."""
    return {
        "first": interval.first.isoformat(),
        "last": interval.last.isoformat(),
        "begins": f"{interval.begins:{KEPT}}",
        "ends": f"{interval.ends:{KEPT}}",
    }
