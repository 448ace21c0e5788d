"""The mails: one function each, data in, message out."""

from __future__ import annotations

from typing import Any

from flask import current_app
from jinja2 import Environment
from jinja2.exceptions import TemplateNotFound

from .host import Sender, StoreView
from .i18n import format_date, gettext, html_lang, ngettext, speaking
from .links import INVITATION, OPT_OUT, absolute_url, sign
from .models import Invitation
from .senders import choose
from .settings import Settings
from .smtp import Message
from .state import host, state
from .text import clean_line, defang

DEFAULT_TEMPLATE = "invitation_sent"


def invitation_sent(
    row: Invitation, view: StoreView, settings: Settings, message_id: str
) -> Message:
    """Make the mail of an invitation, in the language of its own store view."""
    link = sign(row.public_id, INVITATION)
    out_link = absolute_url(
        view, "invitations_invitee.opt_out", link=sign(row.recipient_hash, OPT_OUT)
    )
    address = row.email or ""
    with speaking(view):
        context = {
            "inviter_name": defang(row.inviter_name),
            "store_name": view.store_name,
            "message": defang(row.message or ""),
            "link": absolute_url(view, "invitations_invitee.follow", link=link),
            "login_link": absolute_url(view, "invitations_invitee.sign_in", link=link),
            "opt_out_link": out_link,
            "expires": format_date(row.expires_at, view),
            "postal_address": view.postal_address,
            "privacy_url": view.privacy_url,
            "recipient": address,
            "existing": row.existing_customer,
        }
        subject, text, html = _render(settings.email_template, context)
    sender = sender_of(view, settings)
    return Message(
        subject=subject,
        recipient=address,
        sender=(sender.name, sender.email),
        reply_to=sender.reply_to,
        text=text,
        html=html,
        message_id=message_id,
        headers=_headers(out_link),
    )


def sender_of(view: StoreView, settings: Settings) -> Sender:
    """Return the configured identity of a store view, its first usable one without that.

    :raises NoSender: when mail can come from none.
    """
    return choose(host().senders(view), settings.email_sender)


def _headers(out_link: str) -> dict[str, str]:
    """RFC 8058's one-click opt-out, RFC 3834's mark of a mail that no person wrote."""
    return {
        "Auto-Submitted": "auto-generated",
        "List-Unsubscribe": f"<{out_link}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _environment() -> Environment:
    """Return the store's templates, read as ours are written whatever the store's options."""
    kept = state()
    if kept.mail_templates is None:
        kept.mail_templates = current_app.jinja_env.overlay(trim_blocks=False, lstrip_blocks=False)
    return kept.mail_templates


def _render(template: str, context: dict[str, Any]) -> tuple[str, str, str]:
    """Render subject, text and HTML; the default template where the chosen one is gone."""
    names = {"inv_t": gettext, "inv_nt": ngettext, "locale": html_lang()}
    env = _environment()
    try:
        env.get_template(f"invitations/email/{template}/body.html")
    except TemplateNotFound:
        template = DEFAULT_TEMPLATE
    subject, text, html = (
        env.get_template(f"invitations/email/{template}/{part}").render(context | names)
        for part in ("subject.txt", "body.txt", "body.html")
    )
    return clean_line(subject), text, html
