"""Rows with ties and gaps, and the grid's pages walked from end to end."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from invitations_plugin.grid import COLUMNS, LAST, Column, Kind, read_page, read_query
from invitations_plugin.grid.query import FOLDED
from invitations_plugin.models import MESSAGE_START

from .rows import STATUSES, row
from .stores import Store

ROME = "Europe/Rome"
DAY = datetime(2026, 3, 14, 12)


def found(store: Store, **arguments: str) -> list[str | None]:
    """Return the invitees that a query of the grid matches, oldest first."""
    query = read_query({"size": "200", "dir": "asc"} | arguments, ROME)
    assert query.errors == {}
    with store.session() as db:
        return [each.invitee for each in read_page(db, query).rows]


def names(*texts: str, **more: Any) -> list[dict[str, Any]]:
    return [row(text, **more) for text in texts]


def random_rows(seed: int, number: int) -> list[dict[str, Any]]:
    """Return rows with ties and gaps in every column that sorts."""
    dice = random.Random(seed)
    made = []
    for each in range(number):
        status = dice.choice(STATUSES)
        at = DAY + timedelta(seconds=dice.choice((0, 0, 1, 0.000001)), days=dice.randrange(3))
        changes: dict[str, Any] = {"created_at": at} if dice.random() < 0.8 else {}
        known = row(dice.choice((None, "", "Zoe", "anna", "Ärla", "a b:c", f"{each}")), status)
        known |= row(known["email"], status, **changes)
        known["email_hash"] = str(each)
        known["inviter_email"] = dice.choice((None, "", "veronica", "Veronica", "é", "日本"))
        known["inviter_name"] = dice.choice(("", "Vera", "vera", "Åsa"))
        known["message"] = dice.choice((None, "", "Hello: you", "x" * 50, "x" * 45))
        known["mail_state"] = dice.choice(("delivered", "failed", "skipped"))
        known["website"] = dice.choice(("main", "private"))
        known["group_code"] = dice.choice(("general", "vip", "Vip"))
        made.append(known)
    return made


def walk(
    store: Store, arguments: Mapping[str, str], *, backwards: bool, size: int = 20
) -> list[list[int]]:
    """Follow the pager from one end to the other; return each page's ids as shown."""
    pages: list[list[int]] = []
    key: str | None = LAST if backwards else ""
    with store.session() as db:
        while key is not None:
            step = {"before": key} if backwards else {"after": key}
            page = read_page(db, read_query({**arguments, "size": str(size), **step}, ROME))
            pages.append([each.id for each in page.rows])
            behind = page.next if backwards else page.previous
            assert (behind is None) == (len(pages) == 1)
            key = page.previous if backwards else page.next
    return pages


def folded(column: Column, value: Any) -> Any:
    """Return what a value is sorted as: a text in any case, a message by its beginning."""
    if column.code == "message":
        return value[:MESSAGE_START]
    return value.translate(FOLDED) if column.kind == Kind.TEXT else value


def in_order(store: Store, sort: str, direction: str) -> list[int]:
    """Sort all rows in Python: values, then the empty ones, and ties by id."""
    column, down = COLUMNS[sort], direction == "desc"
    rows = [(getattr(each, column.attribute), each.id) for each in store.invitations()]
    valued = [(folded(column, value), number) for value, number in rows if value is not None]
    empty = [number for value, number in rows if value is None]
    return [number for _, number in sorted(valued, reverse=down)] + sorted(empty, reverse=down)
