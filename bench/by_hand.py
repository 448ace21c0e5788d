"""The peer: the shortest Flask view that does the same, in an app with nothing else in it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any, cast

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from flask import Blueprint, Flask, current_app, flash, redirect, render_template_string, request
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user, login_required, login_user
from flask_mail import Mail, Message
from flask_wtf import CSRFProtect
from sqlalchemy.exc import IntegrityError

from invitations_plugin.clock import now
from invitations_plugin.models import History, Invitation, Outbox
from sample_store import database
from sample_store.config import DEFAULTS
from sample_store.database import db
from sample_store.models import Customer

INVITATION, HISTORY, OUTBOX = (
    cast(sa.Table, model.__table__) for model in (Invitation, History, Outbox)
)
FORM = """<form method="post"><input type="hidden" name="csrf_token" value="{{ csrf_token() }}">
{% for n in range(5) %}<input type="email" name="emails-{{ n }}">{% endfor %}<button>Send</button>
</form>"""
TEXT = """Hello,

{{ name }} invites you to the store. Create your account here:
{{ link }}

You get this mail because {{ name }} gave us your address.
"""
HTML = """<!doctype html><html lang="en"><title>You are invited</title><body>
<h1>Hello</h1><p>{{ name }} invites you to the store.</p>
<p><a href="{{ link }}">Create your account</a></p>
<p>You get this mail because {{ name }} gave us your address.</p></body></html>
"""

pages = Blueprint("pages", __name__)
login_manager, csrf, mail = LoginManager(), CSRFProtect(), Mail()


def create_app(url: str, mail_port: int | None = None) -> Flask:
    """Build the app; with a mail server it sends inline, without one it fills an outbox."""
    app = Flask("by_hand")
    app.config.update(
        SECRET_KEY=secrets.token_hex(),
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=DEFAULTS["SQLALCHEMY_ENGINE_OPTIONS"],
        MAIL_SERVER="127.0.0.1",
        MAIL_PORT=mail_port,
        MAIL_DEFAULT_SENDER="store@example.com",
        INLINE=mail_port is not None,
    )
    for part in (database, login_manager, csrf, mail):
        part.init_app(app)
    app.register_blueprint(pages)
    return app


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _load(key: str) -> Customer | None:
    return db.session.get(Customer, int(key.rpartition(":")[2]))


@pages.get("/sign-in/<int:number>")
def sign_in(number: int) -> ResponseReturnValue:
    """Sign a customer in, as no real store would."""
    login_user(db.get_or_404(Customer, number))
    return "", 204


@pages.get("/send")
@login_required  # type: ignore[untyped-decorator]
def form() -> ResponseReturnValue:
    return render_template_string(FORM)


@pages.post("/send")
@login_required  # type: ignore[untyped-decorator]
def send() -> ResponseReturnValue:
    typed = [text for name, text in request.form.items() if name.startswith("emails-")]
    try:
        emails = [validate_email(text, check_deliverability=False).normalized for text in typed]
        links = _insert(emails)
    except EmailNotValidError as error:
        return str(error), 422
    except IntegrityError:
        db.session.rollback()
        return "You invited one of them before.", 409
    for email, link in links if current_app.config["INLINE"] else ():
        _mail(email, link)
    flash(f"You sent {len(emails)} invitations.")
    return redirect("/")


def _insert(emails: list[str]) -> list[tuple[str, str]]:
    """Write the rows that the plugin writes; an inline sender has no outbox."""
    rows = [_row(email) for email in emails]
    ids = db.session.scalars(sa.insert(INVITATION).returning(INVITATION.c.id), rows).all()
    db.session.execute(sa.insert(HISTORY), [_history(each) for each in ids])
    if not current_app.config["INLINE"]:
        db.session.execute(sa.insert(OUTBOX), [_outgoing(each) for each in ids])
    db.session.commit()
    return [(row["email"], f"http://127.0.0.1/invitations/{row['public_id']}") for row in rows]


def _row(email: str) -> dict[str, Any]:
    folded = hmac.new(b"key", email.lower().encode(), hashlib.sha256).hexdigest()
    return {
        "public_id": secrets.token_urlsafe(16),
        "website": "main",
        "store_view": "en",
        "inviter_key": current_user.get_id(),
        "inviter_email": current_user.email,
        "inviter_name": current_user.name,
        "email": email,
        "email_hash": folded,
        "recipient_hash": folded,
        "group_code": current_user.group_code,
        "submission": request.form["submission"],
        "expires_at": now() + timedelta(days=30),
    }


def _history(number: int) -> dict[str, Any]:
    return {
        "invitation_id": number,
        "actor_kind": "sender",
        "actor_key": current_user.get_id(),
        "actor_name": current_user.name,
        "action": "create",
        "to_status": "not_sent",
    }


def _outgoing(number: int) -> dict[str, Any]:
    return {"invitation_id": number, "message_id": f"<{secrets.token_hex(16)}@example.com>"}


def _mail(email: str, link: str) -> None:
    """Send one mail on a connection of its own, as libraries that send inline do."""
    words = {"name": current_user.name, "link": link}
    message = Message("You are invited", [email])
    message.body = render_template_string(TEXT, **words)
    message.html = render_template_string(HTML, **words)
    mail.send(message)
