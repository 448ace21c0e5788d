"""Who may see a page, and where to go after signing in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask import Flask, abort, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext
from flask_login import LoginManager, current_user
from sqlalchemy.orm import joinedload

from .database import db
from .models import Account, Customer, Staff

P = ParamSpec("P")
A = TypeVar("A", bound=Account)
NUMBER: Any = sa.bindparam("number")
# Every page of an account asks: put together once, with all that it needs.
FIND: dict[str, Any] = {
    "customer": sa.select(Customer).where(Customer.id == NUMBER),
    "staff": sa.select(Staff).where(Staff.id == NUMBER).options(joinedload(Staff.limits)),
}

login_manager = LoginManager()


def init_app(app: Flask) -> None:
    """Let Flask-Login find the store's accounts."""
    login_manager.init_app(app)
    login_manager.login_view = "auth.login"
    login_manager.login_message = lazy_gettext("Please sign in to go on.")
    login_manager.session_protection = "basic"
    login_manager.user_loader(_load)


def _load(session_name: str) -> Account | None:
    kind, _, number = session_name.partition(":")
    if kind not in FIND or not number.isdecimal():
        return None
    account: Account | None = (
        db.session.scalars(FIND[kind], {"number": int(number)}).unique().first()
    )
    return account


def _signed_in(kind: type[A]) -> A:
    """Return the signed-in account, or answer for the view: sign in first, or not allowed."""
    user = current_user._get_current_object()
    if not user.is_authenticated:
        abort(login_manager.unauthorized())
    if not isinstance(user, kind):
        abort(403)
    return user


def _only(
    kind: type[A],
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    def decorate(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            _signed_in(kind)
            return view(*args, **kwargs)

        return checked

    return decorate


customers_only = _only(Customer)
staff_only = _only(Staff)


def this_customer() -> Customer:
    """Return the signed-in customer."""
    return _signed_in(Customer)


def home_of(account: Account) -> str:
    """Return where an account arrives after signing in."""
    return url_for("staff.index" if isinstance(account, Staff) else "account.index")


def is_local(target: str | None) -> bool:
    """Return whether an address stays in the store, however a browser reads it."""
    if not target or not target.startswith("/") or not target.isprintable() or "\\" in target:
        return False
    parts = urlsplit(target)
    return not target.startswith("//") and not parts.scheme and not parts.netloc
