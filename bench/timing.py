"""Contenders side by side: each in a process of its own, all taking turns."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import click

WARM_UP = 20
Once = Callable[[], float]  # does the work one time and returns the seconds it took
Make = Callable[..., AbstractContextManager[Once]]


@dataclass(frozen=True, slots=True)
class Contender:
    """Who takes part: ``make(*arguments)`` is entered in the contender's own process.

    ``every`` 5 lets a slow one take part in every fifth round only.
    """

    name: str
    make: Make
    arguments: tuple[Any, ...] = ()
    every: int = 1


@dataclass(frozen=True, slots=True)
class Times:
    """What one contender took, in seconds."""

    seconds: Sequence[float]

    @property
    def p50(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.seconds, n=20)[-1]


class _Runner:
    """A contender at work. Its threads and its garbage are nobody else's."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        context = get_context("spawn")
        self._pipe, end = context.Pipe()
        self._process = context.Process(
            target=_work, args=(end, contender.make, contender.arguments), daemon=True
        )
        self._process.start()
        end.close()

    def __enter__(self) -> _Runner:
        for _ in range(WARM_UP):
            self.once()
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.is_alive():
            self._pipe.send(False)
        self._process.join()

    def once(self) -> float:
        """Let it do its work one time.

        :raises RuntimeError: when it failed; its own error stands above.
        """
        try:
            self._pipe.send(True)
            return float(self._pipe.recv())
        except (EOFError, BrokenPipeError) as error:
            raise RuntimeError(f"{self.contender.name}: failed") from error


def _work(pipe: Connection, make: Make, arguments: tuple[Any, ...]) -> None:
    with make(*arguments) as once:
        while pipe.recv():
            pipe.send(once())


def take_turns(contenders: Iterable[Contender], rounds: int, label: str) -> dict[str, Times]:
    """Let all do their work in every round, in an order that changes from round to round."""
    with ExitStack() as stack:
        runners = [stack.enter_context(_Runner(each)) for each in contenders]
        taken: dict[str, list[float]] = {each.contender.name: [] for each in runners}
        bar = stack.enter_context(click.progressbar(range(rounds), label=label))
        for number in bar:
            present = [each for each in runners if number % each.contender.every == 0]
            for runner in random.sample(present, len(present)):
                taken[runner.contender.name].append(runner.once())
    return {name: Times(seconds) for name, seconds in taken.items()}
