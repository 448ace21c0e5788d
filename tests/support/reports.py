"""Reports as their reader sees them: the table's cells, and where its numbers lead."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .figures import keep
from .pages import Element, Page
from .rows import by, insert, key_of, row
from .stores import Store

REPORTS = "/admin/invitations/reports/"
SPRING = datetime(2026, 3, 1, 12)


def table(page: Page) -> list[list[str]]:
    """Return the cells of every line of a page's tables, heads and sums as well."""
    lines: list[list[str]] = []
    for each in page.elements:
        if each.tag == "tr":
            lines.append([])
        elif each.tag in ("th", "td"):
            lines[-1].append(" ".join(each.text.split()))
    return lines


def numbers(page: Page) -> list[Element]:
    """Return the links whose text is a number."""
    return [each for each in page.all("a") if each.text.replace(",", "").strip().isdecimal()]


def invited(store: Store, email: str, status: str = "sent", **more: Any) -> dict[str, Any]:
    """Return an invitation of spring by the store's inviter."""
    usual = {"inviter_name": store.inviter_name, "created_at": SPRING}
    return row(email, status, **by(store) | usual | more)


def spring(store: Store) -> None:
    """Five invitations of March 2026: two accepted, and one of these bought something since."""
    insert(
        store,
        [
            invited(store, "a@example.com", "accepted", customer_key=key_of(store, store.inviter)),
            invited(store, "b@example.com", "accepted"),
            invited(store, "c@example.com", "discarded"),
            invited(store, "d@example.com"),
            invited(
                store, "e@example.com", inviter_name="Marcus", **by(store, store.other_inviter)
            ),
        ],
    )
    keep(store)
