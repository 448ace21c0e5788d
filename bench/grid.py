"""The back office's grid at a million invitations: ours, the limit, and the field's two admins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from invitations_plugin.models import Invitation

from . import grid_limit
from .filled import kind_of
from .grid_contenders import (
    DJANGO,
    EVERYBODY,
    FLASK_ADMIN,
    FRAGMENT,
    LIMIT,
    PAGE,
    PEERS,
    Seen,
    contend,
    look_at_all,
)
from .grid_shapes import (
    COMMON,
    DEEP,
    FILTERED,
    FIRST,
    LONG,
    MONTH,
    RARE,
    SEARCHES,
    shapes_of,
)
from .report import Section, in_short, table
from .timing import Contender, Times, take_turns_at

SECONDS = 1.0
LEAST_ALLOWANCE = 0.0025  # seconds over a limit that is under a millisecond
WEIGHT = 15 * 1024
# What the README shows, with the goal of each.
SHORT = {
    "grid, first page, times the limit": "at most 4",
    "the same as a fragment, times the limit": "at most 3.3",
    **{f"grid, first page, {name}'s time by ours": "at least 8" for name in PEERS},
    "grid, page 25,000 by the first": "at most 1.15",
    f"grid, search for one hit, {FLASK_ADMIN}'s time by ours": "at least 50 on SQLite",
    f"grid, search for one hit, {DJANGO}'s time by ours": "-",
    "grid, slowest request": "at most 50 ms",
    "grid, weight of 20 rows": "at most 15 KB",
}
TITLE = "The grid"
HEADS = (
    "request",
    *(f"{name} ms" for name in EVERYBODY),
    *("page / limit", "fragment / limit", *(f"{name} / page" for name in PEERS)),
    "page / limit, undisturbed",
)
ABOUT = """GET requests as the server's work from the WSGI call to the end of the answer, p50. Each
contender has a process of its own; all read the same database and take turns at each request, ten
in a row after two that do not count, for these find the processor's caches full of what the others
left. On a busy machine the longer request is interrupted more often: the last column divides what
the quickest tenth of each stayed below.

- *ours*: the sample store with a signed-in administrator, CSRF and translations; the page, and the
  fragment that htmx asks for.
- *limit*: hand-written SQL on the plugin's indexes, with an index of three letters added for the
  search, and the same page in one Jinja template; no login, no CSRF, no translations.
- *Flask-Admin*: a ModelView of the same columns over the same table; no login.
- *Django admin*: django-invitations' model over the same table with the other columns added; it
  cannot do without its login. Its page holds 20 or 200 rows, by two admin sites."""


def measure(requests: int, urls: Sequence[str]) -> Section:
    """Compare all of them on databases that are filled."""
    parts, short = [ABOUT], {}
    with TemporaryDirectory() as name:
        for url in urls:
            text, short[kind_of(url)] = _on(url, Path(name), requests)
            parts.append(text)
    return Section(TITLE, "\n\n".join(parts), in_short(short, SHORT))


def _on(url: str, folder: Path, requests: int) -> tuple[str, dict[str, str]]:
    """Return what was found on a database, and that in short."""
    grid_limit.prepare(url)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        shapes = shapes_of(connection)
        kind = kind_of(url)
        version = ".".join(map(str, engine.dialect.server_version_info or ()))
        total = connection.scalar(sa.select(sa.func.count()).select_from(Invitation)) or 0
    engine.dispose()
    seen = look_at_all(url, folder, shapes)
    contenders = [Contender(each, contend, (each, url, str(folder), shapes)) for each in EVERYBODY]
    found = take_turns_at(list(shapes), contenders, requests, SECONDS, f"grid, {kind}", 10)
    rows = [_row(name, times) for name, times in found.items()]
    heading = f"**{kind} {version}, {total:,} invitations**"
    text = "\n\n".join([heading, table(HEADS, rows), _verdict(found, seen, kind, total)])
    return text, _in_short(found, seen)


def _in_short(
    found: dict[str, dict[str, Times]], seen: dict[str, dict[str, Seen]]
) -> dict[str, str]:
    """Return the figures of :data:`SHORT`, in its order."""
    first, deep, rare = (
        {name: each.p50 for name, each in found[shape].items()} for shape in (FIRST, DEEP, RARE)
    )
    slowest = max(each[PAGE].p50 for each in found.values())
    told = (
        f"{first[PAGE] / first[LIMIT]:.1f}",
        f"{first[FRAGMENT] / first[LIMIT]:.1f}",
        *(f"{first[peer] / first[PAGE]:.1f}" for peer in PEERS),
        f"{deep[PAGE] / first[PAGE]:.2f}",
        *(f"{rare[peer] / rare[PAGE]:.1f}" for peer in PEERS),
        f"{slowest * 1000:.0f} ms",
        f"{seen[PAGE][FIRST].weight / 1024:.1f} KB",
    )
    return dict(zip(SHORT, told, strict=True))


def _row(shape: str, times: dict[str, Times]) -> list[str]:
    p50 = {name: each.p50 for name, each in times.items()}
    return [
        shape,
        *(f"{p50[name] * 1000:.2f}" for name in EVERYBODY),
        *(f"{p50[name] / p50[LIMIT]:.1f}" for name in (PAGE, FRAGMENT)),
        *(f"{p50[name] / p50[PAGE]:.1f}" for name in PEERS),
        f"{times[PAGE].undisturbed / times[LIMIT].undisturbed:.1f}",
    ]


def _verdict(
    found: dict[str, dict[str, Times]], seen: dict[str, dict[str, Seen]], kind: str, total: int
) -> str:
    """Hold what was found against the goals; a goal names the requests that miss it."""
    p50 = {shape: {name: each.p50 for name, each in one.items()} for shape, one in found.items()}
    searches = (*SEARCHES, *FILTERED)
    plain = [shape for shape in p50 if shape not in (*searches, LONG)]
    first, month = p50[FIRST][PAGE], 4 if kind == "SQLite" else 2.5

    def within(shape: str, name: str, most: float) -> bool:
        return p50[shape][name] <= _allowed(p50[shape][LIMIT], most)

    def faster(shape: str, least: float) -> bool:
        return all(p50[shape][peer] >= least * p50[shape][PAGE] for peer in PEERS)

    def can_be(shape: str, least: float) -> bool:
        return min(p50[shape][peer] for peer in PEERS) >= least * _allowed(p50[shape][LIMIT], 4)

    near = {
        shape: least
        for shape in plain
        for least in (month if shape == MONTH else 8,)
        if not (faster(shape, least) or can_be(shape, least))
    }

    def bounded(shape: str, most: float) -> bool:
        return p50[shape][PAGE] <= most

    totals = (f"{total:,}", "1,000+", "10,000+")
    goals: list[tuple[str, list[str], Callable[[str], bool]]] = [
        ("1: page at most 4 times the limit", plain, lambda s: within(s, PAGE, 4)),
        ("1: fragment at most 3.3 times the limit", plain, lambda s: within(s, FRAGMENT, 3.3)),
        (
            "1: 8 times faster than both peers",
            [s for s in plain if s not in (MONTH, *near)],
            lambda s: faster(s, 8),
        ),
        (
            f"1: {MONTH}: {month:g} times faster than both",
            [s for s in (MONTH,) if s not in near],
            lambda s: faster(s, month),
        ),
        (
            "1: deep page at most 1.15 times the first",
            [DEEP],
            lambda s: p50[s][PAGE] <= 1.15 * first,
        ),
        ("1: 200 rows at most 2.5 times the limit", [LONG], lambda s: within(s, PAGE, 2.5)),
        ("1: everything within 50 ms", list(p50), lambda s: bounded(s, 0.05)),
        ("2: search at most 3 times the limit", list(SEARCHES), lambda s: within(s, PAGE, 3)),
        ("2: search with a filter within 15 ms", list(FILTERED), lambda s: bounded(s, 0.015)),
        ("3: a total that is exact or marked", [FIRST], lambda s: seen[PAGE][s].total in totals),
        ("8: page of 20 rows at most 15 KB", [FIRST], lambda s: seen[PAGE][s].weight <= WEIGHT),
    ]
    if kind == "SQLite":
        ahead = lambda s: p50[s][FLASK_ADMIN] >= 50 * p50[s][PAGE]  # noqa: E731
        goals.append(("2: search 50 times faster than Flask-Admin", [RARE, COMMON], ahead))
    judged = "\n".join(_judged(*goal) for goal in goals if goal[1])
    judged += "".join(_near(shape, least, p50[shape]) for shape, least in near.items())
    weights = ", ".join(f"{name} {seen[name][FIRST].weight / 1024:.1f}" for name in EVERYBODY)
    return f"Goals:\n\n{judged}\n\nFirst page in KB: {weights}."


def _allowed(limit: float, most: float) -> float:
    """Return the seconds that a goal of so many times the limit allows."""
    return limit * most if limit >= 0.001 else max(limit * most, limit + LEAST_ALLOWANCE)


def _near(shape: str, least: float, p50: dict[str, float]) -> str:
    """Tell of a request for which two goals exclude each other: a peer is so quick that a page
    may take longer by the one than by the other.
    """
    times = " and ".join(f"{p50[peer] / p50[PAGE]:.1f}" for peer in PEERS)
    quickest, allowed = min(p50[peer] for peer in PEERS), _allowed(p50[LIMIT], 4)
    return (
        f"\n- 1: {shape}: {times} times faster. {least:g} times was not asked of it: the quicker"
        f" peer needs {quickest * 1000:.1f} ms, and goal 1 allows a page {allowed * 1000:.1f} ms"
    )


def _judged(goal: str, shapes: Sequence[str], holds: Callable[[str], bool]) -> str:
    missed = [shape for shape in shapes if not holds(shape)]
    if not missed:
        return f"- {goal}: reached"
    return f"- {goal}: **missed** by {len(missed)} of {len(shapes)} ({'; '.join(missed)})"
