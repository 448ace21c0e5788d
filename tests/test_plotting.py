"""Plots: what is drawn stays inside, adds up and can be read, however much there is."""

from __future__ import annotations

import re

import pytest
from babel import Locale

from invitations_plugin.plotting import (
    HEIGHT,
    MARKS,
    Columns,
    Part,
    axis_text,
    bars,
    columns,
    sparkline,
    tick_step,
)

ENGLISH = Locale("en")
PIECE = re.compile(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h")


def draw(*parts: list[int]) -> Columns:
    looks = ("solid", "striped", "open")
    named = [Part(look, look, list(each)) for look, each in zip(looks, parts, strict=False)]
    marks = [f"day {n}" for n in range(len(parts[0]))]
    return columns(named, marks, marks, ENGLISH)


def pieces(path: str) -> list[tuple[float, ...]]:
    """Return left, top, width and height of what a path draws."""
    return [tuple(map(float, each)) for each in PIECE.findall(path)]


def test_parts_stand_on_each_other_as_high_as_their_numbers() -> None:
    drawn = draw([3], [1], [4])  # of an axis up to 8
    (solid,), (striped,), (opened,) = (pieces(path) for _, path in drawn.paths)
    assert [round(each[3]) for each in (solid, striped, opened)] == [75, 25, 100]
    assert solid[1] + solid[3] == HEIGHT
    assert striped[1] + striped[3] == solid[1]
    assert opened[1] + opened[3] == striped[1]


@pytest.mark.parametrize("number", [1, 2, 7, 31, 63, 400, 1000])
def test_any_number_of_columns_lies_inside_and_has_few_marks(number: int) -> None:
    drawn = draw([place % 9 for place in range(number)], [1] * number)
    for _, path in drawn.paths:
        assert all(left + width <= drawn.width for left, _, width, _ in pieces(path))
        assert all(0 <= top <= top + high <= HEIGHT + 0.1 for _, top, _, high in pieces(path))
    assert 1 <= len(drawn.marks) <= MARKS
    assert all(0 < mark.at < 100 for mark in drawn.marks)
    assert len(drawn.notes) == number


def test_nothing_is_an_empty_plot_with_its_axis() -> None:
    drawn = draw([0, 0], [0, 0])
    assert [path for _, path in drawn.paths] == ["", ""]
    assert [tick.text for tick in drawn.ticks] == ["0", "1"]


@pytest.mark.parametrize(
    ("most", "step"),
    [(0, 1), (1, 1), (5, 1), (6, 2), (11, 5), (49, 10), (101, 50), (52_000, 20_000)],
)
def test_ticks_are_round_and_few(most: int, step: int) -> None:
    assert tick_step(most) == step


def test_an_axis_speaks_the_readers_language() -> None:
    assert axis_text(1_500, Locale("fr")) == "1\u202f500"
    assert axis_text(1_500, ENGLISH) == "1,500"
    assert axis_text(20_000, ENGLISH) == "20K"


def test_a_lone_column_is_no_wall() -> None:
    ((_, _, width, _),) = pieces(draw([5]).paths[0][1])
    assert width < draw([5]).width / 10


def test_bars_share_one_scale() -> None:
    drawn = bars([("a", "", [("solid", 3), ("open", 1)]), ("b", "", [("solid", 2)])])
    assert drawn[0].pieces == [("solid", 0.0, 75.0), ("open", 75.0, 25.0)]
    assert drawn[1].pieces == [("solid", 0.0, 50.0)]
    assert bars([("a", "", [("solid", 0)])])[0].pieces == [("solid", 0.0, 0.0)]


def test_a_small_plot_shows_the_least_number_and_no_zero() -> None:
    drawn = pieces(sparkline([0, 1, 1000]))
    assert [left for left, *_ in drawn] == [10, 20]
    assert drawn[0][3] == 1
