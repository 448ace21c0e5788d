"""Addresses as people paste them: lines, commas, spreadsheets, ``Name <name@example.com>``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .addresses import Address, BadAddress, parse_address

ANGLES = re.compile(r"<([^<>]*)>")
APART = re.compile(r"[\s,;]+")
LONGEST = 320


@dataclass(frozen=True, slots=True)
class Pasted:
    """One address as it was typed, with its line; ``address`` is None where it is none."""

    line: int
    typed: str
    address: Address | None


def read_pasted(text: str) -> list[Pasted]:
    """Return every address of a text in order, and what stands where one should.

    Names beside addresses are passed over; a line without any address is one bad entry.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for typed in _addresses_of(line):
            try:
                found.append(Pasted(number, typed, parse_address(typed)))
            except BadAddress:
                found.append(Pasted(number, typed[:LONGEST], None))
    return found


def _addresses_of(line: str) -> Iterator[str]:
    bare = ANGLES.sub(" ", line)
    words = [*ANGLES.findall(line), *APART.split(bare)]
    typed = [_without_quotes(word) for word in words if "@" in word]
    if typed:
        yield from typed
    elif line.strip(" \t,;"):
        yield line.strip()


def _without_quotes(word: str) -> str:
    return word.strip().strip("\"'()[]").removeprefix("mailto:")


def distinct(pasted: Sequence[Pasted]) -> list[Address]:
    """Return the addresses in order, each once, whatever its case."""
    found: dict[str, Address] = {}
    for each in pasted:
        if each.address is not None:
            found.setdefault(each.address.identity, each.address)
    return list(found.values())
