"""Write made-up customers and their invitations into the database, in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa

from invitations_plugin import PastInvitation, import_invitations

from .database import db
from .goods import CURRENCY, GOODS
from .models import Customer, Order, Staff
from .past import Account, Actor, Past, accounts

CHUNK = 20_000  # a transaction; also below what one statement may name
# KB: hashes fall all over indexes of 100 MB each. What is lost with the power is made once more.
SQLITE = ("PRAGMA cache_size = -500000", "PRAGMA synchronous = NORMAL")
T = TypeVar("T")


@dataclass(slots=True)
class Added:
    """How many were not there before; friends are customers who accepted."""

    inviters: int = 0
    friends: int = 0
    invitations: int = 0


def fill(
    customers: int, invitations: int, state: int, password_hash: str, tick: Callable[[int], None]
) -> Added:
    """Add customers and invitations that are missing; commit each chunk and tell its size.

    Only the customers who invite are held in memory. Interrupted, it goes on when repeated.
    """
    if db.engine.dialect.name == "sqlite":
        for pragma in SQLITE:
            db.session.execute(sa.text(pragma))
    added = Added()
    inviters: list[Account] = []
    for people in _chunks(accounts(customers, state)):
        known, new = _customers(people, password_hash)
        db.session.commit()
        inviters += known
        added.inviters += len(new)
        tick(len(people))
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    past = Past(inviters, _staff(), now, state)
    for told in _chunks(past.invitations(invitations)):
        friends = _make_friends(told, password_hash)
        added.friends += len(friends)
        _add_orders(past.orders(friends))
        added.invitations += import_invitations(row for row, _ in told)
        db.session.commit()
        tick(len(told))
    return added


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _customers(
    people: Sequence[Account], password_hash: str
) -> tuple[list[Account], set[tuple[str, str]]]:
    """Return the accounts with their keys, and the names of those that had to be added."""
    keys = _keys(people)
    missing = [each for each in people if _name(each) not in keys]
    if missing:
        table = Customer.__table__
        db.session.execute(sa.insert(table), [_row(each, password_hash) for each in missing])  # type: ignore[arg-type]
        keys |= _keys(missing)
    named = [replace(each, key=keys[_name(each)]) for each in people]
    return named, {_name(each) for each in missing}


def _row(account: Account, password_hash: str) -> dict[str, str]:
    return {
        "email": account.email,
        "email_folded": account.email,  # made of small ASCII letters
        "name": account.name,
        "website_code": account.website,
        "group_code": account.group,
        "password_hash": password_hash,
    }


def _name(account: Account) -> tuple[str, str]:
    return account.website, account.email


def _keys(people: Sequence[Account]) -> dict[tuple[str, str], str]:
    """Return the keys of those who are customers, by website and address."""
    row = Customer
    query = sa.select(row.website_code, row.email_folded, row.id)
    chosen = row.email_folded.in_([each.email for each in people])
    found = db.session.execute(query.where(chosen))
    return {(website, email): str(number) for website, email, number in found}


def _make_friends(
    told: Sequence[tuple[PastInvitation, Account | None]], password_hash: str
) -> list[tuple[Account, datetime]]:
    """Make the accounts of the friends who accepted, and name them in their invitations.

    Return the new ones with the moment in which they registered.
    """
    accepted = [(row, account) for row, account in told if account is not None]
    friends, new = _customers([account for _, account in accepted], password_hash)
    made = []
    for (row, _), friend in zip(accepted, friends, strict=True):
        row["customer_key"] = friend.key
        if _name(friend) in new:
            made.append((friend, row["registered_at"] or row["created_at"]))
    return made


def _add_orders(bought: Iterable[tuple[Account, str, datetime]]) -> None:
    rows = [
        {
            "customer_id": int(friend.key),
            "product": slug,
            "cents": int(GOODS[slug].price(friend.website) * 100),
            "currency": CURRENCY,
            "at": at,
        }
        for friend, slug, at in bought
    ]
    if rows:
        db.session.execute(sa.insert(Order.__table__), rows)  # type: ignore[arg-type]


def _staff() -> list[Actor]:
    """Return those of the staff who may invite, as the plugin's history names them."""
    members = db.session.scalars(sa.select(Staff).order_by(Staff.id))
    return [("staff", f"staff:{each.id}", each.name) for each in members if each.may("create")]
