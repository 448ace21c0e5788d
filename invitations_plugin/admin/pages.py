"""What the back office's templates show, made from rows."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from flask import g, request, url_for

from ..bulk import ACTIONS
from ..database import session
from ..grid import LAST, SIZES, Page, Query, highest_id
from ..host import StoreView, Website
from ..i18n import format_date, format_number, gettext, local
from ..lifecycle import STAFF, Actor, can_send, is_asking, is_legal
from ..looking_over import Review, Verdict
from ..models import History, Invitation, MailState, Status
from ..state import host, state
from . import words

ID = "\0"  # stands in a text for the number of a row


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
class Day:
    """A moment as a row shows it: its day for readers, all of it for programs."""

    text: str
    moment: str


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the grid."""

    id: int
    email: str
    inviter_kind: str
    invitee: str
    sent: Day | None
    registered: Day | None
    status: str
    status_label: str
    website_label: str
    group_label: str
    url: str
    select_label: str


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
                here in ("grid", "detail", "actions"),
            ),
            NavItem(
                gettext("Mass Actions"), url_for("invitations_admin.jobs"), here in ("jobs", "job")
            ),
            *configuration_entry(here),
        ],
        "inv_user": host().staff_key()[1],
        "inv_exit_url": host().home_url(),
        "inv_can_create": host().may("create"),
    }


def configuration_entry(here: str) -> list[NavItem]:
    """Return the entry of the configuration for those who may open it."""
    if not host().may("configure"):
        return []
    url = url_for("invitations_admin.configuration")
    return [NavItem(gettext("Configuration"), url, "configuration" in here)]


def grid_context(query: Query, page: Page) -> dict[str, Any]:
    """Return the context of the grid's template."""
    called = names()
    filters = query.filters
    number, is_more = page.total.number, page.total.is_more
    return {
        "rows": lines(page.rows, called),
        "removed": gettext("Address removed"),
        "total": f"{format_number(number)}+" if is_more else format_number(number),
        "number": None if is_more else number,
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
        "selection_key": _selection_key(query),
    }


def actions() -> list[tuple[str, str]]:
    """Return the mass actions the signed-in person may do."""
    return [
        (code, gettext(words.ACTIONS[code]))
        for code, action in ACTIONS.items()
        if host().may(action.right)
    ]


def _selection_key(query: Query) -> str:
    """Return what a browser may call a reader's filter: not its text, which may be an address."""
    text = json.dumps([host().staff_key()[0], {k: query.filters[k] for k in query.in_force()}])
    return hmac.digest(state().hash_key, text.encode(), "sha256").hex()[:16]


def lines(rows: Sequence[Any], called: Names) -> list[Line]:
    """Return the grid's rows with the names of their codes, and one address pattern."""
    statuses = {code.value: gettext(text) for code, text in words.STATUSES.items()}
    pattern = url_for("invitations_admin.detail", invitation_id=0)
    store, removed = gettext("Store"), gettext("Address removed")
    select = gettext("Select invitation %(id)s", id=ID)
    day = _days()
    return [
        Line(
            row.id,
            row.email or "",
            store if row.inviter_key == "" else removed,
            row.invitee or "",
            day(row.sent),
            day(row.registered),
            row.status,
            statuses[row.status],
            called.websites.get(row.website, row.website),
            called.groups.get(row.group, row.group),
            pattern.replace("/0/", f"/{row.id}/"),
            select.replace(ID, str(row.id)),
        )
        for row in rows
    ]


def _days() -> Callable[[datetime | None], Day | None]:
    """Return what makes a row's days: formatting is slow, and few days fill a page."""
    view: StoreView = g.inv_view
    texts: dict[date, str] = {}

    def day(moment: datetime | None) -> Day | None:
        if moment is None:
            return None
        on = local(moment, view).date()
        if on not in texts:
            texts[on] = format_date(moment, view)
        return Day(texts[on], f"{moment.isoformat(timespec='seconds')}Z")

    return day


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
    return {
        "label": filter_text(name, query.filters[name], called),
        "remove_url": _url(query, **{name: ""}),
    }


def filter_text(name: str, text: str, called: Names) -> str:
    """Return a filter with its value in words."""
    shown = {
        "status": gettext(words.STATUSES[Status(text)]) if text in list(Status) else text,
        "website": called.websites.get(text, text),
        "group": called.groups.get(text, text),
    }.get(name, text)
    return gettext(
        "%(label)s: %(value)s", label=gettext(words.FILTERS.get(name, name)), value=shown
    )


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
