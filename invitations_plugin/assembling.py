"""A mail's bytes, put together by hand: the library's classes take thirty times as long.

What comes in is text of any kind; what goes out is ASCII in lines that end in CRLF, none
longer than a server must take (RFC 5321, 5322), with words encoded by RFC 2047.
"""

from __future__ import annotations

import re
from base64 import encodebytes
from binascii import b2a_base64, b2a_qp
from collections.abc import Iterable, Iterator, Mapping

PLAIN = 200  # characters of ASCII that stay on one line of a header as they are
LONGEST_LINE = 998
WORD = 39  # bytes an encoded word holds: with it and "Subject: " a line has 73 characters
# No encoded part can hold it: "=" is followed by two digits in quoted-printable, and is not in
# base64.
BOUNDARY = "=_part"
_BOUNDARY = BOUNDARY.encode()
ASCII = bytes(range(128))
SHOWN = bytes(range(32, 127)) + b"\t\r\n"
# Beyond one byte in six that is not ASCII base64 is the shorter one.
MOSTLY = 6
_LINE_END = re.compile("\r\n|\r|\n")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_BARE = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_ATOM}(?:\.{_ATOM})*")
_PHRASE = re.compile(rf"{_ATOM}(?: {_ATOM})*")
_ESCAPED = re.compile(r'([\\"])')


def assemble(headers: Mapping[str, str], text: str, html: str) -> bytes:
    """Return a mail of a text and the same in HTML.

    :param headers: by name, each as :func:`words`, :func:`mailbox` and :func:`one_line` write it.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    lines += [
        "MIME-Version: 1.0\r\n",
        f'Content-Type: multipart/alternative; boundary="{BOUNDARY}"\r\n\r\n',
    ]
    parts = [_part("plain", text), _part("html", html)]
    return b"".join(["".join(lines).encode("ascii"), *parts, f"--{BOUNDARY}--\r\n".encode()])


def _part(kind: str, text: str) -> bytes:
    whole = text if text.endswith("\n") else f"{text}\n"  # the encoder asks the first line's end
    ended = _LINE_END.sub("\r\n", whole) if "\r" in whole else whole.replace("\n", "\r\n")
    encoding, encoded = _encoded(ended.encode("utf-8", "replace"))
    head = (
        f"--{BOUNDARY}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode() + encoded


def _encoded(raw: bytes) -> tuple[str, bytes]:
    """Return how a body goes over the wire, and the body: as it is where it may (RFC 2045, 2.7)."""
    if _is_plain(raw):
        return "7bit", raw
    beyond = len(raw.translate(None, ASCII))
    if beyond * MOSTLY <= len(raw):
        return "quoted-printable", b2a_qp(raw, istext=True)
    return "base64", encodebytes(raw).replace(b"\n", b"\r\n")


def _is_plain(raw: bytes) -> bool:
    """Return whether a body is text in lines that every server takes, none of which ends a part."""
    is_text = not raw.translate(None, SHOWN) and _BOUNDARY not in raw
    return is_text and max(map(len, raw.split(b"\r\n"))) <= LONGEST_LINE


def words(text: str) -> str:
    """Return text for a header; also what only looks encoded is encoded (RFC 2047)."""
    if text.isascii() and "=?" not in text and len(text) <= PLAIN:
        return text
    encoded = (b2a_base64(each, newline=False).decode() for each in _pieces(text))
    return "\r\n ".join(f"=?utf-8?b?{each}?=" for each in encoded)


def _pieces(text: str) -> Iterator[bytes]:
    """Cut text between characters: each encoded word must be whole by itself."""
    piece = b""
    for char in text:
        raw = char.encode()
        if len(piece) + len(raw) > WORD:
            yield piece
            piece = b""
        piece += raw
    yield piece


def mailbox(name: str, address: str) -> str:
    """Return a name, whatever it holds, as nothing but the name of an address."""
    if not name:
        return address
    encoded = words(name)
    if encoded != name:
        return f"{encoded}\r\n <{address}>"
    if _PHRASE.fullmatch(name):
        return f"{name} <{address}>"
    quoted = _ESCAPED.sub(r"\\\1", name)
    return f'"{quoted}" <{address}>'


def one_line(value: str) -> str:
    """Return a header's value that stays on its line.

    :raises ValueError: when it holds more than printable ASCII, or does not fit.
    """
    if not (value.isascii() and value.isprintable()) or len(value) > LONGEST_LINE - PLAIN:
        raise ValueError(f"A header cannot hold {value!r}")
    return value


def is_bare(address: str) -> bool:
    """Return whether an address is one that needs no quoting."""
    return _BARE.fullmatch(address) is not None


def dot_stuffed(content: bytes) -> bytes:
    """Escape leading dots and end the message (RFC 5321, 4.5.2); lines end in CRLF already."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def commands(lines: Iterable[str]) -> bytes:
    """Return commands to be sent in one go.

    :raises ValueError: when one is more than a line.
    """
    return "".join(f"{one_line(each)}\r\n" for each in lines).encode("ascii")
