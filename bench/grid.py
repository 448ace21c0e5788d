"""The back office's grid at a million invitations: ours, the limit, and the field's two admins."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http.cookies import SimpleCookie
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from urllib.parse import quote_plus, urlencode

import sqlalchemy as sa
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from invitations_plugin.clock import now
from invitations_plugin.models import Invitation
from tests.support.stores import Store

from . import grid_limit
from .filled import kind_of
from .report import Section, in_short, table
from .timing import Contender, Once, Times, take_turns_at

SECONDS = 1.0
PAGE, FRAGMENT, LIMIT = "ours, page", "ours, fragment", "limit"
FLASK_ADMIN, DJANGO = "Flask-Admin", "Django admin"
EVERYBODY = (PAGE, FRAGMENT, LIMIT, FLASK_ADMIN, DJANGO)
PEERS = (FLASK_ADMIN, DJANGO)
GRID = "/admin/invitations/"
FIRST, LONG, DEEP, MONTH = "first page", "200 rows", "deep page", "status, a month, by date"
DEEP_SORTED = "deep page, by date"
RARE, COMMON = "search, one hit", "search, 42 % hit"
RARE_FILTERED, COMMON_FILTERED = f"{RARE}, and status", f"{COMMON}, and status"
SEARCHES, FILTERED = (RARE, COMMON, "search, no hit"), (RARE_FILTERED, COMMON_FILTERED)
INVITER = "inviter"
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
contender has a process of its own; all read the same database and take turns at each request, five
in a row after one that does not count, for it finds the processor's caches full of what the others
left. On a busy machine the longer request is interrupted more often: the last column divides what
the quickest tenth of each stayed below.

- *ours*: the sample store with a signed-in administrator, CSRF and translations; the page, and the
  fragment that htmx asks for.
- *limit*: hand-written SQL on the plugin's indexes, with an index of three letters added for the
  search, and the same page in one Jinja template; no login, no CSRF, no translations.
- *Flask-Admin*: a ModelView of the same columns over the same table; no login.
- *Django admin*: django-invitations' model over the same table with the other columns added; it
  cannot do without its login. Its page holds 20 or 200 rows, by two admin sites."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A request as each of them spells it: ours and the limit's alike, but for the dates."""

    ours: dict[str, Any]
    flask_admin: dict[str, Any]
    django: dict[str, Any]
    limit: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A page's bytes, its rows, and the total it tells."""

    weight: int
    rows: int
    total: str


def measure(requests: int, urls: Sequence[str]) -> Section:
    """Compare all of them on databases that are filled."""
    parts, short = [ABOUT], {}
    with TemporaryDirectory() as name:
        for url in urls:
            text, short[kind_of(url)] = _on(url, Path(name), requests)
            parts.append(text)
    return Section(TITLE, "\n\n".join(parts), in_short(short, SHORT))


def _store(url: str, folder: Path) -> Store:
    return Store(DATABASE_URL=url, INSTANCE_PATH=str(folder), INVITATIONS_DELIVERY="none")


def _on(url: str, folder: Path, requests: int) -> tuple[str, dict[str, str]]:
    """Return what was found on a database, and that in short."""
    grid_limit.prepare(url)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        shapes = _shapes(connection)
        kind = kind_of(url)
        version = ".".join(map(str, engine.dialect.server_version_info or ()))
        total = connection.scalar(sa.select(sa.func.count()).select_from(Invitation)) or 0
    engine.dispose()
    seen = _look_at_all(url, folder, shapes)
    contenders = [Contender(each, _contend, (each, url, str(folder), shapes)) for each in EVERYBODY]
    found = take_turns_at(list(shapes), contenders, requests, SECONDS, f"grid, {kind}")
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


def _shapes(connection: sa.Connection) -> dict[str, Shape]:
    """Return the requests, with keys and words that this database has."""
    I = Invitation  # noqa: E741
    total = connection.scalar(sa.select(sa.func.count()).select_from(I)) or 0
    page = total // 40
    first_day, last_day = (now().date() - timedelta(days=days) for days in (60, 31))
    by_id = sa.select(I.id, I.sent_at, I.email)
    deep = connection.execute(by_id.order_by(I.id.desc()).offset(page * 20 - 21)).first()
    dated = by_id.where(I.sent_at.is_not(None)).order_by(I.sent_at.desc(), I.id.desc())
    sent = connection.execute(dated.offset(page * 20 - 21)).first()
    inviters = sa.select(I.inviter_email).where(I.inviter_key != "").group_by(I.inviter_email)
    inviter = connection.scalar(inviters.order_by(sa.func.count().desc(), I.inviter_email))
    if deep is None or sent is None:
        raise RuntimeError("There are too few invitations for a deep page.")
    rare = deep.email.rpartition(".example.")[0]
    month = {"sent_from": str(first_day), "sent_to": str(last_day)}
    begin, end = f"{first_day} 00:00:00", f"{last_day + timedelta(days=1)} 00:00:00"
    instants = {"sent_from": begin, "sent_to": end, "between": f"{begin} to {end}"}

    def same(**chosen: str) -> Shape:
        return _shape(chosen, chosen, {})

    def dates(**chosen: str) -> Shape:
        return _shape(chosen | month, chosen, instants)

    shapes = {
        FIRST: same(),
        LONG: Shape({"size": 200}, {"page_size": 200}, {"long": True}),
        DEEP: Shape({"after": deep.id}, {"page": page - 1}, {"p": page}),
    }
    ours = ("email", "invitee", "sent", "registered", "status", "website", "group")
    for place, code in enumerate(ours, 1):
        for order in ("desc", "asc"):
            shapes[f"sort by {code}, {order}"] = Shape(
                {"sort": code, "dir": order},
                {"sort": place, "desc": int(order == "desc")},
                {"o": f"{'-' if order == 'desc' else ''}{place + 1}"},
            )
    key = f"{sent.id}:{sent.sent_at.isoformat()}"
    shapes[DEEP_SORTED] = Shape(
        {"sort": "sent", "after": key},
        {"sort": 3, "desc": 1, "page": page - 1},
        {"o": "-4", "p": page},
        {"sort": "sent", "after": f"{sent.id}:{_stored(sent.sent_at)}"},
    )
    return shapes | {
        MONTH: dates(status="discarded", sort="sent"),
        "website and group": same(website="private", group="vip"),
        INVITER: replace(
            _shape({"email": f"={inviter}"}, {"email": str(inviter)}, {}),
            limit={"email": str(inviter)},
        ),
        "three filters, many hits": same(status="expired", website="main", group="general"),
        "three filters, few hits": same(status="declined", website="private", group="wholesale"),
        "three filters, no hit": dates(status="not_sent", website="main", sort="sent"),
        RARE: _search(rare),
        COMMON: _search(".com"),
        SEARCHES[2]: _search("zzqqzz"),
        RARE_FILTERED: _search(rare, status="sent"),
        COMMON_FILTERED: _search(".com", status="expired"),
    }


def _stored(moment: datetime) -> str:
    """Return a moment as SQLite keeps it; PostgreSQL reads that as well."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


# What ours calls a filter, then Flask-Admin and Django.
PEER_FILTERS = {
    "status": ("status_equals", "status__exact"),
    "website": ("website_equals", "website__exact"),
    "group": ("group_code_equals", "group_code__exact"),
    "email": ("inviter_email_equals", "inviter_email__exact"),
}


def _shape(ours: dict[str, str], chosen: dict[str, str], dates: dict[str, str]) -> Shape:
    """Return filters as each of them has it; ``dates`` sorts by them, too."""
    filters = {name: value for name, value in chosen.items() if name in PEER_FILTERS}
    flask_admin = {
        f"flt{place}_{PEER_FILTERS[name][0]}": value
        for place, (name, value) in enumerate(filters.items())
    }
    django = {PEER_FILTERS[name][1]: value for name, value in filters.items()}
    if not dates:
        return Shape(dict(ours), dict(flask_admin), dict(django))
    flask_admin[f"flt{len(filters)}_sent_at_between"] = dates["between"]
    django |= {"sent__gte": dates["sent_from"], "sent__lt": dates["sent_to"]}
    limit = ours | {name: dates[name] for name in ("sent_from", "sent_to")}
    return Shape(
        dict(ours), {**flask_admin, "sort": 3, "desc": 1}, {**django, "o": "-4"}, dict(limit)
    )


def _search(text: str, **filters: str) -> Shape:
    plain = _shape(filters, filters, {})
    return Shape(
        plain.ours | {"invitee": text},
        plain.flask_admin | {"search": text},
        plain.django | {"q": text},
    )


class _Browser:
    """One contender's pages, as a browser asks for them: it keeps the cookies it is given."""

    def __init__(self, app: Any, paths: dict[str, str], cookie: str = "", **headers: str) -> None:
        self.app, self.paths = app, paths
        self.cookies: SimpleCookie = SimpleCookie(cookie)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def once(self, shape: str) -> float:
        """Get a page and return the seconds."""
        environ = self._environ(shape)
        start = perf_counter()
        _, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        seconds = perf_counter() - start
        if not status.startswith("200"):
            raise RuntimeError(f"{self.paths[shape]} answered {status}")
        for line in headers.getlist("Set-Cookie"):
            self.cookies.load(line)
        return seconds

    def text(self, shape: str) -> str:
        body, _, _ = run_wsgi_app(self.app, self._environ(shape), buffered=True)
        return b"".join(body).decode()

    def _environ(self, shape: str) -> Any:
        path, _, query = self.paths[shape].partition("?")
        kept = "; ".join(f"{each.key}={each.coded_value}" for each in self.cookies.values())
        headers = Headers([*self.headers.items(), *([("Cookie", kept)] if kept else [])])
        return EnvironBuilder(path, query_string=query, headers=headers).get_environ()


@contextmanager
def _ours(url: str, folder: str, shapes: dict[str, Shape], **headers: str) -> Iterator[_Browser]:
    logging.getLogger("invitations_plugin").setLevel(logging.ERROR)
    with closing(_store(url, Path(folder))) as store:
        admin = store.staff()
        cookie = admin.client.get_cookie(store.app.config["SESSION_COOKIE_NAME"])
        if cookie is None:
            raise RuntimeError("Nobody is signed in.")
        paths = {name: _path(GRID, each.ours) for name, each in shapes.items()}
        yield _Browser(store.app, paths, f"{cookie.key}={cookie.value}", **headers)


@contextmanager
def _page(url: str, folder: str, shapes: dict[str, Shape]) -> Iterator[_Browser]:
    with _ours(url, folder, shapes) as browser:
        yield browser


@contextmanager
def _fragment(url: str, folder: str, shapes: dict[str, Shape]) -> Iterator[_Browser]:
    with _ours(url, folder, shapes, HX_Request="true") as browser:
        yield browser


@contextmanager
def _limit(url: str, folder: str, shapes: dict[str, Shape]) -> Iterator[_Browser]:
    paths = {name: _path("/", each.limit or each.ours) for name, each in shapes.items()}
    yield _Browser(grid_limit.create_app(url), paths)


@contextmanager
def _flask_admin(url: str, folder: str, shapes: dict[str, Shape]) -> Iterator[_Browser]:
    from . import grid_peers

    paths = {name: _path("/admin/grid/", each.flask_admin) for name, each in shapes.items()}
    yield _Browser(grid_peers.flask_admin(url), paths)


@contextmanager
def _django(url: str, folder: str, shapes: dict[str, Shape]) -> Iterator[_Browser]:
    from . import grid_peers

    app, cookie = grid_peers.django(url)
    paths = {}
    for name, each in shapes.items():
        asked = {key: value for key, value in each.django.items() if key != "long"}
        paths[name] = _path(
            "/long/admin/row/" if "long" in each.django else "/admin/admin/row/", asked
        )
    yield _Browser(app, paths, cookie)


def _path(root: str, asked: dict[str, Any]) -> str:
    return f"{root}?{urlencode(asked, quote_via=quote_plus)}"


OPENED = {
    PAGE: _page,
    FRAGMENT: _fragment,
    LIMIT: _limit,
    FLASK_ADMIN: _flask_admin,
    DJANGO: _django,
}
# How each of them marks a row.
ROW = {
    FLASK_ADMIN: re.compile(r'name="rowid"[^>]*value="(\d+)"'),
    DJANGO: re.compile(r'name="_selected_action" value="(\d+)"'),
}
TOTAL = re.compile(r">([\d,]+\+?) found<")
OUR_ROW = re.compile(r'data-invitation-id="(\d+)"')


@contextmanager
def _contend(name: str, url: str, folder: str, shapes: dict[str, Shape]) -> Iterator[Once]:
    with OPENED[name](url, folder, shapes) as browser:
        yield browser.once


def _look(name: str, url: str, folder: str, shapes: dict[str, Shape]) -> dict[str, Seen]:
    """Return what each page of a contender holds."""
    with OPENED[name](url, folder, shapes) as browser:
        texts = {shape: browser.text(shape) for shape in shapes}
    row = ROW.get(name, OUR_ROW)
    return {
        shape: Seen(len(text.encode()), len(row.findall(text)), "".join(TOTAL.findall(text)))
        for shape, text in texts.items()
    }


def _look_at_all(url: str, folder: Path, shapes: dict[str, Shape]) -> dict[str, dict[str, Seen]]:
    """Look at everybody's pages, each in a process of its own; all must show as many rows.

    :raises RuntimeError: when one shows others than ours: it would not be the same work.
    """
    seen = {}
    for name in EVERYBODY:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            seen[name] = pool.submit(_look, name, url, str(folder), shapes).result()
    for shape in shapes:
        numbers = {name: seen[name][shape].rows for name in EVERYBODY}
        if len(set(numbers.values())) > 1:
            raise RuntimeError(f"{shape}: rows differ: {numbers}")
    return seen


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

    def within(shape: str, name: str, most: float) -> bool:
        limit = p50[shape][LIMIT]
        allowed = limit * most if limit >= 0.001 else max(limit * most, limit + LEAST_ALLOWANCE)
        return p50[shape][name] <= allowed

    def faster(shape: str, least: float) -> bool:
        return all(p50[shape][peer] >= least * p50[shape][PAGE] for peer in PEERS)

    def bounded(shape: str, most: float) -> bool:
        return p50[shape][PAGE] <= most

    totals = (f"{total:,}", "1,000+", "10,000+")
    first, month = p50[FIRST][PAGE], 4 if kind == "SQLite" else 2.5
    goals: list[tuple[str, list[str], Callable[[str], bool]]] = [
        ("1: page at most 4 times the limit", plain, lambda s: within(s, PAGE, 4)),
        ("1: fragment at most 3.3 times the limit", plain, lambda s: within(s, FRAGMENT, 3.3)),
        (
            "1: 8 times faster than both peers",
            [s for s in plain if s != MONTH],
            lambda s: faster(s, 8),
        ),
        (f"1: {MONTH}: {month:g} times faster than both", [MONTH], lambda s: faster(s, month)),
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
    judged = "\n".join(_judged(*goal) for goal in goals)
    weights = ", ".join(f"{name} {seen[name][FIRST].weight / 1024:.1f}" for name in EVERYBODY)
    return f"Goals:\n\n{judged}\n\nFirst page in KB: {weights}."


def _judged(goal: str, shapes: Sequence[str], holds: Callable[[str], bool]) -> str:
    missed = [shape for shape in shapes if not holds(shape)]
    if not missed:
        return f"- {goal}: reached"
    return f"- {goal}: **missed** by {len(missed)} of {len(shapes)} ({'; '.join(missed)})"
