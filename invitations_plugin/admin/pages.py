"""What the back office's templates show, made from rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import request, url_for

from ..database import session
from ..grid import LAST, SIZES, Page, Query, Row, count, highest_id
from ..host import Website
from ..i18n import format_number, gettext
from ..lifecycle import STAFF, Actor, is_asking, is_legal, may_resend
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


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the grid."""

    id: int
    email: str
    inviter_kind: str
    invitee: str
    sent_at: datetime | None
    registered_at: datetime | None
    status: str
    status_label: str
    website_label: str
    group_label: str
    url: str


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
    active = request.endpoint in ("invitations_admin.grid", "invitations_admin.detail")
    url = url_for("invitations_admin.grid")
    return {
        "inv_nav": [NavItem(gettext("Invitations"), url, active)],
        "inv_user": host().staff_key()[1],
        "inv_exit_url": host().home_url(),
    }


def grid_context(query: Query, page: Page) -> dict[str, Any]:
    """Return the context of the grid's template."""
    called = names()
    filters = query.filters
    return {
        "rows": lines(page.rows, called),
        "total": _total(query),
        "sort": query.sort,
        "dir": "desc" if query.descending else "asc",
        "columns": [_column(code, query) for code in words.COLUMNS],
        "filters": filters,
        "chips": [_chip(name, query, called) for name in query.in_force()],
        "clear_url": url_for("invitations_admin.grid"),
        "sizes": [(size, _url(query, size=size), size == query.size) for size in SIZES],
        "pager": _pager(query, page),
        "choices": {
            "statuses": [(code.value, gettext(text)) for code, text in words.STATUSES.items()],
            "websites": list(called.websites.items()),
            "groups": list(called.groups.items()),
        },
        "errors": {name: gettext(words.FILTER_ERRORS[kind]) for name, kind in query.errors.items()},
        "actions": actions(),
        "query_fields": list(query.as_arguments().items()),
        "upto": highest_id(session()),
    }


def actions() -> list[tuple[str, str]]:
    """Return the mass actions the signed-in person may do."""
    offered = []
    if host().may("discard"):
        offered.append(("discard", gettext("Discard Selected")))
    if host().may("create"):
        offered.append(("send", gettext("Send Selected")))
    return offered


def lines(rows: Sequence[Row], called: Names) -> list[Line]:
    """Return the grid's rows with the names of their codes, and one address pattern."""
    statuses = {code.value: gettext(text) for code, text in words.STATUSES.items()}
    pattern = url_for("invitations_admin.detail", invitation_id=0)
    store = gettext("Store")
    return [
        Line(
            row.id,
            row.inviter_email or "",
            store if row.inviter_key == "" else gettext("Address removed"),
            row.email or "",
            row.sent_at,
            row.registered_at,
            row.status,
            statuses[row.status],
            called.websites.get(row.website, row.website),
            called.groups.get(row.group_code, row.group_code),
            pattern.replace("/0/", f"/{row.id}/"),
        )
        for row in rows
    ]


def _total(query: Query) -> str:
    number, is_more = count(session(), query)
    return f"{format_number(number)}+" if is_more else format_number(number)


def _url(query: Query, **changes: Any) -> str:
    arguments = query.as_arguments() | changes
    return url_for(
        "invitations_admin.grid", **{name: value for name, value in arguments.items() if value}
    )


def _column(code: str, query: Query) -> dict[str, Any]:
    is_sorted = query.sort == code
    turned = "asc" if is_sorted and query.descending else "desc"
    first = turned if is_sorted else ("desc" if code in ("id", "sent", "registered") else "asc")
    return {
        "code": code,
        "label": gettext(words.COLUMNS[code]),
        "sort_url": _url(query, sort=code, dir=first),
        "sorted": ("descending" if query.descending else "ascending") if is_sorted else None,
    }


def _chip(name: str, query: Query, called: Names) -> dict[str, str]:
    text = query.filters[name]
    shown = {
        "status": gettext(words.STATUSES[Status(text)]) if text in list(Status) else text,
        "website": called.websites.get(text, text),
        "group": called.groups.get(text, text),
    }.get(name, text)
    return {
        "label": gettext("%(label)s: %(value)s", label=gettext(words.FILTERS[name]), value=shown),
        "remove_url": _url(query, **{name: ""}),
    }


def _pager(query: Query, page: Page) -> dict[str, str | None]:
    return {
        "first": _url(query) if page.previous else None,
        "previous": _url(query, before=page.previous) if page.previous else None,
        "next": _url(query, after=page.next) if page.next else None,
        "last": _url(query, before=LAST) if page.next else None,
    }


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


def can_send(row: Invitation, actor: Actor) -> bool:
    """Return whether staff can send an invitation again, opening it where it was closed."""
    is_reopened = is_legal("reopen", row.status, actor) and row.email is not None
    return is_reopened or may_resend(row, actor)


def _customer_email(row: Invitation) -> str:
    if row.customer_key is None:
        return ""
    customer = host().customers([row.customer_key]).get(row.customer_key)
    return host().email(customer) if customer is not None else ""
