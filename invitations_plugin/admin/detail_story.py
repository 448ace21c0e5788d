"""What happened to one invitation, as its page tells it: history, tries of its mail, relatives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import url_for

from ..grid import EXACTLY
from ..host import StoreView
from ..i18n import gettext
from ..models import History, Invitation, MailState, Outbox, OutboxState
from ..story import Some, Story
from . import words
from .detail_words import TRIES, entry_lines, entry_text, move_text, status_text
from .pages import Names
from .returning import url_of


def story_context(row: Invitation, story: Story, called: Names, view: StoreView) -> dict[str, Any]:
    """Return what the page tells beside the facts; ``view`` is the invitation's own."""
    history = [each for each in story.history.rows if _is_of_history(each)]
    return {
        "mail": _mail(row, story),
        "history": entries(history, called, view),
        "has_more_history": story.history.has_more,
        "same_address": _related(story.same_address, called, "invitee", row.email),
        "same_inviter": _related(story.same_inviter, called, "email", row.inviter_email),
    }


def entries(rows: Sequence[History], called: Names, view: StoreView) -> list[dict[str, Any]]:
    """Return lines of history as the page shows them."""
    return [
        {
            "at": each.at,
            "actor": words.actor_text(each),
            "text": entry_text(each),
            "move": move_text(each),
            "lines": entry_lines(each, view, called.groups),
        }
        for each in rows
    ]


def _is_of_history(entry: History) -> bool:
    """Return whether a line tells more than how a try of the mail ended."""
    return entry.action not in TRIES or bool(move_text(entry))


def _mail(row: Invitation, story: Story) -> dict[str, Any]:
    """Return how far the mail got: the state, the mail that waits, each try."""
    tries = [each for each in story.history.rows if each.action in TRIES]
    ids = [each.message_id for each in tries if each.message_id]
    waiting = story.waiting
    return {
        "state": row.mail_state,
        "label": gettext(words.MAIL_STATES[MailState(row.mail_state)]),
        "tries": row.mail_tries,
        "error": words.reason_text(row.mail_error),
        "next_at": _next_try(waiting),
        "message_id": waiting.message_id if waiting is not None else "".join(ids[:1]),
        "ambiguous": waiting.ambiguous if waiting is not None else 0,
        "log": [_try(each) for each in tries],
    }


def _next_try(waiting: Outbox | None) -> datetime | None:
    if waiting is None or waiting.state != OutboxState.QUEUED:
        return None
    return waiting.due_at


def _try(entry: History) -> dict[str, Any]:
    return {
        "at": entry.at,
        "action": entry.action,
        "text": gettext(TRIES[entry.action]),
        "answer": words.reason_text(entry.reason),
        "message_id": entry.message_id or "",
    }


def _related(some: Some, called: Names, name: str, address: str | None) -> dict[str, Any]:
    """Return rows beside this one, and the grid with all of them where an address tells it."""
    arguments: dict[str, Any] = {name: f"{EXACTLY}{address}"}
    grid = url_for("invitations_admin.grid", **arguments) if address else None
    rows = [_relative(each, called) for each in some.rows]
    return {"rows": rows, "has_more": some.has_more, "grid_url": grid}


def _relative(row: Any, called: Names) -> dict[str, Any]:
    erased = gettext("Address removed")
    return {
        "id": row.id,
        "url": url_of("detail", row.id),
        "email": row.inviter_email or (erased if row.inviter_key else gettext("Store")),
        "invitee": row.email or erased,
        "at": row.sent_at or row.created_at,
        "status": row.status,
        "status_label": status_text(row.status),
        "website_label": called.websites.get(row.website, row.website),
    }
