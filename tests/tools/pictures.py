"""Take the README's pictures again: ``make pictures``."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from playwright.sync_api import Browser, Page, sync_playwright
from waitress import create_server

from invitations_plugin.clock import now
from invitations_plugin.models import Invitation

from ..support.sink import Sink
from ..support.stores import LIST, Store, Visitor
from .chromium import find

DOCS = Path(__file__).parent.parent.parent / "docs"
FRIENDS = (
    "amelie.durand@example.com",
    "jonas.lindqvist@example.com",
    "chiara.romano@example.org",
    "wei.zhang@example.net",
    "noor.devries@example.com",
    "samuel.okafor@example.org",
    "hanna.berg@example.net",
)
MORE = ("luca.ferri@example.com", "maya.patel@example.org", "theo.martin@example.net")


def main() -> None:
    """Fill a store with believable rows and photograph two of its pages."""
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Sink() as sink, _store(folder, sink) as store:
        _fill(store, sink)
        with sync_playwright() as playwright, _serving(store) as url:
            browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox"])
            _take(browser, url, store.inviter, LIST, "my-invitations.png")
            _take(browser, url, "admin@example.com", "/admin/invitations/", "grid.png")
            browser.close()


@contextmanager
def _store(folder: str, sink: Sink) -> Iterator[Store]:
    config: dict[str, Any] = {
        "INSTANCE_PATH": folder,
        "INVITATIONS_BASE_URL": "http://127.0.0.1",
        "INVITATIONS_DELIVERY": "none",
        "MAIL_PORT": sink.port,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_SUPPRESS_SEND": False,
        "TESTING": True,
    }
    store = Store(**config)
    store.prepare()
    store.seed()
    yield store
    store.close()


def _fill(store: Store, sink: Sink) -> None:
    veronica, marcus = store.customer(), store.customer(store.other_inviter)
    veronica.send(*FRIENDS[:5])
    veronica.send(*FRIENDS[5:])
    marcus.send(*MORE)
    store.deliver()
    for address in (FRIENDS[0], FRIENDS[3], MORE[1]):
        friend = store.visitor()
        friend.get(sink.to(address)[0].link)
        store.register(friend, address)
    _cancel(veronica, store.invitation(FRIENDS[2]))
    _age(store)


def _cancel(visitor: Visitor, row: Invitation) -> None:
    visitor.get(LIST)
    visitor.post(f"{LIST}{row.id}/cancel")


def _age(store: Store) -> None:
    """Spread what was done in a second over some weeks."""
    for row in store.invitations():
        age = timedelta(days=(29 * (12 - row.id)) // 12, hours=row.id)
        changes: dict[str, Any] = {"sent_at": now() - age, "last_sent_at": now() - age}
        if row.registered_at:
            changes["registered_at"] = now() - age / 2
        with store.session() as db:
            db.execute(sa.update(Invitation).where(Invitation.id == row.id).values(changes))
            db.commit()


@contextmanager
def _serving(store: Store) -> Iterator[str]:
    door = socket.create_server(("127.0.0.1", 0))
    server = create_server(store.app, sockets=[door])
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{door.getsockname()[1]}"
    server.close()


def _take(browser: Browser, url: str, who: str, path: str, name: str) -> None:
    page: Page = browser.new_page(viewport={"width": 1280, "height": 640}, base_url=url)
    page.goto("/login")
    page.fill("[name=email]", who)
    page.fill("[name=password]", Store.password)
    page.locator("main form button").last.click()
    page.wait_for_url(lambda address: "/login" not in address)
    page.goto(path)
    page.screenshot(path=DOCS / name, full_page=True)
    page.close()


if __name__ == "__main__":
    main()
