"""One invitation: its page, what may be edited on it, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from blinker import NamedSignal
from flask import Response, abort, request
from sqlalchemy.orm import Session

from .. import lifecycle, scope
from ..bulk import ACTIONS, send_again
from ..database import atomically, session
from ..editing import edit, hold
from ..events import announce, wake_delivery
from ..forms import EditForm
from ..i18n import gettext
from ..lifecycle import Actor, Changed, IllegalMove
from ..models import Invitation
from ..protection import is_stale
from ..rendering import notify, redirect_to
from ..signals import invitation_discarded
from ..state import mail_domain, settings_of, store_view
from . import words
from .blueprint import actor, admin, need, possible_id, show
from .detail_page import detail_context, edit_form
from .returning import url_of

Change = Callable[[Session, Invitation, Actor], None]


@admin.route("/<int:invitation_id>/", methods=["GET", "POST"])
def detail(invitation_id: int) -> Response:
    """Show one invitation with all that happened to it; a POST edits it."""
    row = _load(invitation_id)
    if request.method != "POST":
        return _page(row)
    need("create")
    form = edit_form(row)
    if is_stale():
        return _page(row, 400, form, words.stale_text())
    if not form.validate():
        return _page(row, 422, form, gettext("Nothing was saved yet. Please check the fields."))
    return _save(invitation_id, form)


@admin.post("/<int:invitation_id>/discard")
def discard(invitation_id: int) -> Response:
    """Discard one invitation."""
    said = words.done_text("discard", 1)
    return _change(invitation_id, lifecycle.discard, said, invitation_discarded)


@admin.post("/<int:invitation_id>/send")
def send(invitation_id: int) -> Response:
    """Send one invitation again, opening it where it was closed."""
    return _change(invitation_id, send_again, words.done_text("send", 1))


@admin.post("/<int:invitation_id>/reopen")
def reopen(invitation_id: int) -> Response:
    """Open a closed invitation again, under a new link."""
    said = gettext("The invitation is open again and on its way under a new link.")
    return _change(invitation_id, _reopen, said)


@admin.post("/<int:invitation_id>/expire")
def expire(invitation_id: int) -> Response:
    """End the link of one invitation now."""
    return _change(invitation_id, _one_of_many("expire"), words.done_text("expire", 1))


@admin.post("/<int:invitation_id>/extend")
def extend(invitation_id: int) -> Response:
    """Let the link of one invitation live as long from now as a new one does."""
    return _change(invitation_id, _one_of_many("extend"), words.done_text("extend", 1))


def _load(invitation_id: int) -> Invitation:
    row = session().get(Invitation, possible_id(invitation_id), populate_existing=True)
    return row if row is not None and scope.includes(row.website) else abort(404)


def _page(
    row: Invitation, status: int = 200, form: EditForm | None = None, error: str = ""
) -> Response:
    return show("admin/detail.html", status=status, **detail_context(row, form, error))


def _save(invitation_id: int, form: EditForm) -> Response:
    """Save what was changed, or show beside it what somebody else changed meanwhile."""
    values = form.changes()
    if not values:
        notify("info", gettext("Nothing was changed."))
        return redirect_to(url_of("detail", invitation_id))
    try:
        atomically(
            lambda: edit(session(), _load(invitation_id), form.version_seen, values, actor())
        )
    except (IllegalMove, Changed):
        row = _load(invitation_id)
        return show("admin/detail.html", status=409, **detail_context(row, form, is_late=True))
    notify("success", gettext("The invitation was saved."))
    return redirect_to(url_of("detail", invitation_id))


def _change(
    invitation_id: int, change: Change, said: str, signal: NamedSignal | None = None
) -> Response:
    """Do something with an invitation, unless it is not what the reader saw any more."""
    _load(invitation_id)
    try:
        atomically(lambda: _change_as_seen(invitation_id, change))
    except (IllegalMove, Changed):
        notify("error", gettext("This invitation changed in the meantime; please check it again."))
    else:
        notify("success", said)
        if signal is not None:
            announce(signal, [_load(invitation_id)])
        wake_delivery()
    return redirect_to(url_of("detail", invitation_id))


def _change_as_seen(invitation_id: int, change: Change) -> None:
    """Change a row that nobody else can touch now; a form of our page says which version it saw."""
    row = _load(invitation_id)
    if request.form.get("version", str(row.version)) != str(row.version):
        raise Changed
    hold(session(), row)
    change(session(), row, actor())


def _reopen(db: Session, row: Invitation, by: Actor) -> None:
    if not lifecycle.can_reopen(row, by):
        raise IllegalMove("reopen", row.status)
    view = store_view(row.store_view, row.website)
    lifecycle.reopen(db, row, by, settings_of(view), mail_domain(view))


def _one_of_many(action: str) -> Change:
    """Return a mass action that is done to one invitation."""

    def change(db: Session, row: Invitation, by: Actor) -> None:
        ids: Sequence[Any] = [row.id]
        if not ACTIONS[action].change(db, ids, by):
            raise IllegalMove(action, row.status)

    return change
