"""The back office's addresses: the grid, and in debug all that pages are made of."""

from __future__ import annotations

from flask import Response, abort, current_app, g, request

from ..database import session
from ..grid import read_page, read_query
from ..state import settings_of
from . import pages
from .blueprint import admin, show
from .jobs import running


@admin.get("/")
def grid() -> Response:
    """Show the grid; htmx gets it without the frame."""
    query = read_query(request.args, g.inv_view.timezone)
    page = read_page(session(), query)
    context = pages.grid_context(query, page)
    is_off = not settings_of(g.inv_view).enabled
    return show(
        "admin/grid.html",
        "admin/_grid.html",
        422 if query.errors else 200,
        is_off=is_off,
        running=running(),
        **context,
    )


@admin.get("/style")
def style() -> Response:
    """Show what pages are made of; in debug only."""
    if not current_app.debug:
        abort(404)
    return show("admin/style.html")
