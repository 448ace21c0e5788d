"""The reports as files: what is shown, with what was asked for above it."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response

from ..exporting import FORMATS
from ..i18n import gettext
from ..reports import Period
from ..sheets import Sheet, as_file, is_offered
from . import report_words as words
from .report_links import Asking, scope_name
from .report_tables import Table


def files(asking: Asking) -> list[tuple[str, str]]:
    """Return the ways to files of a report: label and address."""
    labels = {"csv": gettext("Export to CSV"), "xlsx": gettext("Export to XLSX")}
    return [(label, asking.url(format=kind)) for kind, label in labels.items() if is_offered(kind)]


def report_file(
    kind: str, asking: Asking, period: Period, tables: Sequence[Table], note: str = ""
) -> Response:
    """Answer with a report as a file.

    :param note: what the file leaves out, "" where nothing.
    """
    made = file_of(kind, asking, period, tables, note)
    answer = Response(made, content_type=FORMATS[kind].mimetype)
    name = f"{asking.report}-{period.first}-{period.last}.{kind}"
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


def file_of(
    kind: str, asking: Asking, period: Period, tables: Sequence[Table], note: str = ""
) -> bytes:
    """Return a report as a file of one of :data:`exporting.FORMATS`."""
    asked = _asked(asking, period, note)
    return as_file(kind, [_sheet(table, asked) for table in tables])


def _asked(asking: Asking, period: Period, note: str) -> list[tuple[str, str]]:
    """Return what a report was asked for, as pairs of a name and a value."""
    asked = [
        (gettext("Report"), gettext(words.REPORTS[asking.report])),
        (gettext("Store view"), scope_name(period.scope)),
        (gettext("From"), period.first.isoformat()),
        (gettext("To"), period.last.isoformat()),
        (gettext("Show By"), gettext(words.UNITS[period.by])),
        (gettext("Time zone"), period.timezone),
    ]
    if asking.search:
        asked.append((gettext("Name or address"), asking.search))
    return [*asked, (gettext("Note"), note)] if note else asked


def _sheet(table: Table, asked: Sequence[tuple[str, str]]) -> Sheet:
    lines = [*table.rows, table.totals] if table.totals else table.rows
    rows = [[cell.value for cell in line] for line in lines]
    return Sheet(table.title, asked, [head.label for head in table.heads], rows)
