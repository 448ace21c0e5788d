"""What the back office's templates show, made from rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from babel.dates import format_date
from flask import request, url_for

from ..bulk import ACTIONS
from ..grid import COLUMN_OF, Column, Kind
from ..host import Website
from ..i18n import format_number, gettext, locale
from ..lifecycle import STAFF, Actor, can_send, is_asking, is_legal
from ..looking_over import Review, Verdict
from ..models import History, Invitation, MailState, Status
from ..state import host
from . import words


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
    here = (request.endpoint or "").rpartition(".")[2]
    return {
        "inv_nav": [
            NavItem(
                gettext("Invitations"),
                url_for("invitations_admin.grid"),
                here in ("grid", "columns", "filters", "saved_views", "detail", "actions"),
            ),
            NavItem(
                gettext("Mass Actions"), url_for("invitations_admin.jobs"), here in ("jobs", "job")
            ),
        ],
        "inv_user": host().staff_key()[1],
        "inv_exit_url": host().home_url(),
        "inv_can_create": host().may("create"),
    }


def actions() -> list[tuple[str, str]]:
    """Return the mass actions the signed-in person may do."""
    return [
        (code, gettext(words.ACTIONS[code]))
        for code, action in ACTIONS.items()
        if host().may(action.right)
    ]


def filter_text(name: str, text: str, called: Names) -> str:
    """Return a filter with its value in words."""
    column = COLUMN_OF.get(name)
    shown = text
    if column is not None and column.kind == Kind.DAY:
        shown = _day_text(text)
    elif column is not None and column.kind == Kind.CHOICE:
        shown = dict(choices(column, called)).get(text, text)
    return gettext(
        "%(label)s: %(value)s", label=gettext(words.FILTERS.get(name, name)), value=shown
    )


def _day_text(text: str) -> str:
    try:
        return str(format_date(date.fromisoformat(text), "medium", locale=locale()))
    except ValueError:
        return text


def choices(column: Column, called: Names) -> list[tuple[str, str]]:
    """Return what a column's filter is chosen from: codes and what they are called."""
    named: dict[str, Mapping[Any, str]] = {
        "status": words.STATUSES,
        "mail": words.MAIL_LABELS,
        "website": called.websites,
        "group": called.groups,
    }
    is_ours = column.values is not None
    return [
        (str(code), gettext(text) if is_ours else text) for code, text in named[column.code].items()
    ]


def detail_context(row: Invitation, entries: Sequence[History]) -> dict[str, Any]:
    """Return the context of the detail page's template."""
    called, staff = names(), Actor(STAFF)
    facts = {column.key: getattr(row, column.key) for column in sa.inspect(Invitation).columns}
    return {
        "invitation": facts
        | {
            "email": row.inviter_email or "",
            "invitee": row.email or "",
            "status_label": gettext(words.STATUSES[Status(row.status)]),
            "website_label": called.websites.get(row.website, row.website),
            "store_view_label": called.store_views.get(row.store_view, row.store_view),
            "group_label": called.groups.get(row.group_code, row.group_code),
            "mail_label": gettext(words.MAIL_STATES[MailState(row.mail_state)]),
            "mail_error": words.reason_text(row.mail_error),
            "customer_email": _customer_email(row),
            "is_asking": is_asking(row),
        },
        "history": [
            {"at": each.at, "actor": words.actor_text(each), "text": words.history_text(each)}
            for each in entries
        ],
        "can_discard": host().may("discard") and is_legal("discard", row.status, staff),
        "can_send": host().may("create") and can_send(row, staff),
    }


def _customer_email(row: Invitation) -> str:
    if row.customer_key is None:
        return ""
    customer = host().customers([row.customer_key]).get(row.customer_key)
    return host().email(customer) if customer is not None else ""


def tally(status: str, number: int) -> dict[str, str]:
    """Return how many invitations of a status there are, as a page shows it."""
    label = gettext(words.STATUSES[Status(status)])
    return {"status": status, "label": label, "number": format_number(number)}


def store_view_choices() -> list[tuple[str, str]]:
    """Return the store views as a list to choose from, with their websites' names."""
    return [
        (view.code, gettext("%(label)s: %(value)s", label=website.name, value=view.name))
        for website in host().websites()
        for view in website.store_views
    ]


def review_context(review: Review, most: int) -> dict[str, Any]:
    """Return what becomes of each pasted address: those that are left out first."""
    counts = review.counts
    lines = sorted(review.lines, key=lambda line: line.verdict == Verdict.NEW)
    return {
        "count": counts[Verdict.NEW],
        "counts": [
            (gettext(words.VERDICTS[verdict]), format_number(counts[verdict]))
            for verdict in Verdict
            if counts[verdict]
        ],
        "lines": [
            {
                "number": line.pasted.line,
                "typed": line.pasted.typed,
                "verdict": line.verdict.value,
                "text": words.verdict_text(line),
                "url": _url_of(line.invitation),
            }
            for line in lines[:most]
        ],
        "more": format_number(len(lines) - most) if len(lines) > most else "",
    }


def _url_of(row: Invitation | None) -> str | None:
    return url_for("invitations_admin.detail", invitation_id=row.id) if row is not None else None
