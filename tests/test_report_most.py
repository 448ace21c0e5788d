"""Who had the most in a day or a week: found by what is kept of each month."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from invitations_plugin.database import session
from invitations_plugin.models import Invitation
from invitations_plugin.reports import check_figures, customers, folding, most, peaks
from invitations_plugin.reports.models import PARTS, InvitationPurchase, InviterPeak, MoneyDelta

from .support.figures import keep, period_of, steps, unfolded
from .support.rows import insert, row
from .support.stores import Store

MONDAY = datetime(2028, 1, 31, 12)  # of a week that ends in the next month
PERIOD = {"start": "2028-01-03", "to": "2028-03-31"}
UNITS = ("day", "week")
SOME = {"1": 4, "2": 3, "3": 2, "4": 1}


def invite(
    store: Store, key: str, number: int, at: datetime = MONDAY, status: str = "sent"
) -> None:
    """Write invitations of an inviter, all of one day."""
    more = [
        {"registered_at": at, "customer_key": f"{key}.{place}.{at:%d}"}
        if status == "accepted"
        else {}
        for place in range(number)
    ]
    names = [f"{key}.{place}.{at:%m%d%H}.{status}@friends.example" for place in range(number)]
    insert(
        store,
        [
            row(name, status, inviter_key=key, created_at=at, **each)
            for name, each in zip(names, more, strict=True)
        ],
    )


def fill(store: Store) -> None:
    for key, number in SOME.items():
        invite(store, key, number)
        invite(store, key, 1, MONDAY + timedelta(days=10))


def first(
    store: Store, by: str, sort: str = "sent", search: str = "", way: str = "desc"
) -> list[tuple[str, int]]:
    """Return the first two inviters by a count, each with the number sent."""
    period = period_of(store, by=by, **PERIOD)
    with store.session() as db:
        page = customers(db, period, sort, way, search=search, size=2)
        return [(each.key, each.counts.sent) for each in page.rows]


def lower(store: Store, key: str) -> None:
    """Keep that an inviter never had more than one."""
    with store.session() as db:
        db.execute(sa.delete(InviterPeak).where(InviterPeak.inviter_key == key))
        db.commit()


@pytest.mark.parametrize("by", UNITS)
def test_the_first_lines_by_a_count_are_sought_where_the_peaks_are(store: Store, by: str) -> None:
    fill(store)
    keep(store)
    assert first(store, by) == [("1", 4), ("2", 3)]
    lower(store, "1")
    assert first(store, by) == [("2", 3), ("3", 2)]


@pytest.mark.parametrize("by", UNITS)
def test_accepted_ones_have_peaks_of_their_own(store: Store, by: str) -> None:
    fill(store)
    for key, number in (("3", 2), ("4", 3)):
        invite(store, key, number, status="accepted")
    keep(store)
    assert first(store, by, "accepted") == [("4", 4), ("3", 4)]


def pay(store: Store, key: str, *days: tuple[datetime, int]) -> None:
    """Let what an inviter sent on some days bring so much."""
    for at, amount in days:
        invite(store, key, 1, at, status="accepted")
        with store.session() as db:
            own = sa.select(sa.func.max(Invitation.id)).where(Invitation.inviter_key == key)
            where = {"website": "main", "store_view": "en", "sent_at": at, "first_at": at}
            what = {"currency": "EUR", "orders": 1, "amount": amount * PARTS}
            db.add(InvitationPurchase(invitation_id=db.scalar(own), **where, **what))
            folding.begin(db)  # nobody told of the purchase
            db.commit()


@pytest.mark.parametrize("by", UNITS)
def test_revenue_has_peaks_of_its_own(store: Store, by: str) -> None:
    for key, amount in (("1", 9), ("2", 6), ("3", 4)):
        pay(store, key, (MONDAY, amount), (MONDAY - timedelta(days=10), 1))
    keep(store)
    assert first(store, by, "revenue") == [("1", 1), ("2", 1)]
    lower(store, "1")
    assert first(store, by, "revenue") == [("2", 1), ("3", 1)]
    with store.session() as db:  # it sent one a day, so nothing but money tells
        assert any("of inviter 1" in each for each in check_figures(db))


def test_a_week_has_the_revenue_of_both_its_months(store: Store) -> None:
    pay(store, "1", (MONDAY, 4), (MONDAY + timedelta(days=1), 4))
    pay(store, "2", (MONDAY, 6))
    pay(store, "3", (MONDAY + timedelta(days=1), 7))
    keep(store)
    assert first(store, "week", "revenue") == [("1", 2), ("3", 1)]
    assert first(store, "day", "revenue") == [("3", 1), ("2", 1)]


@pytest.mark.parametrize("by", UNITS)
def test_who_brings_more_is_first_before_that_is_folded_and_after(store: Store, by: str) -> None:
    for key, amount in (("1", 9), ("2", 6), ("3", 4)):
        pay(store, key, (MONDAY, amount))
    keep(store)
    with store.session() as db:
        paid = db.scalars(
            sa.select(InvitationPurchase).where(InvitationPurchase.amount < 5 * PARTS)
        )
        (each,) = paid.all()
        each.amount += 6 * PARTS
        copied = ("invitation_id", "website", "store_view", "sent_at", "currency")
        told = {name: getattr(each, name) for name in copied}
        db.add(MoneyDelta(inviter_key="3", orders=0, amount=6 * PARTS, **told))
        db.commit()
    assert first(store, by, "revenue") == [("3", 1), ("1", 1)]
    keep(store)
    assert first(store, by, "revenue") == [("3", 1), ("1", 1)]


@pytest.mark.parametrize("by", UNITS)
def test_what_staff_sent_stands_among_the_first_lines(store: Store, by: str) -> None:
    fill(store)
    invite(store, "", 5)
    keep(store)
    assert first(store, by) == [("", 5), ("1", 4)]
    assert first(store, by, search="2") == [("2", 3), ("2", 1)]


@pytest.mark.parametrize("by", UNITS)
def test_who_sends_more_is_first_before_that_is_folded_and_after(store: Store, by: str) -> None:
    fill(store)
    keep(store)
    invite(store, "4", 5, MONDAY + timedelta(hours=1))
    assert unfolded(store)
    assert first(store, by) == [("4", 6), ("1", 4)]
    keep(store)
    assert not unfolded(store)
    assert first(store, by) == [("4", 6), ("1", 4)]


@pytest.mark.parametrize("by", UNITS)
@pytest.mark.parametrize("limit", ["MOST_MONTHS", "MOST_TOLD"])
def test_with_too_much_to_look_at_all_lines_are_made(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: str, by: str
) -> None:
    fill(store)
    keep(store)
    invite(store, "2", 2, MONDAY + timedelta(hours=1))
    monkeypatch.setattr(most, limit, 0)
    assert first(store, by) == [("2", 5), ("1", 4)]


@pytest.mark.parametrize("by", UNITS)
def test_the_fewest_stand_by_their_keys(store: Store, by: str) -> None:
    fill(store)
    invite(store, "12", 2, status="accepted")
    keep(store)
    assert first(store, by, way="asc") == [("1", 1), ("2", 1)]
    assert first(store, by, "accepted", way="asc") == [("1", 4), ("1", 1)]
    invite(store, "11", 1)  # not folded
    assert first(store, by, way="asc") == [("1", 1), ("11", 1)]


@pytest.mark.parametrize("by", UNITS)
def test_the_fewest_of_many_are_found_among_all_lines(
    store: Store, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    fill(store)
    keep(store)
    monkeypatch.setattr(most, "MOST_LINES", 0)
    assert first(store, by, way="asc") == [("1", 1), ("2", 1)]


def test_while_peaks_are_counted_reports_are_right(store: Store) -> None:
    fill(store)
    keep(store)
    with store.session() as db:
        peaks.forget(db)
        db.commit()
    for _ in range(30):
        assert [first(store, by) for by in UNITS] == [[("1", 4), ("2", 3)]] * 2
        steps(store, 1)
    with store.session():
        assert not folding.is_something_due(session())


def test_a_peak_that_is_too_low_is_found(store: Store) -> None:
    fill(store)
    keep(store)
    with store.session() as db:
        assert check_figures(db) == []
    lower(store, "1")
    with store.session() as db:
        found = check_figures(db)
    assert [each.partition(" ")[2] for each in found if "London" in each] == [
        "most of a day of 2028-01-01 of inviter 1",
        "most of a week of 2028-01-01 of inviter 1",
    ]
