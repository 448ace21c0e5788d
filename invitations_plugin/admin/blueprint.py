"""What every address of the back office shares: who may come in, and the frame of a page."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, g, request
from werkzeug.exceptions import Forbidden, NotFound, RequestEntityTooLarge

from .. import scope
from ..digits import BIGGEST_ID
from ..lifecycle import STAFF, Actor
from ..protection import protect, view_of_request
from ..rendering import render, sign_in_first
from ..state import host, may
from . import pages

admin = Blueprint("invitations_admin", __name__)

# The right that each address needs; one without a line here cannot be opened at all.
RIGHTS = {
    "grid": "view",
    "columns": "view",
    "filters": "view",
    "saved_views": "view",
    "save_view": "view",
    "change_view": "view",
    "detail": "view",  # and then the right to create, to edit it
    "style": "view",
    "actions": "view",  # and then the right of the action
    "jobs": "view",
    "job": "view",
    "stop_job": "view",  # and then the right of the action
    "delivery": "deliver",
    "delivery_parked": "deliver",
    "delivery_test": "deliver",
    "exports": "export",
    "export": "export",
    "export_file": "export",  # and only one's own
    "discard": "discard",
    "send": "create",
    "reopen": "create",
    "extend": "create",
    "expire": "discard",
    "new": "create",
    "templates": "configure",
    "template_new": "configure",
    "template": "configure",
    "template_preview": "configure",
    "template_versions": "configure",
    "template_version": "configure",
    "template_restore": "configure",
    "template_language": "configure",
    "template_delete": "configure",
    "template_mended": "configure",
    "configuration": "configure",
    "configuration_history": "configure",
    "configuration_undo": "configure",
    "configuration_export": "configure",
    "configuration_import": "configure",
    "why": "view",
    "report_invitations": "report",
    "report_customers": "report",
    "report_conversions": "report",
    "report_tree": "report",
    "report_glance": "report",
}
# Forms whose texts may be longer than a form usually is, in bytes; read before the form is.
MIB = 1024 * 1024
LARGE = {
    "new": 2 * MIB,
    "configuration": MIB,
    "configuration_import": MIB,
    "template": 4 * MIB,
    "template_preview": 4 * MIB,
}


def admit() -> Response | None:
    """Let staff in who have the right that the address needs."""
    g.invitations_strict = True
    g.invitations_rights = {}
    if not host().is_signed_in():
        return sign_in_first(host(), "invitations_admin.grid")
    if not host().is_staff():
        abort(403)
    here = (request.endpoint or "").rpartition(".")[2]
    scope.limit_to_own()
    if not scope.is_somewhere():
        abort(403)
    need(RIGHTS[here])
    if here.startswith("template") and scope.websites() is not None:
        abort(403)  # they are all websites'
    request.max_form_memory_size = LARGE.get(here, request.max_form_memory_size)
    return None


def need(right: str) -> None:
    """Answer 403 to whom has not this right."""
    if not may(right):
        abort(403)


OWN = (
    "new",
    "delivery_test",
    "detail",
    "configuration",
    "template",
    "template_new",
    "template_preview",
)
protect(admin, "admin", admit, own=tuple(f"invitations_admin.{name}" for name in OWN))


@admin.errorhandler(Forbidden)
def forbidden(error: Forbidden) -> Response:
    """Say that the right is missing, to staff and customers alike."""
    return show("admin/forbidden.html", status=403)


@admin.errorhandler(NotFound)
def missing(error: NotFound) -> Response:
    """Say that there is no such invitation, or page."""
    is_invitation = "invitation_id" in (request.view_args or {})
    return show("admin/missing.html", status=404, is_invitation=is_invitation)


@admin.errorhandler(RequestEntityTooLarge)
def too_large(error: RequestEntityTooLarge) -> Response:
    """Say what to do where more was sent than the store takes."""
    return show("admin/too_large.html", status=413)


def show(name: str, fragment: str | None = None, status: int = 200, **context: Any) -> Response:
    """Render a page of the back office in its frame, or its fragment for htmx."""
    view = view_of_request()
    return render(name, fragment, view=view, status=status, **{**pages.frame(), **context})


def actor() -> Actor:
    """Return who is signed in, as the history names them."""
    key, name = host().staff_key()
    return Actor(STAFF, key, name)


def possible_id(number: int) -> int:
    """Return a row's id from an address; one that no row can have is not found."""
    return number if number <= BIGGEST_ID else abort(404)
