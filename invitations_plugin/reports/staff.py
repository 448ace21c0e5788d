"""What staff sent, by the day: in one they may send as many as a customer does in years."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from .inviters import scope_of
from .models import FigureDelta, InviterFigure, InviterMoney, MoneyDelta
from .periods import Period
from .rows import STAFF


def number(period: Period, name: str, days: Any) -> sa.ColumnElement[int]:
    """Return as SQL one count (or ``amount``) of what staff sent on some days, folded or not yet.

    :param days: an interval, or a row of :func:`~.spans.spans`.
    """
    row, delta = InviterFigure, MoneyDelta if name == "amount" else FigureDelta
    folded = sa.select(sa.func.sum(getattr(row, name))).where(*_folded(row, period, days))
    fresh = sa.select(sa.func.sum(getattr(delta, name))).where(*_told(delta, period, days))
    one, other = (sa.func.coalesce(each.scalar_subquery(), 0) for each in (folded, fresh))
    return one + other


def bought(period: Period, days: Any) -> Sequence[sa.Select[Any]]:
    """Return queries of what those whom staff invited bought, each with the day or the moment."""
    row, delta, nothing = InviterMoney, MoneyDelta, sa.null()
    day, moment = sa.cast(nothing, sa.Date()), sa.cast(nothing, sa.DateTime())

    def columns(table: Any, *when: Any) -> list[Any]:
        return [*when, table.inviter_key, table.currency, table.orders, table.amount]

    return [
        sa.select(*columns(row, row.first, moment)).where(*_folded(row, period, days)),
        sa.select(*columns(delta, day, delta.sent_at)).where(*_told(delta, period, days)),
    ]


def _folded(table: Any, period: Period, days: Any) -> list[sa.ColumnElement[bool]]:
    return [
        table.timezone == period.timezone,
        table.scope == scope_of(period),
        table.unit == "day",
        table.first.between(days.first, days.last),
        table.inviter_key == STAFF,
    ]


def _told(table: Any, period: Period, days: Any) -> list[sa.ColumnElement[bool]]:
    here = [table.sent_at >= days.begins, table.sent_at < days.ends]
    return [table.inviter_key == STAFF, *here, *period.within(table)]
