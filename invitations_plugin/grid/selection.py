"""What a mass action is about, and its ids chunk after chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .. import scope
from ..database import among
from ..models import connection_of
from .columns import TABLE as I
from .narrowing import few
from .query import Query


@dataclass(frozen=True, slots=True)
class Selection:
    """What an action is about: some ids, or all that a query matches up to an id.

    ``websites`` are those of whoever makes it, None for all; others' rows are not in it.
    """

    ids: Sequence[int] = ()
    query: Query | None = None
    upto: int = 0
    exclude: Sequence[int] = ()
    websites: scope.Websites = field(default_factory=scope.websites)

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the selection as SQL."""
        limits = scope.within(self.websites)
        if self.query is None:
            return [among(I.id, self.ids), *limits]
        chosen = [*self.query.conditions, I.id <= self.upto, *limits]
        return [*chosen, ~among(I.id, self.exclude)] if self.exclude else chosen


def next_ids(session: Session, selection: Selection, position: int, number: int) -> list[int]:
    """Return up to so many ids of a selection behind a place, ascending."""
    query = sa.select(I.id).where(*selection.conditions(), I.id > position)
    connection = connection_of(session)
    narrowed = few(connection, selection.query.given) if selection.query is not None else None
    if narrowed is not None:
        query = query.where(among(I.id, narrowed[0]))
    return list(connection.scalars(query.order_by(I.id).limit(number)))
