"""Indexes that a big seed leaves out: they come back, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from invitations_plugin import importing
from invitations_plugin.database import engine
from sample_store import demo, filling, indexes

from .support.rows import insert, row
from .support.stores import Store
from .test_demo_data import seed

DEFINED = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL",
    # It spells the condition of a partial index another way when it reads it again.
    "postgresql": "SELECT split_part(indexdef, ' WHERE ', 1) || (indexdef LIKE '% WHERE %')"
    " FROM pg_indexes WHERE schemaname = 'public'",
}
TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}
FOUND = sa.text("SELECT count(*) FROM search WHERE email LIKE :text")
SEARCH = (
    "CREATE VIRTUAL TABLE search USING fts5(email, content='invitations_invitation',"
    " content_rowid='id', detail=none, tokenize='trigram')",
    "CREATE TRIGGER fill_search AFTER INSERT ON invitations_invitation BEGIN"
    " INSERT INTO search (rowid, email) VALUES (new.id, new.email); END",
    "CREATE TABLE counted (number INTEGER)",
    "CREATE TRIGGER count_them AFTER INSERT ON invitations_invitation BEGIN"
    " INSERT INTO counted VALUES (new.id); END",
)


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a seed of a hundred invitations leave the indexes out."""
    monkeypatch.setattr(demo, "MANY", 100)


def texts(store: Store, statements: dict[str, str]) -> list[str]:
    with store.app.app_context(), engine().connect() as connection:
        return sorted(connection.scalars(sa.text(statements[engine().dialect.name])))


def leave_out(store: Store) -> None:
    """Do what a seed begins with, and no more: as if the machine had stopped then."""
    with store.app.app_context():
        indexes.leave_out(engine())


def run(store: Store, *statements: str) -> None:
    with store.app.app_context(), engine().begin() as connection:
        for each in statements:
            connection.exec_driver_sql(each)


def watched(monkeypatch: pytest.MonkeyPatch, look: Callable[[], None]) -> None:
    """Let something happen while the store is filled."""
    fill = filling.fill

    def looking(*given: Any) -> filling.Added:
        look()
        return fill(*given)

    monkeypatch.setattr(demo, "fill", looking)


def test_a_big_seed_leaves_the_indexes_out_and_builds_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, tables, during = texts(store, DEFINED), texts(store, TABLES), list[str]()
    watched(monkeypatch, lambda: during.extend(texts(store, DEFINED)))
    assert "Building the indexes" in seed(store, 100)
    assert len(store.invitations()) == 100
    assert not [each for each in during if "ix_invitations_invitation" in each]
    assert texts(store, DEFINED) == before
    assert texts(store, TABLES) == tables


def test_a_small_seed_keeps_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before, during = texts(store, DEFINED), list[str]()
    watched(monkeypatch, lambda: during.extend(texts(store, DEFINED)))
    assert "Building the indexes" not in seed(store, 99)
    assert during == before


def test_a_seed_that_is_there_already_leaves_nothing_out(store: Store) -> None:
    seed(store, 100)
    assert "Building the indexes" not in seed(store, 100)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_they_are_built_when_the_seed_is_interrupted(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    before = texts(store, DEFINED)

    def interrupt(*given: Any) -> int:
        raise error

    monkeypatch.setattr(filling, "import_invitations", interrupt)
    arguments = ["demo", "seed", "--customers", "5", "--invitations", "100"]
    assert store.app.test_cli_runner().invoke(args=arguments).exit_code == 1
    assert texts(store, DEFINED) == before
    monkeypatch.setattr(filling, "import_invitations", importing.import_invitations)
    seed(store, 100)
    assert len(store.invitations()) == 100


def test_what_a_crash_left_out_comes_back_at_the_next_start(store: Store) -> None:
    before, tables = texts(store, DEFINED), texts(store, TABLES)
    leave_out(store)
    assert texts(store, DEFINED) != before
    store.prepare()
    assert texts(store, DEFINED) == before
    assert texts(store, TABLES) == tables


def test_what_is_invited_twice_is_refused_meanwhile(store: Store) -> None:
    leave_out(store)
    insert(store, [row("anna@example.com")])
    with pytest.raises(sa.exc.IntegrityError):
        insert(store, [row("anna@example.com")])
    store.prepare()


def test_building_that_fails_forgets_nothing(store: Store) -> None:
    before = texts(store, DEFINED)
    leave_out(store)
    with store.app.app_context():
        run(store, "CREATE TABLE ix_invitations_history_invitation_id_id (id INTEGER)")
        with pytest.raises(sa.exc.DBAPIError):
            indexes.restore(engine())
        run(store, "DROP TABLE ix_invitations_history_invitation_id_id")
    store.prepare()
    assert texts(store, DEFINED) == before


@pytest.mark.parametrize("database", ["sqlite"])  # PostgreSQL's search is an index like others
def test_a_search_beside_the_table_is_filled_at_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(store, *SEARCH)
    before, during = texts(store, DEFINED), list[str]()
    watched(monkeypatch, lambda: during.extend(texts(store, DEFINED)))
    seed(store, 100)
    insert(store, [row("one.more@example.com")])
    assert "fill_search" not in " ".join(during)
    assert "count_them" in " ".join(during)
    assert texts(store, DEFINED) == before
    with store.session() as db:
        assert db.scalar(FOUND, {"text": "%.example.%"}) == 100
        assert db.scalar(FOUND, {"text": "%one.more%"}) == 1
        assert db.scalar(sa.text("SELECT count(*) FROM counted")) == 101
