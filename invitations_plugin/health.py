"""The addresses that monitors ask: whether mail leaves, and the delivery's figures.

They know no session and no customer, and tell nothing of anybody.
"""

from __future__ import annotations

import hmac
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, abort, current_app, jsonify, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import MethodNotAllowed

from . import metrics, watch
from .database import session
from .smtp import describe
from .watch import Trouble
from .watch_models import Alarm

health = Blueprint("invitations_health", __name__)


@health.get("/health")
def show_health() -> Response:
    """Say whether the database can be written to and mail leaves in time; 503 where not."""
    try:
        _try_to_write()
        sight = watch.look(session())
    except SQLAlchemyError as error:
        return _down(error)
    finally:
        session().rollback()
    troubles = sight.troubles
    waits = "held" if sight.is_held else "ok" if sight.is_on else "off"
    told: dict[str, Any] = {
        "status": troubles[-1] if troubles else waits,
        "queued": sight.queued,
        "oldest_seconds": int(sight.age.total_seconds()),
        "workers": sight.workers,
    }
    return _answer(told, 503 if Trouble.LATE in troubles else 200)


def _try_to_write() -> None:
    """Ask for a change that changes nothing: a database that only reads refuses it."""
    session().execute(sa.update(Alarm).where(sa.false()).values(told_at=None))


def _down(error: SQLAlchemyError) -> Response:
    current_app.logger.warning("The database is not available: %s", describe(error))
    return _answer({"status": "down"}, 503)


def _answer(told: dict[str, Any], status: int) -> Response:
    response = jsonify(told)
    response.status_code = status
    return response


@health.get("/metrics")
def show_metrics() -> Response:
    """Tell the figures to who shows the token; 404 while the app has none."""
    token = current_app.config["INVITATIONS_METRICS_TOKEN"]
    if not token:
        abort(404)
    if not _shows(str(token)):
        refused = _text("Send the token as 'Authorization: Bearer TOKEN'.", 401)
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused
    if not metrics.is_available():
        return _text(metrics.MISSING, 501)
    try:
        content, kind = metrics.exposed(session())
    except SQLAlchemyError as error:
        return _down(error)
    finally:
        session().rollback()
    return Response(content, content_type=kind)


@health.post("/health", endpoint="refuse")
@health.post("/metrics", endpoint="refuse")
def refuse_to_change() -> Response:
    """Answer 405: the address of an invitee's link would take these names for one."""
    raise MethodNotAllowed(["GET", "HEAD", "OPTIONS"])


def _shows(token: str) -> bool:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    is_same = hmac.compare_digest(given.strip().encode(), token.encode())
    return kind.lower() == "bearer" and is_same


def _text(text: str, status: int) -> Response:
    return Response(f"{text}\n", status, mimetype="text/plain")


@health.after_request
def keep_fresh(response: Response) -> Response:
    """Keep the answers out of caches and search engines."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
