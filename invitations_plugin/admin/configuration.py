"""The configuration page: one scope's settings in one form, saved together or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import Response, abort, request, url_for

from ..configuring import Place, find_place, places, read, save
from ..database import atomically, session
from ..digits import whole_number
from ..protection import is_stale
from ..rendering import notify, redirect_to
from ..settings import (
    GLOBAL,
    SPECS,
    BadSetting,
    By,
    Change,
    Conflict,
    Value,
    forget,
    last_change,
    values_at,
)
from ..state import state
from ..text import clean
from . import setting_words, words
from .blueprint import actor, admin, show
from .configuration_shown import Posted, as_typed, context

INHERIT = "-inherit"


@dataclass(frozen=True, slots=True)
class Read:
    """A form that was read: what it asks for by setting, and what is wrong with it."""

    wanted: dict[str, Value | None] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@admin.route("/configuration", methods=["GET", "POST"])
def configuration() -> Response:
    """Show the settings of a scope; save those that were changed."""
    place = _place(request.args.get("scope"))
    if request.method != "POST":
        return _page(place)
    posted = _posted(request.form)
    if is_stale():
        return _page(place, posted, 400, error=words.stale_text())
    found = _read_form(place, posted)
    if found.errors:
        return _page(place, posted, 422, errors=found.errors)
    return _save(place, posted, found.wanted)


def _place(key: str | None) -> Place:
    """Return the scope that was named, the widest one without a name."""
    return (find_place(key) if key else places()[0]) or abort(404)


def by() -> By:
    """Return who is signed in, as the history of settings names them."""
    who = actor()
    return By(who.key, who.name)


def _posted(form: Mapping[str, str]) -> Posted:
    """Return what was typed; of a name that was posted twice, the first counts."""
    typed = {name: clean(form[name]) for name in SPECS if name in form}
    boxes = frozenset(name for name in SPECS if f"{name}{INHERIT}" in form)
    return Posted(typed, boxes, whole_number(form.get("seen")))


def _read_form(place: Place, posted: Posted) -> Read:
    """Read every field that was posted; one that was not stays as it is.

    A ticked box wins over what was typed.
    """
    found = Read()
    own = values_at(session(), place.scope)
    for name in filter(posted.has, SPECS):
        try:
            found.wanted[name] = _read_field(name, place, posted, own.get(name))
        except BadSetting as error:
            found.errors[name] = setting_words.error_text(error)
    return found


def _read_field(name: str, place: Place, posted: Posted, own: Value | None) -> Value | None:
    """Read one field; what is there already is not judged again: a sender may be gone."""
    if name in posted.boxes and SPECS[name].is_allowed_in(place.scope.kind):
        return None
    typed = posted.typed.get(name, "")
    if own is not None and typed == as_typed(own):
        return own
    # No box asks there whether to follow the app: showing its default is no wish to keep it.
    is_default = typed == as_typed(getattr(state().defaults.settings, name))
    if place.scope.kind == GLOBAL and is_default:
        return None
    return read(name, typed, place)


def _save(place: Place, posted: Posted, wanted: Mapping[str, Value | None]) -> Response:
    try:
        changes = atomically(lambda: save(session(), place, wanted, by(), posted.seen))
    except Conflict as conflict:
        theirs = {
            name: setting_words.theirs_text(change, place)
            for name, change in conflict.theirs.items()
        }
        return _page(place, posted.only(conflict.mine), 409, theirs=theirs)
    _tell(changes, place)
    return redirect_to(url_for("invitations_admin.configuration", scope=place.scope.key))


def _tell(changes: list[Change], place: Place) -> None:
    if not changes:
        notify("info", setting_words.nothing_text())
        return
    notify("success", setting_words.saved_text(changes, place))
    for text in setting_words.effect_texts(changes):
        notify("info", text)


def _page(
    place: Place,
    posted: Posted | None = None,
    status: int = 200,
    *,
    error: str = "",
    errors: Mapping[str, str] | None = None,
    theirs: Mapping[str, str] | None = None,
) -> Response:
    forget()
    latest = last_change(session())  # before the values: of what comes between, nothing is lost
    is_new = posted is None or posted.seen is None or theirs is not None
    return show(
        "admin/configuration.html",
        status=status,
        form_error=error,
        seen=latest if is_new or posted is None else posted.seen,
        is_conflict=theirs is not None,
        **context(place, posted or Posted(), errors or {}, theirs or {}),
    )
