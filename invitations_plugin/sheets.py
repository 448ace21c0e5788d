"""A table with what it was asked for above it, as a file; short enough to be made at once.

Texts are guarded in both formats: nothing in them is run by a spreadsheet.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from .cells import guarded
from .exporting import BOM, FORMATS, csv_lines, plain_text

Value = str | int | float | Decimal | None
WIDTH: Final = 18
RATE: Final = "0.0%"  # how a sheet shows a part of one; whoever calculates has the number


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: pairs of what was asked for, then heads and rows, and rows of sums."""

    title: str
    asked: Sequence[tuple[str, str]]
    heads: Sequence[str]
    rows: Sequence[Sequence[Value]]

    def lines(self) -> list[list[Value]]:
        """Return every line of the file, its texts guarded."""
        every = [*self.asked, (), self.heads, *self.rows]
        return [[guarded(v) if isinstance(v, str) else v for v in line] for line in every]


def as_file(kind: str, sheets: Sequence[Sheet]) -> bytes:
    """Return tables as a file of one of :data:`exporting.FORMATS`, one below or behind another."""
    return {"csv": _as_csv, "xlsx": _as_xlsx}[kind](sheets)


def is_offered(kind: str) -> bool:
    """Return whether files of a format can be made here."""
    return kind in FORMATS and FORMATS[kind].is_available


def _as_csv(sheets: Sequence[Sheet]) -> bytes:
    texts = [csv_lines(sheet.lines()) for sheet in sheets]
    return BOM + b"\r\n".join(texts)


def _as_xlsx(sheets: Sequence[Sheet]) -> bytes:
    from xlsxwriter import Workbook  # an extra: "invitations-plugin[xlsx]"

    made = io.BytesIO()
    book = Workbook(made, {"constant_memory": True})
    bold, rate = book.add_format({"bold": True}), book.add_format({"num_format": RATE})
    for sheet in sheets:
        page = book.add_worksheet(sheet.title[:31])
        page.set_column(0, max(1, len(sheet.heads) - 1), WIDTH)
        head = len(sheet.asked) + 1
        for number, line in enumerate(sheet.lines()):
            for column, value in enumerate(line):
                _write(page, (number, column), value, bold if number == head else None, rate)
        page.freeze_panes(head + 1, 0)
    book.close()
    return made.getvalue()


def _write(page: Any, place: tuple[int, int], value: Value, style: Any, rate: Any) -> None:
    """Write a cell: a text as one, a part of one as a rate, any other number as it is."""
    if isinstance(value, str):
        page.write_string(*place, plain_text(value), style)
    elif isinstance(value, float):
        page.write_number(*place, value, rate)
    elif value is not None:
        page.write_number(*place, value)
