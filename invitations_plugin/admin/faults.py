"""What every page of the back office shows: what is wrong with mail, or that it is held."""

from __future__ import annotations

from typing import Any

from flask import request, url_for

from .. import alarms, holding, mail_shipped, mail_templates
from ..database import session
from ..i18n import n_
from ..state import host, may
from ..watch import Trouble

STANDING = {
    Trouble.LATE: n_("Mail waits for too long, since %(since)s."),
    Trouble.REFUSED: n_("The mail server refuses mail, since %(since)s."),
}


def faults() -> list[dict[str, Any]]:
    """Return the templates that failed, for whom may mend them."""
    if not (host().is_staff() and may("configure")):
        return []
    return [
        {
            "name": each.name or mail_shipped.label(each.code),
            "error": each.error,
            "at": each.at,
            "url": url_for("invitations_admin.template", code=each.code),
            "mended_url": None
            if each.name
            else url_for("invitations_admin.template_mended", code=each.code),
        }
        for each in mail_templates.faults(session())
    ]


def is_held() -> bool:
    """Return whether all mail is held, for whom may look at the invitations."""
    return host().is_staff() and may("view") and holding.is_held()


def troubles() -> list[dict[str, Any]]:
    """Return what keeps mail from leaving, for whom may look after the delivery.

    They are told by mail as well, which then leaves as badly as any other. The page of the
    delivery says more, and of this moment.
    """
    is_said = request.endpoint == "invitations_admin.delivery"
    if is_said or not (host().is_staff() and may("deliver")):
        return []
    return [
        {"text": STANDING[Trouble(each.name)], "since": each.since}
        for each in alarms.standing(session())
    ]
