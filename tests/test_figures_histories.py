"""Whatever happens to invitations, in whatever order: every figure is what the rows say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count, product
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from invitations_plugin import Purchase
from invitations_plugin.erasing import forget_customer
from invitations_plugin.models import History, Invitation, Outbox
from invitations_plugin.reports import (
    Counts,
    Inviter,
    Period,
    Spread,
    behaviour,
    check_figures,
    conversions,
    customers,
    folding,
    invitations,
    purchases,
)
from invitations_plugin.reports.figures import add
from invitations_plugin.reports.models import (
    FigureDelta,
    FigureState,
    InvitationPurchase,
    InviterName,
    InviterPeak,
    MoneyDelta,
)
from invitations_plugin.state import host

from .support.figures import (
    behaviour_plainly,
    money_plainly,
    names_plainly,
    period_of,
    plainly,
    told,
)
from .support.rows import STATUSES, row
from .support.stores import Store

TABLES = (
    History,
    Outbox,
    Invitation,
    FigureDelta,
    FigureState,
    InvitationPurchase,
    MoneyDelta,
    InviterName,
    InviterPeak,
    *folding.FIGURES,
)
VIEWS = (("main", "en"), ("main", "fr"), ("private", "it"))
LATER = datetime(2028, 12, 1)
EVERY_HOUR = datetime(2028, 10, 28, 20)  # the clocks go back in the night that follows
moments = st.one_of(
    st.integers(0, 40).map(lambda hours: EVERY_HOUR + timedelta(hours=hours)),
    st.integers(0, 500).map(lambda hours: datetime(2028, 2, 20) + timedelta(hours=hours)),
)
one_of_some = st.integers(0, 5)
events = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(STATUSES), moments, one_of_some),
    st.tuples(st.just("add"), st.sampled_from(STATUSES), moments, one_of_some),
    st.tuples(st.just("move"), one_of_some, st.sampled_from(STATUSES)),
    st.tuples(st.just("move"), one_of_some, st.sampled_from(STATUSES)),
    st.tuples(st.just("buy"), one_of_some, st.integers(1, 999)),
    st.tuples(st.just("date"), one_of_some, st.integers(0, 9)),
    st.tuples(st.sampled_from(["erase", "purge"]), one_of_some),
    st.tuples(st.just("rename"), one_of_some, one_of_some),
    st.tuples(st.sampled_from(["fold", "fold", "fold", "anew", "ask"])),
)
PERIODS = (
    {"start": "2028-02-21", "to": "2028-03-02"},
    {"start": "2028-10-28", "to": "2028-10-30", "store": "it"},
    {"start": "2028-01-01", "to": "2028-12-31", "by": "month"},
    {"start": "2028-01-01", "to": "2028-12-31", "by": "year", "store": "website:main"},
    {"start": "2028-02-01", "to": "2028-10-31", "by": "month", "store": "it"},
    {"start": "2028-02-01", "to": "2028-11-30", "by": "week"},
    {"start": "2028-02-22", "to": "2028-11-01", "by": "week", "store": "website:main"},
)


def called(number: int, place: int) -> dict[str, str]:
    """Return one of the names that an inviter may have."""
    return {"inviter_name": f"N{number} {place}", "inviter_email": f"E{place}@{number}.example"}


def after(moment: datetime, number: int) -> datetime:
    """Return a moment that is seconds, hours or months later."""
    return moment + timedelta(seconds=6**number)


UNFOLDED = ("add", "move", "date", "rename", "erase")


class Past:
    """Events as they happen to a store."""

    def __init__(self, store: Store) -> None:
        self.store, self.number, self.bought = store, 0, list[Purchase]()

    def purchases(self, keys: Iterable[str]) -> Iterator[Purchase]:
        return (each for each in self.bought if each.customer_key in set(keys))

    def add(self, db: Any, status: str, at: datetime, place: int) -> None:
        website, view = VIEWS[place % 3]
        more: dict[str, Any] = {"website": website, "store_view": view}
        more["inviter_key"] = f"{place or ''}"  # staff are among them
        self.number += 1
        more |= called(self.number % 4, place)
        if status == "accepted":
            more["registered_at"] = after(at, self.number % 10)
            more |= {} if f"{place}" in self.keys(db) else {"customer_key": f"{place}"}
        made = row(f"{self.number}@example.com", status, created_at=at, **more)
        db.execute(sa.insert(Invitation).values(made))

    def move(self, db: Any, place: int, status: str) -> None:
        found = self.rows(db)
        if not found or found[place % len(found)].status == "accepted":
            return
        chosen = found[place % len(found)]
        sent_at = chosen.sent_at or (LATER if status == "sent" else None)
        values = {"status": status, "sent_at": sent_at, "registered_at": None, "discarded_by": None}
        if status == "accepted":
            values["sent_at"] = begun = sent_at or LATER
            registered_at = after(begun, place)
            values |= {"registered_at": registered_at, "customer_key": f"c{chosen.id}"}
        if status == "discarded":
            values["discarded_by"] = "staff"
        db.execute(sa.update(Invitation).where(Invitation.id == chosen.id).values(values))

    def buy(self, db: Any, place: int, cents: int) -> None:
        found = [each for each in self.rows(db) if each.customer_key]
        if found:
            chosen, currency = found[place % len(found)], ("EUR", "SEK")[cents % 2]
            at = after(chosen.registered_at, cents % 10)
            amount = Decimal(cents) / 100
            self.bought.append(Purchase(chosen.customer_key, at, amount, currency))

    def date(self, db: Any, place: int, number: int) -> None:
        """Accept what is accepted at another moment, or take it back."""
        found = [each for each in self.rows(db) if each.status == "accepted"]
        if found:
            chosen = found[place % len(found)]
            values: dict[str, Any] = {"registered_at": after(chosen.sent_at, number)}
            if not number:
                values = {"registered_at": None, "status": "expired"}
            db.execute(sa.update(Invitation).where(Invitation.id == chosen.id).values(values))

    def keys(self, db: Any) -> set[str]:
        return {each.customer_key for each in self.rows(db)}

    def erase(self, db: Any, place: int) -> None:
        forget_customer(db, f"{place}")

    def purge(self, db: Any, place: int) -> None:
        chosen = Invitation.id % 6 == place
        db.execute(sa.update(Invitation).where(chosen).values(email=None, message=None))

    def rename(self, db: Any, place: int, number: int) -> None:
        found = self.rows(db)
        if found:
            chosen = Invitation.id == found[place % len(found)].id
            db.execute(sa.update(Invitation).where(chosen).values(called(number, place)))

    def fold(self, db: Any) -> None:
        folding.step(db)

    def anew(self, db: Any) -> None:
        folding.begin(db)

    def ask(self, db: Any) -> None:
        purchases.ask_next(db)

    def rows(self, db: Any) -> list[Any]:
        columns = sa.select(
            Invitation.id,
            Invitation.status,
            Invitation.sent_at,
            Invitation.registered_at,
            Invitation.customer_key,
        )
        return list(db.execute(columns.order_by(Invitation.id)))


def judge(store: Store, turn: int) -> None:
    """Compare every report with the rows.

    What is sorted and searched by name takes nine tenths of the time: each turn compares it in
    two of the periods, and each of them comes at each of the three stages of a history.
    """
    judge_kept_names(store)
    for place, asked in enumerate(PERIODS):
        period = period_of(store, **asked)
        if place % 3 == (turn + turn // 3) % 3:
            judge_names(store, period)
        judge_behaviour(store, period)
        judge_counts(store, period)
        with store.session() as db:
            found = [each.counts for each in invitations(db, period).lines]
            page = customers(db, period, "key", "asc", size=1000)
            sold = conversions(db, period)
        assert found == plainly(store, period)
        bought = [told(sold.money.get(place, ())) for place in range(len(found))]
        assert bought == money_plainly(store, period)
        keys = {each.key for each in page.rows}
        for key in keys:
            own = [each.counts for each in page.rows if each.key == key]
            expected = [each for each in plainly(store, period, key) if each.sent]
            assert sorted(own) == sorted(expected)
            brought = [told(each.money) for each in page.rows if each.key == key and each.money]
            assert brought == [each for each in money_plainly(store, period, key) if each]
        everybody = [each.counts for each in page.rows]
        assert page.sums == Counts(*(sum(each) for each in zip(Counts(), *everybody, strict=True)))
        assert page.sums == Counts(*(sum(each) for each in zip(Counts(), *found, strict=True)))


def judge_counts(store: Store, period: Period) -> None:
    """Compare the first pages by a count with all lines in that order."""
    with store.session() as db:
        lines = customers(db, period, "key", "asc", size=1000).rows
        for name, way in product(("sent", "accepted", "purchased", "revenue"), ("asc", "desc")):
            expected = sorted(lines, key=partial(by_count, name, way == "desc"))
            for page, size in ((1, 1), (1, 3), (2, 2)):
                found = customers(db, period, name, way, page=page, size=size).rows
                last = -(-len(lines) // size) or 1
                first = (min(page, last) - 1) * size
                assert list(found) == expected[first : first + size]


def by_count(name: str, is_down: bool, line: Inviter) -> tuple[Any, ...]:
    number = sum(each.revenue for each in line.money)
    if name != "revenue":
        number = getattr(line.counts, name)
    ties = (line.key, line.interval.first)
    return (-number, -line.counts.sent, *ties) if is_down else (number, *ties)


def judge_behaviour(store: Store, period: Period) -> None:
    """Compare how people behave with the rows, how long they take as far as it is kept."""
    with store.session() as db:
        found = behaviour(db, period)
    expected = behaviour_plainly(store, period)
    for name, number in expected.items():
        if isinstance(number, list):
            assert is_about(getattr(found, name), sorted(number)), (name, number)
        else:
            assert getattr(found, name) == number, name


def is_about(spread: Spread | None, seconds: list[float]) -> bool:
    """Return whether a spread is that of some seconds, 3 % more or less."""
    if spread is None or not seconds:
        return spread is None and not seconds
    number = len(seconds)
    middle, most = seconds[(number + 1) // 2 - 1], seconds[(number * 9 + 9) // 10 - 1]
    told = spread.median.total_seconds(), spread.percentile_90.total_seconds()
    near = [abs(a - b) <= b / 31 for a, b in zip(told, (middle, most), strict=True)]
    return spread.number == number and all(near)


def judge_kept_names(store: Store) -> None:
    """Look for a name that stays although no invitation has it."""
    with store.session() as db:
        kept = db.execute(sa.select(InviterName.inviter_key, InviterName.name, InviterName.email))
        rows = db.scalars(sa.select(Invitation))
        own = {(each.inviter_key, each.inviter_name, each.inviter_email or "") for each in rows}
        assert {tuple(each) for each in kept} <= own


def judge_names(store: Store, period: Period) -> None:
    """Compare what is sorted and searched by name with the names in the rows."""
    names = names_plainly(store)
    with store.session() as db:
        lines = customers(db, period, size=1000).rows
        for place, (sort, direction) in enumerate(product(("name", "email"), ("asc", "desc"))):
            found = customers(db, period, sort, direction, size=1000).rows
            assert sorted(found, key=repr) == sorted(lines, key=repr)
            seen = [names[each.key][place // 2].lower() for each in found]
            assert seen == sorted(seen, reverse=direction == "desc")
        for text in ("n2", "e1@", "3.EXAMPLE", "1", "gone", "%"):
            keys = {
                key
                for key, both in names.items()
                if key == text or any(text.lower() in each.lower() for each in both)
            }
            page = customers(db, period, search=text, size=1000)
            own = [each for each in lines if each.key in keys]
            assert sorted(page.rows, key=repr) == sorted(own, key=repr)
            assert page.sums == add(each.counts for each in own)
            assert page.total == len(own)


@pytest.fixture
def happen(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Let events happen to a store from nothing on."""
    monkeypatch.setattr(folding, "CHUNK", 3)
    monkeypatch.setattr(purchases, "CHUNK", 4)
    monkeypatch.setattr("invitations_plugin.reports.behaving.FEW", 2)
    monkeypatch.setattr("invitations_plugin.reports.names.FEW", 1)
    monkeypatch.setattr("invitations_plugin.reports.inviter_rows.FIRST_TRIED", 2)
    monkeypatch.setattr(purchases, "REST", timedelta())

    turns = count()

    def happen(told: Any) -> None:
        history = Past(store)
        with store.session() as db:
            monkeypatch.setattr(host(), "purchases", history.purchases, raising=False)
            for table in TABLES:
                db.execute(sa.delete(table))
            for name, *arguments in told:
                getattr(history, name)(db, *arguments)
                db.commit()
        judge(store, next(turns))
        with store.session() as db:
            folding.keep()
            assert check_figures(db) == []
        judge(store, next(turns))
        with store.session() as db:  # figures that are whole, and what is not folded yet
            for name, *arguments in told[:10]:
                if name in UNFOLDED:
                    getattr(history, name)(db, *arguments)
            db.commit()
            assert check_figures(db) == []
        judge(store, next(turns))
        with store.session() as db:
            folding.keep()
            assert check_figures(db) == []

    return happen


def test_every_figure_is_what_the_rows_say(happen: Callable[[Any], None]) -> None:
    rules = settings(
        max_examples=8,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],  # to shrink one takes minutes
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        derandomize=True,
    )

    @rules
    @given(st.lists(events, min_size=6, max_size=40))
    def judged(told: Any) -> None:
        happen(told)

    judged()
