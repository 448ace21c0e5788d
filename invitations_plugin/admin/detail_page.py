"""What the page of one invitation shows: its facts, and the form that edits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from flask import g

from ..database import session
from ..editing import day_of, is_editable, is_renewed
from ..forms import MESSAGE_MAX, EditForm
from ..i18n import format_date, format_datetime, gettext
from ..lifecycle import ERASED, is_asking
from ..models import Invitation
from ..state import host, may, store_view
from ..story import Story, read_story
from ..text import clean
from . import detail_words
from .detail_actions import actions_context
from .detail_story import entries, story_context
from .pages import Names, names
from .returning import grid_query, grid_url, url_of


def edit_form(row: Invitation, seen: int = 0) -> EditForm:
    """Return the form of an invitation, with what was posted in it.

    ``seen`` is the newest line of its history.
    """
    groups = [(group.code, group.name) for group in host().groups()]
    return EditForm(_saved(row, seen), groups, store_view(row.store_view, row.website).timezone)


def _saved(row: Invitation, seen: int) -> dict[str, str]:
    """Return what is saved now, as the form's fields have it."""
    zone = store_view(row.store_view, row.website).timezone
    return {
        "version": str(row.version),
        "seen": str(seen),
        "message": clean(row.message or ""),
        "group": row.group_code,
        "expires": day_of(row.expires_at, zone).isoformat(),
    }


def detail_context(
    row: Invitation, form: EditForm | None = None, error: str = "", *, is_late: bool = False
) -> dict[str, Any]:
    """Return the context of the detail page's template.

    ``form`` is what was posted and not saved, ``error`` why; ``is_late`` that somebody
    else was faster.
    """
    story, called, view = (
        read_story(session(), row),
        names(),
        store_view(row.store_view, row.website),
    )
    seen = story.history.rows[0].id if story.history.rows else 0
    clash = _clash(row, form, story, called) if is_late and form is not None else None
    if is_late:
        error = detail_words.conflict_text(row)
    can_edit = may("create") and is_editable(row)
    return {
        "invitation": _facts(row, called),
        "form": (form or edit_form(row, seen)) if can_edit else None,
        "form_error": error,
        "form_url": url_of("detail", row.id),
        "message_hint": detail_words.message_hint(row),
        "message_max": MESSAGE_MAX,
        "clash": clash,
        "back": grid_query(),
        "back_url": grid_url(),
        **story_context(row, story, called, view),
        **actions_context(row),
    }


def _facts(row: Invitation, called: Names) -> dict[str, Any]:
    view, people = store_view(row.store_view, row.website), _people(row)
    columns = {column.key: getattr(row, column.key) for column in sa.inspect(Invitation).columns}
    return columns | {
        "email": row.inviter_email or "",
        "invitee": row.email or "",
        "status_label": detail_words.status_text(row.status),
        "website_label": called.websites.get(row.website, row.website),
        "store_view_label": called.store_views.get(row.store_view, row.store_view),
        "group_label": called.groups.get(row.group_code, row.group_code),
        "inviter_url": _url_of(people.get(row.inviter_key)),
        "customer_url": _url_of(people.get(row.customer_key or "")),
        "customer_label": _customer_label(row, people),
        "expires_text": format_datetime(row.expires_at, view),
        "zone": view.timezone,
        "is_other_zone": view.timezone != g.inv_view.timezone,
        "is_asking": is_asking(row),
        "is_renewed": is_renewed(row),
    }


def _people(row: Invitation) -> Mapping[str, Any]:
    """Return the customers that a row names and that still are, by their keys."""
    keys = {row.inviter_key, row.customer_key or ""} - {""}
    living = [key for key in keys if not key.startswith(ERASED)]
    return host().customers(living) if living else {}


def _url_of(customer: Any | None) -> str | None:
    return host().customer_url(customer) if customer is not None else None


def _customer_label(row: Invitation, people: Mapping[str, Any]) -> str:
    if row.registered_at is None:
        return ""
    customer = people.get(row.customer_key or "")
    return host().email(customer) if customer is not None else gettext("Account deleted")


def _clash(row: Invitation, form: EditForm, story: Story, called: Names) -> dict[str, Any]:
    """Return what somebody else changed, and make the form ready to be saved on top of it."""
    saved, seen = _saved(row, story.history.rows[0].id if story.history.rows else 0), form.seen_id
    news = [each for each in story.history.rows if each.id > seen]
    view, touched = store_view(row.store_view, row.website), form.touched
    texts = _texts(saved, called) | {"expires": format_date(row.expires_at, view)}
    clash = {
        "news": entries(news, called, view),
        "saved": {name: texts[name] for name in form.overwritten(saved)},
        "typed": _typed(form, touched, called),
    }
    form.rest_on(saved)
    return clash


def _texts(values: Mapping[str, str], called: Names) -> dict[str, str]:
    group = values.get("group", "")
    return {**values, "group": called.groups.get(group, group)}


def _typed(form: EditForm, touched: Sequence[str], called: Names) -> list[tuple[str, str]]:
    """Return what was typed, for a form that cannot be saved any more."""
    texts = _texts({name: form[name].data or "" for name in touched}, called)
    return [(gettext(detail_words.FIELDS[name]), texts[name]) for name in touched]
