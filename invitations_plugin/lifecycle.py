"""The life of an invitation: the legal moves as one table, and what each one writes.

Nothing here commits or knows a request; every move is one guarded statement, so of two
that exclude each other exactly one happens, in whichever process.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .models import History, Invitation, MailState, Outbox, Status, new_public_id
from .settings import Settings

SENDER, STAFF, INVITEE, SYSTEM = "sender", "staff", "invitee", "system"
OPEN: Final = (Status.NOT_SENT, Status.SENT)
# A mail that is being handed over ends first: what replaced it would go beside it.
NOT_LEAVING: Final = Invitation.mail_state != MailState.SENDING


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: the sender, staff, the invited person or the system."""

    kind: str
    key: str = ""
    name: str = ""


THE_SYSTEM: Final = Actor(SYSTEM)
THE_INVITEE: Final = Actor(INVITEE)


@dataclass(frozen=True, slots=True)
class Move:
    """One legal move: from which statuses, to which, by whom."""

    sources: frozenset[Status]
    target: Status
    by: frozenset[str]


def _move(sources: Sequence[Status], target: Status, *by: str) -> Move:
    return Move(frozenset(sources), target, frozenset(by))


S = Status
MOVES: Final[dict[str, Move]] = {
    "send": _move([S.NOT_SENT], S.SENT, SYSTEM),
    # From expired only while the link was renewed: accepting checks expires_at as well.
    "accept": _move([S.NOT_SENT, S.SENT, S.EXPIRED], S.ACCEPTED, INVITEE),
    "discard": _move([S.NOT_SENT, S.SENT, S.EXPIRED], S.DISCARDED, SENDER, STAFF),
    "decline": _move([S.SENT], S.DECLINED, INVITEE),
    "expire": _move([S.NOT_SENT, S.SENT], S.EXPIRED, SYSTEM),
    # From not sent only after the mail failed.
    "resend": _move([S.NOT_SENT, S.SENT], S.NOT_SENT, SENDER, STAFF),
    # A resend, too: of what has ended, or what the sender canceled. Staff reopen instead.
    "renew": _move([S.EXPIRED, S.DISCARDED], S.NOT_SENT, SENDER),
    "reopen": _move([S.DISCARDED, S.DECLINED, S.EXPIRED], S.NOT_SENT, STAFF),
}


class LifecycleError(Exception):
    """A move that is refused; the subclass says the fact, the page finds the words."""


class IllegalMove(LifecycleError):
    """The invitation's status does not allow this move, or not to this actor."""


class Changed(LifecycleError):
    """Somebody else moved the invitation in the meantime."""


class LinkExpired(LifecycleError):
    """The invitation's link has ended."""


@dataclass(frozen=True, slots=True)
class TooSoon(LifecycleError):
    """A resend before the cool-down ended."""

    possible_at: datetime


def is_legal(name: str, status: str, actor: Actor) -> bool:
    """Return whether the table of moves has this one."""
    step = MOVES[name]
    return actor.kind in step.by and Status(status) in step.sources


def move(
    session: Session,
    row: Any,
    name: str,
    actor: Actor,
    values: Mapping[str, Any] | None = None,
    *,
    guards: Sequence[sa.ColumnElement[bool]] = (),
    action: str | None = None,
    reason: str | None = None,
) -> None:
    """Make one move of the table and note it in the history.

    ``row`` is the invitation, or any row with its id, status and version as last seen;
    ``values`` are the further columns that change with it.

    :raises IllegalMove: when the table does not have it.
    :raises Changed: when the row is no longer as seen, or a guard does not hold.
    """
    if not is_legal(name, row.status, actor):
        raise IllegalMove(name, row.status)
    target = MOVES[name].target
    table = Invitation.__table__
    changed = session.execute(
        sa.update(table)  # type: ignore[arg-type]
        .where(
            table.c.id == row.id,
            table.c.status == row.status,
            table.c.version == row.version,
            *guards,
        )
        .values(status=target, version=table.c.version + 1, **(values or {}))
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise Changed(name)
    note(session, row.id, actor, action or name, row.status, target, reason)
    if isinstance(row, Invitation) and row in session:
        session.expire(row)


def note(
    session: Session,
    invitation_id: int,
    actor: Actor,
    action: str,
    from_status: str | None = None,
    to_status: str | None = None,
    reason: str | None = None,
) -> None:
    """Write one row of history."""
    values = _note(invitation_id, actor, action, from_status, to_status, reason)
    session.execute(sa.insert(History.__table__).values(values))  # type: ignore[arg-type]


def note_all(
    session: Session,
    ids: Sequence[int],
    actor: Actor,
    action: str,
    from_status: str | None,
    to_status: str | None,
) -> None:
    """Write the same row of history for some invitations, at least one, in one statement."""
    notes = [_note(each, actor, action, from_status, to_status) for each in ids]
    session.execute(sa.insert(History.__table__), notes)  # type: ignore[arg-type]


def _note(
    invitation_id: int,
    actor: Actor,
    action: str,
    from_status: str | None,
    to_status: str | None,
    reason: str | None = None,
) -> dict[str, Any]:
    return {
        "invitation_id": invitation_id,
        "at": now(),
        "actor_kind": actor.kind,
        "actor_key": actor.key,
        "actor_name": actor.name[:255],
        "action": action,
        "from_status": from_status,
        "to_status": to_status,
        "reason": reason[:255] if reason else None,
    }


def enqueue(session: Session, invitation_id: int, kind: str, domain: str) -> None:
    """Put an invitation's mail into the outbox, in place of one that never left."""
    session.execute(sa.delete(Outbox).where(Outbox.invitation_id == invitation_id))
    session.execute(
        sa.insert(Outbox).values(
            invitation_id=invitation_id, kind=kind, message_id=new_message_id(domain)
        )
    )


def new_message_id(domain: str) -> str:
    """Return the Message-ID that every try of one mail carries."""
    return f"<{secrets.token_hex(16)}@{domain}>"


def resend(
    session: Session, row: Invitation, actor: Actor, settings: Settings, domain: str
) -> None:
    """Send an invitation again, with a new end and the link of the older mail.

    :raises IllegalMove: when it is closed to this actor or its mail still waits.
    :raises TooSoon: when a sender's cool-down has not ended.
    """
    if not may_resend(row, actor):
        raise IllegalMove("resend", row.status)
    possible_at = resend_possible_at(row, settings)
    if actor.kind == SENDER and possible_at is not None and possible_at > now():
        raise TooSoon(possible_at)
    if row.status == Status.DECLINED:
        fresh = _fresh_mail(settings)
        names = ("mail_state", "mail_error", "expires_at", "sender_canceled")
        _pretend(session, row, actor, "resend", **{name: fresh[name] for name in names})
    else:
        name = "resend" if row.status in OPEN else "renew"
        move(
            session, row, name, actor, _fresh_mail(settings), guards=[NOT_LEAVING], action="resend"
        )
    enqueue(session, row.id, "resend", domain)


def _pretend(session: Session, row: Invitation, actor: Actor, action: str, **values: Any) -> None:
    """Answer the sender of a declined invitation like any other; the worker sends nothing."""
    session.execute(
        sa.update(Invitation)
        .where(Invitation.id == row.id, Invitation.status == Status.DECLINED, NOT_LEAVING)
        .values(**values),
        execution_options={"synchronize_session": False},
    )
    note(session, row.id, actor, action, row.status, row.status, Status.DECLINED)
    session.expire(row)


def may_resend(row: Invitation, actor: Actor) -> bool:
    """Return whether a resend is open to this actor, the cool-down apart.

    A declined invitation looks sent to its sender, so its resend looks possible; a mail
    whose link has ended waits for nothing any more.
    """
    if row.email is None or row.mail_state == MailState.SENDING:
        return False
    waits = row.mail_state == MailState.QUEUED and row.expires_at > now()
    if row.mail_state == MailState.PARKED:
        waits = actor.kind != STAFF  # a person decides, and that is staff
    if row.status == Status.DECLINED:
        return actor.kind == SENDER and (row.sender_canceled or not waits)
    if row.status == Status.DISCARDED and row.discarded_by != SENDER:
        return False
    if row.status == Status.NOT_SENT and waits:
        return False
    return is_legal("resend", row.status, actor) or is_legal("renew", row.status, actor)


def seems_open(row: Invitation) -> bool:
    """Return whether an invitation waits for an answer, as far as its sender may know."""
    declined = row.status == Status.DECLINED and not row.sender_canceled
    return row.expires_at > now() and (row.status in OPEN or declined)


def is_seemingly_open() -> sa.ColumnElement[bool]:
    """Return :func:`seems_open` as SQL."""
    row = Invitation
    declined = sa.and_(row.status == Status.DECLINED, ~row.sender_canceled)
    return sa.and_(row.expires_at > now(), sa.or_(row.status.in_(OPEN), declined))


def is_sendable() -> sa.ColumnElement[bool]:
    """Return as SQL what staff can send again: :func:`may_resend`, or reopen."""
    row = Invitation
    queued = sa.and_(row.mail_state == MailState.QUEUED, row.expires_at > now())
    waits = sa.and_(row.status == Status.NOT_SENT, queued)
    is_closed = row.status == Status.ACCEPTED
    return sa.and_(row.email.is_not(None), ~is_closed, ~waits, NOT_LEAVING)


def is_discardable() -> sa.ColumnElement[bool]:
    """Return as SQL what can be discarded."""
    return Invitation.status.in_(MOVES["discard"].sources)


def resend_possible_at(row: Invitation, settings: Settings) -> datetime | None:
    """Return when the cool-down ends, in UTC; None where no mail left yet."""
    if row.last_sent_at is None:
        return None
    return row.last_sent_at + timedelta(hours=settings.resend_hours)


def reopen(
    session: Session, row: Invitation, actor: Actor, settings: Settings, domain: str
) -> None:
    """Give a closed invitation another life, under a link of its own.

    :raises IllegalMove: when it is not closed, or its address was purged.
    """
    if row.email is None:
        raise IllegalMove("reopen", row.status)
    changes = {**_fresh_mail(settings), "public_id": new_public_id()}
    move(session, row, "reopen", actor, changes, guards=[NOT_LEAVING])
    enqueue(session, row.id, "resend", domain)


def _fresh_mail(settings: Settings) -> dict[str, Any]:
    return {
        "discarded_by": None,
        "sender_canceled": False,
        "mail_state": MailState.QUEUED,
        "mail_error": None,
        "mail_tries": 0,
        "expires_at": now() + timedelta(days=settings.link_days),
    }


def discard(session: Session, row: Invitation, actor: Actor) -> None:
    """Close an invitation for good: a sender cancels, staff discard.

    :raises IllegalMove: when it is accepted, declined or closed already.
    """
    if row.status == Status.DECLINED and actor.kind == SENDER and not row.sender_canceled:
        _pretend(session, row, actor, "cancel", sender_canceled=True)
        return
    action = "cancel" if actor.kind == SENDER else "discard"
    move(session, row, "discard", actor, {"discarded_by": actor.kind}, action=action)


def discard_many(session: Session, ids: Sequence[int], actor: Actor) -> list[int]:
    """Discard those of the invitations that may be; return their ids.

    A statement a status, so that the history tells exactly what each one was before.
    """
    row = Invitation
    notes: list[dict[str, Any]] = []
    for status in sorted(MOVES["discard"].sources):
        changed = session.execute(
            sa.update(row)
            .where(row.id.in_(ids), row.status == status)
            .values(status=Status.DISCARDED, discarded_by=actor.kind, version=row.version + 1)
            .returning(row.id),
            execution_options={"synchronize_session": False},
        )
        notes += [
            _note(done, actor, "discard", status, Status.DISCARDED) for done in changed.scalars()
        ]
    if notes:
        session.execute(sa.insert(History), notes)
    return [each["invitation_id"] for each in notes]


def decline(session: Session, row: Invitation) -> None:
    """Note that the invited person does not want to come.

    :raises IllegalMove: when it is not open.
    """
    move(session, row, "decline", THE_INVITEE)


def accept(session: Session, row: Any, customer_key: str) -> None:
    """Tie an invitation to the account made through it, within the host's transaction.

    :raises IllegalMove: when it is closed.
    :raises LinkExpired: when its link has ended.
    :raises Changed: when it was accepted or closed in this very moment.
    """
    at = now()
    if row.expires_at <= at:
        raise LinkExpired
    _free_customer_key(session, customer_key)
    guard = Invitation.__table__.c.expires_at > at
    values = {"registered_at": at, "customer_key": customer_key}
    move(session, row, "accept", THE_INVITEE, values, guards=[guard])


def _free_customer_key(session: Session, customer_key: str) -> None:
    """Untie an older row from a key that the store gives anew: that account is gone."""
    table = Invitation.__table__
    session.execute(
        sa.update(table)  # type: ignore[arg-type]
        .where(table.c.customer_key == customer_key)
        .values(customer_key=None)
    )


def forget_customer(session: Session, key: str) -> None:
    """Untie the rows of a customer whose account is deleted: the key may be given anew."""
    table = Invitation.__table__
    gone = f"gone:{secrets.token_hex(8)}"
    for column, value in ((table.c.inviter_key, gone), (table.c.customer_key, None)):
        session.execute(
            sa.update(table).where(column == key).values({column: value})  # type: ignore[arg-type]
        )


def expire_due(session: Session, limit: int = 1000) -> int:
    """Mark up to ``limit`` invitations whose link has ended; return how many."""
    row = Invitation
    due = (
        sa.select(row.id, row.status, row.version)
        .where(row.status.in_(OPEN), row.expires_at <= now())
        .order_by(row.expires_at)
        .limit(limit)
    )
    count = 0
    for found in session.execute(due).all():
        try:
            move(session, found, "expire", THE_SYSTEM)
            count += 1
        except Changed:
            continue
    return count
