"""The reports drawn: what each plot is of, and the same in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..i18n import format_number, gettext, locale, pgettext
from ..plotting import Part, bars, columns, sparkline
from ..reports import Counts, Inviter, Report
from . import report_words as words
from .report_tables import customer_name

SHOWN_INVITERS: Final = 10
SOLID, STRIPED, OPEN = "solid", "striped", "open"


def sent_plot(report: Report) -> dict[str, Any]:
    """Draw the report Invitations: what became of those sent in each interval."""
    counts = [line.counts for line in report.lines]
    parts = [
        Part(words.column_text("accepted"), SOLID, [each.accepted for each in counts]),
        Part(words.column_text("discarded"), STRIPED, [each.discarded for each in counts]),
        Part(
            gettext("Neither of both"),
            OPEN,
            [each.sent - each.accepted - each.discarded for each in counts],
        ),
    ]
    said = [words.sent_text(each) for each in counts]
    title = gettext("What became of the invitations sent")
    return _plot(report, parts, said, title, words.sent_text(report.totals))


def bought_plot(report: Report) -> dict[str, Any]:
    """Draw the report Conversions: how far those sent in each interval led."""
    counts = [line.counts for line in report.lines]
    parts = [
        Part(gettext("Accepted and purchased"), SOLID, [each.purchased for each in counts]),
        Part(
            gettext("Accepted, nothing purchased"),
            STRIPED,
            [each.accepted - each.purchased for each in counts],
        ),
        Part(gettext("Sent, not accepted"), OPEN, [each.sent - each.accepted for each in counts]),
    ]
    said = [words.bought_text(each) for each in counts]
    title = gettext("How far the invitations sent led")
    return _plot(report, parts, said, title, words.bought_text(report.totals))


def _plot(
    report: Report, parts: Sequence[Part], said: Sequence[str], title: str, total: str
) -> dict[str, Any]:
    by = report.period.by
    intervals = report.period.intervals
    notes = [
        gettext("%(label)s: %(value)s", label=words.interval_text(each, by), value=text)
        for each, text in zip(intervals, said, strict=True)
    ]
    return {
        "plot": columns(parts, words.mark_texts(intervals, by), notes, locale()),
        "plot_name": "inv-plot",
        "plot_title": title,
        "plot_text": gettext("%(total)s. The table below has every figure.", total=total),
    }


def funnel(counts: Counts) -> dict[str, Any]:
    """Draw how many were sent, of these registered, and of these purchased."""
    numbers = (counts.sent, counts.accepted, counts.purchased)
    rows = []
    for label, number in zip(words.FUNNEL, numbers, strict=True):
        rate = words.rate_text(number / counts.sent if counts.sent else None)
        text = gettext("%(number)s (%(rate)s)", number=format_number(number), rate=rate)
        rows.append((pgettext(words.FIGURES, label), text, [(SOLID, number)]))
    return {
        "bars": bars(rows, counts.sent),
        "bars_name": "inv-funnel",
        "bars_title": gettext("From invitation to purchase"),
        "bars_text": words.bought_text(counts),
        "bars_keys": [],
    }


def inviters_plot(rows: Sequence[Inviter]) -> dict[str, Any]:
    """Draw the first customers of their report; staff, who send by the hundred, are none."""
    drawn = [
        (
            customer_name(each.key, each.name or each.email),
            gettext(
                "%(accepted)s of %(sent)s accepted",
                accepted=format_number(each.counts.accepted),
                sent=format_number(each.counts.sent),
            ),
            [(SOLID, each.counts.accepted), (OPEN, each.counts.sent - each.counts.accepted)],
        )
        for each in [row for row in rows if row.key][:SHOWN_INVITERS]
    ]
    return {
        "bars": bars(drawn),
        "bars_name": "inv-inviters",
        "bars_title": gettext("The first customers of the table"),
        "bars_text": "; ".join(f"{label}: {text}" for label, text, _ in drawn),
        "bars_keys": [
            (SOLID, words.column_text("accepted")),
            (OPEN, gettext("Sent, not accepted")),
        ],
    }


def small_plots(report: Report) -> list[dict[str, Any]]:
    """Draw sent, accepted and discarded as small as they stand above the grid."""
    names = ("sent", "accepted", "discarded")
    return [
        {
            "label": words.column_text(name),
            "number": format_number(getattr(report.totals, name)),
            "path": sparkline([getattr(line.counts, name) for line in report.lines]),
        }
        for name in names
    ]
