"""The sample store with its customers, and so all of ours, on a bind of Flask-SQLAlchemy."""

from __future__ import annotations

from typing import Any

from flask import Flask

from invitations_plugin import configure_sqlite
from sample_store.database import db

from .stores import Store

BIND = "people"


class BoundStore(Store):
    """Its default database has none of our tables: whatever is asked of it fails.

    A process has one bind, so this store has processes of its own: see ``tests/test_binds.py``.
    """

    name = "bound"

    def make_app(self, config: dict[str, Any]) -> Flask:
        db.metadata.info["bind_key"] = BIND
        db.metadatas[BIND] = db.metadata
        url = config["DATABASE_URL"]
        bound = {"INVITATIONS_BIND_KEY": BIND, "SQLALCHEMY_BINDS": {BIND: url}}
        app = super().make_app(config | bound | {"DATABASE_URL": "sqlite://"})
        with app.app_context():
            configure_sqlite(db.engines[BIND])
        return app
