"""Signing in and out, and making an account."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from flask import (
    Blueprint,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user, login_user, logout_user
from sqlalchemy.exc import IntegrityError
from werkzeug.security import check_password_hash

from . import stores
from .access import home_of, is_local
from .addresses import fold
from .database import db
from .forms import LoginForm, RegisterForm
from .models import Account, Customer, Staff, hash_password

blueprint = Blueprint("auth", __name__)


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Sign in with an address and a password."""
    if current_user.is_authenticated:
        return redirect(_target(current_user))
    form = LoginForm()
    if not form.validate_on_submit():
        return _page("login.html", form)
    account = find_account(form.email.data, form.password.data)
    if account is None:
        return _page("login.html", form, gettext("The address or the password is not right."))
    _sign_in(account)
    return redirect(_target(account))


@blueprint.route("/register", methods=["GET", "POST"])
def register() -> ResponseReturnValue:
    """Make an account on the website that is shown."""
    if current_user.is_authenticated:
        return redirect(home_of(current_user))
    form = RegisterForm()
    if not form.validate_on_submit():
        return _page("register.html", form)
    customer = _create(form)
    if customer is None:
        return _page("register.html", form, _in_use())
    _sign_in(customer)
    flash(gettext("Welcome. Your account is ready."), "success")
    return redirect(_target(customer))


@blueprint.route("/logout", methods=["GET", "POST"])
def logout() -> ResponseReturnValue:
    """Sign out; a link alone only asks."""
    if request.method != "POST":
        return render_template("logout.html")
    logout_user()
    _start_session()
    return redirect(url_for("shop.index"))


def _page(template: str, form: LoginForm | RegisterForm, error: str = "") -> ResponseReturnValue:
    """Show a form, with 422 when it was sent and did not pass."""
    status = 422 if error or form.errors else 200
    return render_template(template, form=form, error=error, next=_next()), status


def _in_use() -> str:
    """Say no more than that it failed: the address may be somebody else's."""
    return str(
        gettext(
            "We could not make an account with these details. If you have one already, sign in."
        )
    )


def _create(form: RegisterForm) -> Customer | None:
    """Add the customer, None when the website has the address already."""
    customer = Customer(
        email=form.email.data,
        name=form.name.data,
        website_code=stores.current_view().website,
        password_hash=hash_password(form.password.data),
    )
    db.session.add(customer)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return None
    return customer


def find_account(email: str, password: str) -> Account | None:
    """Return the account with this address and password, the shown website's first.

    As many passwords are checked for an unknown address as for a known one, so that the
    time taken tells nothing.
    """
    accounts = list(_candidates(fold(email)))
    matching = [account for account in accounts if account.has_password(password)]
    for _ in range(len(stores.all_websites()) + 1 - len(accounts)):
        check_password_hash(_decoy(), password)
    return matching[0] if matching else None


def _candidates(folded: str) -> Iterator[Account]:
    if not folded:
        return
    here = stores.current_view().website
    customers = db.session.scalars(sa.select(Customer).where(Customer.email_folded == folded))
    yield from sorted(customers, key=lambda customer: customer.website_code != here)
    yield from db.session.scalars(sa.select(Staff).where(Staff.email == folded))


def _decoy() -> str:
    """Return a hash that costs what a real one costs and fits no password."""
    kept: dict[str, str] = current_app.extensions.setdefault("store_decoy", {})
    if "hash" not in kept:
        kept["hash"] = hash_password("")
    return kept["hash"]


def _sign_in(account: Account) -> None:
    _start_session()
    login_user(account)
    stores.enter(stores.current_view())


def _start_session() -> None:
    """Begin a session of its own, so that nothing planted before lives on; the view stays."""
    view = stores.current_view()
    session.clear()
    stores.enter(view)


def _next() -> str | None:
    target = request.args.get("next")
    return target if is_local(target) else None


def _target(account: Account) -> str:
    return _next() or home_of(account)
