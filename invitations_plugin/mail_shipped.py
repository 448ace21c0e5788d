"""The mail templates that are files: the plugin's own, and those that a store ships."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import current_app
from jinja2 import Environment, FileSystemLoader, Template
from markupsafe import escape

from .i18n import LANGUAGES, gettext, in_language, ngettext, translator
from .mail_kinds import INVITATION, KINDS, Kind
from .mail_rules import HTML, Content
from .notices import EVENTS
from .state import state

OURS = Path(__file__).parent / "templates"
FILES = {"subject": "subject.txt", "text": "body.txt", "html": "body.html"}
FOLDER = re.compile(r"invitations/email/([\w-]{1,64})/body\.html")
COMMENT = re.compile(r"\A\s*\{#.*?#\}\s*", re.DOTALL)
# What our templates say: one message, with variables of the same template.
SAID = re.compile(
    r"""\{\{\s*inv_t\("((?:[^"\\]|\\.)*)"((?:,\s*\w+=\w+)*)\)\s*\}\}""",
)
PLACE = re.compile(r"%\((\w+)\)s")
PAIR = re.compile(r"(\w+)=(\w+)")


def folders(kind: Kind) -> list[str]:
    """Return the codes of the templates that are shipped for a kind, the default first."""
    names = _names()
    found = {match[1] for match in map(FOLDER.fullmatch, names) if match is not None}
    whole = {code for code in found if _files(code) <= names}
    others = {each.default for each in KINDS.values() if each != kind} | set(EVENTS)
    return [kind.default, *sorted(whole - others - {kind.default})]


def _names() -> set[str]:
    try:
        return set(current_app.jinja_env.list_templates())
    except TypeError:  # a store's loader that finds templates, but cannot list them
        return set()


def _files(code: str) -> set[str]:
    return {f"invitations/email/{code}/{file}" for file in FILES.values()}


def label(code: str, kind: Kind = INVITATION) -> str:
    """Return what a shipped template is called: a store's own by its folder."""
    return gettext(kind.label) if code == kind.default else code.replace("_", " ").capitalize()


def render(code: str, variables: Mapping[str, Any]) -> Content:
    """Return the mail that a shipped template makes.

    :raises jinja2.TemplateNotFound: when there is none of this code.
    :raises Exception: whatever goes wrong within the template.
    """
    return _render(_store_s(), code, variables)


def render_ours(code: str, variables: Mapping[str, Any]) -> Content:
    """Return the mail that the plugin's own file makes, whatever a store put in its place."""
    return _render(_store_s().overlay(loader=FileSystemLoader(OURS)), code, variables)


def is_of(name: str, code: str) -> bool:
    """Return whether a file is one of a shipped template's own."""
    return name in _files(code)


def _render(env: Environment, code: str, variables: Mapping[str, Any]) -> Content:
    given = {**env.globals, **variables, "inv_t": translator(), "inv_nt": ngettext}
    names = {part: f"invitations/email/{code}/{file}" for part, file in FILES.items()}
    return Content(**{part: _fill(env.get_template(name), given) for part, name in names.items()})


def _fill(template: Template, given: dict[str, Any]) -> str:
    """Render a template with variables and globals in one.

    Its own ``render`` puts them together for each template, which takes as long as the rest.
    """
    env = template.environment
    if env.is_async:
        return template.render(given)
    context = env.context_class(env, given, template.name, template.blocks)
    try:
        return env.concat(template.root_render_func(context))
    except Exception:
        env.handle_exception()


def _store_s() -> Environment:
    """Return the store's templates, read as ours are written whatever the store's options."""
    kept = state()
    if kept.mail_templates is None:
        kept.mail_templates = current_app.jinja_env.overlay(trim_blocks=False, lstrip_blocks=False)
    return kept.mail_templates


def copy(code: str) -> dict[str, Content]:
    """Return a shipped template in every language, its words in place of the messages.

    :raises jinja2.TemplateNotFound: when there is none of this code.
    """
    sources = {part: _source(code, file) for part, file in FILES.items()}
    copies = {}
    for language in LANGUAGES:
        with in_language(language):
            parts = {part: _spoken(source, part) for part, source in sources.items()}
        copies[language] = Content(**parts)
    return copies


def _source(code: str, file: str) -> str:
    env = _store_s()
    assert env.loader is not None  # noqa: S101  # Flask's
    source = env.loader.get_source(env, f"invitations/email/{code}/{file}")[0]
    return COMMENT.sub("", source).strip() + "\n"


def _spoken(source: str, part: str) -> str:
    """Put the words of the current language where a template asks for a message."""

    def say(match: re.Match[str]) -> str:
        words = gettext(match[1].replace('\\"', '"'))
        variables = {name: f"{{{{ {value} }}}}" for name, value in PAIR.findall(match[2])}
        shown = str(escape(words)) if part == HTML else words
        return PLACE.sub(lambda place: variables.get(place[1], place[0]), shown)

    spoken = SAID.sub(say, source)
    return spoken.strip() if part == "subject" else spoken
