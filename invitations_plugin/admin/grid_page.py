"""What the grid's page shows around its rows: heads, filters, chips, pager, total."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote_plus

from flask import g, request
from markupsafe import Markup

from ..grid import (
    COLUMNS,
    DEFAULT_COLUMNS,
    DENSITIES,
    FILTERS_ALONE,
    LAST,
    LOOKED_THROUGH,
    SIZES,
    Column,
    Kind,
    Page,
    Query,
    Total,
    read_query,
)
from ..i18n import format_number, gettext, n_, translator
from ..models import SavedView
from ..page_urls import page_url
from ..state import host, state
from . import pages, words
from .grid_rows import row_html
from .pages import Names
from .report_links import origin

NONE: Final = "0"  # in place of a saved view's id: no view, not even the one to start with
# What sorts from its end first: the newest, the latest.
LATEST_FIRST: Final = (Kind.NUMBER, Kind.DAY)


@lru_cache(maxsize=2_000, typed=True)  # a page has some forty, nearly the same as the one before
def _pair(name: str, value: object) -> str:
    """Return an argument of an address, "" for one without a value."""
    return f"{name}={quote_plus(str(value))}" if value != "" else ""


_NO_VIEW: Final = _pair("view", NONE)


class Links:
    """Addresses of the grid and of its panels, each with the whole state in it."""

    def __init__(self, query: Query, endpoint: str = "grid") -> None:
        self._path = page_url(f"invitations_admin.{endpoint}")
        state = query.as_arguments()
        self._state = {name: _pair(name, text) for name, text in state.items() if text != NONE}

    def to(self, path: str | None = None, **changes: object) -> str:
        """Return the address of the same state with some of it changed; "" leaves one out.

        The bare address opens the view that its reader starts with: so none is.
        """
        pairs = self._state
        if changes:
            pairs = pairs | {name: _pair(name, value) for name, value in changes.items()}
        given = "&".join(filter(None, pairs.values()))
        is_bare = not given or given == pairs.get("view")
        return f"{path or self._path}?{_NO_VIEW if is_bare else given}"

    def here(self, **changes: object) -> str:
        """Return the same without the path, for what stands on the page itself and often."""
        return self.beside(None, **changes)

    def beside(self, path: str | None, **changes: object) -> str:
        """Return an address as the grid's own page needs it: a page of it has to be light."""
        return self.to(path, **changes).removeprefix(self._path)

    def opening(self, view_id: int) -> str:
        """Return the address that opens a saved view."""
        return f"{self._path}?{_pair('view', view_id)}"


def grid_context(query: Query, page: Page, view: SavedView | None) -> dict[str, Any]:
    """Return the context of the grid's template."""
    called, links = pages.names(), Links(query)
    view_of_days = replace(g.inv_view, timezone=query.zone or g.inv_view.timezone)
    actions = pages.actions()
    shown = {name for code in query.columns for name in COLUMNS[code].filters}
    return {
        "rows": _ticked(
            row_html(page.rows, query.columns, called, view_of_days, can_act=bool(actions))
        ),
        "columns": _columns(query, links, called),
        "is_usual": tuple(query.columns) == DEFAULT_COLUMNS,
        "chips": [_chip(name, query, links, called) for name in query.in_force()],
        "clear_url": links.to(**dict.fromkeys(query.filters, "")),
        "kept": [(name, text) for name, text in _kept(query).items() if name not in shown],
        "sizes": [(size, links.here(size=size), size == query.size) for size in SIZES],
        "density": _density(query, links),
        "is_comfortable": query.density != DENSITIES[0],
        "pager": _pager(query, page, links),
        "search_on": _search_on(query, page, links),
        "origin": origin(query.report) if query.report else None,
        "zone": query.zone,
        "panels": _panels(links),
        "saved": _saved(query, view),
        "actions": actions,
        "chosen": request.args,
        "query_fields": list(query.as_fields().items()),
        "upto": page.rows[0].highest if page.rows else 0,
        "selection_key": _selection_key(query),
        "has_errors": bool(query.errors),
        "again_url": links.here(),
        **total_context(links, page.total),
    }


def _ticked(rows: Markup) -> Markup:
    """Tick the boxes that the address names: after a question that was not answered with yes.

    It names some seldom, so the rows are not asked one by one.
    """
    for each in request.args.getlist("ids"):
        box = Markup('name="ids" value="{}"').format(each)
        rows = rows.replace(box, box + Markup(" checked"))
    return rows


def total_context(links: Links, total: Total) -> dict[str, Any]:
    """Return how many match: as text, and the address that counts them where it is not all."""
    text = format_number(total.number)
    return {
        "total": f"{text}+" if total.is_more else text,
        "number": None if total.is_more else total.number,
        "count_url": links.to(count=1) if total.is_more else None,
    }


def query_of(view: SavedView) -> Query:
    """Return what a view keeps, as far as the grid still has it."""
    return replace(read_query(view.arguments, g.inv_view.timezone), view=str(view.id))


def view_url(view: SavedView) -> str:
    """Return the address that shows what a view keeps."""
    links = Links(query_of(view))
    return links.to() if query_of(view).state() else links.opening(view.id)


def _saved(query: Query, view: SavedView | None) -> dict[str, Any]:
    """Return which saved view is on, and whether the grid was changed since."""
    if view is None:
        return {"name": gettext("All invitations"), "is_changed": False}
    return {"name": view.name, "is_changed": query_of(view).state() != query.state()}


def _kept(query: Query) -> dict[str, str]:
    """Return what the filters' form carries along: the state without what it asks itself."""
    return query.as_arguments() | {"view": query.view or NONE}


def _panels(links: Links) -> list[tuple[str, str]]:
    """Return the addresses of what opens above the grid, by name."""
    names = ("saved_views", "filters", "columns")
    return [(name, links.beside(page_url(f"invitations_admin.{name}"))) for name in names]


def _columns(query: Query, links: Links, called: Names) -> list[dict[str, Any]]:
    speak = translator()
    return [
        {
            "code": code,
            "label": speak(words.COLUMNS[code]),
            "url": _sort_url(COLUMNS[code], query, links),
            "sorted": _direction(query) if query.sort == code else None,
            **filter_fields(COLUMNS[code], query, called),
        }
        for code in query.columns
    ]


def _direction(query: Query) -> str:
    return "descending" if query.descending else "ascending"


def _sort_url(column: Column, query: Query, links: Links) -> str:
    is_down = column.kind in LATEST_FIRST
    if query.sort == column.code:
        is_down = not query.descending
    return links.here(sort=column.code, dir="desc" if is_down else "asc")


def filter_fields(column: Column, query: Query, called: Names) -> dict[str, Any]:
    """Return the fields that filter a column: name, value and error of each, and choices."""
    return {
        "kind": column.kind.value,
        "fields": [(name, query.filters[name], error_text(query, name)) for name in column.filters],
        "choices": pages.choices(column, called) if column.kind == Kind.CHOICE else [],
    }


def filters_context(query: Query) -> dict[str, Any]:
    """Return the context of the page of all filters, and of what they are sorted by."""
    called = pages.names()
    named = {**COLUMNS, **FILTERS_ALONE}
    shown = [code for code, column in named.items() if column.kind != Kind.KEY]
    asked = {"sort", "dir", *(name for code in shown for name in named[code].filters)}
    return {
        "columns": [
            {
                "code": code,
                "label": gettext(words.COLUMNS.get(code) or words.FILTERS[code]),
                "is_shown": code in COLUMNS,
                **filter_fields(named[code], query, called),
            }
            for code in shown
        ],
        "sort": query.sort,
        "dir": "desc" if query.descending else "asc",
        "fields": [(name, text) for name, text in _kept(query).items() if name not in asked],
        "back_url": Links(query).to(),
    }


def error_text(query: Query, name: str) -> str:
    """Return what is wrong with a filter, "" where nothing is."""
    return gettext(words.FILTER_ERRORS[query.errors[name]]) if name in query.errors else ""


def _chip(name: str, query: Query, links: Links, called: Names) -> dict[str, str]:
    return {
        "label": pages.filter_text(name, query.filters[name], called),
        "remove_url": links.to(**{name: ""}),
    }


def _density(query: Query, links: Links) -> dict[str, str]:
    """Return the way to rows that stand closer, or further apart."""
    dense, comfortable = DENSITIES
    if query.density == dense:
        return {"label": gettext("Comfortable"), "url": links.here(density=comfortable)}
    return {"label": gettext("Dense"), "url": links.here(density="")}


def _pager(query: Query, page: Page, links: Links) -> list[tuple[str, str, str | None]]:
    """Return the ways to other pages: name, label, and the address or None."""
    back, on, speak = page.previous, page.next, translator()
    return [
        ("first", speak(n_("First")), links.here() if back else None),
        ("previous", speak(n_("Previous")), links.here(before=back) if back else None),
        ("next", speak(n_("Next")), links.here(after=on) if on else None),
        ("last", speak(n_("Last")), links.here(before=LAST) if on else None),
    ]


def _search_on(query: Query, page: Page, links: Links) -> Mapping[str, str] | None:
    """Return how far was looked and where to go on, None where everything was."""
    if not page.is_partial:
        return None
    number = format_number(LOOKED_THROUGH)
    text = gettext("Looked through %(num)s invitations from here.", num=number)
    on = links.to(before=page.previous) if query.before else links.to(after=page.next)
    return {"text": text, "url": on}


def _selection_key(query: Query) -> str:
    """Return what a browser may call a reader's filter: not its text, which may be an address."""
    text = json.dumps([host().staff_key()[0], {k: query.filters[k] for k in query.in_force()}])
    return hmac.digest(state().hash_key, text.encode(), "sha256").hex()[:16]
