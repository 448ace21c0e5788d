"""The life of an invitation: the legal moves as one table, and what each one writes.

Nothing here commits or knows a request; every move is one guarded statement, so of two
that exclude each other exactly one happens, in whichever process.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased, object_session

from .clock import now
from .database import Runner, among
from .models import History, Invitation, MailState, Outbox, Status, new_public_id
from .opt_outs import is_among_opted_out
from .settings import Settings
from .turns import take_address_turn

SENDER, STAFF, INVITEE, SYSTEM = "sender", "staff", "invitee", "system"
OPEN: Final = (Status.NOT_SENT, Status.SENT)
RENEWABLE: Final = (*OPEN, Status.EXPIRED)  # once the link has ended
# What the rows of an inviter are kept under once the store deleted the account.
ERASED: Final = "gone:"
# Built once: for each mail that would take longer than to run them.
_ROW: Final = Invitation.__table__
IS_AS_SEEN: Final = sa.and_(
    _ROW.c.id == sa.bindparam("number"),
    _ROW.c.status == sa.bindparam("from_status"),
    _ROW.c.version == sa.bindparam("from_version"),
)
MOVE: Final = (
    sa.update(_ROW).where(IS_AS_SEEN).values(version=_ROW.c.version + 1)  # type: ignore[arg-type]
)
NOTE: Final = sa.insert(History.__table__)  # type: ignore[arg-type]
# A mail that is being handed over ends first: what replaced it would go beside it.
NOT_LEAVING: Final = Invitation.mail_state != MailState.SENDING


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: the sender, staff, the invited person or the system."""

    kind: str
    key: str = ""
    name: str = ""


THE_SYSTEM: Final = Actor(SYSTEM)
COMMAND_LINE: Final = Actor(SYSTEM, "command line", "command line")
THE_INVITEE: Final = Actor(INVITEE)


@dataclass(frozen=True, slots=True)
class Move:
    """One legal move: from which statuses, to which, by whom."""

    sources: frozenset[Status]
    target: Status
    by: frozenset[str]


def new_stand_in() -> str:
    """Return what is kept in place of somebody who was erased, and of nobody else."""
    return f"{ERASED}{secrets.token_hex(8)}"


def _move(sources: Sequence[Status], target: Status, *by: str) -> Move:
    return Move(frozenset(sources), target, frozenset(by))


S = Status
MOVES: Final[dict[str, Move]] = {
    "send": _move([S.NOT_SENT], S.SENT, SYSTEM),
    # From expired only while the link was renewed: accepting checks expires_at as well.
    "accept": _move([S.NOT_SENT, S.SENT, S.EXPIRED], S.ACCEPTED, INVITEE),
    "discard": _move([S.NOT_SENT, S.SENT, S.EXPIRED], S.DISCARDED, SENDER, STAFF),
    "decline": _move([S.SENT], S.DECLINED, INVITEE),
    # Staff end the life of a link: then it is over by time like any other.
    "expire": _move([S.NOT_SENT, S.SENT], S.EXPIRED, SYSTEM, STAFF),
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


def target_of(row: Any, name: str, actor: Actor) -> Status:
    """Return the status that a move leads an invitation to.

    :raises IllegalMove: when the table does not have it.
    """
    if not is_legal(name, row.status, actor):
        raise IllegalMove(name, row.status)
    return MOVES[name].target


def as_seen(row: Any) -> dict[str, Any]:
    """Return what :data:`MOVE` is given to find an invitation only as it was last seen."""
    return {"number": row.id, "from_status": row.status, "from_version": row.version}


def move(  # noqa: PLR0913  # what changes, and all that the history says of it
    session: Runner,
    row: Any,
    name: str,
    actor: Actor,
    values: Mapping[str, Any] | None = None,
    *,
    guards: Sequence[sa.ColumnElement[bool]] = (),
    action: str | None = None,
    reason: str | None = None,
    message_id: str | None = None,
) -> None:
    """Make one move of the table and note it in the history.

    ``row`` is the invitation, or any row with its id, status and version as last seen;
    ``values`` are the further columns that change with it.

    :raises IllegalMove: when the table does not have it.
    :raises Changed: when the row is no longer as seen, or a guard does not hold.
    """
    target = target_of(row, name, actor)
    given = {"status": target, **(values or {})}
    made = {name: value for name, value in given.items() if isinstance(value, sa.ClauseElement)}
    statement = MOVE.where(*guards) if guards else MOVE
    if made:
        statement = statement.values(made)
    plain = {name: value for name, value in given.items() if name not in made}
    changed = session.execute(statement, plain | as_seen(row))
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise Changed(name)
    note(session, row.id, actor, action or name, row.status, target, reason, message_id)
    held_by = object_session(row) if isinstance(row, Invitation) else None
    if held_by is not None:
        held_by.expire(row)


def note(
    session: Runner,
    invitation_id: int,
    actor: Actor,
    action: str,
    from_status: str | None = None,
    to_status: str | None = None,
    reason: str | None = None,
    message_id: str | None = None,
) -> None:
    """Write one row of history."""
    values = note_values(invitation_id, actor, action, from_status, to_status, reason, message_id)
    session.execute(NOTE, values)


def note_all(
    session: Session,
    ids: Sequence[int],
    actor: Actor,
    action: str,
    from_status: str | None,
    to_status: str | None,
) -> None:
    """Write the same row of history for some invitations, in one statement."""
    if not ids:
        return
    values = note_values(0, actor, action, from_status, to_status)
    del values["invitation_id"]
    columns = [sa.literal(value, History.__table__.c[name].type) for name, value in values.items()]
    noted = sa.select(Invitation.__table__.c.id, *columns).where(among(Invitation.id, ids))
    statement = sa.insert(History.__table__)  # type: ignore[arg-type]
    session.execute(statement.from_select(["invitation_id", *values], noted))


def note_values(
    invitation_id: int,
    actor: Actor,
    action: str,
    from_status: str | None,
    to_status: str | None,
    reason: str | None = None,
    message_id: str | None = None,
) -> dict[str, Any]:
    """Return the columns of one row of history."""
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
        "message_id": message_id,
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


def is_expirable() -> sa.ColumnElement[bool]:
    """Return as SQL which links can be ended."""
    return Invitation.status.in_(MOVES["expire"].sources)


def is_extendable() -> sa.ColumnElement[bool]:
    """Return as SQL which links can be given a longer life: those that may be accepted then."""
    row = Invitation
    return sa.and_(row.status.in_(MOVES["accept"].sources), row.email.is_not(None))


def can_send(row: Invitation, actor: Actor) -> bool:
    """Return whether staff can send an invitation again, opening it where it was closed."""
    return can_reopen(row, actor) or may_resend(row, actor)


def can_reopen(row: Invitation, actor: Actor) -> bool:
    """Return whether a closed invitation can be given another life under a new link."""
    is_leaving = row.mail_state == MailState.SENDING
    return is_legal("reopen", row.status, actor) and row.email is not None and not is_leaving


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
        "asked_at": None,
    }


def ask(session: Session, public_id: str) -> None:
    """Note once that an invited person wants a fresh link in place of one that ended by time.

    For any other invitation, or none, the same statement changes nothing.
    """
    table = Invitation.__table__
    asked = session.execute(
        sa.update(table)  # type: ignore[arg-type]
        .where(
            table.c.public_id == public_id,
            table.c.status.in_(RENEWABLE),
            table.c.expires_at <= now(),
            table.c.asked_at.is_(None),
            table.c.email.is_not(None),
            ~is_among_opted_out(table.c.recipient_hash),
        )
        .values(asked_at=now())
        .returning(table.c.id, table.c.status)
    ).first()
    if asked is not None:
        note(session, asked.id, THE_INVITEE, "ask", asked.status, asked.status)


def is_asking(row: Invitation) -> bool:
    """Return whether the invited person waits for a fresh link."""
    return row.asked_at is not None and row.email is not None and row.status in RENEWABLE


def asking() -> sa.ColumnElement[bool]:
    """Return :func:`is_asking` as SQL."""
    row = Invitation
    return sa.and_(row.asked_at.is_not(None), row.email.is_not(None), row.status.in_(RENEWABLE))


def discard(session: Session, row: Invitation, actor: Actor) -> None:
    """Close an invitation for good: a sender cancels, staff discard.

    :raises IllegalMove: when it is accepted, declined or closed already.
    """
    if row.status == Status.DECLINED and actor.kind == SENDER and not row.sender_canceled:
        _pretend(session, row, actor, "cancel", sender_canceled=True)
        return
    action = "cancel" if actor.kind == SENDER else "discard"
    move(session, row, "discard", actor, {"discarded_by": actor.kind}, action=action)


def decline(session: Session, row: Invitation) -> None:
    """Note that the invited person does not want to come.

    :raises IllegalMove: when it is not open.
    """
    move(session, row, "decline", THE_INVITEE)


def accept(
    session: Session,
    row: Any,
    customer_key: str,
    *,
    gone: Collection[str] = (),
    reason: str | None = None,
) -> None:
    """Tie an invitation to the account made through it, within the host's transaction.

    ``gone`` are keys of accounts that the store has no more: what they accepted stands in
    nobody's way.

    :raises IllegalMove: when it is closed.
    :raises LinkExpired: when its link has ended.
    :raises Changed: when it was accepted or closed in this very moment, or another
        invitation of its address was.
    """
    at = now()
    if row.expires_at <= at:
        raise LinkExpired
    number, website, email_hash = row.id, row.website, row.email_hash
    take_address_turn(session, website, email_hash)
    free_customer_keys(session, [customer_key, *gone])
    guards = [
        Invitation.__table__.c.expires_at > at,
        ~accepted_others(number, website, email_hash).exists(),
    ]
    sent_at = sa.func.coalesce(Invitation.__table__.c.sent_at, at)  # nobody else has the link
    values = {"registered_at": at, "customer_key": customer_key, "sent_at": sent_at}
    move(session, row, "accept", THE_INVITEE, values, guards=guards, reason=reason)
    _overtake(session, number, website, email_hash)


def accepted_others(number: int, website: str, email_hash: str) -> sa.Select[Any]:
    """Return the query for the keys of accounts made by another invitation of an address."""
    other = aliased(Invitation)
    return sa.select(other.customer_key).where(
        other.website == website,
        other.email_hash == email_hash,
        other.id != number,
        other.status == Status.ACCEPTED,
        other.customer_key.is_not(None),
    )


def _overtake(session: Session, number: int, website: str, email_hash: str) -> None:
    """Note at the other inviters' invitations that their friend has an account now.

    Their status stays, for a sender never learns who is a customer. A row that somebody
    else changes just now is passed over: waiting for it here could lock up both, and the
    guard of :func:`accept` holds without the flag.
    """
    row = Invitation
    ids = session.scalars(
        sa.select(row.id)
        .where(row.website == website, row.email_hash == email_hash, row.id != number)
        .where(row.status != Status.ACCEPTED)
        .order_by(row.id)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    if not ids:
        return
    session.execute(
        sa.update(row.__table__)  # type: ignore[arg-type]
        .where(row.__table__.c.id.in_(ids))
        .values(existing_customer=True)
    )
    note_all(session, ids, THE_SYSTEM, "overtaken", None, None)


def free_customer_keys(session: Session, keys: Collection[str]) -> None:
    """Untie older rows from keys whose accounts are gone: the store may give a key anew."""
    table = Invitation.__table__
    session.execute(
        sa.update(table)  # type: ignore[arg-type]
        .where(table.c.customer_key.in_(keys))
        .values(customer_key=None)
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
