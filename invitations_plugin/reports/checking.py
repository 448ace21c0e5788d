"""Whether the figures are those of the rows: a check that operators have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..models import Invitation
from .counting import generation_of, row_sums
from .folding import COUNTS, add_up, local_day, read_state, zones_of
from .models import Figure, FigureDelta, InviterFigure

I = Invitation  # noqa: E741  # named once, used on every line below
D = FigureDelta
QUARTER: Final = 900  # seconds
SECONDS: Final = sa.literal_column(str(QUARTER), sa.Integer)  # no parameter: it is grouped by
Zones = dict[str, list[str]]
Sums = dict[tuple[Any, ...], list[int]]


def check_figures(db: Session, first: int = 0, last: int = 0) -> Sequence[str]:
    """The figures of the reports are those of the rows.

    Each of the figures that is not is named by its zone and store view, with its day or its
    inviter. Rows and figures are read as of one moment. While figures are counted anew there
    is nothing to compare. ``first`` and ``last`` do not matter: all of them are looked at.
    """
    generation = generation_of(db)
    if generation is None:
        return []
    zones: Zones = read_state(db).timezones  # type: ignore[union-attr]
    found = [*_days(db, zones), *_inviters(db, zones)]
    return found if generation_of(db) == generation else []


def _days(db: Session, zones: Zones) -> Iterator[str]:
    quarter, place = _quarter(db), ["website", "store_view"]
    kept = sa.select(Figure.timezone, Figure.day, sa.null(), *_of(Figure, place))
    nothing = (sa.null(), sa.type_coerce(sa.null(), sa.Date()))
    fresh = sa.select(*nothing, quarter(D.sent_at), *_of(D, place))
    rows = _minus(sa.select(*nothing, quarter(I.sent_at), I.website, I.store_view), quarter)
    sums: Sums = defaultdict(lambda: [0, 0, 0, 0])
    for timezone, day, number, website, view, *counts in db.execute(
        sa.union_all(kept, fresh, rows)
    ):
        for zone in [timezone] if timezone else zones_of(view, zones):
            there = day or local_day(_moment(number), zone)
            add_up(sums[zone, website, view, there.isoformat()], counts)
    return _named(sums)


def _inviters(db: Session, zones: Zones) -> Iterator[str]:
    place = ["website", "store_view", "inviter_key"]
    keys = [getattr(InviterFigure, name) for name in place]
    summed = [sa.cast(sa.func.sum(getattr(InviterFigure, name)), sa.Integer) for name in COUNTS]
    kept = sa.select(InviterFigure.timezone, *keys, *summed).group_by(InviterFigure.timezone, *keys)
    fresh = sa.select(sa.null(), *_of(D, place))
    rows = _minus(sa.select(sa.null(), I.website, I.store_view, I.inviter_key))
    sums: Sums = defaultdict(lambda: [0, 0, 0, 0])
    both: Iterable[Sequence[Any]] = db.execute(sa.union_all(kept, fresh, rows))
    for timezone, website, view, key, *counts in both:
        for zone in [timezone] if timezone else zones_of(view, zones):
            add_up(sums[zone, website, view, f"inviter {key or '-'}"], counts)
    return _named(sums)


def _of(table: Any, place: Sequence[str]) -> list[Any]:
    return [getattr(table, name) for name in (*place, *COUNTS)]


def _minus(query: Any, *quarter: Any) -> Any:
    """Return a query of the rows that were sent, grouped, with their counts below zero."""
    keys = [I.website, I.store_view, *(each(I.sent_at) for each in quarter)]
    if not quarter:
        keys.append(I.inviter_key)
    counts = [-each for each in row_sums()]
    return query.add_columns(*counts).where(I.sent_at.is_not(None)).group_by(*keys)


def _quarter(db: Session) -> Any:
    """Return what gives the number of a quarter of an hour as SQL."""
    if db.get_bind(I).dialect.name == "postgresql":
        return lambda column: sa.cast(
            sa.func.floor(sa.func.extract("epoch", column) / SECONDS), sa.BigInteger
        )
    return lambda column: sa.cast(sa.func.strftime("%s", column), sa.Integer) // SECONDS


def _moment(quarter: int) -> datetime:
    return datetime.fromtimestamp(quarter * QUARTER, UTC).replace(tzinfo=None)


def _named(sums: Sums) -> Iterator[str]:
    return (" ".join(key) for key, counts in sorted(sums.items()) if any(counts))
