"""The back office's grid: filters, sort and pages as SQL; it knows no HTML."""

from __future__ import annotations

from .columns import (
    COLUMN_OF,
    COLUMNS,
    DEFAULT_COLUMNS,
    FILTERS,
    FILTERS_ALONE,
    Bought,
    Column,
    Kind,
)
from .pages import LOOKED_THROUGH, Page, Total, count_all, highest_id, read_page
from .query import (
    DENSITIES,
    EXACTLY,
    INVITED_BY_STAFF,
    LAST,
    LONGEST,
    SIZES,
    Condition,
    Query,
    read_query,
)
from .selection import Selection, next_ids

__all__ = [
    "COLUMNS",
    "COLUMN_OF",
    "DEFAULT_COLUMNS",
    "DENSITIES",
    "EXACTLY",
    "FILTERS",
    "FILTERS_ALONE",
    "INVITED_BY_STAFF",
    "LAST",
    "LONGEST",
    "LOOKED_THROUGH",
    "SIZES",
    "Bought",
    "Column",
    "Condition",
    "Kind",
    "Page",
    "Query",
    "Selection",
    "Total",
    "count_all",
    "highest_id",
    "next_ids",
    "read_page",
    "read_query",
]
