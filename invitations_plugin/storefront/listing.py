"""A sender's invitations, as the sender may see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..clock import now
from ..i18n import gettext, n_
from ..lifecycle import OPEN, Actor, asking, is_asking, is_legal, may_resend, resend_possible_at
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
ASKED = "asked"  # a filter beside the statuses: those whose friend wants a fresh link


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
    asks: bool

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


def _sender_status(at: datetime) -> sa.ColumnElement[str]:
    """Return :func:`sender_status` as SQL, made of columns that one index holds together."""
    row = Invitation
    declined, not_sent = row.status == Status.DECLINED, row.status == Status.NOT_SENT
    return sa.case(
        (
            sa.or_(row.status == Status.DISCARDED, sa.and_(declined, row.sender_canceled)),
            "canceled",
        ),
        (row.status.not_in((*OPEN, Status.DECLINED)), row.status),
        (sa.and_(not_sent, row.mail_state == MailState.FAILED), "not_sent"),
        (row.expires_at <= at, "expired"),
        (sa.or_(not_sent, row.mail_state == MailState.QUEUED), "sending"),
        else_="sent",
    )


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
    query = sa.select(row.id).where(row.inviter_key == actor.key)
    if status == ASKED:
        query = query.where(asking())
    elif status in LABELS:
        query = query.where(_sender_status(at) == status)
    backwards = after is not None
    order = row.id if backwards else row.id.desc()
    if after is not None:
        query = query.where(row.id > after)
    elif before is not None:
        query = query.where(row.id < before)
    # First the ids, which the index alone can tell; then only the rows of the page.
    ids = query.order_by(order).limit(PAGE + 1)
    found = list(session.scalars(sa.select(row).where(row.id.in_(ids)).order_by(order)))
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
        row.expires_at if status == "sent" else None,
        may and not waits,
        possible_at if may and waits else None,
        status in ("sending", "sent", "not_sent")
        and (row.status == Status.DECLINED or is_legal("discard", row.status, actor)),
        is_asking(row),
    )


def summary(session: Session, inviter_key: str) -> tuple[int, int]:
    """Return how many invitations an inviter made and how many were accepted."""
    row = Invitation
    is_accepted = sa.case((row.status == Status.ACCEPTED, 1))
    sent, accepted = session.execute(
        sa.select(sa.func.count(), sa.func.count(is_accepted)).where(row.inviter_key == inviter_key)
    ).one()
    return int(sent), int(accepted)


def count_asking(session: Session, inviter_key: str) -> int:
    """Return how many of an inviter's friends wait for a fresh link."""
    own = sa.select(sa.func.count()).where(Invitation.inviter_key == inviter_key, asking())
    return session.scalar(own) or 0
