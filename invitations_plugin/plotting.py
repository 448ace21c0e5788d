"""Plots as geometry: numbers in, the paths and places of an SVG out; it knows no page.

Across, a plot is as wide as its place: it is drawn in slots and stretched. Down, one unit is
one pixel, so stripes lie level and stay stripes however it is stretched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from babel import Locale
from babel.numbers import format_compact_decimal, format_decimal

HEIGHT: Final = 200  # of the drawn area, in pixels
SMALL: Final = 28  # the same of a plot beside a number
SLOT: Final = 10  # across, of one column with its gap
APART: Final = 62  # columns; more stand without gaps
FULL: Final = 0.75  # how much of its slot a column fills where there are many
WIDEST: Final = 12  # a column is at most this part of the plot: one alone is no wall
TICKS: Final = 5
MARKS: Final = 8
LONG_NUMBER: Final = 10_000  # from here an axis says "10K"
STEPS: Final = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Part:
    """What every column has a piece of; ``look`` is ``solid``, ``striped`` or ``open``."""

    label: str
    look: str
    values: Sequence[int]


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across the plot, ``at`` pixels from its top, and the number it stands for."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A text below the plot, in percent of its width; a minor one has no room on a phone."""

    at: float
    text: str
    anchor: str
    is_minor: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of stacked parts. ``paths`` are pairs of a look and its shape, and ``notes``
    pairs of a place across, in slots' units, and what is said when it is pointed at."""

    width: int
    paths: Sequence[tuple[str, str]]
    outline: str
    ticks: Sequence[Tick]
    marks: Sequence[Mark]
    notes: Sequence[tuple[int, str]]
    keys: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of :func:`bars`: pieces are look, start and width in percent."""

    label: str
    text: str
    pieces: Sequence[tuple[str, float, float]]


def columns(
    parts: Sequence[Part], marks: Sequence[str], notes: Sequence[str], locale: Locale
) -> Columns:
    """Draw columns, the first part at the bottom.

    :param marks: what stands below each column, where there is room.
    :param notes: what each column says when it is pointed at.
    """
    number = len(marks)
    totals = [sum(column) for column in zip(*(part.values for part in parts), strict=True)]
    step = tick_step(max(totals, default=0))
    top = step * max(1, -(-max(totals, default=0) // step))
    return Columns(
        width=number * SLOT,
        paths=_paths(parts, top),
        outline=_outline(totals, top),
        ticks=[
            Tick(HEIGHT - value / top * HEIGHT, axis_text(value, locale))
            for value in range(0, top + 1, step)
        ],
        marks=_marks(marks),
        notes=[(place * SLOT, text) for place, text in enumerate(notes)],
        keys=[(part.look, part.label) for part in parts],
    )


def tick_step(most: int) -> int:
    """Return a round distance of ticks, 1, 2 or 5 with zeros, that needs few of them."""
    scale = 1
    while True:
        for step in STEPS:
            if step * scale * TICKS >= most:
                return step * scale
        scale *= 10


def axis_text(value: int, locale: Locale) -> str:
    """Return a number as an axis has room for it."""
    if value < LONG_NUMBER:
        return str(format_decimal(value, locale=locale))
    return str(format_compact_decimal(value, locale=locale, fraction_digits=1))


def _paths(parts: Sequence[Part], top: int) -> list[tuple[str, str]]:
    """Return the shape of each part: all its pieces are one path."""
    below = [0] * len(parts[0].values)
    paths = []
    for part in parts:
        pieces = [
            _piece(place, len(below), HEIGHT * start / top, HEIGHT * value / top)
            for place, (start, value) in enumerate(zip(below, part.values, strict=True))
            if value
        ]
        paths.append((part.look, "".join(pieces)))
        below = [start + value for start, value in zip(below, part.values, strict=True)]
    return paths


def _piece(place: int, number: int, start: float, height: float) -> str:
    wide = _width(number)
    left = place * SLOT + (SLOT - wide) / 2
    down = f"{height:.1f}"
    return f"M{left:g} {HEIGHT - start - height:.1f}h{wide:g}v{down}h-{wide:g}z"


def _width(number: int) -> float:
    """Return how wide a column is in its slot."""
    return SLOT if number > APART else round(SLOT * min(FULL, number / WIDEST), 2)


def _outline(totals: Sequence[int], top: int) -> str:
    """Return the line round each column, and one over all where they touch."""
    number = len(totals)
    if number <= APART:
        return "".join(
            _piece(place, number, 0, HEIGHT * total / top)
            for place, total in enumerate(totals)
            if total
        )
    heights = (f"{HEIGHT - HEIGHT * total / top:.1f}" for total in totals)
    return f"M0 {HEIGHT}" + "".join(f"V{height}h{SLOT}" for height in heights) + f"V{HEIGHT}"


def _marks(texts: Sequence[str]) -> list[Mark]:
    """Return as many of the texts as there is room for, evenly, the first always."""
    number = len(texts)
    apart = max(1, -(-number // MARKS))
    chosen = range(0, number, apart)
    return [
        Mark(
            at=round((place + 0.5) / number * 100, 2),
            text=texts[place],
            anchor=_anchor(place, number),
            is_minor=len(chosen) > MARKS // 2 and order % 2 == 1,
        )
        for order, place in enumerate(chosen)
    ]


def _anchor(place: int, number: int) -> str:
    """Return which end of a text stands still: none may leave the plot."""
    if number <= MARKS:
        return "middle"
    return "start" if place == 0 else "end" if place == number - 1 else "middle"


def bars(
    rows: Sequence[tuple[str, str, Sequence[tuple[str, int]]]], most: int | None = None
) -> list[Bar]:
    """Draw bars from the left, one below the other: a label, a text, and pieces with a look.

    :param most: what is as wide as the plot; the longest bar where that is not said.
    """
    longest = most or max((sum(n for _, n in pieces) for _, _, pieces in rows), default=0) or 1
    drawn = []
    for label, text, pieces in rows:
        start, placed = 0.0, []
        for look, number in pieces:
            wide = number / longest * 100
            placed.append((look, round(start, 2), round(wide, 2)))
            start += wide
        drawn.append(Bar(label, text, placed))
    return drawn


def sparkline(values: Sequence[int]) -> str:
    """Return small columns as one path, in slots across and :data:`SMALL` pixels down."""
    most = max(values, default=0) or 1
    heights = (max(1.0, SMALL * value / most) if value else 0.0 for value in values)
    return "".join(
        f"M{place * SLOT} {SMALL - height:.1f}h{SLOT - 2}v{height:.1f}h-{SLOT - 2}z"
        for place, height in enumerate(heights)
        if height
    )
