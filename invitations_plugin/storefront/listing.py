"""A sender's invitations, as the sender may see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..clock import now
from ..i18n import gettext, n_
from ..lifecycle import OPEN, Actor, is_legal, may_resend, resend_possible_at
from ..models import Invitation, MailState, Status
from ..settings import Settings

PAGE = 20
LABELS = {
    "sending": n_("Sending"),
    "sent": n_("Sent"),
    "not_sent": n_("Not Sent"),
    "accepted": n_("Accepted"),
    "canceled": n_("Canceled"),
    "expired": n_("Expired"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One row of My Invitations; the times in UTC."""

    id: int
    email: str
    status: str
    sent_at: datetime | None
    registered_at: datetime | None
    expires_at: datetime | None
    can_resend: bool
    resend_at: datetime | None
    can_cancel: bool

    @property
    def status_label(self) -> str:
        """The status in the reader's language."""
        return gettext(LABELS[self.status])


@dataclass(frozen=True, slots=True)
class Page:
    """Up to twenty lines, and where the pages beside them start."""

    lines: Sequence[Line]
    newer: int | None
    older: int | None


def sender_status(row: Invitation, at: datetime) -> str:
    """Return the status that a sender sees: a declined invitation looks like a sent one."""
    if row.status == Status.DISCARDED or (row.status == Status.DECLINED and row.sender_canceled):
        return "canceled"
    if row.status not in (*OPEN, Status.DECLINED):
        return row.status
    if row.status == Status.NOT_SENT and row.mail_state == MailState.FAILED:
        return "not_sent"
    if row.expires_at <= at:
        return "expired"
    waits = row.status == Status.NOT_SENT or row.mail_state == MailState.QUEUED
    return "sending" if waits else "sent"


def _having(status: str, at: datetime) -> sa.ColumnElement[bool]:
    """Return :func:`sender_status` turned round: which rows show this status."""
    row = Invitation
    not_sent = row.status == Status.NOT_SENT
    failed = sa.and_(not_sent, row.mail_state == MailState.FAILED)
    declined = sa.and_(row.status == Status.DECLINED, ~row.sender_canceled)
    canceled = sa.and_(row.status == Status.DECLINED, row.sender_canceled)
    seems_made = sa.and_(sa.or_(row.status.in_(OPEN), declined), ~failed)
    waits = sa.or_(not_sent, row.mail_state == MailState.QUEUED)
    ended = row.expires_at <= at
    return {
        "sending": sa.and_(seems_made, ~ended, waits),
        "not_sent": failed,
        "sent": sa.and_(seems_made, ~ended, ~waits),
        "accepted": row.status == Status.ACCEPTED,
        "canceled": sa.or_(row.status == Status.DISCARDED, canceled),
        "expired": sa.or_(row.status == Status.EXPIRED, sa.and_(seems_made, ended)),
    }[status]


def read_page(
    session: Session,
    actor: Actor,
    settings: Settings,
    *,
    status: str = "",
    before: int | None = None,
    after: int | None = None,
) -> Page:
    """Return a page of an inviter's invitations, newest first, found by key."""
    row, at = Invitation, now()
    query = sa.select(row).where(row.inviter_key == actor.key)
    if status in LABELS:
        query = query.where(_having(status, at))
    backwards = after is not None
    if after is not None:
        query = query.where(row.id > after).order_by(row.id)
    else:
        query = query.where(row.id < before) if before is not None else query
        query = query.order_by(row.id.desc())
    found = list(session.scalars(query.limit(PAGE + 1)))
    more, found = len(found) > PAGE, found[:PAGE]
    if backwards:
        found.reverse()
    lines = [_line(each, actor, settings, at) for each in found]
    has_newer = more if backwards else before is not None
    has_older = True if backwards else more
    return Page(
        lines,
        lines[0].id if lines and has_newer else None,
        lines[-1].id if lines and has_older else None,
    )


def _line(row: Invitation, actor: Actor, settings: Settings, at: datetime) -> Line:
    status = sender_status(row, at)
    possible_at = resend_possible_at(row, settings)
    waits = possible_at is not None and possible_at > at
    is_open = status in ("sending", "sent", "not_sent", "expired", "canceled")
    may = is_open and may_resend(row, actor)
    return Line(
        row.id,
        row.email or "",
        status,
        row.sent_at,
        row.registered_at,
        row.expires_at if status in ("sending", "sent") else None,
        may and not waits,
        possible_at if may and waits else None,
        status in ("sending", "sent", "not_sent")
        and (row.status == Status.DECLINED or is_legal("discard", row.status, actor)),
    )


def summary(session: Session, inviter_key: str) -> tuple[int, int]:
    """Return how many invitations an inviter made and how many were accepted."""
    row = Invitation
    sent, accepted = session.execute(
        sa.select(sa.func.count(row.id), sa.func.count(row.registered_at)).where(
            row.inviter_key == inviter_key
        )
    ).one()
    return int(sent), int(accepted)
