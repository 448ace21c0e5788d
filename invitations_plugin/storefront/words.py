"""What a refusal is called to a customer: the facts are the lifecycle's, the words here."""

from __future__ import annotations

from datetime import datetime

from ..clock import now
from ..host import StoreView
from ..i18n import format_date, format_datetime, gettext, ngettext
from ..inviting import LimitReached
from ..lifecycle import Actor, may_resend, resend_possible_at
from ..models import Invitation
from ..settings import Settings


def already_invited(row: Invitation, actor: Actor, settings: Settings, view: StoreView) -> str:
    """Say when an address was invited, and whether its invitation can be sent again."""
    said = gettext(
        "You already invited this address on %(date)s.", date=format_date(row.created_at, view)
    )
    if not may_resend(row, actor):
        return said
    possible_at = resend_possible_at(row, settings)
    if possible_at is not None and possible_at > now():
        when = format_datetime(possible_at, view)
        return f"{said} " + gettext("You can send it again after %(when)s.", when=when)
    return f"{said} " + gettext("You can send it again from My Invitations.")


def too_many(limit: int) -> str:
    """Say how many friends one form may have."""
    return ngettext(
        "You can invite up to %(num)s friend at one time.",
        "You can invite up to %(num)s friends at one time.",
        limit,
    )


def limit_reached(limit: LimitReached, view: StoreView) -> str:
    """Say which limit is reached and when it opens again."""
    if limit.window == "pending":
        return ngettext(
            "%(num)s invitation may wait for an answer at one time. Cancel it, or wait until your"
            " friend accepts.",
            "Up to %(num)s invitations may wait for an answer at one time. Cancel one, or wait"
            " until a friend accepts.",
            limit.limit,
        )
    said = (
        ngettext(
            "You can invite up to %(num)s friend an hour.",
            "You can invite up to %(num)s friends an hour.",
            limit.limit,
        )
        if limit.window == "hour"
        else ngettext(
            "You can invite up to %(num)s friend a day.",
            "You can invite up to %(num)s friends a day.",
            limit.limit,
        )
    )
    if limit.opens_at is None:
        return said
    when = format_datetime(limit.opens_at, view)
    return f"{said} " + gettext("Nothing was sent. Try again after %(when)s.", when=when)


def retry_after(opens_at: datetime | None) -> int:
    """Return the seconds until a limit opens, an hour where nobody can know."""
    if opens_at is None:
        return 3600
    return max(1, int((opens_at - now()).total_seconds()) + 1)
