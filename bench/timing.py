"""Contenders side by side: each in a process of its own, all taking turns."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import click

WARM_UP = 20
WARM_SECONDS = 0.5
SLOW = 0.3  # seconds that are none of the caches' doing
FEWEST = 3
Once = Callable[..., float]  # does the work one time and returns the seconds it took
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
    def undisturbed(self) -> float:
        """What the quickest tenth stayed below: a busy machine let these run through."""
        return statistics.quantiles(self.seconds, n=10, method="inclusive")[0]

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
            target=_work, args=(end, contender.make, contender.arguments)
        )  # no daemon: it may have processes of its own
        self._process.start()
        end.close()

    def __enter__(self) -> _Runner:
        """Wait until it is ready: what it prepares shall disturb nobody."""
        self.answer()
        return self

    def warm_up(self) -> None:
        """Do the work as often as it takes until nothing is done for the first time."""
        for _ in range(WARM_UP):
            self.once()

    def __exit__(self, *error: object) -> None:
        if self._process.is_alive():
            self._pipe.send(None)
        self._process.join()

    def once(self, *job: str) -> float:
        """Let it do its work, or one of several jobs, one time.

        :raises RuntimeError: when it failed; its own error stands above.
        """
        self.begin(*job)
        return self.answer()

    def begin(self, *job: str) -> None:
        """Let it begin with that, and do not wait."""
        try:
            self._pipe.send(job)
        except BrokenPipeError as error:
            raise RuntimeError(f"{self.contender.name}: failed") from error

    def answer(self) -> float:
        try:
            return float(self._pipe.recv())
        except EOFError as error:
            raise RuntimeError(f"{self.contender.name}: failed") from error


def _work(pipe: Connection, make: Make, arguments: tuple[Any, ...]) -> None:
    with make(*arguments) as once:
        pipe.send(0)  # ready
        while (job := pipe.recv()) is not None:
            pipe.send(once(*job))


def take_turns(contenders: Iterable[Contender], rounds: int, label: str) -> dict[str, Times]:
    """Let all do their work in every round, in an order that changes from round to round."""
    with ExitStack() as stack:
        runners = [stack.enter_context(_Runner(each)) for each in contenders]
        for runner in runners:
            runner.warm_up()
        taken: dict[str, list[float]] = {each.contender.name: [] for each in runners}
        bar = stack.enter_context(click.progressbar(range(rounds), label=label))
        for number in bar:
            present = [each for each in runners if number % each.contender.every == 0]
            for runner in random.sample(present, len(present)):
                taken[runner.contender.name].append(runner.once())
    return {name: Times(seconds) for name, seconds in taken.items()}


@contextmanager
def alone(contender: Contender) -> Iterator[Once]:
    """Yield a contender's work, done in its own process."""
    with _Runner(contender) as runner:
        yield runner.once


@contextmanager
def side_by_side(contender: Contender, number: int) -> Iterator[Callable[..., None]]:
    """Yield what lets several of a kind do their work at once and waits for the last of them."""
    with ExitStack() as stack:
        runners = [stack.enter_context(_Runner(contender)) for _ in range(number)]

        def all_of_them(*job: str) -> None:
            for each in runners:
                each.begin(*job)
            for each in runners:
                each.answer()

        yield all_of_them


def one_after_another(
    contenders: Iterable[Contender], rounds: int, undo: Callable[[], None], label: str
) -> dict[str, Times]:
    """Let each do its work, which ``undo`` takes back before the next one begins.

    The quick ones do it once more at first, which does not count.
    """
    with ExitStack() as stack:
        runners = [stack.enter_context(_Runner(each)) for each in contenders]
        taken: dict[str, list[float]] = {each.contender.name: [] for each in runners}
        turns = [[each for each in runners if each.contender.every == 1]]
        for number in range(rounds):
            turns.append([each for each in runners if number % each.contender.every == 0])
        bar = stack.enter_context(click.progressbar(turns, label=label))
        for number, present in enumerate(bar):
            for runner in random.sample(present, len(present)):
                seconds = runner.once()
                undo()
                if number:
                    taken[runner.contender.name].append(seconds)
    return {name: Times(seconds) for name, seconds in taken.items()}


def take_turns_at(
    jobs: Sequence[str],
    contenders: Iterable[Contender],
    times: int,
    seconds: float,
    label: str,
    in_a_row: int = 5,
) -> dict[str, dict[str, Times]]:
    """Let all do every job so many times, taking turns; return times by job and name.

    Each round has all jobs: what disturbs the machine for a while disturbs some rounds of all,
    not all of some. A turn is ``in_a_row`` times, after a fifth as many that do not count: these
    find the processor's caches full of what the others left, which is the benchmark's doing, and
    of no matter to what takes longer than :data:`SLOW`, whose warming up counts as well. Who has
    been busy with a job for ``seconds``, and has done it :data:`FEWEST` times, rests for the rest
    of its rounds: the slow would hold up the fast.
    """
    with ExitStack() as stack:
        runners = [stack.enter_context(_Runner(each)) for each in contenders]
        turns = [[_Turns(runner, job) for runner in runners] for job in jobs]
        in_all = [turns] * -(-times // in_a_row)
        bar = stack.enter_context(click.progressbar(length=len(in_all) * len(jobs), label=label))
        for each in chain.from_iterable(turns):
            each.warm_up()
        for at_job in chain.from_iterable(in_all):
            for each in random.sample(at_job, len(at_job)):
                each.take(seconds, in_a_row)
            bar.update(1)
    return {
        job: {each.runner.contender.name: Times(each.times) for each in at_job}
        for job, at_job in zip(jobs, turns, strict=True)
    }


@dataclass(slots=True)
class _Turns:
    """What a contender does at one job: what it took, and how long it was busy with all of it."""

    runner: _Runner
    job: str
    times: list[float] = field(default_factory=list)
    busy: float = 0.0
    is_slow: bool = False

    def once(self) -> float:
        """Let it do its job; return what it says that this took, which may be of a part."""
        start = perf_counter()
        figure = self.runner.once(self.job)
        self.busy += perf_counter() - start
        return figure

    def warm_up(self) -> None:
        """Let it do its job until it is warm; the slow are so after one time, which counts."""
        figures: list[float] = []
        while len(figures) < WARM_UP and self.busy < WARM_SECONDS:
            before = self.busy
            figures.append(self.once())
            self.is_slow = self.busy - before > SLOW
        if self.is_slow:
            self.times = figures
        else:
            self.busy = 0.0

    def take(self, seconds: float, in_a_row: int) -> None:
        """Let it do its job some times in a row, after a few that do not count."""
        if not (self._is_enough(seconds) or self.is_slow):
            for _ in range(in_a_row // 5):
                self.once()
        for _ in range(in_a_row):
            if not self._is_enough(seconds):
                self.times.append(self.once())

    def _is_enough(self, seconds: float) -> bool:
        return len(self.times) >= FEWEST and self.busy >= seconds
