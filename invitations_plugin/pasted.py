"""Addresses as people paste them: lines, lists, spreadsheets, ``"Last, First" <a@example.com>``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from .addresses import Address, BadAddress, parse_address

# What stands in angles, or a word; brackets and quotes are no part of an address.
PART = re.compile(r'<([^<>]*)>|([^\s,;<>()\[\]"\u201c-\u201e\u00ab\u00bb]+)')
SCHEME = re.compile(r"mailto:", re.IGNORECASE)
# How Chinese keyboards write @ , ; and angles, and the joiners that nobody sees.
READ_AS = str.maketrans("\uff20\uff0c\uff1b\u3001\uff1c\uff1e", "@,;,<>", "\u200c\u200d")
MARKS = "'`*\u2018\u2019\u2022\u00b7"  # quotes and bullets
STOPS = MARKS + "|.:!?/"
LONGEST = 320


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands where an address should, with its line."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Pasted:
    """One address as it was typed, with its line; ``address`` is None where it is none."""

    line: int
    typed: str
    address: Address | None


def find_typed(text: str) -> list[Typed]:
    """Return what a text has for addresses, in order; it is cheap, and judges nothing.

    Names beside addresses are passed over; a line without any address is one entry.
    """
    lines = enumerate(text.translate(READ_AS).splitlines(), 1)
    return [Typed(number, each) for number, line in lines for each in _addresses_of(line)]


def _addresses_of(line: str) -> Iterator[str]:
    """Yield what stands in angles or has an @, once where a name or a link repeats it at once."""
    parts = [_bare(angle or word) for angle, word in PART.findall(line) if angle or "@" in word]
    typed = [next(same) for key, same in groupby(parts, str.lower) if key]
    if typed:
        yield from typed
    elif line.strip(" \t,;"):
        yield line.strip()


def _bare(word: str) -> str:
    """Return a word without quotes, bullets, full stops and what makes a link of it."""
    text = word.strip().lstrip(MARKS)
    if SCHEME.match(text):
        text = text[len("mailto:") :].partition("?")[0]
    return text.rstrip(STOPS)


def read_pasted(typed: Sequence[Typed]) -> list[Pasted]:
    """Judge each of what was found."""
    return [Pasted(each.line, each.text[:LONGEST], _address(each.text)) for each in typed]


def _address(text: str) -> Address | None:
    try:
        return parse_address(text)
    except BadAddress:
        return None


def distinct(pasted: Sequence[Pasted]) -> list[Address]:
    """Return the addresses in order, each once, whatever its case."""
    found: dict[str, Address] = {}
    for each in pasted:
        if each.address is not None:
            found.setdefault(each.address.identity, each.address)
    return list(found.values())
