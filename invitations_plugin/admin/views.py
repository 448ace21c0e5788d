"""What no staff needs in production: all that pages are made of."""

from __future__ import annotations

from flask import Response, abort, current_app

from .blueprint import admin, show


@admin.get("/style")
def style() -> Response:
    """Show what pages are made of; in debug only."""
    if not current_app.debug:
        abort(404)
    return show("admin/style.html")
