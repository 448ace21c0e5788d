"""Saved views of the grid: choose, keep, rename, start with, bring up to date, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Response, abort, g, request
from sqlalchemy.orm import Session

from .. import saved_views as kept
from ..database import atomically, session
from ..grid import read_query
from ..i18n import gettext, n_
from ..models import VIEW_NAME, SavedView
from ..rendering import notify, redirect_to
from ..saved_views import BadName, NameTaken, TooMany
from ..state import host
from .blueprint import admin, possible_id, show
from .grid import query_of_request
from .grid_page import NONE, Links, view_url

ERRORS: Final = {
    BadName: n_("Enter a name of at most 60 characters."),
    NameTaken: n_("You have a view of this name already."),
    TooMany: n_("You have as many views as there may be; delete one first."),
}
Refusal = (BadName, NameTaken, TooMany)


@admin.get("/views")
def saved_views() -> Response:
    """Show the reader's views, and the form that keeps the grid as it is now."""
    return _show()


@admin.post("/views")
def save_view() -> Response:
    """Keep the grid as it is now under a name."""
    state, name = query_of_request().state(), request.form.get("name", "")

    def save() -> SavedView:
        view = kept.save(session(), _reader(), name, state)
        if request.form.get("is_default"):
            kept.start_with(session(), view, is_default=True)
        return view

    try:
        view = atomically(save)
    except Refusal as error:
        return _show(error=gettext(ERRORS[type(error)]), typed=name)
    notify("success", gettext("The view %(name)s was saved.", name=view.name))
    return redirect_to(view_url(view))


@admin.post("/views/<int:view_id>")
def change_view(view_id: int) -> Response:
    """Do to a view what the button said."""
    _load(view_id)
    change = CHANGES.get(request.form.get("do", "rename"), _rename)
    try:
        said = atomically(lambda: change(session(), _load(view_id)))
    except Refusal as error:
        return _show(error=gettext(ERRORS[type(error)]), wrong=view_id)
    notify("success", said)
    view = kept.find(session(), _reader(), view_id)
    is_on = query_of_request().view == str(view_id)
    return redirect_to(Links(query_of_request()).to(**{} if view or not is_on else {"view": ""}))


def _reader() -> str:
    return host().staff_key()[0]


def _load(view_id: int) -> SavedView:
    return kept.find(session(), _reader(), possible_id(view_id)) or abort(404)


def _rename(db: Session, view: SavedView) -> str:
    kept.rename(db, view, request.form.get("name", ""))
    return gettext("The view is called %(name)s now.", name=view.name)


def _start(db: Session, view: SavedView) -> str:
    kept.start_with(db, view, is_default=True)
    return gettext("You start with the view %(name)s from now on.", name=view.name)


def _stop(db: Session, view: SavedView) -> str:
    kept.start_with(db, view, is_default=False)
    return gettext("You start with all invitations from now on.")


def _update(db: Session, view: SavedView) -> str:
    view.arguments = query_of_request().state()
    return gettext("The view %(name)s was saved.", name=view.name)


def _delete(db: Session, view: SavedView) -> str:
    name = view.name
    db.delete(view)
    return gettext("The view %(name)s was deleted.", name=name)


CHANGES: Final[dict[str, Callable[[Session, SavedView], str]]] = {
    "rename": _rename,
    "start": _start,
    "stop": _stop,
    "update": _update,
    "delete": _delete,
}


def _show(error: str = "", typed: str = "", wrong: int | None = None) -> Response:
    """Show the views; an error belongs to the new one's name, or to that of the one named."""
    query = query_of_request()
    return show(
        "admin/views.html",
        "admin/_views.html",
        422 if error else 200,
        views=[_line(view, query.view) for view in kept.views_of(session(), _reader())],
        all_url=Links(read_query({}, g.inv_view.timezone)).to(),
        fields=list((query.as_arguments() | {"view": query.view or NONE}).items()),
        typed=typed,
        longest=VIEW_NAME,
        error=error,
        wrong=wrong,
        back_url=Links(query).to(),
    )


def _line(view: SavedView, on: str) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "url": view_url(view),
        "is_default": view.is_default,
        "is_on": str(view.id) == on,
    }
