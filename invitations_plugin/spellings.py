"""One mailbox in whichever spelling a text has it: in capitals, with a tag, within a link."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import sqlalchemy as sa

from .addresses import GMAIL, Address

AT: Final = ("@", "%40")  # in a link it says %40
REMOVED: Final = "<…>"
ESCAPE: Final = "/"


class Spellings:
    """Whether texts name a mailbox, and what they are without it."""

    def __init__(self, address: Address) -> None:
        local, _, domain = address.mailbox.rpartition("@")
        is_gmail = domain in GMAIL
        self._domains = GMAIL if is_gmail else (domain, _as_read(domain))
        letters = list(local) if is_gmail else [local]
        self._name = "%".join(map(_plain, letters))
        name = r"\.*".join(map(re.escape, letters))
        ends = "|".join(map(re.escape, self._domains))
        self._whole = re.compile(
            rf"<?(?:(?<![\w.+-])|(?<=%3c)){name}(?:(?:\+|%2b)[^\s@<>]*?)?"
            rf"(?:{'|'.join(AT)})(?:{ends})(?![\w-]|\.\w)>?",
            re.IGNORECASE,
        )

    def are_in(self, text: str) -> bool:
        """Return whether a text names the mailbox."""
        return self._whole.search(text) is not None

    def are_meant_by(self, filter_text: str) -> bool:
        """Return whether a filter names the mailbox, be it by the beginning of its domain only."""
        local, _, begun = filter_text.casefold().strip("=* ").partition("@")
        wholes = (f"{local}@{each}" for each in self._domains if each.startswith(begun))
        is_begun = bool(local) and "@" in filter_text and any(map(self._whole.fullmatch, wholes))
        return is_begun or self.are_in(filter_text)

    def out_of(self, text: str) -> str:
        """Return a text that does not name the mailbox any more."""
        return self._whole.sub(REMOVED, text)

    def may_be_in(self, column: Any) -> sa.ColumnElement[bool]:
        """Return as SQL whether a column, be it of JSON, has something much like the mailbox."""
        text = sa.func.lower(sa.cast(column, sa.Text()))
        ends = {*self._domains, *(json.dumps(each)[1:-1] for each in self._domains)}
        parts = (f"%{self._name}%{_plain(at + end)}%" for at in AT for end in sorted(ends))
        return sa.or_(*(text.like(each, escape=ESCAPE) for each in parts))


def _plain(text: str) -> str:
    """Return what LIKE takes for nothing but this text."""
    return re.sub(r"([%_/])", rf"{ESCAPE}\1", text)


def _as_read(domain: str) -> str:
    """Return a domain as people read it, where mail goes to it under another spelling."""
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain
