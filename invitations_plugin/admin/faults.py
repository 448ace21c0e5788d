"""The notice about mail templates that failed, which every page of the back office shows."""

from __future__ import annotations

from typing import Any

from flask import url_for

from .. import mail_shipped, mail_templates
from ..database import session
from ..state import host, may


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
