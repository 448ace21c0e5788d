"""Addresses of pages and files as templates link to them.

A page of the back office has a score of the same few, and building one takes as long as a row.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, current_app, request, url_for

from .state import state

MOST_KEPT: Final = 100  # ways in; whoever asks under ever new names of the host gets fresh ones
KEPT: Final = "invitations.page_urls"  # in a request's environment: those of its way in


def page_url(endpoint: str, **values: Any) -> str:
    """Return what ``url_for`` does within a request, built once where only the way in matters.

    Those with values of a row are built each time, and all where the store adds to addresses.
    """
    environ = request.environ
    if KEPT not in environ:
        environ[KEPT] = None if _adds_to_addresses() else _of_way_in()
    urls = environ[KEPT]
    if urls is None or (values and not endpoint.endswith(".static")):
        return url_for(endpoint, **values)
    key = (endpoint, *values.items())
    if key not in urls:
        urls[key] = url_for(endpoint, **values)
    found: str = urls[key]
    return found


def _of_way_in() -> dict[Any, str]:
    """Return the addresses that were built for requests that came in by the same way."""
    kept = state().page_urls
    if len(kept) >= MOST_KEPT:
        kept.clear()
    return kept.setdefault((request.scheme, request.host, request.script_root), {})


def _adds_to_addresses() -> bool:
    """Return whether the store has a say in addresses, by Flask's ways for that."""
    is_flask_s = getattr(current_app.url_for, "__func__", None) is Flask.url_for
    return bool(current_app.url_default_functions) or not is_flask_s
