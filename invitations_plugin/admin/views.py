"""The back office's addresses: the detail page and what it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask import Response, abort, current_app, request, url_for

from .. import lifecycle
from ..bulk import send_again
from ..database import atomically, session
from ..events import announce, wake_delivery
from ..i18n import gettext
from ..lifecycle import Changed, IllegalMove
from ..models import History, Invitation
from ..rendering import notify, redirect_to
from ..signals import invitation_discarded
from . import pages, words
from .blueprint import actor, admin, possible_id, show


@admin.get("/<int:invitation_id>/")
def detail(invitation_id: int) -> Response:
    """Show one invitation with its history."""
    row = _load(invitation_id)
    entries = session().scalars(
        sa.select(History).where(History.invitation_id == row.id).order_by(History.id.desc())
    )
    return show(
        "admin/detail.html",
        confirm_discard="discard" in request.args,
        back_url=url_for("invitations_admin.grid"),
        **pages.detail_context(row, list(entries)),
    )


@admin.post("/<int:invitation_id>/discard")
def discard(invitation_id: int) -> Response:
    """Discard one invitation."""
    said = words.done_text("discard", 1)
    return _change(invitation_id, lifecycle.discard, said, invitation_discarded)


@admin.post("/<int:invitation_id>/send")
def send(invitation_id: int) -> Response:
    """Send one invitation again, opening it where it was closed."""
    return _change(invitation_id, send_again, words.done_text("send", 1), None)


@admin.get("/style")
def style() -> Response:
    """Show what pages are made of; in debug only."""
    if not current_app.debug:
        abort(404)
    return show("admin/style.html")


def _load(invitation_id: int) -> Invitation:
    row = session().get(Invitation, possible_id(invitation_id), populate_existing=True)
    return row if row is not None else abort(404)


def _change(invitation_id: int, change: Callable[..., None], said: str, signal: Any) -> Response:
    _load(invitation_id)
    try:
        atomically(lambda: change(session(), _load(invitation_id), actor()))
    except (IllegalMove, Changed):
        notify("error", gettext("This invitation changed in the meantime; please check it again."))
    else:
        notify("success", said)
        if signal is not None:
            announce(signal, [_load(invitation_id)])
        wake_delivery()
    return redirect_to(url_for("invitations_admin.detail", invitation_id=invitation_id))
