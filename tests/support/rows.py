"""Invitations written straight into the tables: any status, any number, at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from invitations_plugin.clock import now
from invitations_plugin.models import Invitation, new_public_id
from invitations_plugin.state import host

from .stores import Store

STATUSES = ("not_sent", "sent", "accepted", "discarded", "declined", "expired")


def key_of(store: Store, email: str) -> str:
    """Return what the store calls a customer."""
    with store.session():
        found = host().customer_by_email(email, host().websites()[0].code)
        return host().key(found)


def by(store: Store, email: str | None = None) -> dict[str, Any]:
    """Return the columns that name an inviter."""
    chosen = email or store.inviter
    return {"inviter_key": key_of(store, chosen), "inviter_email": chosen}


def row(email: str | None, status: str = "sent", **changes: Any) -> dict[str, Any]:
    """Return the columns of an invitation that hold together for a status."""
    at = changes.get("created_at", now())
    known: dict[str, Any] = {
        "public_id": new_public_id(),
        "website": "main",
        "store_view": "en",
        "inviter_key": "",
        "inviter_email": None,
        "inviter_name": "",
        "email": email,
        "email_hash": f"hash of {email or new_public_id()}"[:64],
        "recipient_hash": f"hash of {email}"[:64],
        "message": None,
        "group_code": "general",
        "status": status,
        "discarded_by": "staff" if status == "discarded" else None,
        "mail_state": "queued" if status == "not_sent" else "delivered",
        "created_at": at,
        "sent_at": None if status == "not_sent" else at,
        "last_sent_at": None if status == "not_sent" else at,
        "registered_at": at if status == "accepted" else None,
        "customer_key": new_public_id() if status == "accepted" else None,
        "expires_at": at + timedelta(days=-1 if status == "expired" else 30),
    }
    return known | changes


def insert(store: Store, rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """Write rows; return their ids in the same order."""
    with store.session() as db:
        statement = sa.insert(Invitation).returning(Invitation.id, sort_by_parameter_order=True)
        ids = list(db.scalars(statement, [dict(each) for each in rows]))
        db.commit()
        return ids


def one(store: Store, email: str = "anna@example.com", status: str = "sent", **more: Any) -> int:
    """Write one row of the store's inviter, on its first website; return its id."""
    return insert(store, [row(email, status, **here(store) | by(store) | more)])[0]


def here(store: Store) -> dict[str, Any]:
    """Return the columns that name a store's first website and store view."""
    with store.session():
        view = host().websites()[0].store_views[0]
    return {"website": view.website, "store_view": view.code}


def ago(**much: float) -> datetime:
    """Return a moment in the past as the database keeps it."""
    return now() - timedelta(**much)
