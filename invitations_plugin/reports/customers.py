"""Who invites: the customers who sent in each interval, and whom they brought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..lifecycle import ERASED
from ..models import Invitation
from ..state import host
from .conversions import Money, money_of
from .counting import Places, count, from_figures
from .figures import Counts, add
from .folding import add_up
from .inviter_rows import counted, revenue
from .inviters import ByName, Place, Source, are_kept, kept, parts_by_month
from .names import NAMED, Searched, kept_names, listed, row_names, searched
from .periods import Interval, Period
from .rows import COUNTS

I = Invitation  # noqa: E741  # named once, used on every line below

SORTS: Final = (
    "interval",
    "key",
    "name",
    "email",
    "group",
    "sent",
    "accepted",
    "purchased",
    "revenue",
)
BRIEF: Final = ("interval", "sent")  # what no other count is needed for
BY_NAME: Final = (*NAMED, "key")  # what is kept of each inviter, and has an index
BESIDE: Final = ("group", "revenue")
COUNTED: Final = ("sent", "accepted", "purchased", "revenue")
SIZE: Final = 50
ASKED: Final = 500  # customers that the store is asked about at a time
MOST_PAGES: Final = 200
MOST_COUNTED: Final = 100_000  # lines, where a page is a whole file
LOOKED_AT: Final = 10_000  # more invitations than the pages have lines: some inviters send several


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
    ``sums`` are of all that the search matches. With ``is_more`` there are more lines than
    ``total``, which says how many the pages have.
    """

    rows: Sequence[Inviter]
    page: int
    pages: int
    total: int
    sums: Counts
    is_more: bool = False


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

    Sorted by one of :data:`SORTS`, ``asc`` or ``desc``; ties by the number sent, then the key,
    with the least of a count first by the key alone.
    By whole months and years it is read from figures. A group is the store's to know: to sort
    by it, it is asked about everybody who has a line.

    :param search: a part of name or address in any case, or a whole key.
    """
    asked = _Asked(sort, direction, search, max(1, page), size)

    def from_rows(db: Session, period: Period) -> CustomersPage:
        found = searched(db, row_names(), search)
        return _page(db, period, counted(db, period, row_names, found), asked)

    def from_kept(db: Session, period: Period) -> CustomersPage:
        found = searched(db, kept_names(), search)
        if are_kept(period):
            return _page(db, period, kept(db, period, found), asked)
        source = counted(db, period, kept_names, found)
        if found is not None and found.few is None and found.others is None:
            source = replace(source, sums=_sums_by_part(db, period, found))
        return _page(db, period, source, asked)

    return from_figures(db, period, from_kept, from_rows)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which page is asked for, and what it is sorted by."""

    sort: str
    direction: str
    search: str
    page: int
    size: int

    def order(self, cells: sa.FromClause, beside: sa.ColumnElement[Any]) -> list[Any]:
        """Return the order as SQL; ``beside`` is what it is by where the lines do not have it."""
        names = {"interval": "first"}
        column = beside if self.sort in BESIDE else cells.c[names.get(self.sort, self.sort)]
        first = (
            column.asc().nulls_first() if self.direction == "asc" else column.desc().nulls_last()
        )
        if self.direction == "asc" and self.sort in COUNTED:  # ties without end
            return [first, cells.c.inviter_key, cells.c.first]
        return [first, cells.c.sent.desc(), cells.c.inviter_key, cells.c.first]

    @property
    def enough(self) -> int:
        """How many lines the pages have at most, or are counted."""
        return min(MOST_PAGES * self.size, MOST_COUNTED)


def _page(db: Session, period: Period, source: Source, asked: _Asked) -> CustomersPage:
    counts = count(db, period)
    sums = _sums(db, source, asked, counts)
    lines, is_whole = _lines(db, period, source, asked, counts, sums.sent)
    total = sum(lines.values())
    pages = min(max(1, -(-total // asked.size)), MOST_PAGES)
    page = min(asked.page, pages)
    intervals, skipped = period.intervals, (page - 1) * asked.size
    if asked.sort == SORTS[0]:
        intervals, skipped = _shown(period, lines, skipped, asked)
    found = db.execute(_ordered(db, period, source, intervals, asked, skipped)).all()
    total = total if is_whole else min(total, asked.enough)
    parts = [found[first : first + ASKED] for first in range(0, len(found), ASKED)]
    rows = [each for part in parts for each in _named(db, period, source, part)]
    return CustomersPage(rows, page, pages, total, sums, not is_whole)


def _sums(
    db: Session, source: Source, asked: _Asked, counts: Mapping[int, Sequence[int]]
) -> Counts:
    """Return what all lines come to."""
    everybody = add(Counts(*each) for each in counts.values())
    return source.sums(everybody) if asked.search else everybody


def _sums_by_part(db: Session, period: Period, found: Searched) -> Callable[[Counts], Counts]:
    """Return what counts no more rows than those of the days before and after whole months."""
    parts = [
        kept(db, part, found) if are_kept(part) else counted(db, part, kept_names, found)
        for part in parts_by_month(period)
    ]
    return lambda everybody: add(part.sums(everybody) for part in parts)


def _lines(
    db: Session,
    period: Period,
    source: Source,
    asked: _Asked,
    counts: Mapping[int, Sequence[int]],
    sent: int,
) -> tuple[Mapping[date, int], bool]:
    """Return how many lines each interval has, by its first day, as far as it matters.

    No interval has more of them than were sent: where that is much, some are looked at, from
    the first page on, until there are as many lines as the pages have. Also return whether
    these are all.
    """
    lines: dict[date, int] = {}
    if sent <= asked.enough + LOOKED_AT:
        return dict(map(tuple, db.execute(source.numbers(period.intervals, sent)))), True
    for some in _stretches(period, asked, counts):
        left = asked.enough + 1 - sum(lines.values())
        if left > 0:
            lines |= dict(map(tuple, db.execute(source.numbers(some, left))))
    return lines, sum(lines.values()) <= asked.enough


def _stretches(
    period: Period, asked: _Asked, counts: Mapping[int, Sequence[int]]
) -> Iterator[Sequence[Interval]]:
    """Yield the intervals in some stretches, the oldest of each first."""
    some, number, most = list[Interval](), 0, asked.enough
    for place in sorted(counts, reverse=asked.direction == "desc"):
        some.append(period.intervals[place])
        number += counts[place][0]
        if number > most:
            yield sorted(some, key=lambda each: each.first)
            some, number, most = [], 0, max(number // 4, most // 2)
    if some:
        yield sorted(some, key=lambda each: each.first)


def _shown(
    period: Period, lines: Mapping[date, int], skipped: int, asked: _Asked
) -> tuple[Sequence[Interval], int]:
    """Return the intervals that a page has lines of, and how many of theirs stand before it."""
    shown, end = list[Interval](), skipped + asked.size
    place_of, before, own = Places(period), 0, skipped
    for first, number in sorted(lines.items(), reverse=asked.direction == "desc"):
        if before + number <= skipped:
            own = skipped - before - number
        elif before < end:
            shown.append(period.intervals[place_of.day(first)])
        before += number
    return sorted(shown, key=lambda each: each.first) or period.intervals, own


def _ordered(
    db: Session,
    period: Period,
    source: Source,
    intervals: Sequence[Interval],
    asked: _Asked,
    skipped: int,
) -> sa.Select[Any]:
    """Return a page's lines in their order."""
    few = _few_counts(source, intervals, asked, skipped)
    if few is not None:
        return few
    cells = source.lines(intervals)
    if asked.sort == "group":
        by = asked.order(cells, _groups(db, cells))
        return sa.select(cells).order_by(*by).limit(asked.size).offset(skipped)
    query, amount = sa.select(cells), cells.c.get("amount")
    if asked.sort == "revenue" and amount is None:
        bought = revenue(db, period)
        same = sa.and_(bought.c.first == cells.c.first, bought.c.inviter_key == cells.c.inviter_key)
        query, amount = query.outerjoin_from(cells, bought, same), bought.c.amount
    by = asked.order(cells, sa.literal(0) if amount is None else amount)
    return query.order_by(*by).limit(asked.size).offset(skipped)


def _few_counts(
    source: Source, intervals: Sequence[Interval], asked: _Asked, skipped: int
) -> sa.Select[Any] | None:
    """Return a page's lines in an order for which a few of them, or of their counts, will do."""
    by_name = ByName(asked.sort, asked.direction == "desc", skipped + asked.size)
    is_named = asked.sort in BY_NAME

    def order(lines: sa.FromClause) -> Sequence[sa.ColumnElement[Any]]:
        if is_named:
            return by_name.order(lines.c.named, lines.c)
        return asked.order(lines, lines.c.get("amount", sa.literal(0)))

    cells: sa.FromClause | None = source.by_name(intervals, by_name) if is_named else None
    if asked.sort in COUNTED:
        first = source.most if asked.direction == "desc" else source.least
        cells = first(intervals, asked.sort, by_name.most)
    if cells is None and asked.sort in BRIEF:
        cells = source.brief(intervals)
    if cells is None:
        return None
    few = sa.select(cells).order_by(*order(cells)).limit(asked.size).offset(skipped)
    whole = source.whole(intervals, few.subquery("few"))
    return sa.select(whole).order_by(*order(whole))


def _groups(db: Session, cells: sa.Subquery) -> sa.ColumnElement[Any]:
    """Return as SQL the place of an inviter's group among all by name, NULL without one."""
    store, members = host(), defaultdict[str, list[str]](list)
    labels = {group.code: group.name for group in store.groups()}
    keys = sorted(db.scalars(sa.select(cells.c.inviter_key).distinct()))
    for first in range(0, len(keys), ASKED):
        for key, customer in store.customers(keys[first : first + ASKED]).items():
            code = store.group(customer)
            members[labels.get(code, code).lower()].append(key)
    places = [
        (cells.c.inviter_key.in_(sa.select(listed(db, some).c.inviter_key)), place)
        for place, (_, some) in enumerate(sorted(members.items()))
    ]
    return sa.case(*places) if places else sa.null()


def _named(db: Session, period: Period, source: Source, found: Sequence[Any]) -> list[Inviter]:
    place_of = Places(period)
    intervals = [period.intervals[place_of.day(each.first)] for each in found]
    places = [(interval, each.inviter_key) for interval, each in zip(intervals, found, strict=True)]
    people = named(db, {each.inviter_key for each in found})
    money = _money(db, period, source, places)
    return [
        Inviter(
            interval,
            each.inviter_key,
            *people[each.inviter_key],
            Counts(*(getattr(each, name) for name in COUNTS)),
            money.get((each.first, each.inviter_key), ()),
        )
        for interval, each in zip(intervals, found, strict=True)
    ]


def _money(
    db: Session, period: Period, source: Source, places: Sequence[Place]
) -> Mapping[tuple[date, str], Sequence[Money]]:
    """Return what was bought by first day and inviter, of the lines of a page."""
    sums: dict[tuple[date, str, str], list[int]] = defaultdict(lambda: [0, 0])
    found: dict[tuple[date, str], list[Money]] = defaultdict(list)
    place_of = Places(period)
    bought = db.execute(source.money(places)) if places else ()
    for day, moment, key, currency, *some in bought:
        place = place_of.moment(moment) if day is None else place_of.day(day)
        add_up(sums[period.intervals[place].first, key, currency], some)
    for (first, key, currency), (orders, amount) in sorted(sums.items()):
        if orders or amount:
            found[first, key].append(money_of(currency, orders, amount))
    return found


def named(db: Session, keys: Collection[str]) -> Mapping[str, tuple[str, str, str]]:
    """Return name, address and group of inviters: those of now, or those that were kept."""
    store = host()
    asked = [key for key in keys if key]  # staff have a name of their own
    people = store.customers([key for key in asked if not key.startswith(ERASED)])
    found = {
        key: (store.name(each), store.email(each), store.group(each))
        for key, each in people.items()
    }
    latest = sa.select(sa.func.max(I.id)).where(I.inviter_key.in_(set(asked) - set(found)))
    kept = sa.select(I.inviter_key, I.inviter_name, I.inviter_email)
    for key, name, email in db.execute(kept.where(I.id.in_(latest.group_by(I.inviter_key)))):
        found[key] = (name, email or "", "")
    return {key: found.get(key, ("", "", "")) for key in keys}
