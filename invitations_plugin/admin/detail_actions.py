"""What can be done with one invitation: offered only where it is legal and the right is there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from flask import request

from ..clock import now
from ..editing import day_of, is_editable
from ..i18n import format_date, gettext
from ..lifecycle import STAFF, Actor, can_reopen, is_legal, may_resend
from ..models import Invitation
from ..state import may, settings_of, store_view
from .detail_words import QUESTIONS, REOPENING
from .returning import url_of

STAFF_IN_GENERAL = Actor(STAFF)


def actions_context(row: Invitation) -> dict[str, Any]:
    """Return the buttons of an invitation, or the question that one of them leads to first."""
    possible = dict([*_ends(row), *_beginnings(row)])
    asked = next((name for name in QUESTIONS if name in request.args), "")
    if asked in possible:
        return {"actions": [], "action_hint": "", "question": _question(row, asked)}
    return {
        "action_hint": gettext(REOPENING) if "reopen" in possible else "",
        "actions": [_button(row, name, label) for name, label in possible.items()],
        "question": None,
    }


def _ends(row: Invitation) -> Iterator[tuple[str, str]]:
    """Yield what ends an invitation's life, with what its button says."""
    if not may("discard"):
        return
    if is_legal("discard", row.status, STAFF_IN_GENERAL):
        yield "discard", gettext("Discard Invitation")
    if is_legal("expire", row.status, STAFF_IN_GENERAL):
        yield "expire", gettext("Expire Now")


def _beginnings(row: Invitation) -> Iterator[tuple[str, str]]:
    """Yield what gives an invitation a longer life or another mail."""
    if not may("create"):
        return
    end = _longer_end(row)
    if end is not None:
        yield (
            "extend",
            gettext(
                "Extend until %(day)s",
                day=format_date(end, store_view(row.store_view, row.website)),
            ),
        )
    if can_reopen(row, STAFF_IN_GENERAL):
        yield "reopen", gettext("Reopen Invitation")
    if may_resend(row, STAFF_IN_GENERAL):
        was_sent = row.last_sent_at is not None
        yield "send", gettext("Resend Invitation") if was_sent else gettext("Send Invitation")


def _longer_end(row: Invitation) -> datetime | None:
    """Return until when a link can be extended, None where that would add no day."""
    view = store_view(row.store_view, row.website)
    end = now() + timedelta(days=settings_of(view).link_days)
    is_later = day_of(end, view.timezone) > day_of(row.expires_at, view.timezone)
    return end if is_editable(row) and is_later else None


def _button(row: Invitation, name: str, label: str) -> dict[str, Any]:
    asks = name in QUESTIONS
    url = url_of("detail" if asks else name, row.id)
    return {"name": name, "label": label, "asks": asks, "url": url}


def _question(row: Invitation, name: str) -> dict[str, str]:
    heading, effect = QUESTIONS[name]
    return {"heading": gettext(heading), "effect": gettext(effect), "url": url_of(name, row.id)}
