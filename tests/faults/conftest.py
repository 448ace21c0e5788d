"""Fixtures of the fault tests, and the table that ``make faults`` ends with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..support.sink import Sink
from ..support.stores import Store
from .crew import Crew
from .judging import RUNS, WHOLE, Run, table

MakeCrew = Callable[..., Crew]


@pytest.fixture
def make_crew(sink: Sink, tmp_path: Path) -> Iterator[MakeCrew]:
    """Return a function that gives an empty crew of a store."""
    made: list[Crew] = []

    def make(store: Store, **more: str) -> Crew:
        made.append(Crew(store, sink, tmp_path, more))
        return made[-1]

    yield make
    for each in made:
        each.clear()


@pytest.fixture
def crew(store: Store, make_crew: MakeCrew) -> Crew:
    """The crew of the sample store."""
    return make_crew(store)


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """What this test saw, for the table."""
    made = Run(request.node.originalname.removeprefix("test_").replace("_", " "))
    for name in ("database", "number"):
        if name in request.fixturenames:
            made.name += f", {request.getfixturevalue(name)}"
    yield made
    RUNS.append(made)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of the runs."""
    if WHOLE and RUNS:
        terminalreporter.write_line(table())
