"""What one app knows of the plugin, kept in ``app.extensions["invitations"]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from flask import Flask, current_app, g
from jinja2 import Environment, Template

from .database import our_connection, session
from .host import Host, StoreView
from .models import Invitation
from .senders import usable
from .settings import Defaults, Settings, effective

if TYPE_CHECKING:
    from .celery_tasks import Bell
    from .workers import DeliveryThread

NO_TABLES: Final = "The tables of the invitations are missing: run 'flask invitations upgrade'."


@dataclass(slots=True)
class State:
    """The store, the settings' defaults and what is made once an app."""

    app: Flask
    host: Host
    defaults: Defaults
    hash_key: bytes
    acceptance: str = "insert"
    checked: bool = False
    has_tables: bool = False
    said_no_tables: bool = False
    layout: Template | None = None
    mail_templates: Environment | None = None
    row_templates: dict[Any, Template] = field(default_factory=dict)
    page_urls: dict[Any, dict[Any, str]] = field(default_factory=dict)
    thread: DeliveryThread | None = None
    bell: Bell | None = None
    ask_after: float = 0.0  # when a store that could not tell of purchases is asked again


def state_in(app: Flask, asked: str) -> State:
    """Return an app's state for a function that is called with the app, by that one's name.

    :raises RuntimeError: when the plugin is not mounted.
    """
    mounted: State | None = app.extensions.get("invitations")
    if mounted is None:
        raise RuntimeError(f"Mount Invitations into the app before {asked}(app).")
    return mounted


def state() -> State:
    """Return the current app's state."""
    found: State = current_app.extensions["invitations"]
    return found


def host() -> Host:
    """Return the current app's store."""
    return state().host


def is_ready() -> bool:
    """Return whether our tables are there, and say once in the log what to do where not.

    A shop that is deployed before its upgrade sells meanwhile, so it is asked again until they are.
    """
    mounted = state()
    if not mounted.has_tables:
        mounted.has_tables = sa.inspect(our_connection()).has_table(Invitation.__tablename__)
        if not mounted.has_tables and not mounted.said_no_tables:
            mounted.said_no_tables = True
            mounted.app.logger.error(NO_TABLES)
    return mounted.has_tables


def may(right: str) -> bool:
    """Return whether who asks has a right; the store is asked once a request for each."""
    known: dict[str, bool] = g.setdefault("invitations_rights", {})
    if right not in known:
        known[right] = host().may(right)
    return known[right]


def settings_of(view: StoreView) -> Settings:
    """Return the settings in force for a store view, the app's own before there are tables."""
    return effective(session(), view) if is_ready() else state().defaults.settings


def store_view(code: str, website: str = "") -> StoreView:
    """Return a store view by its code, where it is (still) one of this website's.

    Where the store has it no more, the website's default one; where the website is gone
    as well, or none was named, the store's.
    """
    websites = host().websites()
    views = {view.code: view for each in websites for view in each.store_views}
    own = next((each for each in websites if each.code == website), None)
    found = views.get(code)
    if own is not None and (found is None or found.website != website):
        return own.store_views[0]
    return found or websites[0].store_views[0]


def mail_domain(view: StoreView) -> str:
    """Return the domain that a store view's Message-IDs carry.

    That of its first usable sender, whichever the settings choose.
    """
    found = usable(host().senders(view))
    return found[0].email.rpartition("@")[2].lower() if found else "localhost"
