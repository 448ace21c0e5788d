"""A store that really listens, and Chromium to visit it with."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)
from waitress import create_server, wasyncore

from ..support.mail_templates import TEMPLATES, add_template
from ..support.stores import TOKEN, Store
from ..tools.chromium import find

PHONE, DESK = 360, 1280
PATIENCE = 15_000  # milliseconds; tests wait for what a page shows, however slow the machine
expect.set_options(timeout=PATIENCE)
# What Chromium says of every answer that is no 2xx: expected where the test asks for one.
STATUS_LINE = "Failed to load resource: the server responded with a status of"

STAFF = "admin@example.com"
ADMIN = "/admin/invitations"
TYPED = "anna@example.com\nben@example.com"
# Where something is typed: an address, a field, and what is typed.
FORMS = {
    "new": (f"{ADMIN}/new", "emails", TYPED),
    "template": (f"{TEMPLATES}spring/", "html", "<p>Typed, not saved</p>"),
    "subject": (f"{TEMPLATES}spring/", "subject", "Typed, not saved"),
    "import": (f"{ADMIN}/configuration/import", "text", "[default]\nlink_days = 7"),
    "setting": (f"{ADMIN}/configuration", "blocked_domains", "example.org"),
    "number": (f"{ADMIN}/configuration", "link_days", "12"),
}

# The lines that an element's text is shown on.
LINES = """(node) => {
  const lines = new Map(), range = document.createRange();
  for (const text of [...node.childNodes].filter((each) => each.nodeType === Node.TEXT_NODE)) {
    [...text.data].forEach((letter, at) => {
      range.setStart(text, at);
      range.setEnd(text, at + 1);
      const { top } = range.getBoundingClientRect();
      lines.set(top, (lines.get(top) ?? '') + letter);
    });
  }
  return [...lines.values()];
}"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs Chromium; without it say so, and fail on CI."""
    for item in items:
        if "browser" in item.nodeid.split("::")[0]:
            item.add_marker(pytest.mark.browser)
            if find() is None and os.environ.get("CI") != "true":
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed here"))


@pytest.fixture
def database() -> str:
    """Pages are the same on both databases: one is enough for a browser."""
    return "sqlite"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, started once."""
    with sync_playwright() as playwright:
        path = find()
        assert path is not None, "Chromium is missing"
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


class Live:
    """A store that listens on an address of its own."""

    def __init__(self, store: Store, url: str) -> None:
        self.store = store
        self.url = url


@pytest.fixture
def live(make_store: Callable[..., Store]) -> Iterator[Live]:
    """The sample store, served by threads, sending its mail by its own thread."""
    door = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{door.getsockname()[1]}"
    store = make_store(INVITATIONS_BASE_URL=url, INVITATIONS_DELIVERY="thread")
    ours: dict[int, object] = {}
    server = create_server(store.app, map=ours, sockets=[door], threads=8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield Live(store, url)
    server.task_dispatcher.shutdown()  # a request that is answered now would start it once more
    delivery = store.app.extensions["invitations"].thread
    if delivery is not None:
        delivery.end()
    # Its own thread closes the door and whom a browser has not left yet: it looks at all of them.
    server.trigger.pull_trigger(lambda: wasyncore.close_all(ours))
    thread.join(5)
    assert not thread.is_alive()


@pytest.fixture
def visit(chromium: Browser, live: Live) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a browser of somebody's own, signed in where asked.

    Whatever a page complains about on its console (a broken policy, a script's error)
    fails the test.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and STATUS_LINE not in message.text:
            complaints.append(message.text)

    def open_browser(email: str | None = None, width: int = DESK, **more: object) -> Page:
        viewport = {"width": width, "height": 800}
        context = chromium.new_context(base_url=live.url, viewport=viewport, **more)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if email is not None:
            sign_in(context, email, live.store.password)
        return page

    yield open_browser
    for context in contexts:
        context.close()
    assert complaints == []


def sign_in(context: BrowserContext, email: str, password: str) -> None:
    """Post the form without showing its page: what it shows has tests of its own."""
    found = TOKEN.search(context.request.get("/login").text())
    assert found is not None
    form = {"csrf_token": found.group(1), "email": email, "password": password}
    answer = context.request.post("/login", form=form, max_redirects=0)
    assert answer.status == 302


@pytest.fixture
def typing(live: Live, visit: Callable[..., Page]) -> Callable[..., tuple[Page, str]]:
    """Return a function that opens a form and types into it."""
    add_template(live.store)

    def open_form(name: str, **more: object) -> tuple[Page, str]:
        url, field, text = FORMS[name]
        page = visit(STAFF, **more)
        page.goto(url)
        page.locator(f"[name={field}]").click()  # a browser asks only for whom has touched the page
        page.fill(f"[name={field}]", text)
        return page, f"[name={field}]"

    return open_form
