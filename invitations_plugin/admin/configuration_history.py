"""Who changed which setting, and how to take a change back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Response, abort, request, url_for

from .. import scope as reader_scope
from ..configuring import ChangedSince, Place, places, undo
from ..database import atomically, session
from ..digits import whole_number
from ..i18n import gettext
from ..models import SettingChange
from ..rendering import notify, redirect_to
from ..settings import BadSetting, Scope, forget, read_changes
from . import setting_words
from .blueprint import admin, possible_id, show
from .configuration import by

PAGE = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One change as the page shows it."""

    id: int
    at: datetime
    by: str
    label: str
    scope: str
    scope_url: str
    old: str
    new: str
    undoes: int | None


@admin.get("/configuration/history")
def configuration_history() -> Response:
    """Show the changes, the newest first."""
    known = whole_number(request.args.get("before")) or None
    found = read_changes(session(), known, PAGE + 1, _within())
    older = found[PAGE - 1].id if len(found) > PAGE else None
    return show(
        "admin/configuration_history.html",
        changes=_entries(found[:PAGE]),
        newest_url=_url() if known is not None else None,
        older_url=_url(before=older) if older is not None else None,
    )


@admin.post("/configuration/history/<int:change_id>/undo")
def configuration_undo(change_id: int) -> Response:
    """Take a change back; where the setting was changed again since, ask first."""
    is_sure = request.form.get("confirm") == "1"
    _load(change_id)
    try:
        done = atomically(lambda: undo(session(), _load(change_id), by(), is_sure=is_sure))
    except ChangedSince as error:
        return _ask(_load(change_id), error.later)
    except BadSetting as error:
        said = setting_words.error_text(error)
        notify("error", gettext("This change cannot be taken back: %(why)s", why=said))
    else:
        _tell(_load(change_id), bool(done))
    return redirect_to(_url())


def _url(before: int | None = None) -> str:
    return url_for("invitations_admin.configuration_history", before=before)


def _load(change_id: int) -> SettingChange:
    found = session().get(SettingChange, possible_id(change_id)) or abort(404)
    reach = _within()
    is_theirs = reach is None or Scope(found.scope, found.scope_code) in reach
    return found if is_theirs else abort(404)


def _within() -> list[Scope] | None:
    """Return the scopes whose changes the reader may see, None where that is all."""
    if reader_scope.websites() is None:
        return None
    return [place.scope for place in places()]


def _entries(changes: Sequence[SettingChange]) -> list[Entry]:
    known = {place.scope.key: place for place in places()}
    return [_entry(each, known.get(Scope(each.scope, each.scope_code).key)) for each in changes]


def _entry(change: SettingChange, place: Place | None) -> Entry:
    key = Scope(change.scope, change.scope_code).key
    page = url_for("invitations_admin.configuration", scope=key) if place is not None else ""
    return Entry(
        id=change.id,
        at=change.at,
        by=change.actor_name or gettext("Somebody"),
        label=setting_words.label(change.name),
        scope=place.name if place is not None else key,
        scope_url=f"{page}#{change.name}" if page else "",
        old=setting_words.value_in(change.name, change.old_value, place),
        new=setting_words.value_in(change.name, change.new_value, place),
        undoes=change.undoes,
    )


def _ask(change: SettingChange, later: SettingChange) -> Response:
    first, last = _entries([change, later])
    back = _url()
    return show(
        "admin/configuration_undo.html", status=409, change=first, later=last, back_url=back
    )


def _tell(change: SettingChange, is_changed: bool) -> None:
    forget()
    [entry] = _entries([change])
    if not is_changed:
        notify("info", gettext("%(name)s has that value already.", name=entry.label))
        return
    said = gettext(
        "%(name)s is back (%(scope)s): %(value)s",
        name=entry.label,
        scope=entry.scope,
        value=entry.old,
    )
    notify("success", said)
