"""The forms, and the validators that storefront, back office and import share."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from flask_wtf import FlaskForm
from wtforms import FieldList, HiddenField, StringField, TextAreaField
from wtforms.validators import Length, Optional

from .addresses import Address, BadAddress, parse_address
from .i18n import gettext
from .text import clean

MESSAGE_MAX = 1000


class SendForm(FlaskForm):  # type: ignore[misc]
    """The customer's form: one field a friend, and a message where it is allowed."""

    emails = FieldList(StringField(), min_entries=1)
    message = TextAreaField(filters=[lambda text: clean(text) if text else text])
    submission = HiddenField(validators=[Optional(), Length(max=64)])

    def __init__(self, *, allow_message: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not allow_message:
            del self.message
        if not self.submission.data:
            self.submission.data = secrets.token_urlsafe(16)

    @property
    def typed(self) -> list[tuple[Any, str]]:
        """The fields somebody wrote into, with what they wrote."""
        return [(entry, entry.data.strip()) for entry in self.emails if (entry.data or "").strip()]

    def addresses(self) -> list[Address]:
        """Return the addresses in order, each once; call it on a valid form."""
        return list({(a := parse_address(text)).identity: a for _, text in self.typed}.values())

    def repeated(self) -> list[str]:
        """Return the addresses that were typed more than once."""
        seen = [parse_address(text).identity for _, text in self.typed]
        return sorted({each for each in seen if seen.count(each) > 1})

    def validate(self, extra_validators: Any = None) -> bool:
        """Check every field, and put each error where its text was typed."""
        valid = bool(super().validate(extra_validators))
        if not self.typed:
            add_error(self.emails.entries[0], gettext("Enter the e-mail address of a friend."))
            return False
        for entry, text in self.typed:
            try:
                parse_address(text)
            except BadAddress:
                add_error(entry, bad_address_text(text))
                valid = False
        return self._message_fits() and valid

    def _message_fits(self) -> bool:
        text = self.message.data if "message" in self else None
        if text is None or len(text) <= MESSAGE_MAX:
            return True
        add_error(
            self.message,
            gettext(
                "The message has %(num)s characters; at most %(most)s are possible.",
                num=len(text),
                most=MESSAGE_MAX,
            ),
        )
        return False

    def mark(self, found: Sequence[tuple[Address, str]]) -> None:
        """Put an error at each field that holds one of these addresses."""
        texts = {address.identity: text for address, text in found}
        for entry, text in self.typed:
            error = texts.get(parse_address(text).identity)
            if error:
                add_error(entry, error)


def add_error(form_field: Any, text: str) -> None:
    """Add an error to a field, whatever WTForms keeps its errors in."""
    form_field.errors = [*form_field.errors, text]


def bad_address_text(text: str) -> str:
    """Say what is wrong with what was typed as one address."""
    if any(mark in text for mark in (",", ";", "<")) or text.count("@") > 1:
        return gettext("Write one address only, such as name@example.com, in each field.")
    if "@" not in text:
        return gettext("An e-mail address has an @, such as name@example.com.")
    return gettext("This is not an e-mail address that mail can be sent to.")
