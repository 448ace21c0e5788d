"""Who answers the grid's requests, each in a process of its own, and what their pages hold."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import quote_plus, urlencode

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.support.stores import Store

from . import grid_limit
from .grid_shapes import Shape
from .timing import Once

PAGE, FRAGMENT, LIMIT = "ours, page", "ours, fragment", "limit"
FLASK_ADMIN, DJANGO = "Flask-Admin", "Django admin"
EVERYBODY = (PAGE, FRAGMENT, LIMIT, FLASK_ADMIN, DJANGO)
PEERS = (FLASK_ADMIN, DJANGO)
GRID = "/admin/invitations/"


@dataclass(frozen=True, slots=True)
class Seen:
    """A page's bytes, its rows, and the total it tells."""

    weight: int
    rows: int
    total: str


def _store(url: str, folder: Path) -> Store:
    return Store(DATABASE_URL=url, INSTANCE_PATH=str(folder), INVITATIONS_DELIVERY="none")


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
def contend(name: str, url: str, folder: str, shapes: dict[str, Shape]) -> Iterator[Once]:
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


def look_at_all(url: str, folder: Path, shapes: dict[str, Shape]) -> dict[str, dict[str, Seen]]:
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
