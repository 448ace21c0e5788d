"""Mail templates: the list, a new one, the editor with its preview and test mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, abort, g, request, url_for
from werkzeug.datastructures import MultiDict

from .. import mail_shipped, mail_templates
from ..database import atomically, session
from ..digits import whole_number
from ..i18n import LANGUAGES, gettext, in_language, language, locale
from ..lifecycle import new_message_id
from ..mail import EXAMPLES, example_message, example_variables, template_choices
from ..mail_kinds import INVITATION
from ..mail_rules import HTML, PARTS, Content, problems, write
from ..mail_templates import Draft, Written
from ..protection import is_stale
from ..rendering import PREVIEW_POLICY, notify, redirect_to
from ..state import host, mail_domain, settings_of, store_view
from ..template_form import NewTemplateForm, TemplateForm, TrialForm, choose
from ..template_words import problem_text
from ..throttle import WindowFull
from . import template_pages, trial, words
from .blueprint import actor, admin, show

RESERVED = "new"  # what a code must not be, for an address has it


@admin.get("/templates/")
def templates() -> Response:
    """List the templates."""
    return show("admin/mail_templates.html", **template_pages.list_context())


@admin.route("/templates/new", methods=["GET", "POST"])
def template_new() -> Response:
    """Make a template as a copy of another."""
    form = NewTemplateForm()
    sources = template_choices()
    form.source.choices = sources
    if request.method != "POST":
        choose(form.source, sources, request.args.get("source", INVITATION.default))
        return _new_page(form)
    if is_stale():
        return _new_page(form, 400, words.stale_text())
    if not form.validate():
        return _new_page(form, 422)
    draft = _copied(form.source.data, form.name.data)
    wrong = first_problem(draft)
    if wrong is not None:
        return _new_page(form, 422, wrong)
    taken = {RESERVED, *mail_shipped.folders(INVITATION)}
    code = atomically(lambda: mail_templates.create(session(), INVITATION, draft, actor(), taken))
    notify("success", gettext("The template was made. Choose it in the configuration to use it."))
    return redirect_to(url_for("invitations_admin.template", code=code))


def _new_page(form: NewTemplateForm, status: int = 200, error: str | None = None) -> Response:
    return show("admin/mail_template_new.html", status=status, form=form, form_error=error)


def _copied(code: str, name: str) -> Draft:
    written = mail_templates.load(session(), code)
    if written is not None:
        return Draft(name, written.language, written.contents)
    contents = mail_shipped.copy(code)
    return Draft(name, mail_templates.FALLBACK, contents)


def first_problem(draft: Draft) -> str | None:
    """Return why a copy or an older version cannot be kept: it may be older than a rule."""
    for code, content in draft.contents.items():
        for part, found in problems(content, INVITATION, template_pages.examples(code)).items():
            return gettext(
                "This template cannot be used as it is (%(language)s, %(part)s): %(why)s",
                language=template_pages.language_name(code),
                part=gettext(template_pages.PARTS_CALLED[part]),
                why=problem_text(found[0]),
            )
    return None


@admin.route("/templates/<code>/", methods=["GET", "POST"])
def template(code: str) -> Response:
    """Show a template; a POST saves it, or sends a test mail of what was typed."""
    written, form, chosen = _opened(code)
    if request.method != "POST":
        return _page(code, written, form, chosen)
    if is_stale():
        return _page(code, written, form, chosen, 400, words.stale_text())
    if request.form.get("do") == "test":
        return _test(code, written, form, chosen)
    return _save(code, written, form, chosen) if written is not None else abort(405)


def _opened(code: str) -> tuple[Written | None, TrialForm, str]:
    """Return a template with its form, and the language that is looked at."""
    written = mail_templates.load(session(), code)
    if written is None and code not in mail_shipped.folders(INVITATION):
        abort(404)
    own = written.language if written is not None else language(locale())
    chosen = request.values.get("language", own)
    chosen = chosen if chosen in LANGUAGES else own
    form = TrialForm(_given()) if written is None else _form_of(written, chosen)
    choose(form.view, template_pages.store_views(), template_pages.default_view(chosen))
    choose(form.example, template_pages.example_choices(), next(iter(EXAMPLES)))
    choose(form.theme, template_pages.theme_choices(), template_pages.LIGHT)
    form.to.data = form.to.data if request.method == "POST" else host().staff_email()
    return written, form, chosen


def _given() -> MultiDict[str, str]:
    """Return what was sent; an address may choose what is looked at."""
    return request.form if request.method == "POST" else request.args


def _form_of(written: Written, chosen: str) -> TemplateForm:
    form = TemplateForm(_given())
    form.default_language.choices = [
        (each, template_pages.language_name(each))
        for each in template_pages.in_order({*written.contents, chosen})
    ]
    if request.method != "POST":
        form.fill(written.content(chosen)[1])
        form.name.data, form.seen.data = written.name, written.number
        form.default_language.data = written.language
    return form


def _page(
    code: str,
    written: Written | None,
    form: TrialForm,
    chosen: str,
    status: int = 200,
    error: str | None = None,
    answer: tuple[str, str] | None = None,
) -> Response:
    return show(
        "admin/mail_template.html" if written is not None else "admin/mail_template_shipped.html",
        status=status,
        form=form,
        form_error=error,
        answer=answer,
        language=chosen,
        **template_pages.template_context(code, written, chosen),
    )


def _save(code: str, written: Written, form: TrialForm, chosen: str) -> Response:
    assert isinstance(form, TemplateForm)  # noqa: S101  # of a template that staff wrote
    if not form.is_fit(INVITATION, template_pages.examples(chosen)):
        return _page(code, written, form, chosen, 422)
    contents = {**written.contents, chosen: form.content()}
    draft = Draft(form.name.data, form.default_language.data, contents)
    seen = whole_number(request.form.get("seen"), mail_templates.BIGGEST) or 0
    try:
        number = atomically(lambda: mail_templates.save(session(), code, seen, draft, actor()))
    except mail_templates.Changed:
        form.seen.data = written.number
        form.seen.raw_data = None
        text = gettext(
            "Somebody saved this template in the meantime, as version %(number)s. What you typed is"
            " below; save it once more to put it in place of theirs.",
            number=written.number,
        )
        return _page(code, written, form, chosen, 409, text)
    notify("success", gettext("Version %(number)s was saved.", number=number))
    return redirect_to(url_for("invitations_admin.template", code=code, language=chosen))


def _test(code: str, written: Written | None, form: TrialForm, chosen: str) -> Response:
    """Send a test mail and show the server's answer beside what was typed."""
    to = form.recipient()
    typed = form if isinstance(form, TemplateForm) else None
    is_fit = typed is None or typed.is_fit(INVITATION, template_pages.examples(chosen))
    if to is None or not is_fit:
        return _page(code, written, form, chosen, 422)
    view = store_view(form.view.data)
    try:
        content = _made(code, written, form, chosen)
    except Exception as error:
        return _page(code, written, form, chosen, 422, _failed_text(error))
    message_id = new_message_id(mail_domain(view))
    message = example_message(content, to, view, settings_of(view), message_id)
    try:
        answer = trial.hand_over(message, to)
    except WindowFull as full:
        page = _page(code, written, form, chosen, 429, trial.too_many_text())
        page.headers["Retry-After"] = str(full.wait)
        return page
    return _page(code, written, form, chosen, answer=answer)


def _failed_text(error: Exception) -> str:
    said = f"{type(error).__name__}: {error}"[:200]
    return gettext("With example data this fails: %(detail)s", detail=said)


def _made(code: str, written: Written | None, form: TrialForm, chosen: str) -> Content:
    """Return the mail to an example: of what was typed, of a version, or of a shipped template.

    :raises Exception: when the template fails.
    """
    if written is None:
        with in_language(chosen):
            return mail_shipped.render(code, _variables(form))
    found, content = written.content(chosen)
    if isinstance(form, TemplateForm) and request.method == "POST":
        found, content = chosen, form.content()
    with in_language(found):
        return write(content, INVITATION, _variables(form))


def _variables(form: TrialForm) -> Mapping[str, Any]:
    return example_variables(store_view(form.view.data), form.example.data)


@admin.route("/templates/<code>/preview", methods=["GET", "POST"])
def template_preview(code: str) -> Response:
    """Show the mail to an example, in a page of its own for a frame; nothing is saved."""
    g.invitations_policy = PREVIEW_POLICY
    written, form, chosen = _opened(code)
    if is_stale():
        return _preview_page([words.stale_text()], status=400)
    if written is not None and (asked := request.args.get("version")):
        number = whole_number(asked, mail_templates.BIGGEST)
        written = (number and mail_templates.load(session(), code, number)) or abort(404)
    wrong = _problems(form, chosen)
    try:
        made = _made(code, written, form, chosen)
    except Exception as error:
        return _preview_page(wrong or [_failed_text(error)], status=422)
    return _preview_page(wrong, made, form.theme.data, 422 if wrong else 200)


def _problems(form: TrialForm, chosen: str) -> list[str]:
    """Return what is wrong with what was typed."""
    if request.method != "POST" or not isinstance(form, TemplateForm):
        return []
    found = problems(form.content(), INVITATION, template_pages.examples(chosen))
    return [
        gettext(
            "%(label)s: %(value)s",
            label=gettext(template_pages.PARTS_CALLED[part]),
            value=problem_text(each),
        )
        for part in PARTS
        for each in found.get(part, ())
    ]


def _preview_page(
    wrong: list[str], made: Content | None = None, theme: str = "", status: int = 200
) -> Response:
    framed = template_pages.framed(made.part(HTML), theme) if made is not None else None
    return show(
        "admin/mail_template_preview.html",
        status=status,
        problems=wrong,
        mail=made,
        framed=framed,
        theme=theme,
    )
