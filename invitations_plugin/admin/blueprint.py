"""What every address of the back office shares: who may come in, and the frame of a page."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, g, request
from werkzeug.exceptions import Forbidden, NotFound

from ..grid import BIGGEST_ID
from ..lifecycle import STAFF, Actor
from ..protection import protect, view_of_request
from ..rendering import render, sign_in_first
from ..state import host
from . import pages

admin = Blueprint("invitations_admin", __name__)

# The right that each address needs; one without a line here cannot be opened at all.
RIGHTS = {
    "grid": "view",
    "detail": "view",
    "style": "view",
    "actions": "view",  # and then the right of the action
    "jobs": "view",
    "job": "view",
    "stop_job": "view",  # and then the right of the action
    "discard": "discard",
    "send": "create",
    "new": "create",
    "configuration": "configure",
    "configuration_history": "configure",
    "configuration_undo": "configure",
    "configuration_export": "configure",
    "configuration_import": "configure",
    "why": "view",
}


def admit() -> Response | None:
    """Let staff in who have the right that the address needs."""
    g.invitations_strict = True
    if not host().is_signed_in():
        return sign_in_first(host(), "invitations_admin.grid")
    if not host().is_staff():
        abort(403)
    need(RIGHTS[(request.endpoint or "").rpartition(".")[2]])
    return None


def need(right: str) -> None:
    """Answer 403 to whom has not this right."""
    if not host().may(right):
        abort(403)


protect(admin, "admin", admit, own=("invitations_admin.new", "invitations_admin.configuration"))


@admin.errorhandler(Forbidden)
def forbidden(error: Forbidden) -> Response:
    """Say that the right is missing, to staff and customers alike."""
    return show("admin/forbidden.html", status=403)


@admin.errorhandler(NotFound)
def missing(error: NotFound) -> Response:
    """Say that there is no such page."""
    return show("admin/missing.html", status=404)


def show(name: str, fragment: str | None = None, status: int = 200, **context: Any) -> Response:
    """Render a page of the back office in its frame, or its fragment for htmx."""
    view = view_of_request()
    return render(name, fragment, view=view, status=status, **pages.frame(), **context)


def actor() -> Actor:
    """Return who is signed in, as the history names them."""
    key, name = host().staff_key()
    return Actor(STAFF, key, name)


def possible_id(number: int) -> int:
    """Return a row's id from an address; one that no row can have is not found."""
    return number if number <= BIGGEST_ID else abort(404)
