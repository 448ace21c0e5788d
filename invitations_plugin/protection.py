"""What every request to our pages passes: the token of a form, the headers of an answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from .database import Busy, session
from .host import StoreView
from .i18n import speaking
from .rendering import render
from .state import host, is_ready

# What CSRFProtect.init_app would set; a store may live without it.
CSRF_DEFAULTS: dict[str, Any] = {
    "WTF_CSRF_ENABLED": True,
    "WTF_CSRF_METHODS": {"POST", "PUT", "PATCH", "DELETE"},
    "WTF_CSRF_FIELD_NAME": "csrf_token",
    "WTF_CSRF_HEADERS": ["X-CSRFToken", "X-CSRF-Token"],
    "WTF_CSRF_TIME_LIMIT": 3600,
    "WTF_CSRF_SSL_STRICT": True,
}


class _Protection(CSRFProtect):  # type: ignore[misc]  # Flask-WTF ships no types
    """Flask-WTF's check, which also knows our field's name where a store chose another."""

    def _get_csrf_token(self) -> str | None:
        return super()._get_csrf_token() or request.form.get("csrf_token")


_csrf = _Protection()


def protect(
    blueprint: Blueprint,
    folder: str,
    admit: Callable[[], Response | None],
    *,
    free: tuple[str, ...] = (),
    own: tuple[str, ...] = (),
) -> None:
    """Let every request to a blueprint pass the same doors, in the store view's language.

    :param folder: where its ``stale.html`` and ``busy.html`` are.
    :param admit: says who may come in; it answers whom it turns away.
    :param free: endpoints that take a POST from anywhere (RFC 8058's one click).
    :param own: endpoints that answer a stale token themselves, to keep what was typed;
        they ask :func:`is_stale`.
    """

    @blueprint.before_request
    def enter() -> Response | None:
        if request.endpoint == f"{blueprint.name}.static":
            return None
        g.invitations_page = True
        _speak()
        if not is_ready():
            return busy_page(folder)
        refusal = admit()
        if refusal is not None:
            return refusal
        g.invitations_stale = request.endpoint not in free and not _has_token()
        if g.invitations_stale and request.endpoint not in own:
            return _page(f"{folder}/stale.html", 400)
        return None

    @blueprint.teardown_request
    def leave(error: BaseException | None) -> None:
        g.pop("invitations_language", ExitStack()).close()

    @blueprint.errorhandler(OperationalError)
    @blueprint.errorhandler(InternalError)
    @blueprint.errorhandler(PoolTimeout)
    @blueprint.errorhandler(Busy)
    def busy(error: Exception) -> Response:
        current_app.logger.warning("The database is not available: %s", type(error).__name__)
        return busy_page(folder)


def _speak() -> None:
    """Use the language of the store view until the request is over."""
    g.inv_view = host().current_store_view()
    g.invitations_language = ExitStack()
    g.invitations_language.enter_context(speaking(g.inv_view))


def is_stale() -> bool:
    """Return whether this request's form was open for too long, or comes from elsewhere."""
    return bool(g.invitations_stale)


def busy_page(folder: str) -> Response:
    """Answer that the store is busy, and when to come back.

    The store's own template may need the database as well: then in a few plain words.
    """
    try:
        session().rollback()
        response = _page(f"{folder}/busy.html", 503)
    except Exception:
        words = "The store cannot answer just now. Please try again in a minute."
        response = Response(words, 503, mimetype="text/plain")
    response.headers["Retry-After"] = "5"
    return response


def _has_token() -> bool:
    config = current_app.config
    if not config["WTF_CSRF_ENABLED"] or request.method not in config["WTF_CSRF_METHODS"]:
        return True
    try:
        _csrf.protect()
    except CSRFError:
        return False
    return True


def _page(name: str, status: int) -> Response:
    return render(name, view=view_of_request(), status=status)


def view_of_request() -> StoreView:
    """Return the store view of this request, also where the store ended it before us."""
    found: StoreView | None = g.get("inv_view")
    return found or host().current_store_view()
