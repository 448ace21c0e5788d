"""The store's forms."""

from __future__ import annotations

import unicodedata

from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from wtforms import EmailField, Field, Form, PasswordField, StringField
from wtforms.validators import DataRequired, Email, Length, Optional, ValidationError

from .addresses import MAX_ADDRESS
from .models import MAX_NAME

MIN_PASSWORD, MAX_PASSWORD = 8, 200


def strip(value: str | None) -> str:
    """Take away the spaces that a phone's keyboard adds."""
    return (value or "").strip()


def printable(form: Form, field: Field) -> None:
    """Refuse characters that no name or address has and that databases stumble over."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in field.data or ""):
        raise ValidationError(lazy_gettext("This holds a character that cannot be used here."))


NOT_EMPTY = DataRequired(lazy_gettext("Enter your e-mail address."))
NOT_TOO_LONG = Length(max=MAX_ADDRESS, message=lazy_gettext("This address is too long."))


class LoginForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF ships no types
    """The way in, for customers and staff alike."""

    email = EmailField(
        lazy_gettext("E-mail address"),
        filters=[strip],
        validators=[NOT_EMPTY, NOT_TOO_LONG],
    )
    password = PasswordField(
        lazy_gettext("Password"),
        validators=[
            DataRequired(lazy_gettext("Enter your password.")),
            Length(max=MAX_PASSWORD, message=lazy_gettext("This password is too long.")),
        ],
    )


class RegisterForm(FlaskForm):  # type: ignore[misc]
    """A new account."""

    name = StringField(
        lazy_gettext("Name"),
        filters=[strip],
        validators=[
            Optional(),
            Length(max=MAX_NAME, message=lazy_gettext("Use 80 characters at most.")),
            printable,
        ],
    )
    email = EmailField(
        lazy_gettext("E-mail address"),
        filters=[strip],
        validators=[
            NOT_EMPTY,
            NOT_TOO_LONG,
            Email(lazy_gettext("Enter an address like name@example.com."), allow_smtputf8=False),
        ],
    )
    password = PasswordField(
        lazy_gettext("Password"),
        description=lazy_gettext("At least 8 characters."),
        validators=[
            DataRequired(lazy_gettext("Choose a password.")),
            Length(min=MIN_PASSWORD, message=lazy_gettext("Use at least 8 characters.")),
            Length(max=MAX_PASSWORD, message=lazy_gettext("This password is too long.")),
        ],
    )
