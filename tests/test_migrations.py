"""Our tables: made, compared, taken away, and left alone by the store's own migrations."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from invitations_plugin import migrations, searchable
from invitations_plugin.database import engine
from invitations_plugin.doctor import examine
from invitations_plugin.models import Base, Invitation, Quota

from .second_host import app as second_app
from .second_host.models import db
from .support.rows import STATUSES, insert, row
from .support.second_store import SecondStore
from .support.snapshots import contents
from .support.stores import MakeStore, Store


@pytest.fixture
def second(make_store: MakeStore) -> SecondStore:
    """The store with migrations of its own."""
    store = make_store(SecondStore)
    assert isinstance(store, SecondStore)
    return store


@pytest.fixture
def restore(any_store: Store) -> object:
    """Bring the tables back for the tests that share the database."""
    yield
    migrations.upgrade(any_store.app)


def table_names(store: Store) -> set[str]:
    with store.app.app_context():
        return set(sa.inspect(engine()).get_table_names())


def ours(store: Store) -> set[str]:
    return {name for name in table_names(store) if name.startswith(migrations.PREFIX)}


def test_the_tables_are_as_the_models_say(any_store: Store) -> None:
    with any_store.app.app_context(), engine().connect() as connection:
        options = {"compare_type": True, "include_name": _only_ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def _only_ours(name: str | None, kind: str, parents: object) -> bool:
    is_ours = str(name).startswith(migrations.PREFIX) and name != migrations.VERSION_TABLE
    is_beside = str(name).startswith(searchable.PREFIX)  # not in the models: see searchable.py
    return not is_beside and (kind != "table" or is_ours)


def test_a_second_upgrade_changes_nothing(any_store: Store) -> None:
    insert(any_store, [row(f"{status}@example.com", status) for status in STATUSES])
    before = contents(any_store)
    migrations.upgrade(any_store.app)
    assert contents(any_store) == before


def test_downgrade_takes_our_tables_and_no_others(any_store: Store, restore: None) -> None:
    insert(any_store, [row(f"{status}@example.com", status) for status in STATUSES])
    before = contents(any_store)
    migrations.downgrade(any_store.app, "base")
    assert ours(any_store) <= {migrations.VERSION_TABLE}
    after = contents(any_store)
    assert {name: before[name] for name in after if name not in ours(any_store)} == {
        name: rows for name, rows in after.items() if name not in ours(any_store)
    }
    assert any_store.customer_emails()


def test_the_tables_can_be_made_again(any_store: Store, restore: None) -> None:
    before = table_names(any_store)
    migrations.downgrade(any_store.app, "base")
    migrations.upgrade(any_store.app)
    assert table_names(any_store) == before
    assert migrations.current(any_store.app) == migrations.newest()
    any_store.customer().send("anna@example.com")
    assert any_store.invitation("anna@example.com").status == "not_sent"


def test_the_second_revision_keeps_every_row_both_ways(any_store: Store, restore: None) -> None:
    any_store.customer().send("anna@example.com", "ben@example.com")
    before = contents(any_store)
    migrations.downgrade(any_store.app, "0001")
    older = contents(any_store)
    assert "asked_at" not in columns(any_store, "invitations_invitation")
    assert len(older["invitations_invitation"]) == 2
    assert len(older["invitations_outbox"]) == len(before["invitations_outbox"]) == 2
    # The last column, a mail's Message-ID, came later.
    known = [f"{each.removesuffix(', None)')})" for each in before["invitations_history"]]
    assert older["invitations_history"] == known != []
    migrations.upgrade(any_store.app)
    assert contents(any_store) == before


def test_old_counts_are_not_kept_without_an_end(any_store: Store, restore: None) -> None:
    any_store.customer().send("anna@example.com")
    migrations.downgrade(any_store.app, "0001")
    old = sa.text(
        "INSERT INTO invitations_quota VALUES ('guess:abc:202611220604', 3, '2026-11-22 06:04:00')"
    )
    with any_store.app.app_context(), engine().begin() as connection:
        connection.execute(old)
    migrations.upgrade(any_store.app)
    with any_store.session() as db:
        [kept] = db.scalars(sa.select(Quota.subject))
    assert kept.startswith("sender:")


def columns(store: Store, table: str) -> set[str]:
    with store.app.app_context():
        return {each["name"] for each in sa.inspect(engine()).get_columns(table)}


def test_the_database_itself_keeps_the_rules(any_store: Store) -> None:
    insert(any_store, [row("anna@example.com")])
    twice = row("anna@example.com")
    wrong = [twice, row("b@example.com", status="lost"), row("c@example.com") | {"sent_at": None}]
    wrong.append(row("d@example.com", "accepted", registered_at=None))
    wrong.append(row("e@example.com", "discarded", discarded_by=None))
    for values in wrong:
        with any_store.session() as db, pytest.raises(sa.exc.IntegrityError):
            db.execute(sa.insert(Invitation).values(values))


def test_the_commands_upgrade_and_downgrade(any_store: Store, restore: None) -> None:
    run = any_store.app.test_cli_runner().invoke
    assert run(args=["invitations", "downgrade", "base", "--yes"]).exit_code == 0
    assert migrations.current(any_store.app) is None
    answer = run(args=["invitations", "upgrade"])
    assert answer.exit_code == 0
    assert str(migrations.newest()) in answer.output


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A copy of the store's migrations, to write into."""
    return Path(shutil.copytree(second_app.HISTORY, tmp_path / "history"))


def newest_script(history: Path, known: set[Path]) -> str:
    (made,) = set(history.glob("versions/*.py")) - known
    return made.read_text()


@pytest.fixture
def autogenerate(second: SecondStore, history: Path) -> Callable[[], str]:
    """Return a function that does ``flask db migrate`` and gives what it wrote."""

    def migrate() -> str:
        known = set(history.glob("versions/*.py"))
        with second.app.app_context():
            flask_migrate.migrate(directory=str(history), message="next")
        return newest_script(history, known)

    return migrate


def test_the_store_s_own_migrations_leave_our_tables_alone(
    second: SecondStore, autogenerate: Callable[[], str]
) -> None:
    assert len(ours(second)) > 5
    script = autogenerate()
    assert "invitations" not in script
    assert "drop_" not in script


def test_the_guard_spares_our_tables_only(
    second: SecondStore, autogenerate: Callable[[], str]
) -> None:
    with second.app.app_context(), engine().begin() as connection:
        connection.execute(sa.text("CREATE TABLE legacy (id INTEGER)"))
    try:
        assert "drop_table('legacy')" in autogenerate()
    finally:
        with second.app.app_context(), engine().begin() as connection:
            connection.execute(sa.text("DROP TABLE legacy"))


def test_doctor_tells_of_a_store_whose_migrations_would_drop_our_tables(
    second: SecondStore,
) -> None:
    assert not _mentions_migrate(second)
    flask_migrate.Migrate(second.app, db, directory=str(second_app.HISTORY))
    assert _mentions_migrate(second)


def _mentions_migrate(store: Store) -> bool:
    with store.app.app_context():
        return any("flask db migrate" in finding for finding in examine(store.app))
