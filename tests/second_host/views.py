"""The store's pages, and a second door for its app."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required, login_user, logout_user
from sqlalchemy.exc import IntegrityError

from .forms import EnterForm, JoinForm
from .models import Member, Visit, db

people = Blueprint("people", __name__)
api = Blueprint("api", __name__, url_prefix="/api")


def load_member(key: str) -> Member | None:
    return db.session.get(Member, uuid.UUID(key))


def count_visit() -> dict[str, Any]:
    """Commit while a page is rendered, as visitor counters do."""
    Visit.create(path=str(request.url_rule))
    return {"shop": "The Corner", "visitor": current_user}


@people.get("/")
def home() -> ResponseReturnValue:
    return render_template("home.html")


@people.get("/me")
@login_required  # type: ignore[untyped-decorator]
def me() -> ResponseReturnValue:
    return render_template("me.html")


@people.route("/enter", methods=["GET", "POST"])
def enter() -> ResponseReturnValue:
    form = EnterForm()
    if form.validate_on_submit():
        member = db.session.scalar(sa.select(Member).where(Member.mail == form.mail.data))
        if member is not None and member.has_password(form.password.data):
            return _let_in(member)
        form.mail.errors = ["No such member."]
    return _page("enter.html", form)


@people.route("/join", methods=["GET", "POST"])
def join() -> ResponseReturnValue:
    """Make a member; the session begins anew before, and a taken name only says so."""
    form = JoinForm()
    if not form.validate_on_submit():
        return _page("join.html", form)
    session.clear()
    try:
        member = _create(form.data)
    except IntegrityError:
        db.session.rollback()
        form.username.errors = ["This name or this mail is taken."]
        return _page("join.html", form)
    return _let_in(member)


@people.post("/leave")
def leave() -> ResponseReturnValue:
    logout_user()
    return redirect(url_for("people.home"))


@api.post("/members")
def members() -> ResponseReturnValue:
    """Make a member for the store's app: no form, no page, no token."""
    try:
        member = _create(request.get_json())
    except IntegrityError:
        db.session.rollback()
        return {"error": "taken"}, 409
    return {"id": str(member.id)}, 201


def _create(values: dict[str, Any]) -> Member:
    named = {name: values[name] for name in ("mail", "username", "password")}
    member: Member = Member.create(**named)
    return member


def _let_in(member: Member) -> ResponseReturnValue:
    session.clear()
    login_user(member)
    return redirect(request.args.get("next") or url_for("people.me"))


def _page(template: str, form: EnterForm) -> ResponseReturnValue:
    return render_template(template, form=form), 422 if form.errors else 200
