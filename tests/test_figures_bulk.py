"""Very many invitations at once: no deltas, and reports that are right before and after."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import pytest
import sqlalchemy as sa

from invitations_plugin import figures_afterwards, migrations
from invitations_plugin.database import engine
from invitations_plugin.reports import invitations, triggers
from invitations_plugin.reports.models import Figure
from sample_store import demo

from .support.figures import keep, period_of, plainly, unfolded
from .support.rows import insert, row
from .support.stores import Store
from .test_demo_data import seed

DAY = datetime(2028, 3, 2, 12)
MONTH = {"start": "2028-03-01", "to": "2028-03-31", "by": "month"}


def add(store: Store, *names: str) -> None:
    insert(store, [row(f"{name}@example.com", "accepted", created_at=DAY) for name in names])


def has_triggers(store: Store) -> bool:
    with store.session(), engine().connect() as connection:
        return triggers.exist(connection)


def judge(store: Store, number: int) -> None:
    period = period_of(store, **MONTH)
    with store.session() as db:
        found = [each.counts for each in invitations(db, period).lines]
    assert found == plainly(store, period)
    assert found[0].sent == number


def test_figures_are_counted_when_all_are_in(store: Store) -> None:
    add(store, "before")
    keep(store)
    with store.session(), figures_afterwards():
        add(store, "ann", "ben")
        assert unfolded(store) == 0
        keep(store)  # what a worker does meanwhile
        judge(store, 3)
        add(store, "cid")
        judge(store, 4)
    add(store, "later")
    judge(store, 5)
    keep(store)
    judge(store, 5)
    with store.session() as db:
        assert db.scalar(sa.select(sa.func.sum(Figure.sent)).where(Figure.store_view == "en")) == 5


def test_what_breaks_the_import_off_leaves_figures_as_they_are_kept(store: Store) -> None:
    keep(store)
    with store.session(), suppress(KeyError), figures_afterwards():
        add(store, "ann")
        raise KeyError
    assert has_triggers(store)
    keep(store)
    judge(store, 1)


def test_what_a_crash_leaves_is_mended_by_the_next_upgrade(store: Store) -> None:
    keep(store)
    with store.session():
        figures_afterwards().__enter__()
    add(store, "ann")
    keep(store)
    judge(store, 1)
    migrations.upgrade(store.app)
    assert has_triggers(store)
    add(store, "ben")
    keep(store)
    judge(store, 2)


def test_a_big_seed_writes_no_deltas(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "MANY", 100)
    waiting = list[int]()
    monkeypatch.setattr(demo, "keep_figures", lambda **given: waiting.append(unfolded(store)))
    seed(store, 100)
    assert waiting == [0]
    assert has_triggers(store)
