"""The forms, and the validators that storefront, back office and import share."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import FieldList, HiddenField, SelectField, StringField, TextAreaField

from .addresses import Address, BadAddress, parse_address
from .digits import whole_number
from .editing import MOST_DAYS, BadEnd, read_end
from .i18n import format_number, gettext, ngettext
from .pasted import Pasted, Typed, find_typed, read_pasted
from .text import clean

MESSAGE_MAX = 1000
MOST_PASTED = 10_000
KEY_MAX = 64  # what the column holds
# What staff may edit: the fields' names, and the columns behind them.
COLUMNS = {"message": "message", "group": "group_code", "expires": "expires_at"}
EDITED = tuple(COLUMNS)


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
        """Return the addresses in order, each once, without what is none; validate first."""
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
        """Put an error at each field that holds one of these addresses and has none yet."""
        texts = {address.identity: text for address, text in found}
        for entry, address in self._read:
            error = texts.get(address.identity)
            if error and not entry.errors:
                add_error(entry, error)


class AddForm(FlaskForm):  # type: ignore[misc]
    """Staff's form: many addresses at once, from which store view, into which group."""

    emails = TextAreaField("", filters=[cleaned])
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
        self._read(find_typed(self.emails.data or ""))
        for field in (self.store_view, self.group):
            if not field.data or field.data not in dict(field.choices):
                add_error(field, gettext("Choose one from the list."))
        fits = message_fits(self.message)
        return valid and fits and not any(field.errors for field in self)

    def _read(self, typed: Sequence[Typed]) -> None:
        """Judge what was pasted, unless it is nothing or more than one form may have."""
        if not typed:
            add_error(self.emails, gettext("Enter at least one e-mail address."))
        elif len(typed) > MOST_PASTED:
            add_error(
                self.emails,
                gettext(
                    "These are %(num)s addresses; at most %(most)s can be added at one time.",
                    num=format_number(len(typed)),
                    most=format_number(MOST_PASTED),
                ),
            )
        else:
            self.pasted = read_pasted(typed)


class EditForm(FlaskForm):  # type: ignore[misc]
    """Staff's form of one invitation: what may be changed, and over what it is written.

    ``version`` is the row's, ``seen`` the newest line of history that the page showed, and
    ``was_...`` what stood in a field then: so a field that nobody touched overwrites nothing.
    """

    message = TextAreaField("", filters=[cleaned])
    group = SelectField("", validate_choice=False)
    expires = StringField("", filters=[cleaned])
    version = HiddenField("", filters=[cleaned])
    seen = HiddenField("", filters=[cleaned])
    was_message = HiddenField("", filters=[cleaned])
    was_group = HiddenField("", filters=[cleaned])
    was_expires = HiddenField("", filters=[cleaned])

    def __init__(
        self, known: Mapping[str, str], groups: Sequence[tuple[str, str]], timezone: str
    ) -> None:
        """Fill in what is ``known`` of version, seen, message, group and expires."""
        before = {f"was_{name}": known[name] for name in EDITED}
        super().__init__(data={**known, **before})
        is_gone = known["group"] not in dict(groups)
        self.group.choices = [*groups, *([(known["group"],) * 2] if is_gone else [])]
        self.groups, self.timezone = dict(groups), timezone
        self.ends_at: datetime | None = None
        if self.is_submitted() and not self.version.raw_data:
            self.version.data = ""  # a form that is none of ours: it saw nothing
        if self.version.data == known["version"]:
            self._take_as_before(known)

    def _take_as_before(self, known: Mapping[str, str]) -> None:
        for name in EDITED:
            self[f"was_{name}"].data = cleaned(known[name])

    def rest_on(self, known: Mapping[str, str]) -> None:
        """Write over what is saved now; a field that nobody touched takes it."""
        for name in set(EDITED) - set(self.touched):
            self[name].data = known[name]
        self.version.data, self.seen.data = known["version"], known["seen"]
        self._take_as_before(known)

    @property
    def touched(self) -> list[str]:
        """The names of the fields that somebody changed."""
        pairs = [(name, self[name].data or "", self[f"was_{name}"].data or "") for name in EDITED]
        return [name for name, typed, before in pairs if typed != before]

    def overwritten(self, known: Mapping[str, str]) -> list[str]:
        """Return the touched fields in which something else is saved now than when it was shown."""
        saved = {name: known[name] for name in self.touched}
        was = {name: self[f"was_{name}"].data or "" for name in saved}
        return [name for name in saved if saved[name] not in (was[name], self[name].data or "")]

    @property
    def version_seen(self) -> int:
        """The version of the row that the page showed, -1 where none was posted."""
        return _seen(self.version.data)

    @property
    def seen_id(self) -> int:
        """The newest line of history that the page showed; all is news where none was posted."""
        return _seen(self.seen.data)

    def changes(self) -> dict[str, Any]:
        """Return the new values by column; call it on a valid form."""
        values = {
            "message": self.message.data or None,
            "group": self.group.data,
            "expires": self.ends_at,
        }
        return {COLUMNS[name]: values[name] for name in self.touched}

    def validate(self, extra_validators: Any = None) -> bool:
        """Check what was changed; what stays as it was may be older than today's rules."""
        valid = bool(super().validate(extra_validators)) and message_fits(self.message)
        if "group" in self.touched and self.group.data not in self.groups:
            add_error(self.group, gettext("Choose one from the list."))
        self.ends_at = self._read_end() if "expires" in self.touched else None
        return valid and not any(field.errors for field in self)

    def _read_end(self) -> datetime | None:
        try:
            return read_end(self.expires.data or "", self.timezone)
        except BadEnd as error:
            add_error(self.expires, bad_end_text(error))
            return None


def _seen(text: str | None) -> int:
    number = whole_number(text)
    return -1 if number is None else number


def bad_end_text(error: BadEnd) -> str:
    """Say which last day a link may have."""
    return {
        "date": gettext("Enter a date such as 2026-11-30."),
        "past": gettext("This day is over: the link can end today or later."),
        "far": ngettext(
            "At most %(num)s day from now is possible.",
            "At most %(num)s days from now are possible.",
            MOST_DAYS,
        ),
    }[str(error)]


def message_fits(field: Any) -> bool:
    """Return whether a message is short enough; say at its field where it is not."""
    error = long_message_text(field.data or "")
    if error:
        add_error(field, error)
    return not error


def long_message_text(text: str) -> str:
    """Say that a message is too long, "" where it is not."""
    if len(text) <= MESSAGE_MAX:
        return ""
    return gettext(
        "The message has %(num)s characters; at most %(most)s are possible.",
        num=len(text),
        most=MESSAGE_MAX,
    )


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
