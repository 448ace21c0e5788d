"""What the pages of mail templates show, made from templates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import unified_diff
from typing import Any

from babel import Locale
from flask import url_for

from .. import mail_shipped, mail_templates
from ..database import session
from ..i18n import LANGUAGES, gettext, in_language, language, locale, n_
from ..mail import EXAMPLES, example_variables
from ..mail_kinds import INVITATION
from ..mail_rules import LONGEST, PARTS, Content
from ..mail_templates import Written
from ..settings import STORE_VIEW, WEBSITE
from ..state import host
from ..template_form import NAME_MAX
from ..templating import FILTERS
from . import pages

PARTS_CALLED = {"subject": n_("Subject"), "text": n_("Text"), "html": n_("HTML")}
LIGHT, DARK = "light", "dark"
HEAD = re.compile(r"<head(?:\s[^>]*)?>", re.IGNORECASE)
SCHEME = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)
ALWAYS, NEVER = "(min-width: 0)", "(max-width: 0)"


def list_context() -> dict[str, Any]:
    """Return the templates with where they are used."""
    used = mail_templates.uses(session())
    written = mail_templates.listed(session(), INVITATION)
    spoken = mail_templates.languages(session(), [each.code for each in written])
    return {
        "shipped": [
            {
                "name": mail_shipped.label(code),
                "url": _url(code),
                "uses": scopes(used.get(code, ())),
            }
            for code in mail_shipped.folders(INVITATION)
        ],
        "written": [
            {
                "name": each.name,
                "url": _url(each.code),
                "uses": scopes(used.get(each.code, ())),
                "languages": [language_name(code) for code in in_order(spoken[each.code])],
                "number": each.number,
                "at": each.updated_at,
                "by": each.updated_by,
            }
            for each in written
        ],
    }


def _url(code: str, **more: Any) -> str:
    return url_for("invitations_admin.template", code=code, **more)


def scopes(used: Iterable[tuple[str, str]]) -> list[str]:
    """Return in words where a setting has a value."""
    called = pages.names()
    texts = []
    for scope, code in used:
        if scope == WEBSITE:
            texts.append(gettext("Website %(name)s", name=called.websites.get(code, code)))
        elif scope == STORE_VIEW:
            texts.append(gettext("Store view %(name)s", name=called.store_views.get(code, code)))
        else:
            texts.append(gettext("All store views"))
    return texts


def in_order(codes: Iterable[str]) -> list[str]:
    """Return languages in the order of ours."""
    return sorted(codes, key=lambda code: LANGUAGES.index(code) if code in LANGUAGES else 99)


def language_name(code: str) -> str:
    """Return what the reader calls a language."""
    name = Locale.parse(code).get_display_name(locale()) or code
    return name[:1].upper() + name[1:]


def language_tabs(code: str, chosen: str, written: Iterable[str]) -> list[dict[str, Any]]:
    """Return the languages that a template may be written in."""
    known = set(written)
    return [
        {
            "label": language_name(each),
            "url": _url(code, language=each),
            "is_current": each == chosen,
            "is_written": each in known,
        }
        for each in LANGUAGES
    ]


def default_view(chosen: str) -> str:
    """Return the first store view that speaks a language, else the first of all."""
    views = [view for website in host().websites() for view in website.store_views]
    speaks = [view.code for view in views if view.locale and _speaks(view.locale) == chosen]
    return (speaks or [views[0].code])[0]


def _speaks(code: str) -> str:
    try:
        return language(Locale.parse(code.replace("-", "_")))
    except ValueError:
        return ""


def example_choices() -> list[tuple[str, str]]:
    """Return the friends that a template may be looked at with."""
    return [(code, gettext(label)) for code, (label, _) in EXAMPLES.items()]


def theme_choices() -> list[tuple[str, str]]:
    """Return the looks of a mail program."""
    return [(LIGHT, gettext("Light")), (DARK, gettext("Dark"))]


def examples(chosen: str) -> list[dict[str, Any]]:
    """Return the variables that a template is tried with: of all examples, in all store views."""
    first, *others = [view for website in host().websites() for view in website.store_views]
    with in_language(chosen):
        made = [example_variables(first, each) for each in EXAMPLES]
        return made + [example_variables(view, next(iter(EXAMPLES))) for view in others]


def variables() -> list[tuple[str, str]]:
    """Return the variables of a template with a line about each."""
    return [(name, gettext(each.help)) for name, each in INVITATION.variables.items()]


def framed(html: str, theme: str) -> str:
    """Return a mail for a frame: its links leave it, and it looks as in one theme."""
    other = {LIGHT: DARK, DARK: LIGHT}[theme]
    themed = SCHEME.sub(lambda match: NEVER if match[1].lower() == other else ALWAYS, html)
    head = f'<base target="_blank"><meta name="color-scheme" content="only {theme}">'
    found = HEAD.search(themed)
    at = found.end() if found is not None else 0
    return themed[:at] + head + themed[at:]


def changes(old: Written, new: Written) -> list[dict[str, Any]]:
    """Return where two versions differ: by language and part, the lines with a sign each."""
    found: list[dict[str, Any]] = []
    for code in in_order({*old.contents, *new.contents}):
        before, after = old.contents.get(code), new.contents.get(code)
        if before is None or after is None:
            text = gettext("Added") if before is None else gettext("Removed")
            found.append({"language": language_name(code), "part": text, "lines": []})
            continue
        for part in PARTS:
            lines = _diff(before, after, part)
            label = gettext(PARTS_CALLED[part])
            found += [{"language": language_name(code), "part": label, "lines": lines}] * bool(
                lines
            )
    return found


def _diff(old: Content, new: Content, part: str) -> list[tuple[str, str]]:
    before, after = old.part(part).splitlines(), new.part(part).splitlines()
    lines = list(unified_diff(before, after, n=2, lineterm=""))[2:]
    return [(line[:1], line[1:]) for line in lines]


def store_views() -> list[tuple[str, str]]:
    """Return the store views to look at a mail of."""
    return pages.store_view_choices()


def template_context(code: str, written: Written | None, chosen: str) -> dict[str, Any]:
    """Return what the page of a template shows beside its form."""
    spoken = written.contents if written is not None else LANGUAGES
    used = mail_templates.uses(session()).get(code, ())
    in_its_place = written.content(chosen)[0] if written is not None else chosen
    return {
        "code": code,
        "template": written,
        "title": written.name if written is not None else mail_shipped.label(code),
        "tabs": language_tabs(code, chosen, spoken),
        "language_label": language_name(chosen),
        "stand_in": language_name(in_its_place) if in_its_place != chosen else None,
        "is_default_language": written is not None and written.language == chosen,
        "uses": scopes(used),
        "variables": variables(),
        "filters": ", ".join(FILTERS),
        "longest": LONGEST,
        "name_max": NAME_MAX,
        "preview_url": url_for("invitations_admin.template_preview", code=code, language=chosen),
    }


def version_tabs(version: Written) -> list[tuple[str, str]]:
    """Return language and address of the previews of a version."""
    return [
        (
            language_name(each),
            url_for(
                "invitations_admin.template_preview",
                code=version.code,
                language=each,
                version=version.number,
            ),
        )
        for each in in_order(version.contents)
    ]
