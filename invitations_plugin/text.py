"""What people typed, made fit to store and harmless to read in a mail."""

from __future__ import annotations

import re
import unicodedata

# Control, format (bidirectional overrides, zero width), surrogate and private characters;
# the joiners that emoji and some scripts need are kept.
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn"}
_KEPT = {"\n", "\u200c", "\u200d"}
_LINE_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")
# A dot that a mail program could take for the dot of a domain, in any of the forms that
# browsers read as one.
_DOMAIN_DOT = re.compile(r"(?<=\w)([.\u3002\uff0e\uff61])(?=[^\W\d_])")
_SCHEME = re.compile(r"(?<=\w)\s*:\s*(?=//)")


def clean(text: str) -> str:
    """Return text in NFC, its line breaks as ``\\n``, without characters nobody sees."""
    lines = _LINE_BREAKS.sub("\n", text)
    seen = (char for char in lines if char in _KEPT or unicodedata.category(char) not in _DROPPED)
    return unicodedata.normalize("NFC", "".join(seen)).strip()


def clean_line(text: str) -> str:
    """Return :func:`clean` text on one line, as a name or a header needs it."""
    return " ".join(clean(text).split())


def defang(text: str) -> str:
    """Break up what a mail program would turn into a link: ``evil. example``."""
    return _DOMAIN_DOT.sub(r"\1 ", _SCHEME.sub(": ", text))
