"""The forms of mail templates: a new one, and one language of one that is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_wtf import FlaskForm
from wtforms import HiddenField, IntegerField, SelectField, StringField, TextAreaField

from .addresses import BadAddress, parse_address
from .forms import add_error, bad_address_text, cleaned
from .i18n import gettext
from .mail_kinds import Kind
from .mail_rules import PARTS, Content, problems
from .template_words import problem_text
from .text import clean_line

NAME_MAX = 100
Choices = Sequence[tuple[str, str]]


def _lined(text: str | None) -> str | None:
    """Keep a template's lines and ends as they are, without what nobody sees."""
    return f"{cleaned(text)}\n" if text and text.strip() else ""


def _on_a_line(text: str | None) -> str | None:
    return clean_line(text) if text else text


def choose(field: Any, choices: Choices, default: str) -> None:
    """Give a list its choices, and what is chosen where nothing was sent."""
    field.choices = list(choices)
    if field.data not in dict(choices):
        field.data = default


class NewTemplateForm(FlaskForm):  # type: ignore[misc]
    """A new template: its name, and which one it starts as."""

    name = StringField("", filters=[_on_a_line])
    source = SelectField("", validate_choice=False)

    def validate(self, extra_validators: Any = None) -> bool:
        """Check the name and the choice."""
        valid = bool(super().validate(extra_validators))
        if self.source.data not in dict(self.source.choices):
            add_error(self.source, gettext("Choose one from the list."))
            valid = False
        return name_fits(self.name) and valid


class TrialForm(FlaskForm):  # type: ignore[misc]
    """What a template is looked at with, and where a test mail goes."""

    view = SelectField("", validate_choice=False)
    example = SelectField("", validate_choice=False)
    theme = SelectField("", validate_choice=False)
    to = StringField("", filters=[_on_a_line])

    def recipient(self) -> str | None:
        """Return where a test mail goes, None where that is no address."""
        try:
            return parse_address(self.to.data or "").delivery
        except BadAddress:
            add_error(self.to, bad_address_text(self.to.data or ""))
            return None


class TemplateForm(TrialForm):
    """A template in one language, with what it has in all."""

    name = StringField("", filters=[_on_a_line])
    default_language = SelectField("", validate_choice=False)
    subject = StringField("", filters=[cleaned])
    text = TextAreaField("", filters=[_lined])
    html = TextAreaField("", filters=[_lined])
    seen = IntegerField("", widget=HiddenField.widget)

    def content(self) -> Content:
        """Return what was typed."""
        return Content(*(getattr(self, part).data or "" for part in PARTS))

    def fill(self, content: Content) -> None:
        """Show what a template says."""
        for part in PARTS:
            getattr(self, part).data = content.part(part)

    def is_fit(self, kind: Kind, examples: Iterable[Mapping[str, Any]]) -> bool:
        """Check what was typed, and say at each part what is wrong with it."""
        found = problems(self.content(), kind, examples)
        for part, each in found.items():
            for problem in each:
                add_error(getattr(self, part), problem_text(problem))
        fits = name_fits(self.name)
        if self.default_language.data not in dict(self.default_language.choices):
            add_error(self.default_language, gettext("Choose one from the list."))
            fits = False
        return fits and not found


def name_fits(field: Any) -> bool:
    """Return whether a template's name is one; say at its field where it is not."""
    text = field.data or ""
    if not text:
        add_error(field, gettext("Enter a name."))
    elif len(text) > NAME_MAX:
        add_error(field, gettext("A name has at most %(most)s characters.", most=NAME_MAX))
    return 0 < len(text) <= NAME_MAX
