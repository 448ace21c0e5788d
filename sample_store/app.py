"""The store's application object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from flask_wtf import CSRFProtect

from invitations_plugin import Invitations, init_celery

from . import (
    access,
    account,
    auth,
    catcher,
    database,
    demo,
    errors,
    headers,
    keys,
    mailbox,
    navigation,
    shop,
    stores,
)
from .config import LOOPBACK, ROOT, read, uses_catcher
from .plugin_host import StoreHost

csrf = CSRFProtect()


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Build the store from the environment; ``config`` wins over it.

    :raises keys.WeakKey: when a given key can be guessed.
    """
    settings = read(os.environ, config or {})
    app = Flask(
        "sample_store",
        instance_path=settings["INSTANCE_PATH"],
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
    )
    app.config.from_mapping(settings)
    _choose_mail_server(app)
    for part in (keys, database, stores, access, errors, headers, navigation, demo, csrf):
        part.init_app(app)
    for page in (shop, auth, account, mailbox):
        app.register_blueprint(page.blueprint)
    app.register_blueprint(account.staff_blueprint)
    Invitations(app, StoreHost())
    if app.config.get("CELERY_BROKER_URL"):
        app.extensions["celery"] = init_celery(app)
    return app


def _choose_mail_server(app: Flask) -> None:
    """Send to the catcher of this instance unless a mail server was named."""
    app.config["MAILBOX"] = uses_catcher(app.config)
    if app.config["MAILBOX"]:
        port = catcher.noted_port(Path(app.instance_path))
        app.config.update(MAIL_SERVER=LOOPBACK, MAIL_PORT=port or catcher.CLOSED_PORT)
