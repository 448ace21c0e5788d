"""Why somebody cannot invite: every rule that stops it now, with the setting that decides it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from . import limits
from .accounts import as_inviter, group_of
from .addresses import Address, keyed_hash
from .host import StoreView
from .i18n import format_date, format_datetime, format_number, gettext
from .inviting import Submission, find_invited, is_own_address
from .lifecycle import THE_SYSTEM
from .limits import Inviter, LimitReached
from .mailboxes import next_turn
from .opt_outs import is_opted_out
from .settings import (
    BY_INVITATION_ONLY,
    SKIP,
    SPECS,
    Found,
    Settings,
    read_domains,
    read_group_limits,
    scope_of,
    trace,
)
from .state import host, settings_of, state

# The setting behind each limit that can be reached.
BEHIND: Final = {
    limits.HOUR: "max_per_hour",
    limits.DAY: "max_per_day",
    limits.LIFETIME: "max_lifetime",
    limits.PENDING: "max_pending",
    limits.NEW: "max_of_new_customer",
    limits.ALL: "max_of_all_per_day",
}


Said = Iterator[tuple[str, str, bool]]  # what a rule does, its setting, whether it stops


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule in the way: what it does, and the setting that decides it, where one does.

    ``is_stop`` tells what refuses an invitation from what only delays or changes its mail.
    """

    text: str
    setting: str = ""
    found: Found | None = None
    is_stop: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """Whether this customer, or any, can invite this address, or any, in a store view."""

    view: StoreView
    customer: Any | None = None
    invitee: Address | None = None


def explain(session: Session, question: Question) -> list[Finding]:
    """Return every rule that stands in the way now, the widest first; nothing is written."""
    settings, group = settings_of(question.view), ""
    if question.customer is not None:
        group = group_of(question.customer)
        settings = settings.of_group(group)
    inviter = as_inviter(question.customer) if question.customer is not None else None
    said = [
        *_switches(settings),
        *_closed(settings),
        *_account(question.customer),
        *_limits(session, question.view, inviter, settings, group),
    ]
    if question.invitee is not None:
        said += _invitee(session, question, question.invitee, inviter, settings)
    sources = trace(session, scope_of(question.view))
    return [
        Finding(text, setting, sources.get(setting), is_stop) for text, setting, is_stop in said
    ]


def _switches(settings: Settings) -> Said:
    if not settings.enabled:
        text = gettext("Invitations are switched off: nobody can send any, and queued mail waits.")
        yield text, "enabled", True
    if not settings.storefront_enabled:
        text = gettext("Customers' pages of invitations are switched off; staff can still invite.")
        yield text, "storefront_enabled", True


def _closed(settings: Settings) -> Said:
    if settings.enabled and settings.registration == BY_INVITATION_ONLY:
        text = gettext("Only who was invited can create an account.")
        yield text, "registration", False


def _account(customer: Any | None) -> Said:
    if customer is None:
        return
    if not host().is_active(customer):
        yield gettext("The customer's account is disabled: their invitations rest."), "", True
    may = host().may_invite(customer)
    if may is not True:
        text = gettext("The store does not let this customer invite.")
        yield (f"{text} {may}" if isinstance(may, str) and may else text), "", True


def _limits(
    session: Session, view: StoreView, inviter: Inviter | None, settings: Settings, group: str
) -> Said:
    own = read_group_limits(settings.group_limits).get(group, {})
    for limit in limits.reached(session, view.website, inviter, settings):
        name = BEHIND[limit.window]
        yield _limit_text(limit, name, view), "group_limits" if name in own else name, True


def _limit_text(limit: LimitReached, name: str, view: StoreView) -> str:
    label = gettext(SPECS[name].label)
    said = gettext("%(name)s: %(limit)s are reached.", name=label, limit=format_number(limit.limit))
    if limit.opens_at is None:
        return said
    when = format_datetime(limit.opens_at, view)
    return f"{said} " + gettext("There is room again after %(when)s.", when=when)


def _invitee(
    session: Session,
    question: Question,
    address: Address,
    inviter: Inviter | None,
    settings: Settings,
) -> Said:
    """Look at the invited address: what refuses it first, then what becomes of its mail."""
    if inviter is not None and is_own_address(address, inviter):
        yield gettext("It is the customer's own address."), "", True
    if address.is_below(read_domains(settings.blocked_domains)):
        yield (
            gettext("Nobody is invited at %(domain)s.", domain=address.domain),
            "blocked_domains",
            True,
        )
    yield from _invited_before(session, question, address, inviter)
    if settings.existing_customers == SKIP:
        known = host().customer_by_email(address.delivery, question.view.website)
        if known is not None:
            text = gettext("The address is a customer's, and those are skipped.")
            yield text, "existing_customers", True
    yield from _mailbox(session, question.view, address, settings)


def _invited_before(
    session: Session, question: Question, address: Address, inviter: Inviter | None
) -> Said:
    asked = Submission(question.view, [address], "", THE_SYSTEM, inviter)
    for row in find_invited(session, asked, state().hash_key).values():
        when = format_date(row.created_at, question.view)
        text = gettext(
            "The address was invited on %(when)s already (invitation %(id)s); it can be sent again"
            " or opened there.",
            when=when,
            id=row.id,
        )
        yield text, "", True


def _mailbox(session: Session, view: StoreView, address: Address, settings: Settings) -> Said:
    mailbox = keyed_hash(address.mailbox, state().hash_key)
    if is_opted_out(session, mailbox):
        text = gettext(
            "This mailbox wants no invitations from this store: no mail leaves, though its sender"
            " sees it as sent."
        )
        yield text, "", False
    turn = next_turn(session, mailbox, settings)
    if turn is not None:
        text = gettext(
            "The mailbox received as much as it may; the mail would wait until %(when)s.",
            when=format_datetime(turn, view),
        )
        is_day = bool(settings.mailbox_per_day)
        yield text, "mailbox_per_day" if is_day else "mailbox_per_month", False
