"""Every setting, declared once: name, label, section, scope, default, help and what it allows."""

from __future__ import annotations

import re
from dataclasses import Field, dataclass, fields, replace
from functools import lru_cache
from typing import Any, Final

from ..i18n import n_
from .specs import (
    DELIVERY,
    EMAIL,
    GENERAL,
    GLOBAL,
    LIMITS,
    LINKS,
    SENDERS,
    STORE_VIEW,
    TEMPLATES,
    WEBSITE,
    BadValue,
    Spec,
    read_addresses,
    read_domains,
    read_int,
    setting,
)

SAME_AS_INVITER, DEFAULT_GROUP = "inviter", "default"
BY_INVITATION_ONLY, AVAILABLE_TO_ALL = "invitation", "all"
INVITED_ADDRESS_ONLY, ANY_ADDRESS = "invited", "any"
SIGN_IN_LINK, SKIP = "link", "skip"
CREDIT, CREDIT_AND_GROUP, IGNORE = "credit", "credit_group", "ignore"
# What a customer group may have a value of its own for.
GROUP_LIMITS: Final = ("max_per_send", "max_per_hour", "max_per_day", "max_pending", "max_lifetime")


@lru_cache(maxsize=64)
def read_group_limits(text: str) -> dict[str, dict[str, int]]:
    """Read the limits of customer groups: ``vip: max_per_day=100 max_pending=0``, one a line.

    :raises BadValue: naming the line and what it may hold.
    """
    found: dict[str, dict[str, int]] = {}
    for line in filter(None, (each.strip() for each in re.split(r"[\n;]", text))):
        group, colon, limits = line.partition(":")
        pairs = [each.partition("=") for each in limits.replace(",", " ").split()]
        if not colon or not pairs or {name for name, _, _ in pairs} - {*GROUP_LIMITS}:
            rule = n_("%(line)s is none of 'group: name=number ...' with %(names)s.")
            raise BadValue(rule, line=line[:100], names=", ".join(GROUP_LIMITS))
        found[group.strip()] = {name: _limit(line, name, value) for name, _, value in pairs}
    return found


def _limit(line: str, name: str, value: str) -> int:
    try:
        return read_int(value, SPECS[name])
    except BadValue as error:
        rule = n_("%(line)s: %(limit)s takes a whole number from %(least)s to %(most)s.")
        raise BadValue(rule, line=line[:100], limit=name, **error.facts) from error


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force for one store view."""

    enabled: bool = setting(
        True,
        n_("Enable Invitations Functionality"),
        GENERAL,
        GLOBAL,
        help=n_("Off hides invitations everywhere; queued mail waits."),
    )
    storefront_enabled: bool = setting(
        True,
        n_("Enable Invitations on Storefront"),
        GENERAL,
        WEBSITE,
        help=n_("Off hides the customers' pages; staff may still invite."),
    )
    referred_group: str = setting(
        SAME_AS_INVITER,
        n_("Referred Customer Group"),
        GENERAL,
        STORE_VIEW,
        help=n_("The customer group that an invited friend is put into."),
        choices={
            SAME_AS_INVITER: n_("Same as Inviter"),
            DEFAULT_GROUP: n_("Default Customer Group from Configuration"),
        },
    )
    registration: str = setting(
        AVAILABLE_TO_ALL,
        n_("New Accounts Registration"),
        GENERAL,
        STORE_VIEW,
        help=n_("Who may create an account."),
        choices={
            BY_INVITATION_ONLY: n_("By Invitation Only"),
            AVAILABLE_TO_ALL: n_("Available to All"),
        },
    )
    existing_customers: str = setting(
        SIGN_IN_LINK,
        n_("Invited Address of an Existing Customer"),
        GENERAL,
        STORE_VIEW,
        help=n_("Skipping tells the sender how many of the addresses are customers."),
        choices={
            SIGN_IN_LINK: n_("Send a Link to Sign In"),
            SKIP: n_("Skip and Tell the Sender How Many"),
        },
    )
    allow_message: bool = setting(
        True,
        n_("Allow Customers to Add Custom Message to Invitation Email"),
        GENERAL,
        STORE_VIEW,
        help=n_("Staff may always add a message."),
    )
    max_per_send: int = setting(
        5,
        n_("Max Invitations Allowed to be Sent at One Time"),
        GENERAL,
        STORE_VIEW,
        help=n_("How many friends a customer can invite with one form."),
        at_least=1,
        at_most=100,
    )
    email_sender: str = setting(
        "general",
        n_("Customer Invitation Email Sender"),
        EMAIL,
        STORE_VIEW,
        help=n_("The identity of the store that invitations come from."),
        source=SENDERS,
    )
    email_template: str = setting(
        "invitation_sent",
        n_("Customer Invitation Email Template"),
        EMAIL,
        STORE_VIEW,
        help=n_("What the mail says and looks like."),
        source=TEMPLATES,
    )
    link_days: int = setting(
        30,
        n_("Lifetime of a Link in Days"),
        LINKS,
        STORE_VIEW,
        help=n_("How long an invitation can be accepted after it was made or sent again."),
        at_least=1,
        at_most=3650,
    )
    retention_days: int = setting(
        30,
        n_("Days after Which Closed Invitations are Forgotten"),
        LINKS,
        STORE_VIEW,
        help=n_(
            "So long after the end of its link an invitation that nobody accepted loses address"
            " and message; 0 to keep them."
        ),
        at_least=0,
        at_most=3650,
    )
    registered_address: str = setting(
        INVITED_ADDRESS_ONLY,
        n_("Registered Address"),
        LINKS,
        STORE_VIEW,
        help=n_("Which address an account made through a link may have."),
        choices={
            INVITED_ADDRESS_ONLY: n_("Invited Address Only"),
            ANY_ADDRESS: n_("Any Address"),
        },
    )
    unlinked_registration: str = setting(
        CREDIT,
        n_("Registration of an Invited Address without Its Link"),
        LINKS,
        STORE_VIEW,
        help=n_(
            "What happens where everybody may register. Without the link nothing proves whose"
            " address it is: assign the group only if the store verifies addresses first."
        ),
        choices={
            CREDIT: n_("Credit the Inviter"),
            CREDIT_AND_GROUP: n_("Credit the Inviter and Assign the Group"),
            IGNORE: n_("Leave the Invitation Open"),
        },
    )
    resend_hours: int = setting(
        24,
        n_("Hours before an Invitation can be Sent Again"),
        LIMITS,
        STORE_VIEW,
        help=n_("The cool-down of a resend; 0 for none."),
        at_least=0,
        at_most=8760,
    )
    max_per_hour: int = setting(
        20,
        n_("Max Invitations of a Customer in an Hour"),
        LIMITS,
        STORE_VIEW,
        help=n_("Counts every invitation made in the last 60 minutes; 0 for no limit."),
        at_least=0,
        at_most=100_000,
    )
    max_per_day: int = setting(
        50,
        n_("Max Invitations of a Customer in a Day"),
        LIMITS,
        STORE_VIEW,
        help=n_("Counts every invitation made in the last 24 hours; 0 for no limit."),
        at_least=0,
        at_most=1_000_000,
    )
    max_pending: int = setting(
        100,
        n_("Max Pending Invitations of a Customer"),
        LIMITS,
        STORE_VIEW,
        help=n_("Counts invitations that are neither accepted nor closed; 0 for no limit."),
        at_least=0,
        at_most=1_000_000,
    )
    max_lifetime: int = setting(
        0,
        n_("Max Invitations of a Customer Altogether"),
        LIMITS,
        STORE_VIEW,
        help=n_("Counts every invitation the customer ever made; 0 for no limit."),
        at_least=0,
        at_most=1_000_000,
    )
    new_customer_hours: int = setting(
        0,
        n_("Hours during which a Customer is New"),
        LIMITS,
        STORE_VIEW,
        help=n_("After the account was made, where the store knows when; 0 for never."),
        at_least=0,
        at_most=8760,
    )
    max_of_new_customer: int = setting(
        5,
        n_("Max Invitations of a New Customer"),
        LIMITS,
        STORE_VIEW,
        help=n_("While the customer is new, all in all; 0 for none."),
        at_least=0,
        at_most=1_000_000,
    )
    group_limits: str = setting(
        "",
        n_("Limits by Customer Group"),
        LIMITS,
        STORE_VIEW,
        help=n_("One group a line, such as: vip: max_per_day=100 max_pending=500"),
        longest=10_000,
        rows=4,
        check=read_group_limits,
    )
    max_of_all_per_day: int = setting(
        0,
        n_("Max Invitations of All Customers in a Day"),
        LIMITS,
        WEBSITE,
        help=n_("Counts what customers of the website made since midnight, UTC; 0 for no limit."),
        at_least=0,
        at_most=100_000_000,
    )
    mailbox_per_day: int = setting(
        1,
        n_("Max Messages to a Mailbox in a Day"),
        LIMITS,
        GLOBAL,
        help=n_("From all senders together; a message beyond it waits. 0 for no limit."),
        at_least=0,
        at_most=1000,
    )
    mailbox_per_month: int = setting(
        3,
        n_("Max Messages to a Mailbox in 30 Days"),
        LIMITS,
        GLOBAL,
        help=n_("From all senders together; a message beyond it waits. 0 for no limit."),
        at_least=0,
        at_most=1000,
    )
    blocked_domains: str = setting(
        "",
        n_("Blocked Domains"),
        LIMITS,
        STORE_VIEW,
        help=n_("Nobody is invited at these domains and those below them; one a line."),
        longest=100_000,
        rows=4,
        check=read_domains,
    )
    undo_seconds: int = setting(
        0,
        n_("Seconds in Which an Invitation can be Taken Back"),
        DELIVERY,
        STORE_VIEW,
        help=n_("So long its mail waits before it leaves; 0 for at once."),
        at_least=0,
        at_most=3600,
    )
    batch_size: int = setting(
        50,
        n_("Messages per Connection"),
        DELIVERY,
        GLOBAL,
        help=n_("How many messages a worker takes at a time and sends on one connection."),
        at_least=1,
        at_most=1000,
    )
    hold_outbox: bool = setting(
        False,
        n_("Hold All Mail"),
        DELIVERY,
        GLOBAL,
        help=n_("Yes, and nothing leaves until it is No again, as after a restored backup."),
    )
    never_twice: bool = setting(
        False,
        n_("Never Send a Message Twice"),
        DELIVERY,
        GLOBAL,
        help=n_(
            "A message of which nobody knows whether it arrived waits at once for a person to"
            " decide, instead of being repeated once after half an hour."
        ),
    )
    alarm_minutes: int = setting(
        30,
        n_("Minutes after Which Waiting Mail is an Alarm"),
        DELIVERY,
        GLOBAL,
        help=n_("So long a mail that is due may wait before staff are told; 0 for never."),
        at_least=0,
        at_most=10_080,
    )
    staff_notice_address: str = setting(
        "",
        n_("Staff Notice Address"),
        DELIVERY,
        GLOBAL,
        help=n_(
            "Who is told by mail when something needs a person, such as a template that fails;"
            " one address a line, empty for nobody."
        ),
        longest=4000,
        rows=2,
        check=read_addresses,
    )

    def of_group(self, code: str) -> Settings:
        """Return the settings as they are for the customers of a group."""
        changes: dict[str, Any] = dict(read_group_limits(self.group_limits).get(code, {}))
        return replace(self, **changes)


SPECS: Final[dict[str, Spec]] = {item.name: item.metadata["spec"] for item in fields(Settings)}
FIELDS: Final[dict[str, Field[Any]]] = {item.name: item for item in fields(Settings)}
