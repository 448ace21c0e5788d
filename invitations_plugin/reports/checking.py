"""Whether the figures are those of the rows: a check that operators have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..models import Invitation, Status
from . import models, peaks, times
from .counting import generation_of
from .folding import (
    IS_BOUGHT,
    MONEY,
    OF_INVITER,
    Sums,
    add_up,
    local_day,
    read_state,
    spans_of,
)
from .names import row_names, told_keys
from .rows import COUNTS, row_sums
from .zones import Zones, scopes_of, zones_of

I = Invitation  # noqa: E741  # named once, used on every line below
D = models.FigureDelta
QUARTER: Final = 900  # seconds
SECONDS: Final = sa.literal_column(str(QUARTER), sa.Integer)  # no parameter: it is grouped by
PLACE: Final = ("website", "store_view")
IS_SENT: Final = I.sent_at.is_not(None)
_Numbers = dict[tuple[Any, ...], list[int]]


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
    found = [*_days(db, zones), *_money(db, zones), *_times(db, zones)]
    found += [*_inviters(db, zones), *_brought(db), *_names(db), *_peaks(db, zones)]
    return found if generation_of(db) == generation else []


def _days(db: Session, zones: Zones) -> Iterator[str]:
    keys = [_quarter(db)(I.sent_at), I.website, I.store_view]
    rows = sa.select(*keys, *_below_zero(row_sums())).where(IS_SENT).group_by(*keys)
    return _compared(db, zones, (models.Figure, D), PLACE, COUNTS, rows)


def _money(db: Session, zones: Zones) -> Iterator[str]:
    row, place = models.InvitationPurchase, (*PLACE, "currency")
    keys = [_quarter(db)(row.sent_at), *_of(row, place)]
    rows = sa.select(*keys, *_below_zero(_sums(row, MONEY))).group_by(*keys)
    return _compared(db, zones, (models.MoneyFigure, models.MoneyDelta), place, MONEY, rows)


def _times(db: Session, zones: Zones) -> Iterator[str]:
    """Yield the days, months and years in which times differ from those of the rows."""
    figure, sums = models.TimeFigure, Sums(zones)
    keys = (figure.timezone, figure.unit, figure.first)
    place = [getattr(figure, name) for name in (*PLACE, "what", "bucket")]
    kept = sa.select(*keys, sa.null(), *place, figure.number)
    for timezone, unit, first, quarter, *rest in db.execute(sa.union_all(kept, *_taken(db))):
        website, view, what, bucket, number = rest
        if timezone:
            sums.times[timezone, unit, first, website, view, what, bucket][0] += number
        else:
            sums.add_time(website, view, _moment(quarter), what, bucket, number)
    return _named({tuple(map(str, key)): each for key, each in sums.times.items()})


def _taken(db: Session) -> Iterator[sa.Select[Any]]:
    """Yield queries of what took how long, of deltas and of rows, these below zero."""
    row, purchase = I, models.InvitationPurchase
    first = sa.func.min(purchase.first_at)
    bought = (
        sa.select(purchase.invitation_id, first.label("at")).group_by(purchase.invitation_id)
    ).subquery()
    less = sa.literal_column("-1", sa.BigInteger)
    yield _timed(db, D, times.ACCEPTED, D.accepted_at, D.accepted)
    yield _timed(db, D, times.PURCHASED, D.bought_at, D.purchased)
    is_accepted = I.status == Status.ACCEPTED
    yield _timed(db, row, times.ACCEPTED, row.registered_at, less).where(IS_SENT, is_accepted)
    of_purchases = _timed(db, row, times.PURCHASED, bought.c.at, less).where(IS_SENT)
    yield of_purchases.join_from(I, bought, bought.c.invitation_id == I.id)


def _timed(db: Session, table: Any, what: str, at: Any, number: Any) -> sa.Select[Any]:
    seconds = times.seconds_in_sql(table.sent_at, at, db.get_bind(I).dialect.name)
    bucket = times.bucket_in_sql(seconds).label("bucket")
    zone: list[Any] = [sa.null(), sa.null(), sa.type_coerce(sa.null(), sa.Date())]
    named = sa.literal_column(f"'{what}'", sa.String).label("what")
    keys = [_quarter(db)(table.sent_at).label("quarter"), *_of(table, PLACE)]
    total = sa.cast(sa.func.sum(number), sa.BigInteger)
    query = sa.select(*zone, *keys, named, bucket, total).where(at.is_not(None))
    return query.group_by(*keys, bucket)


def _compared(
    db: Session,
    zones: Zones,
    tables: tuple[Any, Any],
    place: Sequence[str],
    names: Sequence[str],
    rows: sa.Select[Any],
) -> Iterator[str]:
    """Yield the days on which figures and deltas differ from the rows.

    The rows are by quarter of an hour and place, with their numbers below zero.
    """
    figure, delta = tables
    kept = sa.select(figure.timezone, figure.day, sa.null(), *_of(figure, (*place, *names)))
    nothing = (sa.null(), sa.type_coerce(sa.null(), sa.Date()))
    fresh = sa.select(*nothing, _quarter(db)(delta.sent_at), *_of(delta, (*place, *names)))
    both = sa.union_all(kept, fresh, sa.select(*nothing, *rows.subquery().c))
    sums: _Numbers = defaultdict(lambda: [0] * len(names))
    for timezone, day, number, website, view, *more in db.execute(both):
        end = len(place) - len(PLACE)
        for zone in [timezone] if timezone else zones_of(view, zones):
            there = day or local_day(_moment(number), zone)
            add_up(sums[zone, website, view, *more[:end], there.isoformat()], more[end:])
    return _named(sums)


def _inviters(db: Session, zones: Zones) -> Iterator[str]:
    """Yield the inviters whose months or years (or days) together differ from their rows."""
    sums: _Numbers = defaultdict(lambda: [0] * len(OF_INVITER))
    for timezone, scope, unit, website, view, key, *counts in db.execute(_of_inviters()):
        places = [(timezone, scope, unit)]
        if not timezone:
            scopes = scopes_of(website, view, zones)
            places = [(zone, each, unit) for each, zone in scopes for unit in spans_of(key)]
        for place in places:
            add_up(sums[*place, f"inviter {key or '-'}"], counts)
    return _named(sums)


def _brought(db: Session) -> Iterator[str]:
    """Yield the inviters whose money by currency is not the one that they are sorted by."""
    keys = ("timezone", "scope", "unit", "inviter_key")
    amounts = [
        sa.select(*_of(table, keys), sign * table.amount.label("amount"))
        for table, sign in ((models.InviterFigure, 1), (models.InviterMoney, -1))
    ]
    both = sa.union_all(*amounts).subquery()
    differs = sa.func.sum(both.c[4]) != 0
    for *place, key in db.execute(sa.select(*both.c[:4]).group_by(*both.c[:4]).having(differs)):
        yield " ".join([*place, f"money of inviter {key or '-'}"])


def _names(db: Session) -> Iterator[str]:
    """Yield the inviters whose name or address is not that of their latest invitation."""
    told, rows, kept = sa.select(told_keys(D).c.inviter_key), row_names(), models.InviterName
    both = [
        sa.select(each.inviter_key, each.name, each.email).where(each.inviter_key.not_in(told))
        for each in (kept, rows.c)
    ]
    one, other = (sa.except_(*some).subquery() for some in (both, both[::-1]))
    keys = sa.union(sa.select(one.c.inviter_key), sa.select(other.c.inviter_key))
    return (f"name of inviter {key or '-'}" for key in sorted(db.scalars(keys)))


def _peaks(db: Session, zones: Zones) -> Iterator[str]:
    """Yield the inviters who had more in a day or week than the most that is kept of its month."""
    told, kept = told_keys(D, models.MoneyDelta), models.InviterPeak
    for zone in peaks.whole(db, zones):
        for month in peaks.months(db, zone):
            rows = peaks.of_month(db, zones, zone, month)
            same = [kept.timezone == zone, kept.unit == rows.c.unit, kept.month == month]
            joined = sa.and_(*same, kept.inviter_key == rows.c.inviter_key)
            is_more = [
                rows.c[each] > sa.func.coalesce(getattr(kept, each), 1) for each in peaks.PEAKS
            ]
            wrong = sa.select(rows.c.unit, rows.c.inviter_key).outerjoin_from(rows, kept, joined)
            is_folded = rows.c.inviter_key.not_in(sa.select(told.c.inviter_key))
            wrong = wrong.where(sa.or_(*is_more), is_folded)
            for unit, key in db.execute(wrong.order_by(*rows.c[:2])):
                yield f"{zone} most of a {unit} of {month} of inviter {key}"


def _of_inviters() -> sa.CompoundSelect[Any]:
    """Return a query of figures, deltas and rows, the last with their numbers below zero."""
    nothing, zero = [sa.null()] * 3, sa.literal_column("0", sa.Integer)
    keys = _of(models.InviterFigure, ("timezone", "scope", "unit"))
    key, who = models.InviterFigure.inviter_key, (*PLACE, "inviter_key")
    folded = sa.select(*keys, sa.null(), sa.null(), key, *_sums(models.InviterFigure, OF_INVITER))
    counted = sa.select(*nothing, *_of(I, who), *_below_zero(row_sums()), zero)
    amount = sa.cast(sa.func.sum(models.InvitationPurchase.amount), sa.BigInteger)
    paid = sa.select(*nothing, *_of(I, who), *[zero] * 4, -amount)
    bought = sa.select(
        *nothing, *_of(models.MoneyDelta, who), *[zero] * 4, models.MoneyDelta.amount
    )
    return sa.union_all(
        folded.group_by(*keys, key),
        sa.select(*nothing, *_of(D, (*who, *COUNTS)), zero),
        bought,
        counted.where(IS_SENT).group_by(*_of(I, who)),
        paid.join_from(I, models.InvitationPurchase, IS_BOUGHT).group_by(*_of(I, who)),
    )


def _of(table: Any, names: Sequence[str]) -> list[Any]:
    return [getattr(table, name) for name in names]


def _sums(table: Any, names: Sequence[str]) -> list[sa.ColumnElement[int]]:
    return [sa.cast(sa.func.sum(each), sa.BigInteger) for each in _of(table, names)]


def _below_zero(numbers: Sequence[sa.ColumnElement[int]]) -> list[sa.ColumnElement[int]]:
    return [-each for each in numbers]


def _quarter(db: Session) -> Any:
    """Return what gives the number of a quarter of an hour as SQL."""
    if db.get_bind(I).dialect.name == "postgresql":
        return lambda column: sa.cast(
            sa.func.floor(sa.func.extract("epoch", column) / SECONDS), sa.BigInteger
        )
    # It rounds to thousandths of a second, which may be of the next day: without its parts.
    return lambda column: (
        sa.cast(sa.func.strftime("%s", sa.func.substr(column, 1, 19)), sa.Integer) // SECONDS
    )


def _moment(quarter: int) -> datetime:
    return datetime.fromtimestamp(quarter * QUARTER, UTC).replace(tzinfo=None)


def _named(sums: _Numbers) -> Iterator[str]:
    return (" ".join(key) for key, counts in sorted(sums.items()) if any(counts))
