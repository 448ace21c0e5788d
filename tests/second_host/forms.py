"""The store's forms."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import DataRequired, Length


class EnterForm(FlaskForm):  # type: ignore[misc]
    mail = StringField("Mail", validators=[DataRequired()])
    password = PasswordField("Password", validators=[DataRequired()])


class JoinForm(EnterForm):
    username = StringField("Username", validators=[DataRequired(), Length(max=40)])
