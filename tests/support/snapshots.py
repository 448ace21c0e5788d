"""Everything that stands in a store's tables, to see that nothing changed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from invitations_plugin import searchable
from invitations_plugin.database import engine

from .stores import Store

BESIDE = {"visit", "invitations_quota"}  # what a host and a limiter count by themselves


def contents(store: Store) -> dict[str, list[Any]]:
    """Return all rows of all tables, by table."""
    with store.app.app_context():
        target = engine()
    with target.connect() as connection:
        return {
            name: sorted(map(repr, connection.exec_driver_sql(f'SELECT * FROM "{name}"').all()))  # noqa: S608
            for name in sa.inspect(connection).get_table_names()
            if name not in BESIDE and not name.startswith(searchable.PREFIX)
        }
