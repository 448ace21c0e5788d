"""The most that each inviter had in a day or week of a month, kept beside the figures.

It says where the first lines by a count are not, so that a report need not make all of them.
It is never too low: where a line may have grown, its rows are counted in the same transaction.
What is too high costs a look, and no report is wrong for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import product
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..database import insert_into, insert_many
from ..editing import day_of
from ..models import HostKey, Invitation
from .models import FigureState, InviterPeak
from .models import InvitationPurchase as Bought
from .periods import Period, last_day, next_month
from .rows import STAFF, counts_of_line, row_sums
from .spans import TYPES, as_table, span
from .zones import Zones, zones_of

I = Invitation  # noqa: E741  # named once, used on every line below
P = InviterPeak
UNITS: Final = ("day", "week")
PEAKS: Final = ("sent", "accepted", "purchased", "amount")
DAY: Final = {**TYPES, "month": sa.Date(), "week": sa.Date()}
LINE: Final = {**TYPES, "inviter_key": HostKey}


def month_of(day: date, unit: str) -> date:
    """Return the first day of the month in which the day or week begins that a day is in."""
    return first_day(day, unit).replace(day=1)


def first_day(day: date, unit: str) -> date:
    """Return the first day of the day or week that a day is in."""
    return day - timedelta(days=day.weekday()) if unit == "week" else day


def raise_by(db: Session, zones: Zones, changes: Iterable[Any]) -> None:
    """Count the lines that changes may have made longer. The caller commits.

    :param changes: rows of deltas of a kind, which are taken away in the same transaction.
    """
    lines = {
        (zone, unit, first_day(day_of(each.sent_at, zone), unit), each.inviter_key)
        for each in changes
        if each.inviter_key != STAFF and any(getattr(each, name, 0) > 0 for name in PEAKS)
        for zone, unit in product(zones_of(each.store_view, zones), UNITS)
    }
    if not lines:
        return
    most: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(PEAKS))
    places = sorted(lines)
    for place, *counts in db.execute(_counted(db, places)):
        zone, unit, first, key = places[place]
        known = most[zone, unit, month_of(first, unit), key]
        known[:] = map(max, known, counts)
    _write(db, most)


def _counted(db: Session, places: Sequence[tuple[str, str, date, str]]) -> sa.Select[Any]:
    """Return a query of what lines have, each by its place."""
    rows = [
        {"place": place, "inviter_key": key, **span(_period(zone, unit, first, first).whole)}
        for place, (zone, unit, first, key) in enumerate(places)
    ]
    line = as_table(db, rows, LINE)
    counts = counts_of_line(line.c.inviter_key, line.c, (), line)
    numbers = [sa.cast(sa.func.coalesce(counts[name], 0), sa.BigInteger) for name in PEAKS]
    return sa.select(line.c.place, *numbers)


def is_anything_due(db: Session, zones: Zones) -> bool:
    """Return whether something was never counted, in one of the zones."""
    return len(whole(db, zones)) < len(_names(zones))


def whole(db: Session, zones: Zones) -> Sequence[str]:
    """Return the zones in which everything is counted."""
    names = _names(zones)
    done = sa.select(FigureState.name).where(FigureState.name.in_(names), FigureState.is_whole)
    return [names[each] for each in db.scalars(done)]


def forget(db: Session) -> None:
    """Have everything counted again. The caller commits."""
    db.execute(sa.delete(P))
    db.execute(sa.delete(FigureState).where(FigureState.name.startswith("peaks ")))


def count_next(db: Session, zones: Zones) -> None:
    """Count a month of a zone that was not counted yet. The caller commits.

    What is written while this goes on has a delta, and is counted when that is folded.
    """
    for name, zone in _names(zones).items():
        row = db.execute(
            sa.select(FigureState.position, FigureState.is_whole).where(FigureState.name == name)
        ).first()
        if row is None or not row.is_whole:
            month = next(months(db, zone, row.position if row else 0), None)
            if month is not None:
                _count_month(db, zones, zone, month)
            _note(db, name, month)
            return


def _names(zones: Zones) -> Mapping[str, str]:
    """Return the names of the states, each with its zone."""
    known = sorted({zone for each in zones.values() for zone in each})
    return {f"peaks {place}": zone for place, zone in enumerate(known)}


def _note(db: Session, name: str, month: date | None) -> None:
    values = {"position": month.toordinal() if month else 0, "is_whole": month is None}
    row = insert_into(db, FigureState).values(name=name, generation=0, timezones={}, **values)
    db.execute(row.on_conflict_do_update(index_elements=[FigureState.name], set_=values))


def months(db: Session, zone: str, position: int = 0) -> Iterator[date]:
    """Yield the months with a day or week that something was sent in, after a position."""
    ends = sa.select(sa.func.min(I.sent_at), sa.func.max(I.sent_at))
    found = [day_of(each, zone) for each in db.execute(ends).one() if each is not None]
    first, last = found or (date.max, date.min)
    first = next_month(date.fromordinal(position)) if position else month_of(first, "week")
    while first <= last:
        yield first
        first = next_month(first)


def _count_month(db: Session, zones: Zones, zone: str, month: date) -> None:
    most = of_month(db, zones, zone, month)
    rows = db.execute(sa.select(most).where(sa.or_(most.c.sent > 1, most.c.amount > 0)))
    _write(db, {(zone, unit, month, key): counts for unit, key, *counts in rows})


def of_month(db: Session, zones: Zones, zone: str, month: date) -> sa.Subquery:
    """Return the most that each inviter had in a day and in a week that begin in a month.

    What was sent from a store view that is not counted in the zone does not matter there.
    """
    lines = _days(db, zones, zone, month)
    weeks = sa.select(lines.c.inviter_key, *_each(sa.func.sum, lines))
    weeks = weeks.where(lines.c.week.is_not(None)).group_by(lines.c.inviter_key, lines.c.week)
    found = {"day": lines, "week": weeks.subquery()}
    most = []
    for unit, each in found.items():
        named = sa.literal(unit, sa.String).label("unit")
        query = sa.select(named, each.c.inviter_key, *_each(sa.func.max, each))
        if unit == "day":
            query = query.where(lines.c.month == month)
        most.append(query.group_by(each.c.inviter_key))
    return sa.union_all(*most).subquery("most")


def _days(db: Session, zones: Zones, zone: str, month: date) -> sa.CTE:
    """Return the lines of the days of a month, and of its last week."""
    days = Period("", month, last_day(last_day(month, "month"), "week"), "day", zone).intervals
    rows = [
        {
            **span(each),
            "month": f"{month_of(each.first, 'day')}",
            "week": f"{week}" if (week := first_day(each.first, "week")) >= month else None,
        }
        for each in days
    ]
    among = as_table(db, rows, DAY)
    here = sa.and_(I.sent_at >= among.c.begins, I.sent_at < among.c.ends)
    keys = (I.inviter_key, among.c.first, among.c.month, among.c.week)
    own = sa.select(sa.func.sum(Bought.amount)).where(Bought.invitation_id == I.id)
    paid = sa.func.sum(sa.func.coalesce(own.scalar_subquery(), 0)).label("amount")
    counts = [each for each in (*row_sums(), paid) if each.name in PEAKS]
    lines = sa.select(*keys, *counts).select_from(among.join(I, here)).group_by(*keys)
    lines = lines.where(I.sent_at >= days[0].begins, I.sent_at < days[-1].ends)
    others = [view for view, own in zones.items() if zone not in own]
    lines = lines.where(I.store_view.not_in(others), I.inviter_key != STAFF)
    return lines.cte().prefix_with("MATERIALIZED")


def _each(function: Any, lines: Any) -> list[sa.ColumnElement[int]]:
    return [sa.cast(function(lines.c[name]), sa.BigInteger).label(name) for name in PEAKS]


def _period(zone: str, unit: str, first: date, last: date) -> Period:
    """Return whole days or weeks: those from the first one's to the last one's."""
    return Period("", first_day(first, unit), last_day(last, unit), unit, zone)


def _write(db: Session, most: Mapping[tuple[Any, ...], Sequence[int]]) -> None:
    """Keep what is more than is kept; one of each is what nobody has a row for."""
    table = cast(sa.Table, P.__table__)
    rows = list(_rows(table, most))

    def raising(insert: Any) -> Any:
        kept, fresh = table.c, insert.excluded
        higher = {
            name: sa.case((fresh[name] > kept[name], fresh[name]), else_=kept[name])
            for name in PEAKS
        }
        is_more = sa.or_(*(fresh[name] > kept[name] for name in PEAKS))
        keys = list(table.primary_key)
        return insert.on_conflict_do_update(index_elements=keys, set_=higher, where=is_more)

    if rows:
        insert_many(db.connection(bind_arguments={"mapper": P}), table, rows, raising)


def _rows(
    table: sa.Table, most: Mapping[tuple[Any, ...], Sequence[int]]
) -> Iterator[dict[str, Any]]:
    names = [*(each.name for each in table.primary_key), *PEAKS]
    for key, counts in sorted(most.items()):
        if max(counts) > 1:
            yield dict(zip(names, (*key, *counts), strict=True))
