"""What the review of Add Invitations shows, made from the lines that were looked over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import url_for

from ..forms import AddForm
from ..i18n import format_number, gettext
from ..looking_over import WANTED, Line, Review, Verdict
from . import words

MOST = 1000  # lines of a page; the others are counted


def review_context(form: AddForm, review: Review, chosen: str) -> dict[str, Any]:
    """Return the context of the review, with all lines or those of one result."""
    counts, number = review.counts, len(review.lines)
    shown = Verdict(chosen) if chosen in set(Verdict) and counts[Verdict(chosen)] else None
    lines = _lines(review, shown)
    more = len(lines) - MOST
    return {
        "form": form,
        "count": sum(counts[each] for each in WANTED),
        "shown": shown.value if shown else "",
        "counts": [
            (each.value, gettext(words.VERDICTS[each]), format_number(counts[each]))
            for each in Verdict
            if counts[each]
        ],
        "total": format_number(number),
        "lines": [_row(line) for line in lines[:MOST]],
        "more": max(more, 0),
        "store_view_label": dict(form.store_view.choices)[form.store_view.data],
        "group_label": dict(form.group.choices)[form.group.data],
    }


def _lines(review: Review, shown: Verdict | None) -> Sequence[Line]:
    """Return the lines of one result; without one all, those that are left out first."""
    if shown is not None:
        return [line for line in review.lines if line.verdict == shown]
    return sorted(review.lines, key=lambda line: line.verdict in WANTED)


def _row(line: Line) -> dict[str, Any]:
    made = line.invitation
    return {
        "number": line.pasted.line,
        "typed": line.pasted.typed,
        "verdict": line.verdict.value,
        "text": words.verdict_text(line),
        "url": url_for("invitations_admin.detail", invitation_id=made.id) if made else None,
    }
