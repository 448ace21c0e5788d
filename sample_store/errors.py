"""Error pages in the store's theme."""

from __future__ import annotations

import secrets

from flask import Flask, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.http import HTTP_STATUS_CODES

RETRY_AFTER = "5"


def init_app(app: Flask) -> None:
    """Answer every error with a page; the two that may strike anywhere use no database."""
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(InternalServerError, _broken)
    app.register_error_handler(OperationalError, _busy)


def _texts() -> dict[int, tuple[str, str]]:
    return {
        400: (
            gettext("That did not work"),
            gettext("Nothing was changed. Open the page again and repeat your last step."),
        ),
        403: (
            gettext("This door is not yours"),
            gettext("You are signed in, but your account may not see this page."),
        ),
        404: (
            gettext("Nothing on this shelf"),
            gettext("The page you asked for is not here. Perhaps it moved, or never was."),
        ),
        413: (
            gettext("That was too much at once"),
            gettext("Send less in one go, then it will work."),
        ),
    }


def _refused(error: HTTPException) -> ResponseReturnValue:
    """Show what went wrong; an answer that the error brings along is kept."""
    if error.response is not None:
        return error.get_response()
    code = error.code or 500
    heading, text = _texts().get(code, (HTTP_STATUS_CODES.get(code, ""), ""))
    page = render_template("errors/refused.html", code=code, heading=heading, text=text)
    return page, code, {k: v for k, v in error.get_headers() if k != "Content-Type"}


def _broken(error: InternalServerError) -> ResponseReturnValue:
    """Tell a reference and nothing else; the log has the rest under it."""
    reference = secrets.token_hex(4)
    current_app.logger.error("Error %s at %s", reference, request.endpoint)
    return render_template("errors/broken.html", reference=reference), 500


def _busy(error: OperationalError) -> ResponseReturnValue:
    current_app.logger.error("Database not available: %s", type(error.orig).__name__)
    return render_template("errors/busy.html"), 503, {"Retry-After": RETRY_AFTER}
