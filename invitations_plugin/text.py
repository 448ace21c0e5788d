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
# browsers read as one; an ideographic full stop before more Chinese ends a sentence.
_JOINERS = r"[\u034f\u200c\u200d\ufe00-\ufe0f]*"
_DOMAIN_DOT = re.compile(
    rf"(?<=\S)([.\u2024](?={_JOINERS}[^\W\d_])|[\u3002\uff0e\uff61](?={_JOINERS}[A-Za-z0-9]))"
)
# In a server's answer; in a link it says %40.
_ADDRESS = re.compile(r"<[^<>\s]*>|\S+(?:@|%40)\S+")
_SCHEME = re.compile(rf"(?<=\w){_JOINERS}\s*:\s*(?={_JOINERS}/)")


def clean(text: str) -> str:
    """Return text in NFC, its line breaks as ``\\n``, without characters nobody sees."""
    if text.isascii() and text.isprintable():
        return text.strip()
    lines = _LINE_BREAKS.sub("\n", text).replace("\t", " ")
    return unicodedata.normalize("NFC", "".join(filter(_is_seen, lines))).strip()


def _is_seen(char: str) -> bool:
    if char in _KEPT or "\U0001f000" <= char <= "\U0001faff":  # emoji newer than this Python
        return True
    return unicodedata.category(char) not in _DROPPED


def clean_line(text: str) -> str:
    """Return :func:`clean` text on one line, as a name or a header needs it."""
    return " ".join(clean(text).split())


def without_addresses(text: str) -> str:
    """Return what a server said as everybody may read it: one address is as good as another."""
    return _ADDRESS.sub("<…>", text)


def defang(text: str) -> str:
    """Break up what a mail program would turn into a link: ``evil. example``."""
    return _DOMAIN_DOT.sub(r"\1 ", _SCHEME.sub(": ", text))
