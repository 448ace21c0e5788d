"""Workbooks as a spreadsheet reads them: the cells of their sheets, and what else is in them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from xml.etree import ElementTree
from zipfile import ZipFile

SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@dataclass
class Cell:
    """What stands in a cell: its kind ("inlineStr", "n"), and its text."""

    kind: str
    text: str
    style: str


def sheets(data: bytes) -> dict[str, list[list[Cell]]]:
    """Return the rows of each sheet by its name; every part of the file must be well-formed."""
    with ZipFile(io.BytesIO(data)) as file:
        parts = {name: ElementTree.fromstring(file.read(name)) for name in file.namelist()}  # noqa: S314
    names = [each.attrib["name"] for each in parts["xl/workbook.xml"].iter(f"{SPACE}sheet")]
    return {
        name: [
            [_cell(each) for each in row.iter(f"{SPACE}c")]
            for row in parts[f"xl/worksheets/sheet{number}.xml"].iter(f"{SPACE}row")
        ]
        for number, name in enumerate(names, 1)
    }


def parts(data: bytes) -> str:
    """Return all that is written in a file, to look for what should not be."""
    with ZipFile(io.BytesIO(data)) as file:
        return "".join(file.read(name).decode() for name in file.namelist())


def _cell(cell: ElementTree.Element) -> Cell:
    texts = [each.text or "" for each in cell.iter() if each.tag in (f"{SPACE}t", f"{SPACE}v")]
    return Cell(cell.attrib.get("t", "n"), "".join(texts), cell.attrib.get("s", ""))
