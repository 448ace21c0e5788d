"""The back office's addresses: the grid, its mass actions, the detail page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, abort, current_app, g, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import Forbidden, NotFound

from ..database import atomically, session
from ..events import announce, wake_delivery
from ..grid import (
    BIGGEST_ID,
    FILTERS,
    Query,
    Selection,
    chunks,
    count_by_status,
    read_page,
    read_query,
)
from ..i18n import gettext, ngettext
from ..lifecycle import (
    STAFF,
    Actor,
    Changed,
    IllegalMove,
    discard_many,
    is_discardable,
    is_sendable,
    may_resend,
    reopen,
    resend,
)
from ..lifecycle import discard as discard_row
from ..models import History, Invitation, Status
from ..protection import protect, view_of_request
from ..rendering import notify, redirect_to, render, sign_in_first
from ..signals import invitation_discarded
from ..state import host, mail_domain, settings_of, store_view
from . import pages, words

admin = Blueprint("invitations_admin", __name__)

# The right that each address needs; one without a line here cannot be opened at all.
RIGHTS = {
    "grid": "view",
    "detail": "view",
    "style": "view",
    "actions": "view",  # and then the right of the action
    "discard": "discard",
    "send": "create",
}
ACTION_RIGHTS = {"discard": "discard", "send": "create"}
MOST_IDS = 10_000


def admit() -> Response | None:
    """Let staff in who have the right that the address needs."""
    g.invitations_strict = True
    if not host().is_signed_in():
        return sign_in_first(host(), "invitations_admin.grid")
    if not host().is_staff():
        abort(403)
    _need(RIGHTS[(request.endpoint or "").rpartition(".")[2]])
    return None


def _need(right: str) -> None:
    if not host().may(right):
        abort(403)


protect(admin, "admin", admit)


@admin.errorhandler(Forbidden)
def forbidden(error: Forbidden) -> Response:
    """Say that the right is missing, to staff and customers alike."""
    return _render("admin/forbidden.html", status=403)


@admin.errorhandler(NotFound)
def missing(error: NotFound) -> Response:
    """Say that there is no such invitation."""
    return _render("admin/missing.html", status=404)


@admin.get("/")
def grid() -> Response:
    """Show the grid; htmx gets it without the frame."""
    query = read_query(request.args, g.inv_view.timezone)
    page = read_page(session(), query)
    context = pages.grid_context(query, page)
    is_off = not settings_of(g.inv_view).enabled
    return _render(
        "admin/grid.html",
        "admin/_grid.html",
        422 if query.errors else 200,
        is_off=is_off,
        **context,
    )


@admin.post("/actions")
def actions() -> Response:
    """Ask before a mass action; with ``confirm=1`` do it."""
    action = request.form.get("action", "")
    if action not in ACTION_RIGHTS:
        notify("error", gettext("Choose an action first."))
        return redirect_to(url_for("invitations_admin.grid"))
    _need(ACTION_RIGHTS[action])
    selection = _selection(request.form)
    if selection is None:
        notify("error", gettext("Select the invitations first."))
        return redirect_to(_back_url(request.form))
    if request.form.get("confirm") != "1":
        return _confirmation(action, selection)
    done = _do(action, selection)
    said = words.discarded_text(done) if action == "discard" else words.sent_text(done)
    notify("success", said)
    return redirect_to(_back_url(request.form))


@admin.get("/<int:invitation_id>/")
def detail(invitation_id: int) -> Response:
    """Show one invitation with its history."""
    row = _load(invitation_id)
    entries = session().scalars(
        sa.select(History).where(History.invitation_id == row.id).order_by(History.id.desc())
    )
    return _render(
        "admin/detail.html",
        confirm_discard="discard" in request.args,
        back_url=url_for("invitations_admin.grid"),
        **pages.detail_context(row, list(entries)),
    )


@admin.post("/<int:invitation_id>/discard")
def discard(invitation_id: int) -> Response:
    """Discard one invitation."""
    return _change(invitation_id, discard_row, words.discarded_text(1), invitation_discarded)


@admin.post("/<int:invitation_id>/send")
def send(invitation_id: int) -> Response:
    """Send one invitation again, opening it where it was closed."""
    return _change(invitation_id, _send_again, words.sent_text(1), None)


@admin.get("/style")
def style() -> Response:
    """Show what pages are made of; in debug only."""
    if not current_app.debug:
        abort(404)
    return _render("admin/style.html")


def _render(name: str, fragment: str | None = None, status: int = 200, **context: Any) -> Response:
    view = view_of_request()
    return render(name, fragment, view=view, status=status, **pages.frame(), **context)


def _actor() -> Actor:
    key, name = host().staff_key()
    return Actor(STAFF, key, name)


def _load(invitation_id: int) -> Invitation:
    if invitation_id > BIGGEST_ID:
        abort(404)
    row = session().get(Invitation, invitation_id, populate_existing=True)
    return row if row is not None else abort(404)


def _change(invitation_id: int, change: Callable[..., None], said: str, signal: Any) -> Response:
    _load(invitation_id)
    try:
        atomically(lambda: change(session(), _load(invitation_id), _actor()))
    except (IllegalMove, Changed):
        notify("error", gettext("This invitation changed in the meantime; please check it again."))
    else:
        notify("success", said)
        if signal is not None:
            announce(signal, [_load(invitation_id)])
        wake_delivery()
    return redirect_to(url_for("invitations_admin.detail", invitation_id=invitation_id))


def _send_again(db: Any, row: Invitation, actor: Actor) -> None:
    view = store_view(row.store_view)
    step = resend if may_resend(row, actor) else reopen
    step(db, row, actor, settings_of(view), mail_domain(view))


def _selection(form: MultiDict[str, str]) -> Selection | None:
    """Read what was selected: ids, or everything that the grid's query matches."""
    if form.get("select") == "all":
        query = read_query(form, g.inv_view.timezone)
        upto = _ids([form.get("upto", "")])
        if query.errors or not upto:
            return None
        return Selection(query=query, upto=upto[0], exclude=_ids(form.getlist("exclude")))
    ids = _ids(form.getlist("ids"))
    return Selection(ids=ids) if ids else None


def _ids(texts: list[str]) -> list[int]:
    """Return the ids among texts, each once; what is none is passed over."""
    found = {int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) < 20}
    return sorted(number for number in found if 0 < number <= BIGGEST_ID)[:MOST_IDS]


def _confirmation(action: str, selection: Selection) -> Response:
    condition = is_discardable() if action == "discard" else is_sendable()
    able = count_by_status(session(), selection, condition)
    unable = count_by_status(session(), selection, ~condition)
    total = sum(able.values())
    heading = (
        ngettext("Discard %(num)s invitation?", "Discard %(num)s invitations?", total)
        if action == "discard"
        else ngettext("Send %(num)s invitation?", "Send %(num)s invitations?", total)
    )
    lines = [
        gettext("%(label)s: %(value)s", label=gettext(words.STATUSES[Status(status)]), value=number)
        for status, number in able.items()
    ]
    lines += [words.skipped_text(number, status) for status, number in unable.items()]
    return _render(
        "admin/confirm.html",
        action=action,
        heading=heading,
        count=total,
        lines=lines,
        fields=_fields(selection, request.form),
        back_url=_back_url(request.form),
    )


def _fields(selection: Selection, form: MultiDict[str, str]) -> list[tuple[str, str]]:
    """Return the selection as the hidden fields of the confirmation."""
    query = [(name, form[name]) for name in (*FILTERS, "sort", "dir", "size") if form.get(name)]
    if selection.query is None:
        return [("ids", str(each)) for each in selection.ids] + query
    excluded = [("exclude", str(each)) for each in selection.exclude]
    return [("select", "all"), ("upto", str(selection.upto)), *excluded, *query]


def _back_url(form: Mapping[str, str]) -> str:
    """Return the grid as it was left."""
    query: Query = read_query(form, g.inv_view.timezone)
    arguments: dict[str, Any] = query.as_arguments()
    return url_for("invitations_admin.grid", **arguments)


def _do(action: str, selection: Selection) -> int:
    """Do a mass action in chunks, each committed; return how many it changed."""
    step = _discard_chunk if action == "discard" else _send_chunk
    actor, total = _actor(), 0
    for ids in chunks(session(), selection):
        done = atomically(lambda ids=ids: step(ids, actor))  # type: ignore[misc]
        total += len(done)
        if action == "discard" and invitation_discarded.receivers:
            announce(invitation_discarded, _rows(done))
    wake_delivery()
    return total


def _discard_chunk(ids: list[int], actor: Actor) -> list[int]:
    return discard_many(session(), ids, actor)


def _send_chunk(ids: list[int], actor: Actor) -> list[int]:
    done = []
    for row in _rows(ids):
        with suppress(Changed):  # somebody else was faster
            if pages.can_send(row, actor):
                _send_again(session(), row, actor)
                done.append(row.id)
    return done


def _rows(ids: list[int]) -> list[Invitation]:
    return list(session().scalars(sa.select(Invitation).where(Invitation.id.in_(ids))))
