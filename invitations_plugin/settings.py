"""Every setting, declared once, and the value it has in a store view.

A value set for a store view wins over the website's, which wins over the one set for
all, which wins over ``app.config``, the environment and the default written here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from flask import Flask, current_app, g
from sqlalchemy.orm import Session

from .addresses import BadAddress, parse_domain
from .host import StoreView
from .i18n import n_
from .models import SettingOverride

PREFIX = "INVITATIONS_"
GLOBAL, WEBSITE, STORE_VIEW = "default", "website", "store"
GENERAL, EMAIL, LINKS, LIMITS, DELIVERY = (
    n_("General"),
    n_("Email"),
    n_("Links"),
    n_("Limits"),
    n_("Delivery"),
)

SAME_AS_INVITER, DEFAULT_GROUP = "inviter", "default"
BY_INVITATION_ONLY, AVAILABLE_TO_ALL = "invitation", "all"
INVITED_ADDRESS_ONLY, ANY_ADDRESS = "invited", "any"
SIGN_IN_LINK, SKIP = "link", "skip"
CREDIT, CREDIT_AND_GROUP, IGNORE = "credit", "credit_group", "ignore"
# What a customer group may have a value of its own for.
GROUP_LIMITS = ("max_per_send", "max_per_hour", "max_per_day", "max_pending", "max_lifetime")


@dataclass(frozen=True, slots=True)
class Spec:
    """What a setting is, apart from its value."""

    label: str
    section: str
    scope: str
    help: str = ""
    choices: Mapping[str, str] | None = None
    at_least: int | None = None
    at_most: int | None = None
    check: Callable[[str], object] | None = None


class BadSetting(ValueError):
    """A value that a setting does not allow; the text says which and what is allowed."""


def setting(default: Any, label: str, section: str, scope: str, **more: Any) -> Any:
    """Declare a field of :class:`Settings`."""
    return field(default=default, metadata={"spec": Spec(label, section, scope, **more)})


@lru_cache(maxsize=64)
def read_domains(text: str) -> frozenset[str]:
    """Read domains apart by spaces, commas or lines, in the form that addresses have.

    :raises BadSetting: naming what is no domain.
    """
    found = set()
    for each in re.split(r"[\s,;]+", text.strip()):
        try:
            found |= {parse_domain(each)} if each else set()
        except BadAddress as error:
            raise BadSetting(f"{each!r} is no domain, such as example.com") from error
    return frozenset(found)


@lru_cache(maxsize=64)
def read_group_limits(text: str) -> dict[str, dict[str, int]]:
    """Read the limits of customer groups: ``vip: max_per_day=100 max_pending=0``, one a line.

    :raises BadSetting: naming the line and what it may hold.
    """
    found: dict[str, dict[str, int]] = {}
    for line in filter(None, (each.strip() for each in re.split(r"[\n;]", text))):
        group, colon, limits = line.partition(":")
        pairs = [each.partition("=") for each in limits.replace(",", " ").split()]
        if not colon or not pairs or {name for name, _, _ in pairs} - {*GROUP_LIMITS}:
            names = ", ".join(GROUP_LIMITS)
            raise BadSetting(f"{line!r} is none of 'group: name=number ...' with {names}")
        found[group.strip()] = {
            name: _read_int(name, value, SPECS[name]) for name, _, value in pairs
        }
    return found


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
        help=n_("The code of the store identity that invitations come from."),
    )
    email_template: str = setting(
        "invitation_sent",
        n_("Customer Invitation Email Template"),
        EMAIL,
        STORE_VIEW,
        help=n_("The folder of the mail's templates under invitations/email."),
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
        check=read_domains,
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

    def of_group(self, code: str) -> Settings:
        """Return the settings as they are for the customers of a group."""
        changes: dict[str, Any] = dict(read_group_limits(self.group_limits).get(code, {}))
        return replace(self, **changes)


SPECS: Final[dict[str, Spec]] = {item.name: item.metadata["spec"] for item in fields(Settings)}


def load_defaults(app: Flask) -> Settings:
    """Read the defaults of an app from its config, then the environment.

    :raises BadSetting: when one of them holds what its setting does not allow.
    """
    values: dict[str, Any] = {}
    for item in fields(Settings):
        key = PREFIX + item.name.upper()
        given = app.config.get(key, os.environ.get(key))
        value = item.default if given is None else read_value(item, given)
        app.config[key] = values[item.name] = value
    return Settings(**values)


def read_value(item: Field[Any], given: object) -> bool | int | str:
    """Turn a value from outside into the setting's type.

    :raises BadSetting: naming the setting and what it allows.
    """
    spec: Spec = item.metadata["spec"]
    if isinstance(item.default, bool):
        return read_bool(item.name, given)
    if isinstance(item.default, int):
        return _read_int(item.name, given, spec)
    if spec.choices is not None and given not in spec.choices:
        raise BadSetting(f"{item.name} is {given!r}, but may be {', '.join(spec.choices)}")
    if not isinstance(given, str) or not (given or spec.check):
        raise BadSetting(f"{item.name} is {given!r}, but must be a text")
    if spec.check is not None:
        spec.check(given)
    return given


def read_bool(name: str, given: object) -> bool:
    """Read a yes or no, however it is spelt.

    :raises BadSetting: for anything else.
    """
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    value = known.get(str(given).lower())
    if value is None:
        raise BadSetting(f"{name} is {given!r}, but may be true or false")
    return value


def _read_int(name: str, given: object, spec: Spec) -> int:
    allowed = f"must be a whole number from {spec.at_least} to {spec.at_most}"
    try:
        value = int(str(given))
    except ValueError as error:
        raise BadSetting(f"{name} is {given!r}, but {allowed}") from error
    if not (spec.at_least or 0) <= value <= (spec.at_most or value):
        raise BadSetting(f"{name} is {given!r}, but {allowed}")
    return value


def effective(session: Session, view: StoreView) -> Settings:
    """Return the settings in force for a store view; one query a request or batch."""
    found = _overrides(session)
    settings: Settings = current_app.extensions["invitations"].defaults
    for scope, code in ((GLOBAL, ""), (WEBSITE, view.website), (STORE_VIEW, view.code)):
        changes = found.get((scope, code))
        if changes:
            settings = replace(settings, **changes)
    return settings


def forget() -> None:
    """Read the overrides anew the next time: a worker does so for every batch."""
    g.pop("_invitations_overrides", None)


def _overrides(session: Session) -> dict[tuple[str, str], dict[str, Any]]:
    cached: dict[tuple[str, str], dict[str, Any]] | None = g.get("_invitations_overrides")
    if cached is None:
        cached = {}
        row = SettingOverride
        # A question asked in the middle of the store's work must not write its objects.
        with session.no_autoflush:
            found = session.execute(sa.select(row.scope, row.scope_code, row.name, row.value))
        for scope, code, name, value in found:
            if name in SPECS:
                cached.setdefault((scope, code), {})[name] = value
        g._invitations_overrides = cached
    return cached


def override(
    session: Session, name: str, value: object, scope: str = GLOBAL, code: str = "", by: str = ""
) -> None:
    """Set a setting for one scope. The caller commits.

    :raises BadSetting: for an unknown name, a scope the setting does not have, or a
        value that it does not allow.
    """
    item = next((each for each in fields(Settings) if each.name == name), None)
    order = (GLOBAL, WEBSITE, STORE_VIEW)
    widest = order.index(item.metadata["spec"].scope) if item is not None else -1
    if item is None or scope not in order[: widest + 1]:
        raise BadSetting(f"{name} cannot be set for the scope {scope}")
    given = read_value(item, value)
    row = SettingOverride(scope=scope, scope_code=code, name=name, value=given, updated_by=by)
    session.merge(row)
    session.flush()
    forget()
