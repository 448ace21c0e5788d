"""Addresses that the theme builds on every page."""

from __future__ import annotations

from flask import Flask, request, url_for
from flask_babel import get_locale
from flask_login import current_user

from .models import Customer, Staff


def init_app(app: Flask) -> None:
    """Give the theme its helpers; each is a function, so a mail's template costs nothing."""
    app.jinja_env.globals.update(
        is_customer=lambda: isinstance(_user(), Customer),
        is_staff=lambda: isinstance(_user(), Staff),
        page_language=lambda: str(get_locale() or "en"),
        switch_url=switch_url,
        user_name=lambda: _user().name or _user().email,
    )


def _user() -> Customer | Staff:
    user: Customer | Staff = current_user._get_current_object()
    return user


def switch_url(code: str) -> str:
    """Return this page in another store view, or the shop front if it cannot be fetched.

    The shop front, too, for an address that holds a link: no page repeats one.
    """
    is_link = "link" in (request.view_args or {})
    if request.method != "GET" or request.endpoint is None or is_link:
        return url_for("shop.index", store=code)
    target = request.args.get("next")
    return url_for(request.endpoint, **(request.view_args or {}), store=code, next=target)
