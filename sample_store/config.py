"""The store's configuration, read from the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
TEXTS = (
    "CELERY_BROKER_URL",
    "DATABASE_URL",
    "INSTANCE_PATH",
    "INVITATIONS_BASE_URL",
    "INVITATIONS_HASH_KEY",
    "SECRET_KEY",
    "STORE_URL_MAIN",
    "STORE_URL_PRIVATE",
)
MAIL_TEXTS = ("MAIL_SERVER", "MAIL_USERNAME", "MAIL_PASSWORD", "MAIL_DEFAULT_SENDER")
LOOPBACK = "127.0.0.1"
ANYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, never bound to

DEFAULTS: dict[str, Any] = {
    "BABEL_DEFAULT_LOCALE": "en",
    "MAX_CONTENT_LENGTH": 2 * 1024 * 1024,
    "PASSWORD_METHOD": "scrypt",
    "PERMANENT_SESSION_LIFETIME": timedelta(days=14),
    "SEND_FILE_MAX_AGE_DEFAULT": timedelta(hours=1),
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_NAME": "store_session",
    "SESSION_COOKIE_SAMESITE": "Lax",
    # Connections live through a restart of the server, and logs hold no addresses.
    "SQLALCHEMY_ENGINE_OPTIONS": {"pool_pre_ping": True, "hide_parameters": True},
}


def read(environ: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole configuration; what the caller gives wins over the environment."""
    settings = DEFAULTS | _from_environment(environ) | dict(given)
    instance = Path(settings.get("INSTANCE_PATH") or ROOT / "instance").resolve()
    settings["INSTANCE_PATH"] = str(instance)
    url = settings.get("DATABASE_URL") or f"sqlite:///{instance / 'store.sqlite'}"
    settings.setdefault("SQLALCHEMY_DATABASE_URI", driver_url(url))
    settings["STORE_BASE_URL"] = settings.get("INVITATIONS_BASE_URL") or base_url(settings)
    for website in ("STORE_URL_MAIN", "STORE_URL_PRIVATE"):
        settings.setdefault(website, settings["STORE_BASE_URL"])
    settings.setdefault("SESSION_COOKIE_SECURE", settings["STORE_BASE_URL"].startswith("https:"))
    return settings


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Pick our variables; an empty one counts as absent."""
    filled = {name: value for name, value in environ.items() if value.strip()}
    settings: dict[str, Any] = {name: filled[name] for name in TEXTS if name in filled}
    settings["HOST"] = filled.get("HOST", LOOPBACK)
    settings["PORT"] = int(filled.get("PORT", "5000"))
    fallbacks = filled.get("SECRET_KEY_FALLBACKS", "").split(",")
    settings["SECRET_KEY_FALLBACKS"] = [key.strip() for key in fallbacks if key.strip()]
    return settings | _mail(filled)


def _mail(filled: Mapping[str, str]) -> dict[str, Any]:
    """Read MAIL_* as Flask reads prefixed variables; the plugin reads INVITATIONS_* itself."""
    return {
        name: value if name in MAIL_TEXTS else _json_or_text(value)
        for name, value in filled.items()
        if name.startswith("MAIL_")
    }


def _json_or_text(value: str) -> Any:
    spelled = {"True": True, "False": False}.get(value)
    if spelled is not None:
        return spelled
    try:
        return json.loads(value)
    except ValueError:
        return value


def driver_url(url: str) -> str:
    """Name the PostgreSQL driver that is installed, where a URL leaves it open."""
    parsed = sa.make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


def base_url(settings: Mapping[str, Any]) -> str:
    """Return where visitors on this machine find the store."""
    host = LOOPBACK if settings["HOST"] in ANYWHERE else settings["HOST"]
    return f"http://{f'[{host}]' if ':' in host else host}:{settings['PORT']}"


def uses_catcher(settings: Mapping[str, Any]) -> bool:
    """Return whether no mail server was named, so that mail is caught on this machine."""
    return not (settings.get("MAIL_SERVER") or settings.get("MAIL_PORT"))
