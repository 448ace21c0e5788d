"""The configuration as a file: taken home, looked at, brought back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from flask import Response, request, url_for

from .. import settings_file
from ..configuring import places
from ..database import atomically, session
from ..i18n import gettext, ngettext
from ..rendering import notify, redirect_to
from ..settings import Change
from ..settings_file import LONGEST, BadFile, Plan, Problem
from . import setting_words
from .blueprint import admin, show
from .configuration import by

NAME = "invitations-settings.toml"


@admin.get("/configuration/export")
def configuration_export() -> Response:
    """Give what is set in all scopes as a file."""
    response = Response(settings_file.write(session(), places()), mimetype="application/toml")
    response.headers["Content-Disposition"] = f'attachment; filename="{NAME}"'
    return response


@admin.route("/configuration/import", methods=["GET", "POST"])
def configuration_import() -> Response:
    """Show the form, then what a file would change; with ``confirm=1`` change it."""
    request.max_form_memory_size = 2 * LONGEST
    if request.method != "POST":
        return _form_page("")
    text = request.form.get("text", "")
    try:
        text = _uploaded() or text
        plan = _plan(text)
    except BadFile as error:
        return _form_page(text, error.problems)
    if request.form.get("confirm") != "1":
        return _review_page(text, plan)
    changes = atomically(lambda: settings_file.carry_out(session(), plan, by()))
    _tell(changes)
    return redirect_to(url_for("invitations_admin.configuration"))


def _uploaded() -> str:
    """Return the text of the chosen file, "" where none was chosen.

    :raises BadFile: when it is none that could be read.
    """
    file = request.files.get("file")
    if file is None:
        return ""
    with closing(file):
        given: bytes = file.read(LONGEST + 1)
    if len(given) > LONGEST:
        raise BadFile([Problem(0, gettext("The file is larger than a configuration can be."))])
    try:
        return given.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BadFile([Problem(0, gettext("The file is no text in UTF-8."))]) from error


def _plan(text: str) -> Plan:
    if not text.strip():
        raise BadFile([Problem(0, gettext("Choose a file or paste its text."))])
    offered = places()
    plan = settings_file.parse(text, offered)
    is_all = request.form.get("replace") == "1"
    return settings_file.complete(session(), plan, offered) if is_all else plan


def _form_page(text: str, problems: Sequence[Problem] = ()) -> Response:
    return show(
        "admin/configuration_import.html",
        status=422 if problems else 200,
        text=text,
        replace=request.form.get("replace") == "1",
        problems=[str(each) for each in problems],
        back_url=url_for("invitations_admin.configuration"),
    )


def _review_page(text: str, plan: Plan) -> Response:
    changes = settings_file.preview(session(), plan)
    return show(
        "admin/configuration_review.html",
        text=text,
        replace=request.form.get("replace") == "1",
        heading=_heading(len(changes)),
        changes=_lines(changes),
        effects=setting_words.effect_texts(changes),
        back_url=url_for("invitations_admin.configuration_import"),
    )


def _heading(number: int) -> str:
    if not number:
        return gettext("This file changes nothing")
    return ngettext("Change %(num)s setting?", "Change %(num)s settings?", number)


def _lines(changes: Sequence[Change]) -> list[dict[str, str]]:
    known = {place.scope.key: place for place in places()}
    return [
        {
            "label": setting_words.label(each.name),
            "scope": known[each.scope.key].name,
            "old": setting_words.value_in(each.name, each.old, known[each.scope.key]),
            "new": setting_words.value_in(each.name, each.new, known[each.scope.key]),
        }
        for each in changes
    ]


def _tell(changes: Sequence[Change]) -> None:
    if not changes:
        notify("info", setting_words.nothing_text())
        return
    number = len(changes)
    notify(
        "success",
        ngettext("%(num)s setting was imported.", "%(num)s settings were imported.", number),
    )
    for text in setting_words.effect_texts(changes):
        notify("info", text)
