"""What a run found, as Markdown, with the machine and the versions it was found on."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import packages_distributions, version
from pathlib import Path

from .timing import Times

RESULTS = Path(__file__).with_name("results.md")
PACKAGES = (
    "Flask",
    "Flask-SQLAlchemy",
    "SQLAlchemy",
    "psycopg",
    "Flask-Login",
    "Flask-WTF",
    "Flask-Babel",
    "Flask-Mail",
    "email-validator",
    "Flask-Admin",
    "Django",
    "django-invitations",
)
INTRODUCTION = """# What was measured

`make bench` writes this file. Machines are noisy: times of one run compare with each other,
not with another run's.
"""
README = Path(__file__).parent.parent / "README.md"
SHORT = "**In short**\n\n"
HEADS = ("what", "goal", "SQLite", "PostgreSQL")
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->"
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Section:
    """One benchmark's part of the results; the title tells it from the others.

    ``short`` are the rows that the README shows.
    """

    title: str
    text: str
    short: Sequence[Sequence[str]]


def in_short(
    found: Mapping[str, Mapping[str, str]], goals: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """Return figures by database and name as rows of :data:`HEADS`; "-" is not measured."""
    kinds = HEADS[2:]
    return [
        (what, goal, *(found.get(kind, {}).get(what, "-") for kind in kinds))
        for what, goal in goals.items()
    ]


def judged(goal: str, figure: str, is_reached: bool) -> str:
    """Return a line of the goals."""
    return f"- {goal}: {figure}, {'reached' if is_reached else '**missed**'}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns stand under each other, all but the first to the right."""
    widths = [max(len(line[column]) for line in (heads, *rows)) for column in range(len(heads))]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (heads, rule, *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return f"| {' | '.join((cells[0].ljust(widths[0]), *rest))} |"


def times_table(what: str, found: Mapping[str, Times], base: str) -> str:
    """Return what each took, and how many times the one they are compared with."""
    rows = [
        (
            name,
            f"{times.p50 * 1000:.2f}",
            f"{times.p95 * 1000:.2f}",
            f"{times.p50 / found[base].p50:.2f}",
            str(len(times.seconds)),
        )
        for name, times in found.items()
    ]
    return table((what, "p50 ms", "p95 ms", f"times '{base}'", "requests"), rows)


def keep(section: Section, command: str) -> None:
    """Put a section into the results, in place of an older one of its title."""
    older = RESULTS.read_text() if RESULTS.exists() else INTRODUCTION
    parts = re.split(r"^(?=## )", older, flags=re.MULTILINE)
    heading = f"## {section.title}\n"
    others = [part for part in parts[1:] if not part.startswith(heading)]
    short = SHORT + table(HEADS, section.short)
    new = f"{heading}\n{section.text}\n\n{short}\n\n{_circumstances(command)}\n"
    RESULTS.write_text("\n".join([INTRODUCTION, *(part.strip() + "\n" for part in others), new]))


def figures(results: str) -> str:
    """Return the sections' own short tables as one, in the sections' order."""
    rows: list[list[str]] = []
    for part in results.split(SHORT)[1:]:
        lines = part.partition("\n\n")[0].strip().splitlines()
        rows += [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return table(HEADS, rows)


def shown(readme: str) -> str:
    """Return the table that a README shows."""
    return _around_figures(readme)[1].strip()


def show() -> None:
    """Copy the figures into the README."""
    before, _, after = _around_figures(README.read_text())
    README.write_text(f"{before}\n{figures(RESULTS.read_text())}\n\n{after}")


def _around_figures(readme: str) -> tuple[str, str, str]:
    """Return what stands before the figures, they, and what follows.

    :raises ValueError: when there is no place for them.
    """
    before, begin, rest = readme.partition(BEGIN)
    told, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"The README lacks {BEGIN.strip()} or {END}.")
    return before + begin, told, end + after


def _circumstances(command: str) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    installed = {name.lower() for each in packages_distributions().values() for name in each}
    packages = ", ".join(
        f"{name} {version(name)}" for name in PACKAGES if name.lower() in installed
    )
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `{command}` on {os.cpu_count()} cores,"
        f" load {os.getloadavg()[2]:.1f},"
        f" {memory:.0f} GiB, {platform.system()} {platform.machine()}; Python"
        f" {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}."
    )
