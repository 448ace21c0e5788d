"""The forms, and the validators that storefront, back office and import share."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import FieldList, HiddenField, SelectField, StringField, TextAreaField

from .addresses import Address, BadAddress, parse_address
from .i18n import format_number, gettext
from .pasted import Pasted, read_pasted
from .text import clean

MESSAGE_MAX = 1000
MOST_PASTED = 10_000
KEY_MAX = 64  # what the column holds


MOST_ROWS = 200  # of a form that somebody forged: no page offers so many
ROW = re.compile(r"emails-[0-9]{1,3}")


def _readable(form: MultiDict[str, str]) -> MultiDict[str, str]:
    """Return a posted form without the rows that no page of ours has."""
    rows = [name for name in form if name.startswith("emails")]
    kept = {name for name in rows if ROW.fullmatch(name) and int(name[7:]) < MOST_ROWS}
    return MultiDict(
        (name, value) for name, value in form.items(multi=True) if name in kept or name not in rows
    )


def cleaned(text: str | None) -> str | None:
    """Return a field's text as :func:`~invitations_plugin.text.clean` leaves it."""
    return clean(text) if text else text


def _known_key(text: str | None) -> str | None:
    """Return the form's own key; one that no page of ours gave out counts as none."""
    return text if text and len(text) <= KEY_MAX else None


class SendForm(FlaskForm):  # type: ignore[misc]
    """The customer's form: one field a friend, and a message where it is allowed."""

    # The labels are the templates'; without one, WTForms translates the field's name.
    emails = FieldList(StringField(""), "", min_entries=1)
    message = TextAreaField("", filters=[cleaned])
    submission = HiddenField("", filters=[cleaned, _known_key])

    def __init__(self, *, allow_message: bool, **kwargs: Any) -> None:
        kwargs.setdefault("formdata", _readable(request.form) if request.form else None)
        super().__init__(**kwargs)
        if not allow_message:
            del self.message
        if not self.submission.data:
            self.submission.data = secrets.token_urlsafe(16)
        self._read: list[tuple[Any, Address]] = []

    @property
    def typed(self) -> list[tuple[Any, str]]:
        """The fields somebody wrote into, with what they wrote."""
        return [(entry, entry.data.strip()) for entry in self.emails if (entry.data or "").strip()]

    def addresses(self) -> list[Address]:
        """Return the addresses in order, each once; call it on a valid form."""
        found: dict[str, Address] = {}
        for _, address in self._read:
            found.setdefault(address.identity, address)
        return list(found.values())

    def repeated(self) -> list[str]:
        """Return the addresses that were typed more than once."""
        seen = [address.identity for _, address in self._read]
        return sorted(each for each, times in Counter(seen).items() if times > 1)

    def validate(self, extra_validators: Any = None) -> bool:
        """Check every field, and put each error where its text was typed."""
        valid = bool(super().validate(extra_validators))
        if not self.typed:
            add_error(self.emails.entries[0], gettext("Enter the e-mail address of a friend."))
            return False
        self._read = []
        for entry, text in self.typed:
            try:
                self._read.append((entry, parse_address(text)))
            except BadAddress:
                add_error(entry, bad_address_text(text))
                valid = False
        return self._message_fits() and valid

    def _message_fits(self) -> bool:
        return "message" not in self or message_fits(self.message)

    def mark(self, found: Sequence[tuple[Address, str]]) -> None:
        """Put an error at each field that holds one of these addresses."""
        texts = {address.identity: text for address, text in found}
        for entry, address in self._read:
            error = texts.get(address.identity)
            if error:
                add_error(entry, error)


class AddForm(FlaskForm):  # type: ignore[misc]
    """Staff's form: many addresses at once, from which store view, into which group."""

    emails = TextAreaField("")
    message = TextAreaField("", filters=[cleaned])
    store_view = SelectField("", validate_choice=False)
    group = SelectField("", validate_choice=False)
    submission = HiddenField("")

    def __init__(
        self, store_views: Sequence[tuple[str, str]], groups: Sequence[tuple[str, str]]
    ) -> None:
        super().__init__()
        self.store_view.choices = [("", ""), *store_views]
        self.group.choices = [("", ""), *groups]
        if not self.submission.data or len(self.submission.data) > KEY_MAX:
            self.submission.data = secrets.token_urlsafe(16)
        self.pasted: list[Pasted] = []

    def validate(self, extra_validators: Any = None) -> bool:
        """Check what the whole form needs; each address is judged in the review."""
        valid = bool(super().validate(extra_validators))
        self.pasted = read_pasted(self.emails.data or "")
        if not self.pasted:
            add_error(self.emails, gettext("Enter at least one e-mail address."))
        elif len(self.pasted) > MOST_PASTED:
            add_error(
                self.emails,
                gettext(
                    "These are %(num)s addresses; at most %(most)s can be added at one time.",
                    num=format_number(len(self.pasted)),
                    most=format_number(MOST_PASTED),
                ),
            )
        for field in (self.store_view, self.group):
            if not field.data or field.data not in dict(field.choices):
                add_error(field, gettext("Choose one from the list."))
        fits = message_fits(self.message)
        return valid and fits and not any(field.errors for field in self)


def message_fits(field: Any) -> bool:
    """Return whether a message is short enough; say at its field where it is not."""
    text = field.data or ""
    if len(text) <= MESSAGE_MAX:
        return True
    add_error(
        field,
        gettext(
            "The message has %(num)s characters; at most %(most)s are possible.",
            num=len(text),
            most=MESSAGE_MAX,
        ),
    )
    return False


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
