"""Invitations as a file, chunk after chunk: its memory is that of one chunk, however many rows.

Each chunk is read in a short transaction of its own, so on SQLite a long download keeps
nobody from writing and no checkpoint from happening.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from .cells import SOURCES, Cell, Row, Texts, cells
from .database import atomically, session
from .grid import Selection
from .models import Invitation

I = Invitation  # noqa: E741  # named once, used on every line below
CHUNK = 2000
PIECE = 64 * 1024
SHEET_ROWS = 1_048_575  # what a sheet of a spreadsheet holds below its head
LONGEST_CELL = 32_767
BOM = "\ufeff".encode()  # without it spreadsheets read CSV in an old encoding
WIDTH = 20
_NO_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")
Chunks = Iterable[Sequence[Row]]


def count(db: Session, selection: Selection) -> dict[str, int]:
    """Return how many invitations were chosen, by status."""
    query = sa.select(I.status, sa.func.count()).where(*selection.conditions())
    counted: dict[str, int] = {}
    for status, number in db.execute(query.group_by(I.status)):
        counted[status] = number
    return counted


def chunks(app: Flask, selection: Selection) -> Iterator[Sequence[Row]]:
    """Yield the chosen rows by id, in an app context of its own for each chunk.

    :raises Busy: when the database does not let us.
    """
    position = 0
    while True:
        with app.app_context():
            rows = atomically(lambda place=position: _next_rows(session(), selection, place))  # type: ignore[misc]
        if not rows:
            return
        yield rows
        position = rows[-1].id


def _next_rows(db: Session, selection: Selection, position: int) -> Sequence[Row]:
    query = sa.select(*SOURCES).where(*selection.conditions(), I.id > position)
    return db.execute(query.order_by(I.id).limit(CHUNK)).all()


def as_csv(chosen: Chunks, texts: Texts) -> Iterator[bytes]:
    """Yield rows as CSV (RFC 4180, UTF-8 with its mark), moments as ISO 8601 with their offset."""
    yield BOM + csv_lines([texts.headings])
    for chunk in chosen:
        yield csv_lines(cells(row, texts) for row in chunk)


def csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as lines of CSV, moments as ISO 8601."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([_written(each) for each in row])
    return text.getvalue().encode()


def _written(cell: Any) -> Any:
    return cell.isoformat(timespec="seconds") if isinstance(cell, datetime) else cell


def as_xlsx(chosen: Chunks, texts: Texts) -> Iterator[bytes]:
    """Yield rows as a workbook, made in a temporary file that is removed whatever happens.

    While it is made empty pieces are yielded, so that whoever reads may end it.
    """
    with TemporaryDirectory(prefix="invitations-") as folder:
        path = Path(folder, "invitations.xlsx")
        for _ in _write_workbook(path, chosen, texts):
            yield b""
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


def _write_workbook(path: Path, chosen: Chunks, texts: Texts) -> Iterator[None]:
    """Write a workbook; yield after each chunk."""
    from xlsxwriter import Workbook  # an extra: "invitations-plugin[xlsx]"

    book = Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)})
    book.use_zip64()
    try:
        sheets = _Sheets(book, texts)
        for chunk in chosen:
            for row in chunk:
                sheets.write(cells(row, texts))
            yield
        book.close()
    finally:
        for sheet in book.worksheets():  # what was given up is not put together first
            sheet.row_data_fh.close()


class _Sheets:
    """The sheets of a workbook: the next one begins where one is full.

    Every text is written as one: nothing becomes a formula, a link or a number.
    """

    def __init__(self, book: Any, texts: Texts) -> None:
        self._book, self._texts = book, texts
        self._bold = book.add_format({"bold": True})
        self._moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._begin()

    def _begin(self) -> None:
        number = len(self._book.worksheets()) + 1
        title = self._texts.title if number == 1 else f"{self._texts.title} {number}"
        self._sheet = self._book.add_worksheet(title)
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(1, len(self._texts.headings) - 1, WIDTH)
        self._rows = 0
        for column, heading in enumerate(self._texts.headings):
            self._sheet.write_string(0, column, heading, self._bold)

    def write(self, values: Sequence[Cell]) -> None:
        """Write the next row."""
        if self._rows == SHEET_ROWS:
            self._begin()
        self._rows += 1
        for column, value in enumerate(values):
            if isinstance(value, str):
                self._sheet.write_string(self._rows, column, plain_text(value))
            elif isinstance(value, int):
                self._sheet.write_number(self._rows, column, value)
            elif value is not None:
                moment = value.replace(tzinfo=None)
                self._sheet.write_datetime(self._rows, column, moment, self._moment)


def plain_text(text: str) -> str:
    """Return a text as XML can hold it, and such that XlsxWriter takes it for no markup."""
    text = _NO_XML.sub("", text)[:LONGEST_CELL]
    return f"{text} " if text.startswith("<r>") and text.endswith("</r>") else text


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: how it is made and announced, and the module it needs, "" for none."""

    make: Callable[[Chunks, Texts], Iterator[bytes]]
    mimetype: str
    needs: str = ""

    @property
    def is_available(self) -> bool:
        """Return whether what it needs is installed."""
        return not self.needs or is_installed(self.needs)


@cache
def is_installed(package: str) -> bool:
    """Return whether a package can be imported; looked for once, for that takes a while."""
    return find_spec(package) is not None


FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format(as_csv, "text/csv; charset=utf-8"),
    "xlsx": Format(
        as_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsxwriter"
    ),
}
