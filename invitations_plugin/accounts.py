"""What the store knows of the two people of an invitation, asked when it matters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, time
from typing import Any

import sqlalchemy as sa

from .clock import as_kept, now
from .database import session
from .lifecycle import ERASED
from .limits import Inviter
from .models import Invitation, Status
from .state import host
from .text import clean_line


def as_inviter(customer: Any) -> Inviter:
    """Return a customer as the plugin keeps one who invites.

    :raises TypeError: where the store tells of the customer what it must not.
    """
    store = host()
    return Inviter(
        key_of(customer),
        _text("email", store.email(customer)),
        clean_line(_text("name", store.name(customer) or "")),
        _since(store.customer_since(customer)),
    )


def key_of(customer: Any) -> str:
    """Return what the store knows a customer by.

    :raises TypeError: for what is no string: nobody would be found by it.
    """
    return _text("key", host().key(customer))


def group_of(customer: Any) -> str:
    """Return the code of a customer's group.

    :raises TypeError: for what is no string.
    """
    return _text("group", host().group(customer))


def _text(hook: str, told: object) -> str:
    if isinstance(told, str):
        return told
    raise TypeError(f"Host.{hook}() must return a string, not {type(told).__name__}")


def _since(told: object) -> datetime | None:
    """Return when an account was made: a day begins at midnight, and nobody comes from the future.

    :raises TypeError: for what is no date.
    """
    if told is None:
        return None
    if not isinstance(told, date):
        kind = type(told).__name__
        raise TypeError(f"Host.customer_since() must return a datetime or None, not {kind}")
    moment = told if isinstance(told, datetime) else datetime.combine(told, time())
    return min(as_kept(moment), now())


def has_account(row: Invitation) -> bool:
    """Return whether the invited person has an account.

    The address may be a customer's; or another invitation of it was accepted, where the
    store lets accounts have any address, and that account still is.
    """
    if row.email is not None and host().customer_by_email(row.email, row.website) is not None:
        return True
    return any(_accounts([row])[row.id].values())


def with_account(rows: Sequence[Any]) -> list[Any]:
    """Return those of some invitations whose invited person has an account.

    They have an address; any rows with it, its hash, a website and an id will do.
    """
    known, made = _customers_among(rows), _accounts(rows)
    return [
        row for row in rows if (row.website, row.email_hash) in known or any(made[row.id].values())
    ]


def _customers_among(rows: Sequence[Any]) -> set[tuple[str, str]]:
    """Return website and hash of the addresses that customers have.

    One spelling of each is asked about: a store may tell of one only.
    """
    found = set()
    for website in {row.website for row in rows}:
        asked = {row.email_hash: row.email for row in rows if row.website == website}
        known = host().customers_among(asked.values(), website)
        found |= {(website, key) for key, email in asked.items() if email in known}
    return found


def gone_accounts(row: Invitation) -> list[str]:
    """Return the keys of accounts that other invitations of an address made and that are gone."""
    return [key for key, is_there in _accounts([row])[row.id].items() if not is_there]


def _accounts(rows: Sequence[Any]) -> dict[int, dict[str, bool]]:
    """Return by id the accounts that other invitations of an address made: is each still there?"""
    with session().no_autoflush:
        made = _accepted({row.email_hash for row in rows})
        keys = {each.customer_key for each in made}
        found = host().customers(keys) if keys else {}
    return {
        row.id: {
            each.customer_key: each.customer_key in found
            for each in made
            if (each.website, each.email_hash) == (row.website, row.email_hash)
            and each.id != row.id
        }
        for row in rows
    }


def _accepted(hashes: Collection[str]) -> Sequence[Any]:
    """Return the accepted invitations of some addresses whose account is known."""
    row = Invitation
    query = sa.select(row.id, row.website, row.email_hash, row.customer_key)
    accepted = (row.status == Status.ACCEPTED, row.customer_key.is_not(None))
    return session().execute(query.where(row.email_hash.in_(hashes), *accepted)).all()


def inviter_is_active(row: Invitation) -> bool:
    """Return whether whoever invited may still do so."""
    return row.inviter_key in active_among({row.inviter_key})


def active_among(keys: Collection[str]) -> set[str]:
    """Return which of some inviters may still invite; staff may, and so may the store for
    an inviter who was erased, once staff opened the invitation again.
    """
    free = {key for key in keys if key == "" or key.startswith(ERASED)}
    asked = [key for key in keys if key not in free]
    with session().no_autoflush:
        found = host().customers(asked) if asked else {}
    return free | {key for key, inviter in found.items() if host().is_active(inviter)}
