"""Making invitations: the rules of one submission, all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .addresses import Address, keyed_hash
from .clock import now
from .database import insert_into
from .host import StoreView
from .lifecycle import OPEN, SENDER, Actor, new_message_id, note
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
    done = _made_before(session, asked, hash_key)
    if done:
        return done
    if asked.inviter is not None:
        _check_own_address(asked)
        if len(asked.addresses) > settings.max_per_send:
            raise TooMany(settings.max_per_send)
        _take_turn(session, f"sender:{asked.inviter.key}")
    found = find_invited(session, asked, hash_key)
    if found:
        return _made_before(session, asked, hash_key) or _refuse(found)
    if asked.inviter is not None:
        _check_limits(session, asked.inviter.key, len(asked.addresses), settings)
    ids = _insert(session, asked, settings, hash_key)
    if len(ids) < len(asked.addresses):
        found = find_invited(session, asked, hash_key)
        return _made_before(session, asked, hash_key) or _refuse(found)
    for invitation_id in ids:
        note(session, invitation_id, asked.actor, "create", None, Status.NOT_SENT)
    session.execute(
        sa.insert(Outbox),
        [{"invitation_id": each, "message_id": new_message_id(domain)} for each in ids],
    )
    return _in_order(session, ids)


def _refuse(found: dict[Address, Invitation]) -> list[Invitation]:
    raise AlreadyInvited(found)


def _made_before(session: Session, asked: Submission, hash_key: bytes) -> list[Invitation]:
    """Return what this very form made; with other addresses in it, it is another form."""
    if asked.key is None:
        return []
    found = find_invited(session, asked, hash_key).values()
    made = [row for row in found if row.submission == asked.key]
    return sorted(made, key=lambda row: row.id) if len(made) == len(asked.addresses) else []


def _inviter_key(asked: Submission) -> str:
    return asked.inviter.key if asked.inviter is not None else ""


def _check_own_address(asked: Submission) -> None:
    own = _own_mailboxes(asked.inviter.email if asked.inviter else "")
    for address in asked.addresses:
        if address.identity in own or address.mailbox in own:
            raise OwnAddress(address)


def _own_mailboxes(email: str) -> set[str]:
    lowered = email.strip().lower()
    return {lowered, Address(lowered, lowered).mailbox} if lowered else set()


def _take_turn(session: Session, subject: str) -> None:
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
    if settings.max_pending:
        pending = session.scalar(sa.select(sa.func.count()).where(*counts, row.status.in_(OPEN)))
        if (pending or 0) + count > settings.max_pending:
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


def _insert(session: Session, asked: Submission, settings: Settings, hash_key: bytes) -> list[int]:
    """Insert the rows that nobody else inserted just now; return their ids."""
    rows = [_values(address, asked, settings, hash_key) for address in asked.addresses]
    statement = insert_into(session, Invitation).on_conflict_do_nothing().returning(Invitation.id)
    return list(session.scalars(statement, rows))


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


def _in_order(session: Session, ids: Sequence[int]) -> list[Invitation]:
    query = sa.select(Invitation).where(Invitation.id.in_(ids)).order_by(Invitation.id)
    return list(session.scalars(query))


def actor_of(inviter: Inviter) -> Actor:
    """Return the sender as the history names them."""
    return Actor(SENDER, inviter.key, inviter.name)
