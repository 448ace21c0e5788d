"""What the back office's templates show, made from rows."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import g, request, url_for

from .. import scope
from ..bulk import ACTIONS
from ..database import session
from ..exporting import FORMATS
from ..grid import LAST, SIZES, Page, Query, highest_id
from ..host import StoreView, Website
from ..i18n import format_date, format_number, gettext, local
from ..models import Status
from ..state import host, state
from . import words

EXPORT = "export_"  # with a format behind it, the value of an action
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
    may_look = host().is_staff() and host().may("view") and scope.is_somewhere()
    return {
        "inv_nav": _navigation() if may_look else [],
        "inv_user": host().staff_key()[1],
        "inv_exit_url": host().home_url(),
        "inv_can_create": may_look and host().may("create"),
    }


def _navigation() -> list[NavItem]:
    here = (request.endpoint or "").rpartition(".")[2]
    pages = (
        (gettext("Invitations"), "grid", ("grid", "detail", "actions", "new"), "view"),
        (gettext("Mass Actions"), "jobs", ("jobs", "job"), "view"),
        (gettext("Exports"), "exports", ("exports", "export"), "export"),
    )
    return [
        NavItem(label, url_for(f"invitations_admin.{name}"), here in places)
        for label, name, places, right in pages
        if host().may(right)
    ]


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
            "websites": [each for each in called.websites.items() if scope.includes(each[0])],
            "groups": list(called.groups.items()),
        },
        "errors": {name: gettext(words.FILTER_ERRORS[kind]) for name, kind in query.errors.items()},
        "actions": actions(),
        "query_fields": list(query.as_arguments().items()),
        "upto": highest_id(session()),
        "selection_key": _selection_key(query),
    }


def actions() -> list[tuple[str, str]]:
    """Return what the signed-in person may do with many: the mass actions, then the exports."""
    return [
        (code, gettext(words.ACTIONS[code]))
        for code, action in ACTIONS.items()
        if host().may(action.right)
    ] + [
        (f"{EXPORT}{kind}", gettext(words.EXPORTS[kind]))
        for kind, each in FORMATS.items()
        if each.is_available and host().may("export")
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
