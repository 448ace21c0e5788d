"""Making invitations: the rules of one submission, all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .addresses import Address, BadAddress, keyed_hash, parse_address
from .clock import now
from .database import insert_into
from .host import StoreView
from .lifecycle import SENDER, Actor, is_seemingly_open, new_message_id, note_all
from .models import Invitation, MailState, Outbox, Quota, Status
from .settings import Settings


@dataclass(frozen=True, slots=True)
class Inviter:
    """A customer as the plugin keeps one: the store's key, and what was true then."""

    key: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What one form asks for. ``key`` is the form's own, so that it counts once."""

    view: StoreView
    addresses: Sequence[Address]
    group: str
    actor: Actor
    inviter: Inviter | None = None
    message: str | None = None
    key: str | None = None


class Refused(Exception):
    """A submission that is not carried out, no part of it."""


@dataclass(frozen=True, slots=True)
class AlreadyInvited(Refused):
    """These addresses have an invitation of this inviter, given with its row."""

    found: dict[Address, Invitation]


@dataclass(frozen=True, slots=True)
class OwnAddress(Refused):
    """The inviter's own address, whatever its case and tag."""

    address: Address


@dataclass(frozen=True, slots=True)
class TooMany(Refused):
    """More addresses than one submission may have."""

    limit: int


@dataclass(frozen=True, slots=True)
class LimitReached(Refused):
    """A limit of this sender: which, how many, and when it opens (UTC, None unknown)."""

    window: str
    limit: int
    opens_at: datetime | None


def invite(
    session: Session, asked: Submission, settings: Settings, hash_key: bytes, domain: str
) -> list[Invitation]:
    """Write the invitations of a submission with their mails, in the running transaction.

    A submission that was carried out already returns what it made then.

    :raises Refused: one of its subclasses; nothing is written then.
    """
    if asked.inviter is not None:
        take_turn(session, f"sender:{asked.inviter.key}")
    found = find_invited(session, asked, hash_key)
    done = _made_before(found, asked)
    if done:
        return done
    _check(session, asked, found, settings)
    made = _insert(session, asked, settings, hash_key)
    if len(made) < len(asked.addresses):
        found = find_invited(session, asked, hash_key)
        return _made_before(found, asked) or _refuse(found)
    ids = [row.id for row in made]
    note_all(session, ids, asked.actor, "create", None, Status.NOT_SENT)
    session.execute(
        sa.insert(Outbox.__table__),  # type: ignore[arg-type]
        [{"invitation_id": each, "message_id": new_message_id(domain)} for each in ids],
    )
    return made


def _check(
    session: Session, asked: Submission, found: dict[Address, Invitation], settings: Settings
) -> None:
    if asked.inviter is not None:
        _check_own_address(asked)
        if len(asked.addresses) > settings.max_per_send:
            raise TooMany(settings.max_per_send)
    if found:
        _refuse(found)
    if asked.inviter is not None:
        _check_limits(session, asked.inviter.key, len(asked.addresses), settings)


def _refuse(found: dict[Address, Invitation]) -> NoReturn:
    raise AlreadyInvited(found)


def _made_before(found: dict[Address, Invitation], asked: Submission) -> list[Invitation]:
    """Return what this very form made; with other addresses in it, it is another form."""
    made = [row for row in found.values() if asked.key is not None and row.submission == asked.key]
    return sorted(made, key=lambda row: row.id) if len(made) == len(asked.addresses) else []


def _inviter_key(asked: Submission) -> str:
    return asked.inviter.key if asked.inviter is not None else ""


def _check_own_address(asked: Submission) -> None:
    own = _own_mailboxes(asked.inviter.email if asked.inviter else "")
    for address in asked.addresses:
        if address.identity in own or address.mailbox in own:
            raise OwnAddress(address)


def _own_mailboxes(email: str) -> set[str]:
    try:
        own = parse_address(email)
    except BadAddress:  # a store may keep what we would not send to
        own = Address(email, email.strip().lower())
    return {own.identity, own.mailbox}


def take_turn(session: Session, subject: str) -> None:
    """Hold the sender's row until the commit: two submissions count one after the other."""
    row = insert_into(session, Quota).values(subject=subject, taken=1, updated_at=now())
    session.execute(
        row.on_conflict_do_update(
            index_elements=[Quota.subject],
            set_={"taken": Quota.taken + 1, "updated_at": now()},
        )
    )


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


def _check_limits(session: Session, key: str, count: int, settings: Settings) -> None:
    """Compare with what the sender made; a mail that failed for good does not count."""
    row = Invitation
    counts = (row.inviter_key == key, row.mail_state != MailState.FAILED)
    for window, limit, hours in (
        ("hour", settings.max_per_hour, 1),
        ("day", settings.max_per_day, 24),
    ):
        since = now() - timedelta(hours=hours)
        _check_window(session, window, limit, count, hours, *counts, row.created_at > since)
    check_pending(session, key, count, settings)


def check_pending(session: Session, key: str, count: int, settings: Settings) -> None:
    """Compare what waits for an answer, as far as the sender may know, with the limit.

    :raises LimitReached: when ``count`` more would be too many.
    """
    if not settings.max_pending:
        return
    row = Invitation
    waiting = session.scalar(
        sa.select(sa.func.count()).where(
            row.inviter_key == key,
            row.mail_state != MailState.FAILED,
            is_seemingly_open(),
        )
    )
    if (waiting or 0) + count > settings.max_pending:
        raise LimitReached("pending", settings.max_pending, None)


def _check_window(
    session: Session,
    window: str,
    limit: int,
    count: int,
    hours: int,
    *where: sa.ColumnElement[bool],
) -> None:
    if not limit:
        return
    made = session.scalars(
        sa.select(Invitation.created_at).where(*where).order_by(Invitation.created_at)
    ).all()
    over = len(made) + count - limit
    if over > 0:
        opens_at = made[over - 1] + timedelta(hours=hours) if over <= len(made) else None
        raise LimitReached(window, limit, opens_at)


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
