"""The store's database: its own declarative base, and what a first start prepares."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from invitations_plugin import configure_sqlite, upgrade

from .indexes import restore

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of the store's own models; the plugin has another."""

    metadata = sa.MetaData(naming_convention=NAMING)


db = SQLAlchemy(metadata=Base.metadata)


def init_app(app: Flask) -> None:
    """Connect the app to its database, without opening a connection yet."""
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            configure_sqlite(db.engine)


def prepare(app: Flask) -> None:
    """Bring the database to the state that this version needs; safe to repeat."""
    with app.app_context():
        _keep_private(db.engine.url)
        db.create_all()
        restore(db.engine)
    upgrade(app)


def _keep_private(url: sa.URL) -> None:
    """Create the SQLite file for its owner's eyes only; its journal inherits the mode."""
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path == ":memory:":
        return
    if not Path(path).exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
