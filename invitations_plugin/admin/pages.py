"""What the back office's templates show, made from rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from flask import request

from .. import scope
from ..bulk import ACTIONS
from ..database import session
from ..exporting import FORMATS
from ..grid import COLUMN_OF, INVITED_BY_STAFF, Column, Kind
from ..host import Website
from ..i18n import format_day, format_number, gettext, n_, translator
from ..lifecycle import ERASED
from ..models import Invitation, Status
from ..page_urls import page_url
from ..rendering import draft_mark
from ..state import host, may
from . import words
from .faults import faults, is_held, troubles
from .report_words import BOUGHT

CONFIGURATION_PAGES = (
    "configuration",
    "configuration_history",
    "configuration_undo",
    "configuration_import",
    "why",
)
TEMPLATE_PAGES = (
    "templates",
    "template",
    "template_new",
    "template_preview",
    "template_versions",
    "template_version",
)
DELIVERY_PAGES = ("delivery", "delivery_parked", "delivery_test")
REPORT_PAGES = (
    "report_invitations",
    "report_customers",
    "report_conversions",
    "report_tree",
    "report_glance",
)
GRID_PAGES = ("grid", "columns", "filters", "saved_views", "detail", "actions", "new")
EXPORT = "export_"  # with a format behind it, the value of an action


@dataclass(frozen=True, slots=True)
class Names:
    """What the store calls its codes."""

    websites: Mapping[str, str]
    store_views: Mapping[str, str]
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the back office's navigation."""

    label: str
    url: str
    active: bool


def names() -> Names:
    """Read the names of the store's websites, store views and groups."""
    websites: Sequence[Website] = host().websites()
    return Names(
        {website.code: website.name for website in websites},
        {view.code: view.name for website in websites for view in website.store_views},
        {group.code: group.name for group in host().groups()},
    )


def frame() -> dict[str, Any]:
    """Return what every page of the back office shows around its content."""
    is_reader = host().is_staff() and scope.is_somewhere()
    may_look = is_reader and may("view")
    return {
        "inv_nav": _navigation() if is_reader else [],
        "inv_faults": faults,  # these three are asked by whole pages only
        "inv_is_held": is_held,
        "inv_troubles": troubles,
        "inv_user": host().staff_key()[1],
        "inv_exit_url": host().home_url(),
        "inv_draft": _draft,  # asked by pages with a form
        "inv_can_create": may_look and may("create"),
    }


def _draft() -> str:
    return draft_mark(host().staff_key()[0])


def _navigation() -> list[NavItem]:
    here, speak = (request.endpoint or "").rpartition(".")[2], translator()
    pages = (
        (n_("Invitations"), "grid", GRID_PAGES, "view"),
        (n_("Mass Actions"), "jobs", ("jobs", "job"), "view"),
        (n_("Exports"), "exports", ("exports", "export"), "export"),
        (n_("Delivery"), "delivery", DELIVERY_PAGES, "deliver"),
        (n_("Reports"), "report_invitations", REPORT_PAGES, "report"),
        (n_("Configuration"), "configuration", CONFIGURATION_PAGES, "configure"),
        (n_("Email Templates"), "templates", TEMPLATE_PAGES, "configure"),
    )
    return [
        NavItem(speak(label), page_url(f"invitations_admin.{name}"), here in places)
        for label, name, places, right in pages
        if may(right) and (name != "templates" or scope.websites() is None)
    ]


def actions() -> list[tuple[str, str]]:
    """Return what the signed-in person may do with many: the mass actions, then the exports."""
    speak = translator()
    return [
        (code, speak(words.ACTIONS[code])) for code, action in ACTIONS.items() if may(action.right)
    ] + [
        (f"{EXPORT}{kind}", speak(words.EXPORTS[kind]))
        for kind, each in FORMATS.items()
        if each.is_available and may("export")
    ]


def filter_text(name: str, text: str, called: Names) -> str:
    """Return a filter with its value in words."""
    column = COLUMN_OF.get(name)
    shown = text
    if text.startswith(ERASED):  # which stands in for somebody who was named
        shown = gettext("Account removed")
    elif column is not None and column.kind == Kind.DAY:
        shown = _day_text(text)
    elif column is not None and column.kind == Kind.CHOICE:
        shown = dict(choices(column, called)).get(text, text)
    elif column is not None and column.kind == Kind.KEY:
        shown = _customer_name(text)
    return gettext(
        "%(label)s: %(value)s", label=gettext(words.FILTERS.get(name, name)), value=shown
    )


def _customer_name(key: str) -> str:
    """Return what the store calls a customer; who is there no more is a key.

    So is who invited nobody on the reader's websites: keys may be numbers that one can count.
    """
    if key == INVITED_BY_STAFF:
        return gettext("Store")
    customer = host().customers([key]).get(key) if _is_known(key) else None
    return host().name(customer) or key if customer is not None else key


def _is_known(key: str) -> bool:
    if (websites := scope.websites()) is None:
        return True
    query = sa.select(Invitation.id).where(Invitation.inviter_key == key, *scope.within(websites))
    return session().scalar(query.limit(1)) is not None


def _day_text(text: str) -> str:
    try:
        return format_day(date.fromisoformat(text))
    except ValueError:
        return text


def choices(column: Column, called: Names) -> list[tuple[str, str]]:
    """Return what a column's filter is chosen from: codes and what they are called."""
    named: dict[str, Mapping[Any, str]] = {
        "status": words.STATUSES,
        "mail": words.MAIL_LABELS,
        "website": {code: name for code, name in called.websites.items() if scope.includes(code)},
        "group": called.groups,
        "store_view": dict(store_view_choices()) if column.code == "store_view" else {},
        "purchased": BOUGHT,
    }
    is_ours, speak = column.values is not None, translator()
    return [
        (str(code), speak(text) if is_ours else text) for code, text in named[column.code].items()
    ]


def tally(status: str, number: int) -> dict[str, str]:
    """Return how many invitations of a status there are, as a page shows it."""
    label = gettext(words.STATUSES[Status(status)])
    return {"status": status, "label": label, "number": format_number(number)}


def store_view_choices() -> list[tuple[str, str]]:
    """Return the store views the reader may send from, with their websites' names."""
    return [
        (view.code, gettext("%(label)s: %(value)s", label=website.name, value=view.name))
        for website in host().websites()
        if scope.includes(website.code)
        for view in website.store_views
    ]
