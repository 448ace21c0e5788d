"""A store that has everything but the plugin, to mount it into in one's own way."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_login import LoginManager

from invitations_plugin import FlaskLoginHost, Invitations, upgrade

from ..second_host.models import Member, db


def bare(**config: Any) -> Flask:
    """Make a store that has everything but the plugin."""
    app = Flask("tests.second_host")
    app.config.from_mapping(
        INVITATIONS_BASE_URL="https://shop.example",
        INVITATIONS_DELIVERY="none",
        SECRET_KEY="bare",
        SQLALCHEMY_DATABASE_URI="sqlite://",
        TESTING=True,
    )
    app.config.from_mapping(config)
    db.init_app(app)
    LoginManager(app).user_loader(lambda key: None)
    app.add_url_rule("/join", "join", lambda: "join")
    return app


def ready(store: FlaskLoginHost) -> Flask:
    """Make a store with the plugin and its tables."""
    app = bare()
    Invitations(app, store)
    upgrade(app)
    return app


def host(**more: Any) -> FlaskLoginHost:
    given: dict[str, Any] = {"customer": Member, "register": "join", "email": "mail"}
    given["base"] = "theme.html"
    given["blocks"] = {"content": "body", "title": "page_title"}
    return FlaskLoginHost(**given | more)
