"""Making invitations: the rules of one submission, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .addresses import Address, BadAddress, keyed_hash, parse_address
from .clock import now
from .database import insert_into
from .host import StoreView
from .lifecycle import SENDER, Actor, new_message_id, note_all
from .limits import Inviter, Refused, check_limits, take_sender_turn, take_shares
from .models import Invitation, Outbox, Status
from .settings import Settings, read_domains


@dataclass(frozen=True, slots=True)
class Submission:
    """What one form asks for. ``key`` is the form's own, so that it counts once.

    ``is_customer`` is given where customers of the store are skipped.
    """

    view: StoreView
    addresses: Sequence[Address]
    group: str
    actor: Actor
    inviter: Inviter | None = None
    message: str | None = None
    key: str | None = None
    is_customer: Callable[[Address], bool] | None = None


class Objection(Refused):
    """What stands against addresses of a submission, whoever else sends how much."""


@dataclass(frozen=True, slots=True)
class AlreadyInvited(Objection):
    """These addresses have an invitation of this inviter, given with its row."""

    found: dict[Address, Invitation]


@dataclass(frozen=True, slots=True)
class OwnAddress(Objection):
    """The inviter's own address, whatever its case and tag."""

    address: Address


@dataclass(frozen=True, slots=True)
class TooMany(Objection):
    """More addresses than one submission may have."""

    limit: int


@dataclass(frozen=True, slots=True)
class Blocked(Objection):
    """Addresses that the store does not write to."""

    addresses: Sequence[Address]


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a submission: its invitations, and the customers it skipped.

    ``is_new`` is false where it was carried out before.
    """

    rows: Sequence[Invitation]
    addresses: Sequence[Address]
    skipped: int = 0
    is_new: bool = True


def invite(
    session: Session, asked: Submission, settings: Settings, hash_key: bytes, domain: str
) -> Made:
    """Write the invitations of a submission with their mails, in the running transaction.

    A submission that was carried out already gives what it made then.

    :raises Refused: one of its subclasses; nothing is written then.
    """
    if asked.inviter is not None:
        _refuse(_against_form(asked, asked.inviter, settings))
        take_sender_turn(session, asked.inviter.key)
    found = find_invited(session, asked, hash_key)
    wanted = _without_customers(asked, found)
    skipped = len(asked.addresses) - len(wanted.addresses)
    done = _made_before(found, wanted)
    if done:
        return Made(done, wanted.addresses, skipped, is_new=False)
    _check(session, asked, found, settings)
    if asked.inviter is not None:
        made = len(wanted.addresses)
        take_shares(session, asked.view.website, asked.inviter, made, skipped, settings)
    if not wanted.addresses:
        return Made([], [], skipped)
    return replace(_make(session, wanted, settings, hash_key, domain), skipped=skipped)


def objections(
    session: Session, asked: Submission, settings: Settings, hash_key: bytes
) -> Iterator[Objection]:
    """Yield all that :func:`invite` would refuse addresses for, limits apart; writes nothing."""
    if asked.inviter is not None:
        yield from _against_form(asked, asked.inviter, settings)
    yield from _against_domains(asked, settings)
    found = find_invited(session, asked, hash_key)
    if found:
        yield AlreadyInvited(found)


def _without_customers(asked: Submission, found: Collection[Address]) -> Submission:
    """Leave out customers of the store, where it wants that and they were not invited before."""
    is_customer = asked.is_customer
    if is_customer is None:
        return asked
    kept = [each for each in asked.addresses if each in found or not is_customer(each)]
    return replace(asked, addresses=kept)


def _make(
    session: Session, asked: Submission, settings: Settings, hash_key: bytes, domain: str
) -> Made:
    made = _insert(session, asked, settings, hash_key)
    if len(made) < len(asked.addresses):
        found = find_invited(session, asked, hash_key)
        done = _made_before(found, asked)
        if not done:
            raise AlreadyInvited(found)
        return Made(done, asked.addresses, is_new=False)
    ids = [row.id for row in made]
    note_all(session, ids, asked.actor, "create", None, Status.NOT_SENT)
    due = now() + timedelta(seconds=settings.undo_seconds)
    session.execute(
        sa.insert(Outbox.__table__),  # type: ignore[arg-type]
        [
            {"invitation_id": each, "message_id": new_message_id(domain), "due_at": due}
            for each in ids
        ],
    )
    return Made(made, asked.addresses)


def _against_form(asked: Submission, inviter: Inviter, settings: Settings) -> Iterator[Objection]:
    """Yield what no customer may ask for, known before anything is looked up."""
    for address in asked.addresses:
        if is_own_address(address, inviter):
            yield OwnAddress(address)
    if len(asked.addresses) > settings.max_per_send:
        yield TooMany(settings.max_per_send)


def is_own_address(address: Address, inviter: Inviter) -> bool:
    """Return whether an address is the inviter's own, whatever its case and tag."""
    return bool({address.identity, address.mailbox} & _own_mailboxes(inviter.email))


def _own_mailboxes(email: str) -> set[str]:
    try:
        own = parse_address(email)
    except BadAddress:  # a store may keep what we would not send to
        own = Address(email, email.strip().lower())
    return {own.identity, own.mailbox}


def _check(
    session: Session, asked: Submission, found: dict[Address, Invitation], settings: Settings
) -> None:
    """Hold a submission against the rules; who is skipped counts like the others."""
    _refuse(_against_domains(asked, settings))
    if found:
        raise AlreadyInvited(found)
    if asked.inviter is not None:
        check_limits(session, asked.inviter, len(asked.addresses), settings)


def _against_domains(asked: Submission, settings: Settings) -> Iterator[Objection]:
    domains = read_domains(settings.blocked_domains)
    blocked = [each for each in asked.addresses if each.is_below(domains)]
    if blocked:
        yield Blocked(blocked)


def _refuse(reasons: Iterator[Objection]) -> None:
    for reason in reasons:
        raise reason


def _made_before(found: dict[Address, Invitation], asked: Submission) -> list[Invitation]:
    """Return what this very form made; with other addresses in it, it is another form."""
    made = [row for row in found.values() if asked.key is not None and row.submission == asked.key]
    return sorted(made, key=lambda row: row.id) if len(made) == len(asked.addresses) else []


def _inviter_key(asked: Submission) -> str:
    return asked.inviter.key if asked.inviter is not None else ""


def find_invited(session: Session, asked: Submission, hash_key: bytes) -> dict[Address, Invitation]:
    """Return those of the addresses that this inviter invited before on this website."""
    hashes = {keyed_hash(each.identity, hash_key): each for each in asked.addresses}
    row = Invitation
    query = sa.select(row).where(
        row.website == asked.view.website,
        row.inviter_key == _inviter_key(asked),
        row.email_hash.in_(hashes),
    )
    return {hashes[found.email_hash]: found for found in session.scalars(query)}


def _insert(
    session: Session, asked: Submission, settings: Settings, hash_key: bytes
) -> list[Invitation]:
    """Insert the rows that nobody else inserted just now; return them in order."""
    rows = [_values(address, asked, settings, hash_key) for address in asked.addresses]
    statement = insert_into(session, Invitation).on_conflict_do_nothing().returning(Invitation)
    return sorted(session.scalars(statement, rows), key=lambda row: row.id)


def _values(
    address: Address, asked: Submission, settings: Settings, hash_key: bytes
) -> dict[str, Any]:
    inviter = asked.inviter
    return {
        "website": asked.view.website,
        "store_view": asked.view.code,
        "inviter_key": _inviter_key(asked),
        "inviter_email": inviter.email if inviter else None,
        "inviter_name": inviter.name[:255] if inviter else "",
        "email": address.delivery,
        "email_hash": keyed_hash(address.identity, hash_key),
        "recipient_hash": keyed_hash(address.mailbox, hash_key),
        "message": asked.message,
        "group_code": asked.group,
        "submission": asked.key,
        "created_at": now(),
        "expires_at": now() + timedelta(days=settings.link_days),
    }


def actor_of(inviter: Inviter) -> Actor:
    """Return the sender as the history names them."""
    return Actor(SENDER, inviter.key, inviter.name)
