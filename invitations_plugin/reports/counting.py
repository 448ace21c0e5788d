"""Where a report's counts come from."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..models import Invitation, Status
from .periods import Period
from .spans import spans

I = Invitation  # noqa: E741  # named once, used on every line below
Sums = tuple[int, int, int, int]  # sent, accepted, discarded, purchased


def count(db: Session, period: Period) -> Mapping[int, Sums]:
    """Return the counts of each interval by its place; what has none is left out."""
    return count_rows(db, period)


def count_rows(db: Session, period: Period) -> Mapping[int, Sums]:
    """Return the same from the rows themselves: exact, and slow where there are many."""
    among = spans(db, period.intervals)
    query = (
        sa.select(among.c.place, sa.func.count(), *(is_now(each) for each in STATUSES))
        .select_from(among.join(I, sa.and_(I.sent_at >= among.c.begins, I.sent_at < among.c.ends)))
        .where(*period.within(I))
        .group_by(among.c.place)
    )
    return {
        place: (sent, accepted, discarded, 0)
        for place, sent, accepted, discarded in db.execute(query)
    }


STATUSES = (Status.ACCEPTED, Status.DISCARDED)


def is_now(status: Status) -> sa.ColumnElement[int]:
    """Return as SQL how many of some rows have a status."""
    return sa.func.sum(sa.case((I.status == status, 1), else_=0))
