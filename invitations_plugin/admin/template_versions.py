"""The versions of a mail template, and what removes: a language, a template, a fault."""

from __future__ import annotations

from flask import Response, abort, url_for

from .. import mail_shipped, mail_templates
from ..database import atomically, session
from ..i18n import gettext
from ..mail_kinds import INVITATION
from ..mail_templates import Changed, Draft, InUse, Written
from ..rendering import notify, redirect_to
from . import template_pages
from .blueprint import actor, admin, show
from .templates import first_problem


def _load(code: str, number: int | None = None) -> Written:
    found = mail_templates.load(session(), code, number)
    return found if found is not None else abort(404)


def _back(code: str) -> Response:
    return redirect_to(url_for("invitations_admin.template", code=code))


@admin.get("/templates/<code>/versions/")
def template_versions(code: str) -> Response:
    """List the versions of a template."""
    written = _load(code)
    return show(
        "admin/mail_template_versions.html",
        template=written,
        versions=mail_templates.versions(session(), code),
    )


@admin.get("/templates/<code>/versions/<int:number>")
def template_version(code: str, number: int) -> Response:
    """Show a version: what it changed, and what is different today."""
    written, old = _load(code), _load(code, number)
    before = mail_templates.load(session(), code, number - 1)
    return show(
        "admin/mail_template_version.html",
        template=written,
        version=old,
        tabs=template_pages.version_tabs(old),
        changed=template_pages.changes(before, old) if before is not None else None,
        since=template_pages.changes(old, written) if old.number != written.number else None,
    )


@admin.post("/templates/<code>/versions/<int:number>/restore")
def template_restore(code: str, number: int) -> Response:
    """Save an older version once more, as the newest."""
    written, old = _load(code), _load(code, number)
    draft = Draft(old.name, old.language, old.contents)
    wrong = first_problem(draft)
    if wrong is not None:
        notify("error", wrong)
        return _back(code)
    said = gettext("Version %(number)s is in force again.", number=number)
    return _keep(written, draft, said)


@admin.post("/templates/<code>/languages/<language>/delete")
def template_language(code: str, language: str) -> Response:
    """Take a language out of a template; its mails use the template's own."""
    written = _load(code)
    if language not in written.contents:
        abort(404)
    if language == written.language:
        notify("error", gettext("The language that serves for the others cannot be removed."))
        return _back(code)
    contents = {each: text for each, text in written.contents.items() if each != language}
    said = gettext("%(language)s was removed.", language=template_pages.language_name(language))
    return _keep(written, Draft(written.name, written.language, contents), said)


def _keep(written: Written, draft: Draft, said: str) -> Response:
    code, seen = written.code, written.number
    try:
        atomically(lambda: mail_templates.save(session(), code, seen, draft, actor()))
    except Changed:
        text = gettext("Somebody saved this template in the meantime; please look at it again.")
        notify("error", text)
    else:
        notify("success", said)
    return _back(code)


@admin.post("/templates/<code>/delete")
def template_delete(code: str) -> Response:
    """Remove a template that no setting names."""
    written = _load(code)
    try:
        atomically(lambda: mail_templates.delete(session(), code))
    except InUse as error:
        where = ", ".join(template_pages.scopes(error.scopes))
        text = gettext("This template is in use (%(where)s), so it was not deleted.", where=where)
        notify("error", text)
        return _back(code)
    notify("success", gettext("The template %(name)s was deleted.", name=written.name))
    return redirect_to(url_for("invitations_admin.templates"))


@admin.post("/templates/<code>/mended")
def template_mended(code: str) -> Response:
    """Take away the notice of a template that failed: it is mended, or it was an exception."""
    if code not in mail_shipped.folders(INVITATION):
        _load(code)
    atomically(lambda: mail_templates.mended(session(), code))
    return _back(code)
