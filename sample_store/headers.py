"""Headers that every answer of the store carries."""

from __future__ import annotations

from flask import Flask, Response, request, session

POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; object-src 'none'"
)


def init_app(app: Flask) -> None:
    """Add what a page did not set for itself."""
    app.after_request(_protect)


def _protect(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    # Not no-referrer: over https Flask-WTF wants to see where a form came from.
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.endpoint != "static":
        personal = "_user_id" in session
        response.headers.setdefault("Cache-Control", "no-store" if personal else "no-cache")
    return response
