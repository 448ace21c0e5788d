"""Exports: the question before one, the latest, one with its progress, and its file."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, g, url_for

from .. import exporting, scope
from .. import exports as kept
from ..cells import COLUMNS
from ..database import atomically, session
from ..exporting import FORMATS
from ..grid import Selection
from ..i18n import format_number, gettext, ngettext
from ..lifecycle import COMMAND_LINE
from ..models import Export, ExportState
from ..rendering import notify, redirect_to
from ..selections import arguments_of, filters_of
from . import pages, words
from .blueprint import actor, admin, possible_id, show
from .exported import file_texts
from .jobs import chosen_text

SHOWN = 50


def is_offered(kind: str) -> bool:
    """Return whether files of a format can be made here."""
    return kind in FORMATS and FORMATS[kind].is_available


def question(kind: str, selection: Selection) -> dict[str, Any]:
    """Return what the confirmation of an export says."""
    counted = exporting.count(session(), selection)
    number = sum(counted.values())
    return {
        "heading": words.export_question(kind, number),
        "effect": gettext(words.EXPORT_EFFECT),
        "can_go": number > 0,
        "changing": [pages.tally(status, amount) for status, amount in words.in_order(counted)],
        "staying": [
            gettext("Columns: %(names)s", names=words.columns_text(COLUMNS)),
            gettext("Times are those of %(zone)s.", zone=g.inv_view.timezone),
        ],
    }


def begin(kind: str, selection: Selection) -> Response:
    """Note that somebody asked for a file, and show where to get it."""
    total = sum(exporting.count(session(), selection).values())
    timezone, asking = g.inv_view.timezone, actor()
    export_id = atomically(
        lambda: kept.create(session(), kind, selection, timezone, asking, total).id
    )
    # What is behind the # stays in the browser: invitations.js starts the download there.
    return redirect_to(url_for("invitations_admin.export", export_id=export_id, _anchor="start"))


@admin.get("/exports/")
def exports() -> Response:
    """Show the files that were asked for last."""
    latest = kept.latest(session(), SHOWN)
    return show("admin/exports.html", exports=[_line(each) for each in latest])


@admin.get("/exports/<int:export_id>")
def export(export_id: int) -> Response:
    """Show what a file holds and how far its download is; htmx asks again while it runs."""
    return show("admin/export.html", "admin/_export.html", **_context(_load(export_id)))


@admin.post("/exports/<int:export_id>/file")
def export_file(export_id: int) -> Response:
    """Send a file, as it is made, to who asked for it."""
    found = _load(export_id)
    if not _is_own(found):
        abort(403)
    if not is_offered(found.format):
        abort(404)
    name = f"invitations-{found.created_at:%Y-%m-%d}-{export_id}.{found.format}"
    mimetype = FORMATS[found.format].mimetype
    try:
        pieces = kept.download(export_id, file_texts(g.inv_view))
    except kept.Gone:
        notify("error", gettext("This export cannot be made any more; please ask for a new one."))
        return redirect_to(url_for("invitations_admin.export", export_id=export_id))
    answer = Response(pieces, content_type=mimetype)
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


def _load(export_id: int) -> Export:
    found = session().get(Export, possible_id(export_id), populate_existing=True)
    return found if found is not None and _is_covered(found) else abort(404)


def _is_covered(export: Export) -> bool:
    """Return whether all that it may hold is of websites that this request may know of."""
    return scope.covers(export.selection.get("websites"))


def _is_own(export: Export) -> bool:
    return export.actor_key == actor().key


def _line(export: Export) -> dict[str, Any]:
    """Return what every page shows of an export."""
    state = kept.state_of(export)
    is_command = export.actor_key == COMMAND_LINE.key
    return {
        "label": export.format.upper(),
        "by": gettext("Command line") if is_command else export.actor_name or gettext("Staff"),
        "created_at": export.created_at,
        "state": state.value,
        "state_label": gettext(words.EXPORT_STATES[state]),
        "total": format_number(export.total),
        "url": url_for("invitations_admin.export", export_id=export.id),
    }


def _context(export: Export) -> dict[str, Any]:
    """Return the context of the page of one export."""
    state, filters = kept.state_of(export), filters_of(export.selection)
    arguments = arguments_of(export.selection, g.inv_view.timezone)
    can_download = _is_own(export) and is_offered(export.format)
    return {
        "export": _line(export)
        | {
            "id": export.id,
            "title": words.export_title(export.format, export.total),
            "can_download": can_download,
            "is_own": _is_own(export),
            "is_new": state == ExportState.WAITING,
            "is_running": state == ExportState.RUNNING,
            "progress": _progress_text(export, state),
            "value": export.total if state == ExportState.DONE else export.done,
            "max": max(export.total, export.done, 1),
            "columns": words.columns_text(export.columns),
            "chosen": chosen_text(filters),
            "error": export.error or "",
            "downloads": format_number(export.downloads),
            "started_at": export.started_at,
            "ended_at": export.ended_at,
        },
        "grid_url": url_for("invitations_admin.grid", **arguments),
    }


def _progress_text(export: Export, state: ExportState) -> str:
    """Say how many rows a download has had."""
    if state == ExportState.DONE:
        return ngettext("%(num)s row", "%(num)s rows", export.done)
    return gettext(
        "%(done)s of %(total)s",
        done=format_number(export.done),
        total=format_number(max(export.total, export.done)),
    )
