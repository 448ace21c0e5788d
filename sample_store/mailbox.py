"""The pages of the mailbox: every mail that the store sent to its own catcher."""

from __future__ import annotations

import re
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, render_template, request

from .mails import Mail, Mailbox

PAGE = 50
# Links may open a new tab; nothing else in a mail does anything.
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
FRAME_POLICY = "; ".join(
    (
        f"sandbox {SANDBOX}",
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
NEW_TAB = '<base target="_blank">'

blueprint = Blueprint("mailbox", __name__, url_prefix="/mailbox")


@blueprint.before_request
def _only_with_catcher() -> None:
    """A store that sends real mail has no mailbox to look into."""
    if not current_app.config["MAILBOX"]:
        abort(404)


@blueprint.get("/")
def index() -> str:
    """List the mails, newest first."""
    before = request.args.get("before", "")
    names = [name for name in _mailbox().names() if not before or name < before]
    mails = [mail for name in names[:PAGE] if (mail := _mailbox().read(name))]
    older = names[PAGE - 1] if len(names) > PAGE else None
    return render_template("mailbox/index.html", mails=mails, older=older, before=before)


@blueprint.get("/<name>")
def show(name: str) -> str:
    """Show text, HTML and headers of one mail."""
    return render_template("mailbox/show.html", mail=_mail(name), sandbox=SANDBOX)


@blueprint.get("/<name>/html")
def html(name: str) -> Response:
    """Give the HTML part alone, for a frame in which it can do no harm."""
    content = _mail(name).html
    if content is None:
        abort(404)
    response = Response(_in_new_tabs(content), mimetype="text/html")
    response.headers["Content-Security-Policy"] = FRAME_POLICY
    return response


@blueprint.get("/<name>/source")
def source(name: str) -> Response:
    """Give a mail as it came in."""
    content = _mailbox().source(name)
    if content is None:
        abort(404)
    disposition = {"Content-Disposition": f'attachment; filename="{name}.eml"'}
    return Response(content, mimetype="message/rfc822", headers=disposition)


def _mailbox() -> Mailbox:
    return Mailbox(Path(current_app.instance_path) / "mailbox")


def _mail(name: str) -> Mail:
    mail = _mailbox().read(name)
    if mail is None:
        abort(404)
    return mail


def _in_new_tabs(html_part: str) -> str:
    """Make links leave the frame, which would refuse the store's own pages."""
    head = re.search(r"<head[^>]*>", html_part, re.IGNORECASE)
    at = head.end() if head else 0
    return html_part[:at] + NEW_TAB + html_part[at:]
