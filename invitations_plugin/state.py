"""What one app knows of the plugin, kept in ``app.extensions["invitations"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask, current_app
from jinja2 import Environment, Template

from .database import session
from .host import Host, StoreView
from .settings import Defaults, Settings, effective

if TYPE_CHECKING:
    from .workers import DeliveryThread


@dataclass(slots=True)
class State:
    """The store, the settings' defaults and what is made once an app."""

    app: Flask
    host: Host
    defaults: Defaults
    hash_key: bytes
    acceptance: str = "insert"
    checked: bool = False
    layout: Template | None = None
    mail_templates: Environment | None = None
    thread: DeliveryThread | None = None


def state() -> State:
    """Return the current app's state."""
    found: State = current_app.extensions["invitations"]
    return found


def host() -> Host:
    """Return the current app's store."""
    return state().host


def settings_of(view: StoreView) -> Settings:
    """Return the settings in force for a store view."""
    return effective(session(), view)


def store_view(code: str) -> StoreView:
    """Return a store view by its code; the default one where the store has it no more."""
    websites = host().websites()
    views = {view.code: view for website in websites for view in website.store_views}
    return views.get(code) or websites[0].store_views[0]


def mail_domain(view: StoreView) -> str:
    """Return the domain that a store view's Message-IDs carry: the one it writes from."""
    return host().senders(view)[0].email.rpartition("@")[2] or "localhost"
