"""What the store knows of the two people of an invitation, asked when it matters."""

from __future__ import annotations

from typing import Any

from .clock import as_kept
from .database import session
from .lifecycle import ERASED, accepted_others
from .limits import Inviter
from .models import Invitation
from .state import host
from .text import clean_line


def as_inviter(customer: Any) -> Inviter:
    """Return a customer as the plugin keeps one who invites."""
    store = host()
    since = store.customer_since(customer)
    return Inviter(
        store.key(customer),
        store.email(customer),
        clean_line(store.name(customer)),
        as_kept(since) if since is not None else None,
    )


def has_account(row: Invitation) -> bool:
    """Return whether the invited person has an account.

    The address may be a customer's; or another invitation of it was accepted, where the
    store lets accounts have any address, and that account still is.
    """
    if row.email is not None and host().customer_by_email(row.email, row.website) is not None:
        return True
    return any(_accounts(row).values())


def gone_accounts(row: Invitation) -> list[str]:
    """Return the keys of accounts that other invitations of an address made and that are gone."""
    return [key for key, is_there in _accounts(row).items() if not is_there]


def _accounts(row: Invitation) -> dict[str, bool]:
    """Return the accounts that other invitations of an address made: is each still there?"""
    query = accepted_others(row.id, row.website, row.email_hash)
    with session().no_autoflush:
        keys = session().scalars(query).all()
        found = host().customers(keys) if keys else {}
    return {key: key in found for key in keys}


def inviter_is_active(row: Invitation) -> bool:
    """Return whether whoever invited may still do so; staff may, and so may the store for
    an inviter who was erased, once staff opened the invitation again.
    """
    key = row.inviter_key
    if key == "" or key.startswith(ERASED):
        return True
    with session().no_autoflush:
        inviter = host().customers([key]).get(key)
    return inviter is not None and host().is_active(inviter)
