"""The plugin's own migrations: a version table of its own, apart from the store's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from .. import searchable
from ..database import engine
from ..models import Base
from ..reports.bulk import mend
from ..state import state_in

VERSION_TABLE = "invitations_alembic_version"
PREFIX = "invitations_"


def upgrade(app: Flask, revision: str = "head") -> None:
    """Create the plugin's tables in the store's database, or bring them up to date.

    :raises RuntimeError: when the plugin is not mounted.
    """
    state_in(app, "upgrade")
    _run(app, lambda config: command.upgrade(config, revision))
    if revision == "head":
        with app.app_context(), engine().begin() as connection:
            if not searchable.exist(connection):
                searchable.create(connection)
            mend(connection)  # a table that was made anew has lost its triggers


def downgrade(app: Flask, revision: str) -> None:
    """Take the tables back to a revision; ``"base"`` removes them, and nothing else."""
    _run(app, lambda config: command.downgrade(config, revision))


def current(app: Flask) -> str | None:
    """Return the revision the database is at, None without our tables."""
    with app.app_context(), engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return context.get_current_revision()


def newest() -> str | None:
    """Return the newest revision that this version of the plugin has."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def guard_host_migrations(app: Flask) -> None:
    """Keep the store's Flask-Migrate, where it is there already, from dropping our tables."""
    if not is_guarded(app):
        arguments = app.extensions["migrate"].configure_args
        arguments["include_name"] = _leaving_ours_alone(arguments.get("include_name"))


def is_guarded(app: Flask) -> bool:
    """Return whether the store's own migrations leave our tables alone."""
    migrate = app.extensions.get("migrate")
    chosen = migrate.configure_args.get("include_name") if migrate is not None else None
    return migrate is None or getattr(chosen, "keeps_invitations", False)


def _leaving_ours_alone(chosen: Callable[..., bool] | None) -> Callable[..., bool]:
    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "table" and name is not None and name.startswith(PREFIX):
            return False
        return chosen is None or chosen(name, kind, parents)

    include_name.keeps_invitations = True  # type: ignore[attr-defined]
    return include_name


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _run(app: Flask, step: Callable[[Config], None]) -> None:
    config = _config()
    with app.app_context(), engine().connect() as connection:
        _begin(connection)
        config.attributes["connection"] = connection
        step(config)
        connection.commit()


def _begin(connection: sa.Connection) -> None:
    """Begin for real: the SQLite driver would otherwise commit each DDL statement alone."""
    if connection.dialect.name != "sqlite":
        return
    driver: Any = connection.connection.dbapi_connection
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


metadata = Base.metadata
