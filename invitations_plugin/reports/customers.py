"""Who invites: the customers who sent in each interval, and whom they brought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..clock import now
from ..editing import day_of
from ..grid.query import FOLDED
from ..lifecycle import ERASED
from ..models import Invitation
from ..state import host
from .conversions import Money, money_of
from .counting import Places, from_figures, row_sums
from .figures import Counts
from .folding import COUNTS, add_up
from .models import FigureDelta, InvitationPurchase, InviterFigure
from .periods import Interval, Period
from .spans import spans

I = Invitation  # noqa: E741  # named once, used on every line below

SORTS: Final = (
    "interval",
    "key",
    "name",
    "email",
    "sent",
    "accepted",
    "purchased",
    "revenue",
)
SIZE: Final = 50
MOST_PAGES: Final = 200
NAMED: Final = ("name", "email")  # sorted by what stands in the rows


@dataclass(frozen=True, slots=True)
class Inviter:
    """What one customer sent in one interval.

    ``key`` is the store's, "" where staff invited; one that begins with ``gone:`` stands for
    a deleted account, without name and address. ``group`` is a code, "" where it is unknown.
    """

    interval: Interval
    key: str
    name: str
    email: str
    group: str
    counts: Counts
    money: Sequence[Money] = ()


@dataclass(frozen=True, slots=True)
class CustomersPage:
    """A page of inviters; ``page`` counts from 1, ``total`` is of all pages.

    ``pages`` is at most :data:`MOST_PAGES`; what lies behind is found by a search.
    ``sums`` are of all that the search matches.
    """

    rows: Sequence[Inviter]
    page: int
    pages: int
    total: int
    sums: Counts


def customers(
    db: Session,
    period: Period,
    sort: str = "interval",
    direction: str = "desc",
    search: str = "",
    page: int = 1,
    size: int = SIZE,
) -> CustomersPage:
    """Return a page of who sent invitations, interval by interval.

    Sorted by one of :data:`SORTS`, ``asc`` or ``desc``; ties by the number sent, then the key.
    By month and by year it is read from figures, unless names are looked at.

    :param search: a part of name or address in any case, or a whole key.
    """

    def read(cells: sa.Subquery) -> CustomersPage:
        return _page(db, period, cells, _Order(sort, direction), max(1, page), size)

    if search or sort in NAMED or not _is_by_month(period):
        return read(_counted(db, period, search, with_names=sort in NAMED))
    return from_figures(
        db,
        period,
        lambda db, period: read(_kept(db, period)),
        lambda db, period: read(_counted(db, period, "", with_names=False)),
    )


@dataclass(frozen=True, slots=True)
class _Order:
    """What a page is sorted by."""

    sort: str
    direction: str

    def by(self, cells: sa.Subquery, revenue: sa.ColumnElement[Any]) -> list[Any]:
        names = {"interval": "place", "key": "inviter_key"}
        column = revenue if self.sort == "revenue" else cells.c[names.get(self.sort, self.sort)]
        first = (
            column.asc().nulls_first() if self.direction == "asc" else column.desc().nulls_last()
        )
        return [first, cells.c.sent.desc(), cells.c.inviter_key, cells.c.place]


def _page(
    db: Session, period: Period, cells: sa.Subquery, order: _Order, page: int, size: int
) -> CustomersPage:
    sums = [sa.func.coalesce(sa.func.sum(cells.c[name]), 0) for name in COUNTS]
    total, *summed = db.execute(sa.select(sa.func.count(), *sums).select_from(cells)).one()
    pages = min(max(1, -(-total // size)), MOST_PAGES)
    page = min(page, pages)
    query = sa.select(cells)
    revenue: sa.ColumnElement[Any] = sa.literal(0)
    if order.sort == "revenue":
        bought = _revenue(db, period)
        same = sa.and_(bought.c.place == cells.c.place, bought.c.inviter_key == cells.c.inviter_key)
        query, revenue = query.outerjoin_from(cells, bought, same), bought.c.amount
    found = query.order_by(*order.by(cells, revenue)).limit(size).offset((page - 1) * size)
    rows = _named(db, period, db.execute(found).all())
    return CustomersPage(rows, page, pages, total, Counts(*map(int, summed)))


def _is_by_month(period: Period) -> bool:
    """Return whether a period is made of whole months, as far as anything happened in them."""
    today = day_of(now(), period.timezone)
    is_whole = period.last >= today or (period.last + timedelta(days=1)).day == 1
    return period.by in ("month", "year") and period.first.day == 1 and is_whole


def _kept(db: Session, period: Period) -> sa.Subquery:
    """Return place, key and counts of each inviter from the figures, folded or not."""
    among, row, delta = spans(db, period.intervals), InviterFigure, FigureDelta
    folded = (
        sa.select(among.c.place, row.inviter_key, *(getattr(row, name) for name in COUNTS))
        .select_from(among.join(row, row.month.between(among.c.first, among.c.last)))
        .where(row.timezone == period.timezone, *period.within(row))
    )
    here = sa.and_(delta.sent_at >= among.c.begins, delta.sent_at < among.c.ends)
    fresh = (
        sa.select(among.c.place, delta.inviter_key, *(getattr(delta, name) for name in COUNTS))
        .select_from(among.join(delta, here))
        .where(*period.within(delta))
    )
    both = sa.union_all(folded, fresh).subquery()
    keys = [both.c.place, both.c.inviter_key]
    sums = [sa.cast(sa.func.sum(both.c[name]), sa.Integer).label(name) for name in COUNTS]
    query = sa.select(*keys, *sums).group_by(*keys).having(sa.func.sum(both.c.sent) > 0)
    return query.subquery("cell")


def _counted(db: Session, period: Period, search: str, *, with_names: bool) -> sa.Subquery:
    """Return the same from the rows."""
    among = spans(db, period.intervals)
    conditions = period.within(I)
    if search:
        part = [
            sa.func.lower(column).contains(search.translate(FOLDED), autoescape=True)
            for column in (I.inviter_name, I.inviter_email)
        ]
        conditions.append(sa.or_(*part, I.inviter_key == search))
    names = {"name": I.inviter_name, "email": I.inviter_email} if with_names else {}
    named = [sa.func.max(sa.func.lower(column)).label(name) for name, column in names.items()]
    return (
        sa.select(among.c.place, I.inviter_key, *row_sums(), *named)
        .select_from(among.join(I, sa.and_(I.sent_at >= among.c.begins, I.sent_at < among.c.ends)))
        .where(*conditions)
        .group_by(among.c.place, I.inviter_key)
        .subquery("cell")
    )


def _purchases(db: Session, period: Period) -> tuple[sa.Subquery, sa.Join]:
    """Return the intervals, and what to select purchases of their inviters from."""
    among, row = spans(db, period.intervals), InvitationPurchase
    here = sa.and_(row.sent_at >= among.c.begins, row.sent_at < among.c.ends)
    return among, among.join(row, here).join(I, I.id == row.invitation_id)


def _revenue(db: Session, period: Period) -> sa.Subquery:
    """Return place, key and amount, whatever the currencies, of the inviters who have any."""
    among, joined = _purchases(db, period)
    keys = [among.c.place, I.inviter_key]
    amount = sa.func.sum(InvitationPurchase.amount).label("amount")
    query = sa.select(*keys, amount).select_from(joined).where(*period.within(I))
    return query.group_by(*keys).subquery("bought")


def _money(
    db: Session, period: Period, keys: Collection[str]
) -> Mapping[tuple[int, str], Sequence[Money]]:
    """Return what was bought by place and inviter, of the few inviters of a page.

    Their own invitations are looked at, not the purchases of everybody in the period.
    """
    row, whole, places = InvitationPurchase, period.whole, Places(period)
    columns = sa.select(I.inviter_key, row.sent_at, row.currency, row.orders, row.amount)
    query = columns.join_from(I, row, row.invitation_id == I.id).where(
        I.inviter_key.in_(keys), I.sent_at >= whole.begins, I.sent_at < whole.ends
    )
    sums: dict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for key, sent_at, currency, *bought in db.execute(query.where(*period.within(I))):
        add_up(sums[places.moment(sent_at), key, currency], bought)
    found: dict[tuple[int, str], list[Money]] = defaultdict(list)
    for (place, key, currency), (orders, amount) in sorted(sums.items()):
        found[place, key].append(money_of(currency, orders, amount))
    return found


def _named(db: Session, period: Period, found: Sequence[Any]) -> list[Inviter]:
    keys = {each.inviter_key for each in found}
    people, money = named(db, keys), _money(db, period, keys)
    return [
        Inviter(
            period.intervals[each.place],
            each.inviter_key,
            *people[each.inviter_key],
            Counts(*(getattr(each, name) for name in COUNTS)),
            money.get((each.place, each.inviter_key), ()),
        )
        for each in found
    ]


def named(db: Session, keys: Collection[str]) -> Mapping[str, tuple[str, str, str]]:
    """Return name, address and group of inviters: those of now, or those that were kept."""
    store = host()
    people = store.customers([key for key in keys if key and not key.startswith(ERASED)])
    found = {
        key: (store.name(each), store.email(each), store.group(each))
        for key, each in people.items()
    }
    latest = sa.select(sa.func.max(I.id)).where(I.inviter_key.in_(set(keys) - set(found)))
    kept = sa.select(I.inviter_key, I.inviter_name, I.inviter_email)
    for key, name, email in db.execute(kept.where(I.id.in_(latest.group_by(I.inviter_key)))):
        found[key] = (name, email or "", "")
    return {key: found.get(key, ("", "", "")) for key in keys}
