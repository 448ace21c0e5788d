"""The one object an app mounts."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from .addresses import BadAddress, parse_address
from .admin import admin
from .celery_tasks import broker_of
from .checks import check_host
from .cli import commands
from .database import keep_on_bind, let_go, session
from .health import health
from .host import Host
from .i18n import init_babel
from .logs import init_logs
from .menu import TemplateGlobal
from .migrations import guard_host_migrations
from .models import Base
from .protection import CSRF_DEFAULTS
from .registration import init_registration
from .rendering import add_headers, breakable, broken_at
from .settings import load_defaults, read_bool
from .state import State, state
from .storefront import account, invitee
from .workers import MOST_THREADS, start_delivery

# What an app decides once, apart from the settings that have a value a store view.
CONFIG: dict[str, tuple[Any, str]] = {
    "HASH_KEY": (None, "Key of the address hashes, at least 32 characters; it never changes."),
    "BASE_URL": (None, "Address of the store, for links in mail of store views without one."),
    "RETURN_PATH": (None, "Address that bounces go to; without it, the sender's own."),
    "BIND_KEY": (None, "Flask-SQLAlchemy bind that the customers, and so our tables, live on."),
    "DELIVERY": (None, "Who sends mail: thread (in this process), celery or none (a worker)."),
    "CELERY_QUEUE": (None, "Queue of Celery that our tasks go to; without it, the app's own."),
    "DELIVERY_THREADS": (1, "Connections to the mail server at a time, each a thread's."),
    "STRICT_POLICY": (False, "Strict Content-Security-Policy under the store's base too."),
    "SMTP_TIMEOUT": (30, "Seconds that one answer of the mail server may take."),
    "METRICS_TOKEN": (None, "Who shows it may read the metrics; without it nobody may."),
}
SHORTEST_KEY = 32
LONGEST_TIMEOUT = 3600  # seconds
DRIVERS = ("thread", "celery", "none")


class Invitations:
    """Customer invitations for a Flask store.

    :param account_prefix: where the customer's pages are.
    :param link_prefix: where links lead.
    :param admin_prefix: where the back office is.
    :param acceptance: ``"insert"`` accepts when the store's session inserts the customer;
        ``"call"`` when the store calls :func:`invitations_plugin.accept`.
    """

    def __init__(
        self,
        app: Flask | None = None,
        host: Host | None = None,
        *,
        account_prefix: str = "/account/invitations",
        link_prefix: str = "/invitations",
        admin_prefix: str = "/admin/invitations",
        acceptance: str = "insert",
    ) -> None:
        if acceptance not in ("insert", "call"):
            raise ValueError(f"acceptance is {acceptance!r}, but may be 'insert' or 'call'")
        self.prefixes = (account_prefix, link_prefix, admin_prefix)
        self.acceptance = acceptance
        self.host = host
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, host: Host | None = None) -> None:
        """Mount the plugin into an app that has Flask-SQLAlchemy.

        Reads ``INVITATIONS_`` followed by each name of :data:`CONFIG` and of
        :class:`~invitations_plugin.settings.Settings`, from ``app.config`` or else the
        environment, and Flask-Mail's ``MAIL_`` keys.

        :raises RuntimeError: when mounted twice, without a host, without
            Flask-SQLAlchemy, or without a good hash key.
        :raises BadSetting: when a setting holds what it does not allow.
        """
        store = host or self.host
        if "invitations" in app.extensions:
            raise RuntimeError("Invitations is mounted into this app already; mount it once.")
        if not isinstance(store, Host):
            given = "" if store is None else f", which {store!r} is not"
            raise RuntimeError(
                f"Invitations needs a host: Invitations(app, FlaskLoginHost(...)){given}."
            )
        if "sqlalchemy" not in app.extensions:
            raise RuntimeError("Invitations needs Flask-SQLAlchemy: call db.init_app(app) first.")
        _load_config(app)
        _choose_bind(app)
        app.extensions["invitations"] = State(
            app, store, load_defaults(app), _hash_key(app), acceptance=self.acceptance
        )
        init_babel(app)
        init_registration(app, store)
        self._mount_pages(app)
        app.teardown_appcontext(let_go)
        guard_host_migrations(app)
        init_logs(app.name)
        app.cli.add_command(commands)

    def _mount_pages(self, app: Flask) -> None:
        account_prefix, link_prefix, admin_prefix = self.prefixes
        app.register_blueprint(account, url_prefix=account_prefix)
        app.register_blueprint(health, url_prefix=link_prefix)
        app.register_blueprint(invitee, url_prefix=link_prefix)
        app.register_blueprint(admin, url_prefix=admin_prefix)
        app.jinja_env.globals["invitations"] = TemplateGlobal()
        app.jinja_env.filters |= {"inv_address": breakable, "inv_at": broken_at}
        app.after_request_funcs.setdefault(None, []).insert(0, add_headers)
        app.before_request_funcs.setdefault(None, []).insert(0, _at_first_request)


def _load_config(app: Flask) -> None:
    for name, (default, _) in CONFIG.items():
        key = f"INVITATIONS_{name}"
        given = app.config.get(key, os.environ.get(key, default))
        app.config[key] = read_bool(key, given) if isinstance(default, bool) else given
    for key, value in CSRF_DEFAULTS.items():
        app.config.setdefault(key, value)
    app.config["INVITATIONS_DELIVERY"] = app.config["INVITATIONS_DELIVERY"] or _who_delivers(app)
    if app.config["INVITATIONS_DELIVERY"] not in DRIVERS:
        raise RuntimeError("INVITATIONS_DELIVERY may be 'thread', 'celery' or 'none'.")
    app.config["INVITATIONS_DELIVERY_THREADS"] = _read_threads(app)
    app.config["INVITATIONS_SMTP_TIMEOUT"] = _read_seconds(app, "INVITATIONS_SMTP_TIMEOUT")
    app.config["INVITATIONS_RETURN_PATH"] = _read_address(app, "INVITATIONS_RETURN_PATH")


def _who_delivers(app: Flask) -> str:
    """Return who sends mail where nobody said: a store with a broker has Celery for it."""
    return "celery" if broker_of(app) else "thread"


def _read_threads(app: Flask) -> int:
    given = app.config["INVITATIONS_DELIVERY_THREADS"]
    if str(given).isdecimal() and 1 <= int(given) <= MOST_THREADS:
        return int(given)
    raise RuntimeError(
        f"INVITATIONS_DELIVERY_THREADS is {given!r}, but must be a number from 1 to {MOST_THREADS}."
    )


def _read_seconds(app: Flask, key: str) -> float:
    given = app.config[key]
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    if isinstance(given, bool) or not 0 < seconds <= LONGEST_TIMEOUT:
        raise RuntimeError(
            f"{key} is {given!r}, but must be a number of seconds above 0 and up to"
            f" {LONGEST_TIMEOUT}."
        )
    return seconds


def _read_address(app: Flask, key: str) -> str | None:
    given = app.config[key]
    try:
        return parse_address(str(given)).delivery if given else None
    except BadAddress:
        raise RuntimeError(
            f"{key} is {given!r}, but must be one bare address, such as bounces@example.com."
        ) from None


def _hash_key(app: Flask) -> bytes:
    """Return the key of the address hashes; outside debug and tests a weak one is refused."""
    given = app.config["INVITATIONS_HASH_KEY"] or ""
    if not isinstance(given, (str, bytes)):
        kind = type(given).__name__
        raise RuntimeError(f"INVITATIONS_HASH_KEY must be a text or bytes, but is of type {kind}.")
    key = given.encode() if isinstance(given, str) else given
    if len(given) >= SHORTEST_KEY:
        return key
    if app.debug or app.testing:
        return f"{app.secret_key!r}:".encode() + key
    raise RuntimeError(
        "Set INVITATIONS_HASH_KEY to 32 random characters or more and never change it: it"
        " keeps addresses unique after they are purged. One is made by"
        " python -c 'import secrets; print(secrets.token_urlsafe(32))'"
    )


def _choose_bind(app: Flask) -> None:
    """Use the bind of the customers; one a process, for the tables are one."""
    key = app.config["INVITATIONS_BIND_KEY"] = app.config["INVITATIONS_BIND_KEY"] or None
    with app.app_context():
        binds = app.extensions["sqlalchemy"].engines
    if key not in binds:
        known = ", ".join(sorted(repr(each) for each in binds if each is not None)) or "none"
        raise RuntimeError(
            f"INVITATIONS_BIND_KEY is {key!r}, but SQLALCHEMY_BINDS has no such bind: {known}."
        )
    info = Base.metadata.info
    if info.setdefault("bind_key", key) != key:
        raise RuntimeError(
            f"Another app in this process uses INVITATIONS_BIND_KEY {info['bind_key']!r}."
        )
    if key is not None:
        keep_on_bind(app.extensions["sqlalchemy"].session)


def _at_first_request() -> None:
    """Check what a host may set up after us, and start the delivery in this process."""
    mounted = state()
    if not mounted.checked:
        _take_over_csrf(mounted.app)
        try:
            check_host(mounted.app)
            mounted.checked = True
        except SQLAlchemyError:  # a hook asked a database that is away: the next request asks again
            session().rollback()
    start_delivery(mounted.app)


def _take_over_csrf(app: Flask) -> None:
    """Check our forms' tokens ourselves: the same check, and nothing typed is lost."""
    csrf = app.extensions.get("csrf")
    if csrf is not None:
        for blueprint in (account, health, invitee, admin):
            csrf.exempt(blueprint)
