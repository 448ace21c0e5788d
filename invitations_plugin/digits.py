"""Whole numbers as an address or a form has them, read in one place for all."""

from __future__ import annotations

from typing import Final

BIGGEST_ID: Final = 2**63 - 1  # what a column of ids holds


def whole_number(text: str | None, biggest: int = BIGGEST_ID) -> int | None:
    """Return a number written in plain digits, None for what is none or is too big."""
    # int() itself reads digits of all scripts, and fails at some thousand of them.
    is_plain = text is not None and text.isascii() and text.isdecimal()
    if text is None or not is_plain or len(text) > len(str(biggest)):
        return None
    number = int(text)
    return number if number <= biggest else None
