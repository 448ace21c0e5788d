"""What a refusal is called to a customer: the facts are the lifecycle's, the words here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from .. import limits
from ..clock import now
from ..host import StoreView
from ..i18n import format_date, format_datetime, gettext, ngettext
from ..lifecycle import Actor, may_resend, resend_possible_at
from ..limits import LimitReached
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
    said = gettext("Nothing was sent.")
    if limit.opens_at is not None:
        when = format_datetime(limit.opens_at, view)
        said = gettext("Nothing was sent. Try again after %(when)s.", when=when)
    return f"{_LIMITS[limit.window](limit.limit)} {said}"


def _an_hour(limit: int) -> str:
    return ngettext(
        "You can invite up to %(num)s friend an hour.",
        "You can invite up to %(num)s friends an hour.",
        limit,
    )


def _a_day(limit: int) -> str:
    return ngettext(
        "You can invite up to %(num)s friend a day.",
        "You can invite up to %(num)s friends a day.",
        limit,
    )


def _altogether(limit: int) -> str:
    return ngettext(
        "You can invite %(num)s friend in all.", "You can invite %(num)s friends in all.", limit
    )


def _while_new(limit: int) -> str:
    if not limit:
        return gettext("Your account is too new to invite friends.")
    return ngettext(
        "While your account is new, you can invite up to %(num)s friend.",
        "While your account is new, you can invite up to %(num)s friends.",
        limit,
    )


def _of_all(limit: int) -> str:
    return ngettext(
        "The store sends up to %(num)s invitation a day.",
        "The store sends up to %(num)s invitations a day.",
        limit,
    )


def _pending(limit: int) -> str:
    return ngettext(
        "%(num)s invitation may wait for an answer at one time. Cancel it, or wait until your"
        " friend accepts.",
        "Up to %(num)s invitations may wait for an answer at one time. Cancel one, or wait"
        " until a friend accepts.",
        limit,
    )


_LIMITS: dict[str, Callable[[int], str]] = {
    limits.HOUR: _an_hour,
    limits.DAY: _a_day,
    limits.LIFETIME: _altogether,
    limits.NEW: _while_new,
    limits.ALL: _of_all,
    limits.PENDING: _pending,
}


def skipped(number: int) -> str:
    """Say how many addresses were skipped, never which."""
    return ngettext(
        "%(num)s address belongs to a customer already and was skipped.",
        "%(num)s addresses belong to customers already and were skipped.",
        number,
    )


def blocked() -> str:
    """Say that an address is not written to, and not why."""
    return gettext("We cannot send invitations to this address.")


def may_not_invite(reason: bool | str) -> str:
    """Say why a customer may not invite: in the store's words, where it has some."""
    return (
        reason
        if isinstance(reason, str) and reason
        else gettext("You cannot invite friends at the moment.")
    )


def retry_after(opens_at: datetime | None) -> int:
    """Return the seconds until a limit opens, an hour where nobody can know."""
    if opens_at is None:
        return 3600
    return max(1, int((opens_at - now()).total_seconds()) + 1)
