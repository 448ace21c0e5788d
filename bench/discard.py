"""Mass discard of 100,000 invitations with a row of history each: ours, the limit, and peers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.stores import Store

from .discard_peers import DJANGO, LIMIT, LOOP, OURS, Asked, ask, contend
from .filled import kind_of
from .picked import Picked
from .report import Section, in_short, judged, table
from .timing import Contender, Times, alone, one_after_another
from .watch import watching

MANY = 100_000
ROUNDS = 3
EVERYBODY = {OURS: 1, LIMIT: 1, LOOP: ROUNDS, DJANGO: ROUNDS}  # the slow ones work once
MOST_TIMES = 1.5
LONGEST_WAIT = 0.5  # seconds that another writer may wait
REQUEST, PAGE = 1024, 15 * 1024  # bytes
TITLE = "Mass discard"
HEADS = ("who", "s", f"times '{LIMIT}'", "longest wait ms", "request B", "page KB", "question s")
ABOUT = f"""All expired invitations up to an id are discarded, {MANY:,} of them, each with a row of
history. Everybody has a process of its own and works alone, in an order that changes each round;
what was done is undone (and on PostgreSQL vacuumed) before the next one.

- *{OURS}*: the sample store, from the confirmed POST to the end of its job, in chunks with a commit
  each.
- *{LIMIT}*: hand-written SQL on the same indexes, in one transaction.
- *{LOOP}*: SQLAlchemy's entities loaded, changed and committed in one transaction.
- *{DJANGO}*: an admin action on all that a filter matches (`select_across`), which changes them by
  one UPDATE and writes its log in bulk. Flask-Admin has no action on more than a page's rows.

*Longest wait*: of somebody who wants to write meanwhile, over and over, in a pass that is not
timed: the write lock of SQLite, one of the rows on PostgreSQL. *Question*: the page that asks
before; Django's is the one of its own *delete selected*."""
TIMES, WAIT = f"{MANY:,} discarded, times the limit", "the same, longest wait of a writer"
GOALS = {TIMES: f"at most {MOST_TIMES:g}", WAIT: f"at most {LONGEST_WAIT * 1000:.0f} ms"}


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out about one of them."""

    times: Times
    wait: float
    asked: Asked | None


def measure(urls: Sequence[str]) -> Section:
    """Compare all of them on databases that are filled."""
    parts, short = [ABOUT], {}
    with TemporaryDirectory() as name:
        for url in urls:
            with closing(Picked(url, MANY)) as picked:
                found = _on(url, picked, Path(name))
                kind, total = kind_of(url), f"{picked.task.number:,} of {picked.total:,}"
                parts += [f"**{kind} {picked.version()}, {total} invitations**", _told(found)]
                parts.append(_verdict(found))
            wait = f"{found[OURS].wait * 1000:.0f} ms"
            short[kind] = {TIMES: f"{_ratio(found):.2f}", WAIT: wait}
    return Section(TITLE, "\n\n".join(parts), in_short(short, GOALS))


def _on(url: str, picked: Picked, folder: Path) -> dict[str, Found]:
    with closing(Store(DATABASE_URL=url, INSTANCE_PATH=str(folder))) as store:
        store.seed()  # the administrator
    arguments = (url, str(folder), picked.task)
    contenders = [
        Contender(name, contend, (name, *arguments), every) for name, every in EVERYBODY.items()
    ]
    times = one_after_another(contenders, ROUNDS, picked.undo, f"discard, {kind_of(url)}")
    waits = {each.name: _wait(each, url, picked) for each in contenders}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        asked = {name: pool.submit(ask, name, *arguments) for name in (OURS, DJANGO)}
        answers = {name: each.result() for name, each in asked.items()}
    return {name: Found(times[name], waits[name], answers.get(name)) for name in EVERYBODY}


def _wait(contender: Contender, url: str, picked: Picked) -> float:
    """Return how long somebody else who writes had to wait at most."""
    with alone(contender) as once, watching(url, picked.task.some) as longest:
        once()
    picked.undo()
    return longest.seconds


def _ratio(found: dict[str, Found]) -> float:
    return found[OURS].times.p50 / found[LIMIT].times.p50


def _told(found: dict[str, Found]) -> str:
    base = found[LIMIT].times.p50
    rows = [
        (
            name,
            f"{each.times.p50:.2f}",
            f"{each.times.p50 / base:.2f}",
            f"{each.wait * 1000:.0f}",
            *_question(each.asked),
        )
        for name, each in found.items()
    ]
    return table(HEADS, rows)


def _question(asked: Asked | None) -> tuple[str, str, str]:
    if asked is None:
        return "", "", ""
    return f"{asked.request:,}", f"{asked.page / 1024:,.1f}", f"{asked.seconds:.2f}"


def _verdict(found: dict[str, Found]) -> str:
    ours, ratio = found[OURS], _ratio(found)
    if ours.asked is None:
        raise RuntimeError("Ours asked nothing.")
    wait, asked = f"{ours.wait * 1000:.0f} ms", f"{ours.asked.request} B"
    is_lean = ours.asked.request <= REQUEST and ours.asked.page <= PAGE
    goals = (
        judged(f"4: {GOALS[TIMES]} times '{LIMIT}'", f"{ratio:.2f}", ratio <= MOST_TIMES),
        judged(f"4: another writer waits {GOALS[WAIT]}", wait, ours.wait <= LONGEST_WAIT),
        judged("4: the request carries the filter, not the ids", asked, is_lean),
    )
    return "Goals:\n\n" + "\n".join(goals)
