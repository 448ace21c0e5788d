"""What was chosen in the grid, as JSON: a filter stays one, however many rows it matches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from . import scope
from .grid import FILTERS, Selection, read_query


def written(selection: Selection, timezone: str) -> dict[str, Any]:
    """Return a selection as it is kept; the days of its filter are those of a time zone."""
    websites = None if selection.websites is None else list(selection.websites)
    if selection.query is None:
        return {"ids": list(selection.ids), "websites": websites}
    return {
        "websites": websites,
        "filters": {name: text for name, text in selection.query.filters.items() if text},
        "timezone": selection.query.zone or timezone,
        "upto": selection.upto,
        "exclude": list(selection.exclude),
    }


def read(kept: Mapping[str, Any]) -> Selection:
    """Return a selection as it was written.

    :raises ValueError: when a filter is not known any more: without it, more would match.
    """
    websites = kept.get("websites")
    if "ids" in kept:
        return Selection(ids=kept["ids"], websites=websites)
    query = read_query(kept["filters"], kept["timezone"])
    if query.errors or not set(kept["filters"]) <= set(FILTERS):
        raise ValueError("A filter of this selection cannot be read.")
    return Selection(query=query, upto=kept["upto"], exclude=kept["exclude"], websites=websites)


def within_reach(db: Session, query: sa.Select[Any], selection: Any) -> Iterator[Any]:
    """Yield the rows whose selection, a column of theirs, lies within the reader's websites."""
    listed = query.add_columns(selection["websites"]).options(defer(selection))
    for row, websites in db.execute(listed):
        if scope.covers(websites):
            yield row


def arguments_of(kept: Mapping[str, Any], timezone: str) -> dict[str, Any]:
    """Return what shows the same filter in the grid of somebody in a time zone."""
    filters = filters_of(kept) or {}
    is_elsewhere = bool(filters) and kept.get("timezone", timezone) != timezone
    return {**filters, "zone": kept["timezone"]} if is_elsewhere else dict(filters)


def filters_of(kept: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return the filters whose every match was chosen, None where rows were picked."""
    filters: Mapping[str, str] | None = kept.get("filters")
    return filters
