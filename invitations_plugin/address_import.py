"""Inviting whom a file names, as the store: a chunk is one transaction, so a kill loses one.

Who was invited before the kill is told as invited already when the file is brought again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from .adding import add, look
from .address_file import Row, Unreadable
from .addresses import Address
from .database import Busy, atomically
from .events import announce
from .forms import long_message_text
from .host import StoreView
from .inviting import AlreadyInvited, Submission
from .lifecycle import COMMAND_LINE
from .looking_over import WANTED, Verdict
from .models import Invitation
from .pasted import Pasted, Typed, find_typed, read_pasted
from .signals import invitation_created
from .text import clean

CHUNK = 500
TRIES: Final = 5  # looks at a chunk of which others invite somebody meanwhile
TOO_WIDE: Final = "More fields than columns: put quotes around a text with separators in it."


@dataclass(frozen=True, slots=True)
class Choices:
    """What rows may name, and what counts for those that name nothing: "" where nothing does."""

    views: Mapping[str, StoreView]
    groups: Mapping[str, str]
    store_view: str = ""
    group: str = ""
    message: str = ""

    def view_of(self, row: Row) -> StoreView:
        """Return the store view that a row is sent from.

        :raises Unreadable: when it names none, or one that is not there.
        """
        names = {code: view.name for code, view in self.views.items()}
        return self.views[_meant(row.line, row.store_view or self.store_view, names, "store view")]

    def group_of(self, row: Row) -> str:
        """Return the group that a row's person will be in.

        :raises Unreadable: as above.
        """
        return _meant(row.line, row.group or self.group, self.groups, "group")

    def message_of(self, row: Row) -> str:
        """Return the words for a row's person."""
        return clean(row.message) or self.message


def find_code(text: str, names: Mapping[str, str]) -> str | None:
    """Return the code that is meant by itself, or by a name that nothing else has."""
    if text in names:
        return text
    named = [code for code, name in names.items() if name.casefold() == text.casefold()]
    return named[0] if len(named) == 1 else None


def _meant(line: int, text: str, names: Mapping[str, str], what: str) -> str:
    if not text:
        raise Unreadable(line, f"it names no {what}: give --{what.replace(' ', '-')}")
    code = find_code(text, names)
    if code is None:
        raise Unreadable(line, f"no {what} is called {clean(text)!r}, but {', '.join(names)}")
    return code


@dataclass(frozen=True, slots=True)
class Entry:
    """One address of the file, with what it is invited by.

    ``verdict`` is what is known of it without the database, ``fault`` what is wrong with its row.
    """

    pasted: Pasted
    view: StoreView
    group: str
    message: str
    verdict: Verdict | None
    fault: str = ""

    @property
    def address(self) -> Address:
        """The address of an entry that is no bad one."""
        if self.pasted.address is None:
            raise ValueError("A bad address is looked at no further.")
        return self.pasted.address


def look_through(rows: Iterable[Row], choices: Choices) -> int:
    """Return the line of the last row, all of which can be read.

    :raises Unreadable: at the first one that cannot.
    """
    line = 0
    for row in rows:
        choices.view_of(row)
        choices.group_of(row)
        line = row.line
    return line


def read_entries(rows: Iterable[Row], choices: Choices) -> Iterator[Entry]:
    """Yield the addresses of rows, of each row one at least; of the file only these are kept."""
    seen: set[tuple[str, str]] = set()
    for row in rows:
        view, group, message = choices.view_of(row), choices.group_of(row), choices.message_of(row)
        fault = long_message_text(message) if row.is_whole else TOO_WIDE
        for pasted in _pasted(row):
            verdict = Verdict.BAD if fault else _known(pasted, view.website, seen)
            yield Entry(pasted, view, group, message, verdict, fault)


def _pasted(row: Row) -> list[Pasted]:
    typed = find_typed(row.email) or [Typed(row.line, "")]
    return read_pasted([replace(each, line=row.line) for each in typed])


def _known(pasted: Pasted, website: str, seen: set[tuple[str, str]]) -> Verdict | None:
    if pasted.address is None:
        return Verdict.BAD
    person = (website, pasted.address.identity)
    if person in seen:
        return Verdict.REPEATED
    seen.add(person)
    return None


def chunks(entries: Iterable[Entry]) -> Iterator[Sequence[Entry]]:
    """Yield entries in as many as one transaction takes."""
    rest = iter(entries)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def take(chunk: Sequence[Entry], *, save: bool) -> list[Verdict]:
    """Invite those of a chunk that are wanted, or only say of each what would become of it.

    :raises Busy: when the database does not let us, or others invite the same people all the time.
    """
    fault: AlreadyInvited | None = None
    for _ in range(TRIES):
        try:
            verdicts, made = atomically(lambda: _carry_out(chunk, save))
        except AlreadyInvited as error:  # between the look and the insert: look again
            fault = error
            continue
        announce(invitation_created, made)
        return verdicts
    raise Busy("others invite the same addresses all the time") from fault


def _carry_out(chunk: Sequence[Entry], save: bool) -> tuple[list[Verdict], list[Invitation]]:
    judged = _judge(chunk)
    wanted = [entry for entry, verdict in judged if verdict in WANTED] if save else []
    return [verdict for _, verdict in judged], _add(wanted)


def _judge(chunk: Sequence[Entry]) -> list[tuple[Entry, Verdict]]:
    """Return a chunk with what becomes of each: one look a store view."""
    found: dict[Entry, Verdict] = {}
    open_ones = defaultdict(list)
    for entry in chunk:
        if entry.verdict is None:
            open_ones[entry.view].append(entry)
    for view, entries in open_ones.items():
        asked = _asked(entries, view)
        lines = look(asked, [each.pasted for each in entries]).lines
        found.update((entry, line.verdict) for entry, line in zip(entries, lines, strict=True))
    return [(entry, entry.verdict or found[entry]) for entry in chunk]


def _add(wanted: Sequence[Entry]) -> list[Invitation]:
    """Invite people, those together who get the same words into the same group."""
    alike = defaultdict(list)
    for entry in wanted:
        alike[entry.view, entry.group, entry.message].append(entry)
    made: list[Invitation] = []
    for (view, group, message), entries in alike.items():
        asked = replace(_asked(entries, view), group=group, message=message or None)
        made += add(asked).rows
    return made


def _asked(entries: Sequence[Entry], view: StoreView) -> Submission:
    return Submission(view, [each.address for each in entries], group="", actor=COMMAND_LINE)
