"""Figures of the reports: right at any moment, whoever changes what, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Event, Thread
from typing import Any

import pytest
import sqlalchemy as sa

from invitations_plugin import migrations, workers
from invitations_plugin.database import atomically, engine
from invitations_plugin.doctor import examine
from invitations_plugin.erasing import forget_customer
from invitations_plugin.host import StoreView, Website
from invitations_plugin.lifecycle import accept
from invitations_plugin.models import Invitation
from invitations_plugin.reports import (
    Counts,
    Period,
    check_figures,
    counting,
    customers,
    folding,
    invitations,
    read_period,
    triggers,
)
from invitations_plugin.reports.models import Figure, InvitationPurchase, InviterFigure
from invitations_plugin.scope import limit_to

from .support.figures import keep, period_of, plainly, steps, unfolded
from .support.rows import insert, one, row
from .support.stores import Store

# The nights in which the clocks of Europe go forward and back, and a leap day.
MOMENTS = [
    datetime.fromisoformat(each)
    for each in (
        "2028-02-28T23:59:59.999999",
        "2028-02-29T00:00",
        "2028-02-29T23:30",
        "2028-03-25T22:59:59",
        "2028-03-25T23:00",
        "2028-03-26T00:59",
        "2028-03-26T22:00",
        "2028-03-26T22:59:59",
        "2028-03-26T23:00",
        "2028-10-28T21:59",
        "2028-10-28T22:00",
        "2028-10-28T23:00",
        "2028-10-29T01:30",
        "2028-10-29T23:15",
        "2028-12-31T23:30",
        "2029-01-01T00:00",
    )
]
YEAR = {"start": "2028-01-01", "to": "2029-01-01"}
NIGHTS = [
    {"start": "2028-02-28", "to": "2028-03-01"},
    {"start": "2028-03-25", "to": "2028-03-27", "store": "store:it"},
    {"start": "2028-10-28", "to": "2028-10-30", "store": "website:main"},
    {**YEAR, "by": "week", "store": "private"},
    {**YEAR, "by": "month", "store": "fr"},
    {**YEAR, "by": "year"},
]


def report(store: Store, period: Period) -> list[Counts]:
    """Return the counts of each interval of a report."""
    with store.session() as db:
        found = invitations(db, period)
    sums = zip(*(each.counts for each in found.lines), strict=True)
    assert found.totals == Counts(*map(sum, sums))
    return [each.counts for each in found.lines]


def fill(store: Store) -> list[int]:
    """Write an invitation of each status and store view at each moment."""
    statuses = ("sent", "accepted", "discarded", "declined", "expired", "sent")
    views = (("main", "en"), ("main", "fr"), ("private", "it"), ("private", "was here once"))
    made = []
    for place, at in enumerate(MOMENTS):
        for number, (website, view) in enumerate(views):
            status = statuses[(place + number) % len(statuses)]
            where = {"website": website, "store_view": view, "inviter_key": f"{number}"}
            made.append(row(f"{place}.{number}@example.com", status, created_at=at, **where))
    return insert(store, [*made, row("never@example.com", "not_sent", created_at=MOMENTS[0])])


@pytest.fixture(params=["kept", "waiting", "being counted", "never kept"])
def bring(request: pytest.FixtureRequest) -> Callable[[Store, Callable[[], object]], None]:
    """Bring a store's figures to a stage, while something happens; each must show the same."""

    def bring(store: Store, happen: Callable[[], object]) -> None:
        if request.param != "never kept":
            keep(store)
        happen()
        if request.param == "kept":
            keep(store)
            assert unfolded(store) == 0
        elif request.param == "being counted":
            with store.session() as db:
                folding.begin(db)
                db.commit()

    return bring


def test_each_interval_has_what_was_sent_in_its_days(
    store: Store, bring: Callable[[Store, Callable[[], object]], None]
) -> None:
    bring(store, lambda: fill(store))
    for asked in NIGHTS:
        period = period_of(store, **asked)
        expected = plainly(store, period)
        assert report(store, period) == expected
        assert Counts() != expected[0] or len(expected) > 3


def test_what_happens_later_changes_the_interval_of_the_first_mail(store: Store) -> None:
    fill(store)
    keep(store)
    periods = [period_of(store, **asked) for asked in NIGHTS]
    before = [report(store, each) for each in periods]
    with store.session() as db:
        changes = {"sent": "accepted", "expired": "not_sent", "declined": "discarded"}
        for source, target in changes.items():
            change = sa.update(Invitation).where(Invitation.status == source)
            db.execute(change.values(status=target, **also(target)))
        db.commit()
    expected = [plainly(store, each) for each in periods]
    assert expected != before
    assert [report(store, each) for each in periods] == expected
    keep(store)
    assert [report(store, each) for each in periods] == expected


def also(status: str) -> dict[str, Any]:
    """Return the columns that go with a status."""
    return {
        "registered_at": datetime(2029, 1, 1) if status == "accepted" else None,
        "discarded_by": "staff" if status == "discarded" else None,
    }


def test_a_report_is_read_from_the_figures_once_they_are_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    keep(store)
    period = period_of(store, **YEAR, by="month")
    expected = plainly(store, period)
    monkeypatch.setattr(counting, "count_rows", lambda db, period: pytest.fail("rows are counted"))
    assert report(store, period) == expected


def test_figures_thrown_away_while_they_are_read_do_not_count(store: Store) -> None:
    fill(store)
    keep(store)
    period = period_of(store, **YEAR)

    def disturbed(db: object, period: Period) -> object:
        with store.session() as other:
            folding.begin(other)
            other.commit()
        return "of figures that are gone"

    with store.session() as db:
        found = counting.from_figures(db, period, disturbed, lambda db, period: "of the rows")
    assert found == "of the rows"


def test_an_erased_inviter_leaves_the_figures_as_they_were(store: Store) -> None:
    fill(store)
    keep(store)
    period = period_of(store, **YEAR)
    before = report(store, period)
    with store.session() as db:
        forget_customer(db, "1")
        db.commit()
    keep(store)
    after = report(store, period)
    assert [each.sent for each in after] == [each.sent for each in before]
    assert after == plainly(store, period)
    with store.session() as db:
        keys = sa.select(InviterFigure.inviter_key).where(InviterFigure.sent > 0).distinct()
        assert "1" not in set(db.scalars(keys))


def test_a_store_view_that_moves_to_another_zone_is_counted_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    keep(store)
    moved = StoreView("en", "English", "main", timezone="Asia/Kathmandu")  # 5:45 ahead
    with store.session():
        monkeypatch.setattr(
            store.app.extensions["invitations"].host,
            "websites",
            lambda: (Website("main", "Main", (moved,)),),
        )
    period = period_of(store, **YEAR)
    assert period.timezone == "Asia/Kathmandu"
    assert report(store, period) == plainly(store, period)
    keep(store)
    assert report(store, period) == plainly(store, period)
    with store.session() as db:
        assert set(db.scalars(sa.select(Figure.timezone))) == {"Asia/Kathmandu"}


def test_the_worker_keeps_the_figures(store: Store) -> None:
    one(store)
    with store.session():
        workers.Clock(store.app)._look()
    assert unfolded(store) == 0
    with store.session() as db:
        assert db.scalar(sa.select(sa.func.sum(Figure.sent)).where(Figure.store_view == "en")) == 1


def test_counting_anew_goes_on_where_it_was_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "CHUNK", 7)
    ids = fill(store)
    keep(store)
    with store.session() as db:
        folding.begin(db)
        db.commit()
    steps(store, 4)
    with store.session() as db:  # one row that is counted again already, one that is not
        pair = sa.update(Invitation).where(Invitation.id.in_([ids[0], ids[-2]]))
        db.execute(pair.values(status="discarded", discarded_by="staff", registered_at=None))
        state = folding.read_state(db)
        assert state is not None
        assert ids[0] < state.position < ids[-2]
        db.commit()
    keep(store)
    period = period_of(store, **YEAR)
    assert report(store, period) == plainly(store, period)
    with store.session() as db:
        assert sum(db.scalars(sa.select(Figure.sent))) > 0


class Crowd:
    """Threads that change rows, fold, throw the figures away and read them, all at once."""

    def __init__(self, store: Store, period: Period) -> None:
        self.store, self.period = store, period
        self.over, self.seen = Event(), set[int]()

    def move(self, status: str, ids: list[int]) -> None:
        with self.store.session() as db:
            for each in ids * 3:
                change = sa.update(Invitation).where(Invitation.id == each)
                change = change.values(status=status, **also(status))
                atomically(lambda statement=change: db.execute(statement))  # type: ignore[misc]

    def keep(self) -> None:
        while not self.over.is_set():
            with self.store.session() as db:
                folding.keep()
                atomically(lambda: folding.begin(db))

    def read(self) -> None:
        while not self.over.is_set():
            self.seen.add(sum(each.sent for each in report(self.store, self.period)))

    def run(self, ids: list[int]) -> None:
        both = enumerate(("discarded", "sent"))
        movers = [Thread(target=self.move, args=(name, ids[place::2])) for place, name in both]
        others = [Thread(target=each) for each in (self.keep, self.keep, self.read)]
        for each in (*movers, *others):
            each.start()
        for each in movers:
            each.join()
        self.over.set()
        for each in others:
            each.join()


def test_rows_that_move_while_figures_are_folded_and_counted_anew(store: Store) -> None:
    ids, period = fill(store), period_of(store, **YEAR)
    keep(store)
    number = sum(each.sent for each in plainly(store, period))
    crowd = Crowd(store, period)
    crowd.run(ids[:-1])
    assert crowd.seen == {number}
    keep(store)
    assert report(store, period) == plainly(store, period)


def test_invitations_older_than_the_figures_are_counted(store: Store) -> None:
    migrations.downgrade(store.app, "0010")
    fill(store)
    migrations.upgrade(store.app)
    period = period_of(store, **YEAR)
    expected = plainly(store, period)
    assert report(store, period) == expected
    keep(store)
    assert report(store, period) == expected


def test_figures_of_the_version_before_are_counted_anew_both_ways(store: Store) -> None:
    fill(store)
    keep(store)
    period = period_of(store, **YEAR)
    migrations.downgrade(store.app, "0013")
    with store.session(), engine().connect() as connection:
        figures = sa.text("SELECT count(month) FROM invitations_inviter_figure")
        assert connection.scalar(figures) == 0
    migrations.upgrade(store.app)
    assert report(store, period) == plainly(store, period)
    keep(store)
    with store.session() as db:
        assert check_figures(db) == []
    assert report(store, period) == plainly(store, period)


@pytest.mark.parametrize("table", folding.FIGURES)
def test_a_figure_that_is_not_that_of_the_rows_is_named(store: Store, table: Any) -> None:
    insert(store, [row("a@example.com", "accepted", created_at=MOMENTS[0])])
    purchase = {"website": "main", "store_view": "en", "sent_at": MOMENTS[0], "orders": 1}
    with store.session() as db:
        number = db.scalar(sa.select(Invitation.id))
        more = {"currency": "EUR", "amount": 500, "first_at": MOMENTS[-1]}
        db.add(InvitationPurchase(invitation_id=number, **purchase, **more))
        folding.begin(db)  # nobody told of the purchase
        db.commit()
    keep(store)
    with store.session() as db:
        assert check_figures(db) == []
        names = ("amount", "sent", "number")
        name = next(each for each in names if hasattr(table, each))
        db.execute(sa.update(table).values({name: getattr(table, name) + 1}))
        db.commit()
        assert check_figures(db) != []


def test_lost_triggers_are_reported_and_mended(store: Store) -> None:
    keep(store)
    with store.session(), engine().begin() as connection:
        triggers.drop(connection)
    fill(store)
    with store.session():
        assert any("triggers" in each for each in examine(store.app))
    migrations.upgrade(store.app)
    with store.session():
        assert not any("triggers" in each for each in examine(store.app))
    period = period_of(store, **YEAR)
    assert report(store, period) == plainly(store, period)
    keep(store)
    assert report(store, period) == plainly(store, period)


def test_staff_of_a_website_have_its_figures_only(store: Store) -> None:
    fill(store)
    keep(store)
    with store.session() as db:
        limit_to(["private"])
        own = read_period({"from": "2028-01-01", "to": "2029-01-01", "by": "year"}).period
        assert own is not None
        assert own.timezone == "Europe/Rome"
        totals = invitations(db, own).totals
        assert read_period({"store": "website:main"}).errors == {"store": "choice"}
    assert totals == Counts(*map(sum, zip(*plainly(store, own), strict=True)))
    assert totals.sent == 2 * len(MOMENTS)


@pytest.mark.parametrize("websites", [["private"], ["main", "private"]])
def test_staff_of_some_websites_have_their_inviters_only(store: Store, websites: list[str]) -> None:
    fill(store)
    keep(store)
    with store.session() as db:
        limit_to(websites)
        period = read_period({"from": "2028-01-01", "to": "2028-12-31", "by": "year"}).period
        assert period is not None
        found = customers(db, period, "sent").rows
    assert {each.key for each in found} == {"2", "3"} | ({"0", "1"} if len(websites) > 1 else set())
    for each in found:
        assert [each.counts] == plainly(store, period, each.key)


def test_accepting_before_the_mail_is_known_to_have_left_counts_as_sent(store: Store) -> None:
    number = one(store, status="not_sent")
    with store.session() as db:
        accept(db, db.get(Invitation, number), "new")
        db.commit()
    [counts] = report(store, period_of(store, by="year"))[-1:]
    assert (counts.sent, counts.accepted) == (1, 1)
