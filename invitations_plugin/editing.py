"""What staff may change of an invitation, and until when.

Message, group and end of the link can be changed while the invitation may still be accepted:
not sent, sent and expired. What was accepted stays as it was accepted; of what is discarded
or declined no link works, so a change would reach nobody until staff open it again; and
without its address no mail and no registration can come of it. A mail that has left stays as
it is. An expired invitation with a new end can be accepted by the link it has; its status
stays expired until then. Nothing here commits or knows a form.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import as_kept, now
from .lifecycle import MOVES, NOT_LEAVING, Actor, Changed, IllegalMove, note
from .models import Invitation
from .settings import SPECS

EDITABLE: Final = MOVES["accept"].sources
MOST_DAYS: Final = SPECS["link_days"].at_most or 0  # as far as any link may reach
LONGEST_CODE: Final = 60  # what the history keeps of a group's code


class BadEnd(ValueError):
    """A last day that a link cannot have: ``date`` is none, ``past`` is over, ``far`` too late."""


def is_editable(row: Invitation) -> bool:
    """Return whether a change would still reach anybody."""
    return row.status in EDITABLE and row.email is not None


def is_renewed(row: Invitation) -> bool:
    """Return whether an expired invitation was given a new end, so that its link works again."""
    return row.status not in MOVES["expire"].sources and is_editable(row) and row.expires_at > now()


def edit(
    session: Session, row: Invitation, seen: int, values: Mapping[str, Any], actor: Actor
) -> None:
    """Change message, group_code or expires_at of an invitation that nobody changed meanwhile.

    ``seen`` is the version that the new values were written over.

    :raises IllegalMove: when it cannot be edited (any more).
    :raises Changed: when it is not as seen, or its mail is being handed over just now and
        nobody could say which message it has.
    """
    if not is_editable(row):
        raise IllegalMove("edit", row.status)
    if row.version != seen:
        raise Changed("edit")
    table = Invitation.__table__
    changed = session.execute(
        sa.update(table)  # type: ignore[arg-type]
        .where(table.c.id == row.id, table.c.version == seen)
        .where(NOT_LEAVING if "message" in values else sa.true())
        .values(version=table.c.version + 1, **values)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise Changed("edit")
    note(session, row.id, actor, "edit", row.status, row.status, _describe(row, values))
    session.expire(row)


def hold(session: Session, row: Invitation) -> None:
    """Keep an invitation as it was read from everybody else until the commit.

    By a statement that writes: SQLite knows no other lock.

    :raises Changed: when it is not as it was read any more.
    """
    table = Invitation.__table__
    as_read = sa.and_(table.c.id == row.id, table.c.version == row.version)
    held = session.execute(sa.update(table).where(as_read).values(version=table.c.version))  # type: ignore[arg-type]
    if held.rowcount != 1:  # type: ignore[attr-defined]
        raise Changed("hold")


def _describe(row: Invitation, values: Mapping[str, Any]) -> str:
    """Return what was changed, as the history keeps it: of a message only that it was."""
    said = []
    for name, value in values.items():
        before = getattr(row, name)
        if name == "message":
            said.append(name)
        elif isinstance(value, datetime):
            said.append(f"{name}: {before:%Y-%m-%dT%H:%M:%S} -> {value:%Y-%m-%dT%H:%M:%S}")
        else:
            said.append(f"{name}: {before[:LONGEST_CODE]} -> {value[:LONGEST_CODE]}")
    return "; ".join(said)


def day_of(moment: datetime, timezone: str) -> date:
    """Return the day of a moment in a time zone."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date()


def end_of(day: date, timezone: str) -> datetime:
    """Return the last second of a day in a time zone, in UTC."""
    following = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(timezone))
    return as_kept(following) - timedelta(seconds=1)


def read_end(text: str, timezone: str) -> datetime:
    """Return when a link ends whose last day was written as YYYY-MM-DD, in UTC.

    :raises BadEnd: when that is no day, or none that a link may end on.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadEnd("date") from error
    today = day_of(now(), timezone)
    if day < today:
        raise BadEnd("past")
    if day > today + timedelta(days=MOST_DAYS):
        raise BadEnd("far")
    return end_of(day, timezone)
