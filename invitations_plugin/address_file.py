"""A file of addresses as spreadsheets write it: which column is which, and its rows one by one.

What cannot be read is told with its line, and nothing of the file is kept in memory but the
row in hand: whoever reads it looks through all of it first, and then once more.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Final

from .text import clean_line

LONGEST = 131_072  # characters of a line, and what Python's csv takes for a field
SHOWN = 60  # characters that are told of what somebody called a column
DELIMITERS: Final = (",", ";", "\t")
# How columns are called, folded; of the first two the one that comes first here has the address:
# in our own export "Email" is the inviter's.
NAMES: Final[Mapping[str, Sequence[str]]] = {
    "invitee": ("invitee",),
    "email": (
        "email", "mail", "emailaddress", "mailaddress", "emails",
        "indirizzoemail", "adresseemail", "adressemail", "courriel", "emailadres", "emailadresse",
        "epost", "epostadress", "电子邮件", "电子邮箱", "邮箱",
    ),
    "message": ("message",),
    "group": ("group", "inviteegroup"),
    "store_view": ("storeview", "sendfrom"),
}  # fmt: skip
_UNREAD = re.compile("[\udc80-\udcff]")  # what stands for a byte that is no UTF-8
_AS_UTF8 = "save it as CSV in UTF-8"


class Unreadable(Exception):
    """A file, or what it names, that nothing is taken from; with its line."""

    def __init__(self, line: int, fault: str) -> None:
        super().__init__(f"Line {line}: {fault}.")


@dataclass(frozen=True, slots=True)
class Row:
    """What a row says, "" where it says nothing; ``line`` is where it begins.

    ``is_whole`` is false where it has more fields than there are columns.
    """

    line: int
    email: str
    message: str = ""
    group: str = ""
    store_view: str = ""
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Header:
    """Where each column stands, and what those are called that are not read."""

    line: int
    delimiter: str
    places: Mapping[str, int]
    width: int
    unread: Sequence[str]

    def row(self, line: int, fields: Sequence[str]) -> Row:
        """Return what the fields of a row say; a spreadsheet may end it early, or with blanks."""
        found = {
            name: fields[place].strip() if place < len(fields) else ""
            for name, place in self.places.items()
        }
        return Row(line, **found, is_whole=not any(map(str.strip, fields[self.width :])))


@contextmanager
def kept_text(file: IO[bytes]) -> Iterator[IO[str]]:
    """Yield a copy of a file as text, whatever ends its lines, that nobody else finds.

    It can be read twice, and stays what it is if the file changes or was a pipe.
    """
    with TemporaryFile() as kept, _as_text(kept) as text:
        shutil.copyfileobj(file, kept)
        yield text


def _as_text(file: IO[bytes]) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape")


def fold(label: str) -> str:
    """Return the name of a column without case, spaces and marks."""
    return "".join(filter(str.isalnum, clean_line(label).casefold()))


def read_header(file: IO[str], more: Mapping[str, Iterable[str]]) -> Header | None:
    """Return how the first line names the columns, None where it is an address already.

    :param more: other names of columns.

    :raises Unreadable: when it names none for addresses, or one twice.
    """
    known = {fold(each): name for name, labels in more.items() for each in labels}
    known |= {label: name for name, labels in NAMES.items() for label in labels}
    said = ((number, text) for number, text in enumerate(_lines(file), 1) if _says(text))
    line, text = next(said, (1, ""))
    if not text:
        raise Unreadable(line, "the file is empty")
    for delimiter in DELIMITERS:
        labels = next(csv.reader([text], delimiter=delimiter))
        found = [known.get(fold(label), "") for label in labels]
        if "email" in found or "invitee" in found:
            return _header(line, delimiter, labels, found)
    if "@" in text:
        return None
    raise Unreadable(line, f'no column is called "email" here, and {_shown(text)} is no address')


def _header(line: int, delimiter: str, labels: list[str], found: list[str]) -> Header:
    address = "invitee" if "invitee" in found else "email"
    names = ["" if name in ("invitee", "email") and name != address else name for name in found]
    if twice := next((n for n in names if n and names.count(n) > 1), None):
        called = _shown(labels[names.index(twice)])
        raise Unreadable(line, f"two columns may be meant by {called}: rename one of them")
    places = {name.replace("invitee", "email"): at for at, name in enumerate(names) if name}
    unread = [_shown(label) for label, name in zip(labels, names, strict=True) if not name]
    return Header(line, delimiter, places, len(labels), [each for each in unread if each])


def read_rows(file: IO[str], header: Header | None) -> Iterator[Row]:
    """Yield the rows that say anything, from the first one; without a header each line is one.

    :raises Unreadable: at a line that cannot be read.
    """
    lines = _lines(file)
    if header is None:
        yield from (Row(number, text) for number, text in enumerate(lines, 1) if _says(text))
        return
    for line, fields in _records(lines, header.delimiter):
        if line > header.line:
            yield header.row(line, fields)


def _records(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of CSV that are not blank, each with the line that it begins in."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Unreadable(begins, "a quote that is opened here is not closed well") from error
        if any(map(str.strip, fields)):
            yield begins, fields


def _lines(file: IO[str]) -> Iterator[str]:
    """Yield the lines of a file from its beginning."""
    file.seek(0)
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if fault := _fault(line):
            raise Unreadable(number, fault)
        yield line


def _fault(line: str) -> str:
    """Return why a line cannot be read, "" where it can."""
    if "\0" in line:
        return f"it has NUL bytes, so the file is no plain text: {_AS_UTF8}"
    if not line.isascii() and _UNREAD.search(line):
        return f"this is no text in UTF-8: {_AS_UTF8}"
    if len(line) > LONGEST:
        return f"it has more than {LONGEST:,} characters"
    return ""


def _says(line: str) -> bool:
    """Return whether a line is more than what separates fields."""
    return bool(line.strip(' \t\n,;"'))


def _shown(text: str) -> str:
    """Return a piece of the file as a terminal may show it."""
    return clean_line(text)[:SHOWN]
