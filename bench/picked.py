"""The rows that a mass action is measured on, and how to have them back as they were."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from invitations_plugin.models import History, Invitation

NAME = "bench_picked"
LOG = "django_admin_log"
SOME = 1000


@dataclass(frozen=True, slots=True)
class Task:
    """All expired invitations up to an id: how many they are, and the ids of some."""

    upto: int
    number: int
    some: Sequence[int]


class Picked:
    """So many expired invitations of a database."""

    def __init__(self, url: str, most: int) -> None:
        self._engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        with self._engine.connect() as connection:
            ids = _remember(connection, most)
            self._last_note = connection.scalar(sa.select(sa.func.max(History.id))) or 0
            self.total = connection.scalar(sa.select(sa.func.count(Invitation.id))) or 0
            self._forget_log(connection)
        if not ids:
            raise RuntimeError("No invitation has expired.")
        self._settle()
        self.task = Task(ids[-1], len(ids), random.Random(1).sample(ids, min(len(ids), SOME)))

    def version(self) -> str:
        """Return the version of the database."""
        return ".".join(map(str, self._engine.dialect.server_version_info or ()))

    def undo(self) -> None:
        """Bring everything back.

        :raises RuntimeError: when not all of it was done, or more.
        """
        with self._engine.connect() as connection:
            done = connection.exec_driver_sql(
                "update invitations_invitation set status = 'expired', discarded_by = null"
                f" where status = 'discarded' and id in (select id from {NAME})"
            ).rowcount
            notes = sa.delete(History).where(History.id > self._last_note)
            noted = connection.execute(notes).rowcount + self._forget_log(connection)
        if {done, noted} != {self.task.number}:
            raise RuntimeError(f"{done} discarded and {noted} noted of {self.task.number}")
        self._settle()

    def close(self) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"drop table if exists {NAME}")
        self._engine.dispose()

    def _forget_log(self, connection: sa.Connection) -> int:
        """Empty the history that Django's admin writes instead of ours."""
        if not sa.inspect(connection).has_table(LOG):
            return 0
        return connection.exec_driver_sql(f"delete from {LOG}").rowcount

    def _settle(self) -> None:
        """Leave to the next one no pages to write back and no dead rows."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql(
                "pragma wal_checkpoint(truncate)"
                if self._is_sqlite
                else "vacuum invitations_invitation, invitations_history"
            )


def _remember(connection: sa.Connection, most: int) -> Sequence[int]:
    """Write the ids of the oldest that expired into a table, and return them."""
    expired = sa.select(Invitation.id).where(Invitation.status == "expired")
    connection.exec_driver_sql(f"drop table if exists {NAME}")
    connection.exec_driver_sql(f"create table {NAME} (id integer primary key)")
    picked = sa.table(NAME, sa.column("id"))
    oldest = expired.order_by(Invitation.id).limit(most)
    connection.execute(sa.insert(picked).from_select(["id"], oldest))
    return connection.scalars(sa.select(picked.c.id).order_by(picked.c.id)).all()
