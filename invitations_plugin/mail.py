"""The mails: one function each, data in, message out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from jinja2.exceptions import TemplateNotFound

from . import mail_shipped, mail_templates, notices
from .clock import now
from .database import session
from .host import Sender, StoreView
from .i18n import (
    format_date,
    format_datetime,
    gettext,
    html_lang,
    in_language,
    language,
    locale,
    n_,
    speaking,
)
from .links import INVITATION as INVITATION_LINK
from .links import OPT_OUT, absolute_url, sign
from .mail_kinds import INVITATION, Kind
from .mail_rules import Content, write
from .models import Invitation
from .senders import choose
from .settings import Settings
from .smtp import Message
from .state import host
from .text import clean_line, defang

log = logging.getLogger(__name__)

EXAMPLE_LINK = "example"  # signed by nobody: it leads to the page of dead links
Facts = Callable[[], dict[str, Any]]
# Friends that a template is looked at with, and what is special about each.
EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "new": (n_("A friend without an account"), {}),
    "existing": (n_("A friend who has an account"), {"existing_customer": True}),
    "silent": (n_("Without a message"), {"message": None}),
    "store": (n_("From the store itself"), {"inviter_name": "", "message": None}),
    "long": (
        n_("Long names and a long message"),
        {
            "inviter_name": "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh " * 2,
            "email": f"{'a.rather.long.name' * 3}@{'department.' * 5}example.com",
            "message": ("It is a shop that I like. " * 40)[:1000],
        },
    ),
}


def template_choices(kind: Kind = INVITATION) -> list[tuple[str, str]]:
    """Return code and name of every template of a kind: shipped ones, then those of staff."""
    shipped = {code: mail_shipped.label(code, kind) for code in mail_shipped.folders(kind)}
    written = {each.code: each.name for each in mail_templates.listed(session(), kind)}
    return list((shipped | written).items())  # of a code that both have, staff's is used


def invitation_sent(
    row: Invitation, view: StoreView, settings: Settings, message_id: str
) -> Message:
    """Make the mail of an invitation, in the language of its own store view."""
    link = sign(row.public_id, INVITATION_LINK)
    out_link = _opt_out_link(view, sign(row.recipient_hash, OPT_OUT))
    with speaking(view):
        content = _by_template(
            INVITATION, settings.email_template, lambda: _invitation(row, view, link, out_link)
        )
    return _message(content, row.email or "", view, settings, message_id, _one_click(out_link))


def staff_notice(
    payload: Mapping[str, Any], recipient: str, view: StoreView, settings: Settings, message_id: str
) -> Message:
    """Make the mail of a notice to staff, in the language of a store view.

    Where the store's own template of it fails, ours is used: a notice raises no other.

    :param payload: as :func:`~invitations_plugin.notices.notify` kept it.
    """
    event = payload["event"]
    with speaking(view):
        variables = _notice(event, payload["facts"], view)
        try:
            content = mail_shipped.render(event, variables)
        except Exception:
            log.exception("The store's own template of the notice %r failed", event)
            content = mail_shipped.render_ours(event, variables)
    return _message(content, recipient, view, settings, message_id, {})


def delivery_test(recipient: str, view: StoreView, settings: Settings, message_id: str) -> Message:
    """Make a mail that says nothing but that it left."""
    payload = {"event": "delivery_tested", "facts": {}}
    return staff_notice(payload, recipient, view, settings, message_id)


def _notice(event: str, kept: Mapping[str, Any], view: StoreView) -> dict[str, Any]:
    """Return the variables of a notice, in the current language."""
    about = notices.EVENTS[event]
    arguments = {name: kept[fact] for name, fact in about.arguments.items()}
    return {
        **{name: _shown(fact, view) for name, fact in kept.items()},
        "store_name": view.store_name,
        "page": absolute_url(view, about.page, **arguments),
        "locale": html_lang(),
    }


def _shown(fact: Any, view: StoreView) -> str | int:
    """Return a fact as a mail shows it: what a server or a customer said makes no link."""
    if isinstance(fact, dict):
        return format_datetime(datetime.fromisoformat(fact["at"]), view)
    return fact if isinstance(fact, int) else defang(fact)


def example_variables(view: StoreView, example: str) -> dict[str, Any]:
    """Return what a mail to one of :data:`EXAMPLES` would show, in the current language."""
    known = {
        "inviter_name": "Veronica Costello",
        "message": gettext("I like this shop, and I think you will, too."),
        "email": "anna@example.com",
        "expires_at": now() + timedelta(days=30),
        "existing_customer": False,
    }
    row = Invitation(**known | EXAMPLES[example][1])
    return _invitation(row, view, EXAMPLE_LINK, _opt_out_link(view, EXAMPLE_LINK))


def example_message(
    content: Content, recipient: str, view: StoreView, settings: Settings, message_id: str
) -> Message:
    """Make a mail for a look at it: its links are examples, and it invites nobody."""
    return _message(content, recipient, view, settings, message_id, {})


def _message(
    content: Content,
    recipient: str,
    view: StoreView,
    settings: Settings,
    message_id: str,
    headers: dict[str, str],
) -> Message:
    sender = sender_of(view, settings)
    return Message(
        subject=clean_line(content.subject),
        recipient=recipient,
        sender=(sender.name, sender.email),
        reply_to=sender.reply_to,
        text=content.text,
        html=content.html,
        message_id=message_id,
        headers={"Auto-Submitted": "auto-generated"} | headers,  # RFC 3834: no person wrote it
    )


def _invitation(row: Invitation, view: StoreView, link: str, out_link: str) -> dict[str, Any]:
    """Return the variables of :data:`INVITATION`, in the current language."""
    return {
        "inviter_name": defang(row.inviter_name),
        "store_name": view.store_name,
        "message": defang(row.message or ""),
        "link": absolute_url(view, "invitations_invitee.follow", link=link),
        "login_link": absolute_url(view, "invitations_invitee.sign_in", link=link),
        "opt_out_link": out_link,
        "expires": format_date(row.expires_at, view),
        "postal_address": view.postal_address,
        "privacy_url": view.privacy_url,
        "recipient": row.email or "",
        "existing": row.existing_customer,
        "locale": html_lang(),
    }


def _opt_out_link(view: StoreView, out: str) -> str:
    return absolute_url(view, "invitations_invitee.opt_out", link=out)


def sender_of(view: StoreView, settings: Settings) -> Sender:
    """Return the configured identity of a store view, its first usable one without that.

    :raises NoSender: when mail can come from none.
    """
    return choose(host().senders(view), settings.email_sender)


def _one_click(out_link: str) -> dict[str, str]:
    """RFC 8058's one-click opt-out."""
    return {
        "List-Unsubscribe": f"<{out_link}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _by_template(kind: Kind, code: str, facts: Facts) -> Content:
    """Write a mail by a template; by the default where that is gone or fails.

    A failure is told to staff and stops no mail: see :mod:`mail_templates`.
    """
    written = mail_templates.find(session(), code)
    variables = facts()
    if written is not None:
        made = _tried(code, written.number, lambda: write_in(written, kind, facts))
        if made is not None:
            return made
    for name in dict.fromkeys((kind.default,) if written is not None else (code, kind.default)):
        made = _tried(name, 0, partial(mail_shipped.render, name, variables))
        if made is not None:
            return made
    return mail_shipped.render_ours(kind.default, variables)


def write_in(written: mail_templates.Written, kind: Kind, facts: Facts) -> Content:
    """Write a mail by a template of staff, in the language that serves the current one.

    :raises Exception: when the template fails with these facts.
    """
    wanted = language(locale())
    found, content = written.content(wanted)
    # The locale may be a variant of the language, with dates of its own.
    with nullcontext() if found == wanted else in_language(found):
        return write(content, kind, facts())


def _tried(code: str, number: int, make: Callable[[], Content]) -> Content | None:
    """Return what a template makes, None where it is gone, or fails and staff are told."""
    try:
        return make()
    except Exception as error:
        is_gone = isinstance(error, TemplateNotFound) and mail_shipped.is_of(str(error.name), code)
        if not is_gone:
            _tell(code, number, error)
    return None


def _tell(code: str, number: int, error: Exception) -> None:
    said = clean_line(f"{type(error).__name__}: {error}")
    if mail_templates.note_fault(session(), code, number, said):
        log.error("The mail template %r failed, so the default is used: %s", code, said)
    # Also where it is no news: while it lasts, it is said again after a day.
    notices.notify(session(), "template_failed", code=code, number=number, error=said[:255])
