"""The store's factory, and how it mounts the plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from flask_login import LoginManager
from flask_migrate import Migrate

from invitations_plugin import FlaskLoginHost, Invitations

from .forms import JoinForm
from .models import Member, db
from .views import api, count_visit, load_member, people

HISTORY = Path(__file__).parent / "migrations"


def create_app(config: dict[str, Any], acceptance: str = "insert") -> Flask:
    """Build the store; nothing of it knows of invitations but the mounting."""
    app = Flask("tests.second_host")
    app.config.from_mapping(
        {"MAIL_DEFAULT_SENDER": ("Corner", "corner@second.example"), "SECRET_KEY": "second"},
        SQLALCHEMY_DATABASE_URI=config["DATABASE_URL"],
    )
    app.config.from_mapping(config)
    db.init_app(app)
    Migrate(app, db, directory=str(HISTORY))
    login = LoginManager(app)
    login.login_view = "people.enter"
    login.user_loader(load_member)
    app.context_processor(count_visit)
    app.register_blueprint(people)
    app.register_blueprint(api)
    mount(app, acceptance)
    return app


def mount(app: Flask, acceptance: str) -> None:
    host = FlaskLoginHost(
        Member,
        register=("people.join", "api.members"),
        staff=Member.is_staff,
        form=JoinForm,
        email="mail",
        email_field="mail",
        base="theme.html",
        blocks={"content": "body", "title": "page_title"},
    )
    Invitations(app, host, acceptance=acceptance)
