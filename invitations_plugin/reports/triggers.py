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
NAMED: Final = ("inviter_key", "inviter_name", "inviter_email")
COUNTING: Final = ("insert", "status", "move")
NAMES: Final = (*COUNTING, "money", "name")


def create(connection: sa.Connection, names: Sequence[str] = NAMES) -> None:
    """Make the triggers."""
    for name in names:
        for statement in _creating(name, connection.dialect.name):
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


def _creating(name: str, dialect: str) -> Iterator[str]:
    event, condition, body = _parts(name, dialect)
    trigger = f"CREATE TRIGGER {PREFIX}{name} AFTER {event} ON {TABLE} FOR EACH ROW"
    if dialect == "postgresql":
        yield (
            f"CREATE FUNCTION {PREFIX}{name}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {body} RETURN NULL; END $$"
        )
        yield f"{trigger} WHEN ({condition}) EXECUTE FUNCTION {PREFIX}{name}()"
    else:
        yield f"{trigger} WHEN {condition} BEGIN {body} END"


def _parts(name: str, dialect: str) -> tuple[str, str, str]:
    """Return when a trigger fires, on which condition, and what it does."""
    changed = _changed(COHORT, dialect)
    if name == "name":
        # A delta of nothing tells the worker whose name it has to look up.
        gone = f"DELETE FROM {NAME} WHERE inviter_key = old.inviter_key;"
        told = _inserting("new", "0", "0", "0", "0")
        return f"UPDATE OF {', '.join(NAMED)}", _changed(NAMED, dialect), gone + told
    if name == "money":
        moved = _moving_money("old", "-") + _moving_money("new", "")
        return "UPDATE OF inviter_key", "new.inviter_key <> old.inviter_key", moved
    if name == "insert":
        return "INSERT", "new.sent_at IS NOT NULL", _adding("new", "1", "0")
    if name == "move":
        bought = f"CASE WHEN EXISTS (SELECT 1 FROM {PURCHASE} WHERE invitation_id = new.id)"
        taken = _adding("old", "-1", f"-{bought} THEN 1 ELSE 0 END")
        return (
            f"UPDATE OF {', '.join(COHORT)}",
            f"({changed})",
            taken + _adding("new", "1", f"{bought} THEN 1 ELSE 0 END"),
        )
    statuses = [f"{_is('new', each)} - {_is('old', each)}" for each in ("accepted", "discarded")]
    condition = f"NOT ({changed}) AND ({' <> 0 OR '.join(statuses)} <> 0)"
    return "UPDATE OF status", condition, _inserting("new", "0", *statuses, "0")


def _changed(columns: Sequence[str], dialect: str) -> str:
    differs = "IS DISTINCT FROM" if dialect == "postgresql" else "IS NOT"
    return " OR ".join(f"new.{each} {differs} old.{each}" for each in columns)


def _adding(row: str, sign: str, purchased: str) -> str:
    """Return what adds a whole row to the figures, or takes it out."""
    statuses = [f"{sign} * {_is(row, each)}" for each in ("accepted", "discarded")]
    return _inserting(row, sign, *statuses, purchased)


def _moving_money(row: str, sign: str) -> str:
    """Return what adds all that an invitation brought to its inviter, or takes it away."""
    kept = "website, store_view, sent_at, currency"
    return (
        f"INSERT INTO {MONEY} (invitation_id, inviter_key, {kept}, orders, amount)"
        f" SELECT invitation_id, {row}.inviter_key, {kept}, {sign}orders, {sign}amount"
        f" FROM {PURCHASE} WHERE invitation_id = new.id;"
    )


def _inserting(row: str, *counts: str) -> str:
    cohort = ", ".join(f"{row}.{each}" for each in COHORT)
    return (
        f"INSERT INTO {DELTA} (invitation_id, {', '.join(COHORT)},"
        " sent, accepted, discarded, purchased)"
        f" SELECT {row}.id, {cohort}, {', '.join(counts)} WHERE {row}.sent_at IS NOT NULL;"
    )


def _is(row: str, status: str) -> str:
    return f"(CASE WHEN {row}.status = '{status}' THEN 1 ELSE 0 END)"
