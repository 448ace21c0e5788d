"""What writes the deltas: triggers on the table of invitations, on both databases.

So whatever changes an invitation changes the figures in the same transaction: a page, a
mass action, an import, an older version of this code that still runs, a statement by hand.
An inserted delta locks nothing that another transaction needs.
"""

# ruff: noqa: S608  # the names are those below
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

TABLE: Final = "invitations_invitation"
DELTA: Final = "invitations_figure_delta"
PURCHASE: Final = "invitations_purchase"
MONEY: Final = "invitations_money_delta"
NAME: Final = "invitations_inviter_name"
PREFIX: Final = "invitations_figure_"
COHORT: Final = ("inviter_key", "website", "store_view", "sent_at")
MOMENTS: Final = ("accepted_at", "bought_at")
NAMED: Final = ("inviter_key", "inviter_name", "inviter_email")
COUNTING: Final = ("insert", "status", "move")
NAMES: Final = (*COUNTING, "money", "name")


def create(connection: sa.Connection, names: Sequence[str] = NAMES) -> None:
    """Make the triggers; they tell of moments where the table of deltas has room for them."""
    known = {each["name"] for each in sa.inspect(connection).get_columns(DELTA)}
    for name in names:
        for statement in _creating(name, connection.dialect.name, set(MOMENTS) <= known):
            connection.exec_driver_sql(statement)


def drop(connection: sa.Connection, names: Sequence[str] = NAMES) -> None:
    """Remove the triggers."""
    for name in names:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {PREFIX}{name} ON {TABLE}")
            connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {PREFIX}{name}()")
        else:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {PREFIX}{name}")


def exist(connection: sa.Connection) -> bool:
    """Return whether all of them are there."""
    if connection.dialect.name == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:table)"
    else:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"
    found = set(connection.scalars(sa.text(query), {"table": TABLE}))
    return found >= {f"{PREFIX}{name}" for name in NAMES}


def _creating(name: str, dialect: str, has_moments: bool) -> Iterator[str]:
    event, condition, body = _Parts(dialect, has_moments).of(name)
    trigger = f"CREATE TRIGGER {PREFIX}{name} AFTER {event} ON {TABLE} FOR EACH ROW"
    if dialect == "postgresql":
        yield (
            f"CREATE FUNCTION {PREFIX}{name}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {body} RETURN NULL; END $$"
        )
        yield f"{trigger} WHEN ({condition}) EXECUTE FUNCTION {PREFIX}{name}()"
    else:
        yield f"{trigger} WHEN {condition} BEGIN {body} END"


class _Parts:
    """When a trigger fires, on which condition, and what it does, as SQL of one database."""

    def __init__(self, dialect: str, has_moments: bool) -> None:
        self._differs = "IS DISTINCT FROM" if dialect == "postgresql" else "IS NOT"
        self._has_moments = has_moments

    def of(self, name: str) -> tuple[str, str, str]:
        """Return event, condition and body of a trigger."""
        parts = {
            "insert": self._insert,
            "status": self._status,
            "move": self._move,
            "money": self._money,
            "name": self._name,
        }
        return parts[name]()

    def _insert(self) -> tuple[str, str, str]:
        return "INSERT", "new.sent_at IS NOT NULL", self._adding("new", "1")

    def _status(self) -> tuple[str, str, str]:
        flags = [f"{_is('new', each)} - {_is('old', each)}" for each in ("accepted", "discarded")]
        is_other = " <> 0 OR ".join(flags)
        body = self._inserting("new", ["0", *flags, "0"], [_registered("new", "old"), "NULL"])
        return "UPDATE OF status", f"NOT ({self._changed(COHORT)}) AND ({is_other} <> 0)", body

    def _move(self) -> tuple[str, str, str]:
        """It moved to another cohort, or was accepted at another moment."""
        columns, condition = [*COHORT], self._changed(COHORT)
        if self._has_moments:
            columns.append("registered_at")
            stays = " AND ".join(f"{row}.status = 'accepted'" for row in ("old", "new"))
            condition += f" OR ({stays} AND {self._changed(['registered_at'])})"
        bought = f"CASE WHEN EXISTS (SELECT 1 FROM {PURCHASE} WHERE invitation_id = new.id)"
        first = f"(SELECT min(first_at) FROM {PURCHASE} WHERE invitation_id = new.id)"
        taken = self._adding("old", "-1", f"-{bought} THEN 1 ELSE 0 END", first)
        added = self._adding("new", "1", f"{bought} THEN 1 ELSE 0 END", first)
        return f"UPDATE OF {', '.join(columns)}", f"({condition})", taken + added

    def _money(self) -> tuple[str, str, str]:
        moved = _moving_money("old", "-") + _moving_money("new", "")
        return "UPDATE OF inviter_key", "new.inviter_key <> old.inviter_key", moved

    def _name(self) -> tuple[str, str, str]:
        """A delta of nothing tells the worker whose name it has to look up."""
        gone = f"DELETE FROM {NAME} WHERE inviter_key = old.inviter_key;"
        told = self._inserting("new", ["0"] * 4, ["NULL"] * 2)
        return f"UPDATE OF {', '.join(NAMED)}", self._changed(NAMED), gone + told

    def _changed(self, columns: Sequence[str]) -> str:
        return " OR ".join(f"new.{each} {self._differs} old.{each}" for each in columns)

    def _adding(self, row: str, sign: str, purchased: str = "0", bought_at: str = "NULL") -> str:
        """Return what adds a whole row to the figures, or takes it out."""
        statuses = [f"{sign} * {_is(row, each)}" for each in ("accepted", "discarded")]
        return self._inserting(row, [sign, *statuses, purchased], [_registered(row), bought_at])

    def _inserting(self, row: str, counts: Sequence[str], moments: Sequence[str]) -> str:
        columns = [*COHORT, "sent", "accepted", "discarded", "purchased"]
        values = [*(f"{row}.{each}" for each in COHORT), *counts]
        if self._has_moments:
            columns, values = [*columns, *MOMENTS], [*values, *moments]
        return (
            f"INSERT INTO {DELTA} (invitation_id, {', '.join(columns)})"
            f" SELECT {row}.id, {', '.join(values)} WHERE {row}.sent_at IS NOT NULL;"
        )


def _moving_money(row: str, sign: str) -> str:
    """Return what adds all that an invitation brought to its inviter, or takes it away."""
    kept = "website, store_view, sent_at, currency"
    return (
        f"INSERT INTO {MONEY} (invitation_id, inviter_key, {kept}, orders, amount)"
        f" SELECT invitation_id, {row}.inviter_key, {kept}, {sign}orders, {sign}amount"
        f" FROM {PURCHASE} WHERE invitation_id = new.id;"
    )


def _is(row: str, status: str) -> str:
    return f"(CASE WHEN {row}.status = '{status}' THEN 1 ELSE 0 END)"


def _registered(*rows: str) -> str:
    """Return when the first of some rows was accepted that is."""
    cases = [f"WHEN {row}.status = 'accepted' THEN {row}.registered_at" for row in rows]
    return f"(CASE {' '.join(cases)} END)"
