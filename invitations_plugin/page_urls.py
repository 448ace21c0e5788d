"""Addresses of pages and files as templates link to them.

A page of the back office has a score of the same few, and building one takes as long as a row.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, current_app, request, url_for

from .state import state

MOST_KEPT: Final = 1_000  # whoever asks under ever new names of the host gets fresh ones


def page_url(endpoint: str, **values: Any) -> str:
    """Return what ``url_for`` does within a request, built once where only the way in matters.

    Those with values of a row are built each time, and all where the store adds to addresses.
    """
    is_same = not values or endpoint.endswith(".static")
    if not is_same or _adds_to_addresses():
        return url_for(endpoint, **values)
    kept = state().page_urls
    key = (request.scheme, request.host, request.script_root, endpoint, *values.items())
    if key not in kept:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[key] = url_for(endpoint, **values)
    return kept[key]


def _adds_to_addresses() -> bool:
    """Return whether the store has a say in addresses, by Flask's ways for that."""
    is_flask_s = getattr(current_app.url_for, "__func__", None) is Flask.url_for
    return bool(current_app.url_default_functions) or not is_flask_s
