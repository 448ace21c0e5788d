"""The grid: its page, its total, and the panels for its columns and filters."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from flask import Response, g, request

from .. import saved_views as kept
from ..database import TooSlow, session, time_limit
from ..grid import (
    COLUMNS,
    DEFAULT_COLUMNS,
    Page,
    Query,
    Total,
    count_all,
    read_page,
    read_query,
)
from ..i18n import gettext
from ..models import SavedView
from ..page_urls import page_url
from ..rendering import redirect_to, wants_fragment
from ..settings import none_set
from ..state import host, may, settings_of
from . import words
from .blueprint import admin, show
from .glance import PAGE_SECONDS, Glance, look
from .grid_page import NONE, Links, filters_context, grid_context, query_of, total_context, view_url
from .jobs import running

COUNT_SECONDS: Final = 5.0  # that counting all may take
EMPTY: Final = Page([], None, None, Total(0))


def query_of_request() -> Query:
    """Read the grid's state from the address, or from the fields of a form."""
    return read_query(request.values, g.inv_view.timezone)


@admin.get("/")
def grid() -> Response:
    """Show the grid; htmx gets it without the frame, or only its total."""
    query = query_of_request()
    if "count" in request.args and wants_fragment():
        name = "admin/_grid_total.html"
        return show(name, name, **total_context(Links(query), _total(query)), is_counted=True)
    seen = look(session(), host().staff_key()[0], is_varied=not query.is_by_values)
    view = _view_on(query, seen)
    if view is not None and set(request.args) <= {"view"} and query_of(view).state():
        return redirect_to(view_url(view))
    return _page(query, view, seen)


def _view_on(query: Query, seen: Glance) -> SavedView | None:
    """Return the reader's view that the address names; the one to start with at a bare one."""
    reader = host().staff_key()[0]
    if not request.args:
        return kept.default_of(session(), reader) if seen.view else None
    return kept.find(session(), reader, int(query.view)) if int(query.view or NONE) else None


def _page(query: Query, view: SavedView | None, seen: Glance) -> Response:
    if not seen.settings:
        none_set()
    is_strange = view is None and query.view not in ("", NONE)
    if view is not None or is_strange:
        query = replace(query, view=str(view.id) if view is not None else NONE)
    page = _read(query, is_limited=True)
    return show(
        "admin/grid.html",
        "admin/_grid.html",
        503 if page is None else 422 if query.errors else 200,
        is_off=not settings_of(g.inv_view).enabled,
        is_slow=page is None,
        is_strange=is_strange,
        is_counted="count" in request.args,
        running=running() if seen.jobs else None,
        glance_url=_glance_url() if may("report") else "",
        **grid_context(query, page or EMPTY, view),
        **({} if seen.faults else {"inv_faults": list}),
        **({} if seen.alarms else {"inv_troubles": list}),
    )


def _glance_url() -> str:
    """Return where the small plots are, seen from the grid: its page has to be light."""
    whole = page_url("invitations_admin.report_glance")
    return whole.removeprefix(page_url("invitations_admin.grid"))


def _read(query: Query, *, is_limited: bool = False) -> Page | None:
    """Return the page, its total exact where the address asks; None where that takes too long.

    :param is_limited: this transaction has begun with a :func:`look`.
    """
    try:
        with time_limit(PAGE_SECONDS, is_set=is_limited):
            page = read_page(session(), query)
    except TooSlow:
        return None
    if "count" in request.args and page.total.is_more:
        return replace(page, total=_exact(query) or page.total)
    return page


def _exact(query: Query) -> Total | None:
    try:
        with time_limit(COUNT_SECONDS):
            return Total(count_all(session(), query))
    except TooSlow:
        return None


def _total(query: Query) -> Total:
    return _exact(query) or (_read(query) or EMPTY).total


@admin.get("/filters")
def filters() -> Response:
    """Show every filter with its name: for small screens, and of columns that are hidden."""
    query = query_of_request()
    status = 422 if query.errors else 200
    context = filters_context(query) | {"is_panel": wants_fragment()}
    return show("admin/filters.html", "admin/_filters.html", status, **context)


@admin.get("/columns")
def columns() -> Response:
    """Let the reader choose columns and their order; each move shows the list again."""
    query = query_of_request()
    arranged, chosen = _arranged(query)
    if "apply" in request.args and chosen:
        shown = tuple(code for code in arranged if code in chosen)
        text = "" if shown == DEFAULT_COLUMNS else ",".join(shown)
        return redirect_to(Links(query).to(columns=text))
    state = {name: text for name, text in query.as_arguments().items() if name != "columns"}
    return show(
        "admin/columns.html",
        "admin/_columns.html",
        200 if chosen else 422,
        columns=[(code, gettext(words.COLUMNS[code]), code in chosen) for code in arranged],
        is_none=not chosen,
        is_panel=wants_fragment(),
        fields=list((state | {"view": query.view or NONE}).items()),
        default_url=Links(query).to(columns=""),
        back_url=Links(query).to(),
    )


def _arranged(query: Query) -> tuple[list[str], set[str]]:
    """Return all columns in the order asked for, and which of them are shown."""
    asked = [code for code in request.args.getlist("order") if code in COLUMNS]
    arranged = list(dict.fromkeys([*(asked or query.columns), *COLUMNS]))
    for step, code in ((-1, request.args.get("up")), (1, request.args.get("down"))):
        if code in arranged:
            place = arranged.index(code)
            arranged.insert(max(0, place + step), arranged.pop(place))
    chosen = request.args.getlist("show") if asked else query.columns
    return arranged, {code for code in chosen if code in COLUMNS}
