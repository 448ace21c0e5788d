"""Every page before the judges: axe for accessibility, the W3C's checker for HTML."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from invitations_plugin.clock import now

from ..support.rows import ago, one
from ..support.sink import Sink
from .conftest import DESK, PHONE, Live

TOOLS = Path(__file__).parent.parent / "tools" / "node_modules"
AXE = TOOLS / "axe-core" / "axe.min.js"
CHECKER = TOOLS / "vnu-jar" / "build" / "dist" / "vnu.jar"
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}"

CUSTOMER, STAFF, ANYBODY = "veronica@example.com", "admin@example.com", None
PAGES = {
    "list": (CUSTOMER, "/account/invitations/"),
    "empty list": ("marcus@example.com", "/account/invitations/"),
    "filtered list": (CUSTOMER, "/account/invitations/?status=expired"),
    "send": (CUSTOMER, "/account/invitations/send"),
    "grid": (STAFF, "/admin/invitations/"),
    "grid, filtered": (STAFF, "/admin/invitations/?invitee=anna&status=sent&sort=email"),
    "grid, no match": (STAFF, "/admin/invitations/?invitee=nobody"),
    "grid, bad filter": (STAFF, "/admin/invitations/?id_from=abc"),
    "detail": (STAFF, "/admin/invitations/1/"),
    "detail, asking": (STAFF, "/admin/invitations/1/?discard=1"),
    "confirmation": (STAFF, "confirm:/admin/invitations/"),
    "mass actions": (STAFF, "/admin/invitations/jobs/"),
    "mass action, running": (STAFF, "/admin/invitations/jobs/1"),
    "mass action, done": (STAFF, "/admin/invitations/jobs/2"),
    "adding": (STAFF, "/admin/invitations/new"),
    "adding, reviewed": (STAFF, "review:/admin/invitations/new"),
    "missing": (STAFF, "/admin/invitations/99/"),
    "forbidden": (CUSTOMER, "/admin/invitations/"),
    "list, who asks": (CUSTOMER, "/account/invitations/?status=asked"),
    "detail, friend asking": (STAFF, "/admin/invitations/3/"),
    "gone": (ANYBODY, "/invitations/unknown"),
    "asked": (ANYBODY, "post:/invitations/unknown"),
    "opt-out": (ANYBODY, "/invitations/opt-out/unknown"),
    "opt-out, done": (ANYBODY, "post:/invitations/opt-out/unknown"),
    "landing": (ANYBODY, "link"),
    "landing, signed in": (CUSTOMER, "link"),
    "closed": (ANYBODY, "closed:/register"),
}
THEMES = [
    pytest.param(DESK, "light", id="desktop-light"),
    pytest.param(DESK, "dark", id="desktop-dark"),
    pytest.param(PHONE, "light", id="phone-light"),
    pytest.param(PHONE, "dark", id="phone-dark"),
]


def need(path: Path, program: str | None = None) -> None:
    """Skip where a judge is missing; on CI that is a failure."""
    if path.exists() and (program is None or shutil.which(program)):
        return
    assert os.environ.get("CI") != "true", f"{path.name} or what runs it is missing"
    pytest.skip(f"{path.name} cannot run here: make test fetches it where npm and java are")


@pytest.fixture
def filled(live: Live, sink: Sink) -> Live:
    """A store with some invitations of every looks."""
    customer = live.store.customer()
    customer.send("anna@example.com", "a.rather-long.address.of-a-friend@subdomain.example.com")
    live.store.deliver()
    one(live.store, "cleo@example.com", "expired", asked_at=ago(hours=1))
    live.store.add_job(state="running", lease_until=now() + timedelta(hours=1), changed=1234)
    live.store.add_job(
        state="done", changed=4321, skipped={"accepted": 79}, failed=1, ended_at=now()
    )
    return live


def show(page: Page, address: str, live: Live, sink: Sink) -> None:
    """Open a page of the list above."""
    way, _, path = address.rpartition(":")
    if address == "link":
        page.goto(sink.mails[0].link)
    elif way == "post":
        page.goto(path)
        with page.expect_navigation():
            page.locator(".inv form button").click()
    elif way == "confirm":
        page.goto(path)
        page.select_option("[name=select]", "all")
        page.select_option("[name=action]", "discard")
        page.get_by_role("button", name="Submit").click()
    elif way == "review":
        page.goto(path)
        page.fill("[name=emails]", "zoe@example.com\nnobody\nanna@example.com\nzoe@example.com")
        page.select_option("[name=store_view]", "en")
        page.select_option("[name=group]", "general")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Save").wait_for()
    elif way == "closed":
        live.store.setting("registration", "invitation")
        page.goto(path)
        live.store.setting("registration", "all")
    else:
        page.goto(path)


@pytest.mark.parametrize(("width", "theme"), THEMES)
def test_axe_finds_nothing_on_any_page(
    filled: Live, sink: Sink, visit: Callable[..., Page], width: int, theme: str
) -> None:
    need(AXE)
    visitors = {who: visit(who, width, color_scheme=theme) for who, _ in PAGES.values()}
    found = []
    for name, (who, address) in PAGES.items():
        page = visitors[who]
        show(page, address, filled, sink)
        page.evaluate(AXE.read_text())
        result = page.evaluate(f"axe.run(document, {RULES})")
        found += [
            f"{name}: {each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in result["violations"]
        ]
    assert found == []


def test_no_page_is_wider_than_a_small_phone(
    filled: Live, sink: Sink, visit: Callable[..., Page]
) -> None:
    visitors = {who: visit(who, 320) for who, _ in PAGES.values()}
    wide = []
    for name, (who, address) in PAGES.items():
        show(visitors[who], address, filled, sink)
        if visitors[who].evaluate("document.documentElement.scrollWidth") > 320:
            wide.append(name)
    assert wide == []


def test_the_w3c_checker_finds_no_error(
    filled: Live, sink: Sink, visit: Callable[..., Page], tmp_path: Path
) -> None:
    need(CHECKER, "java")
    # Without JavaScript, so that what is checked is what was sent.
    visitors = {who: visit(who, java_script_enabled=False) for who, _ in PAGES.values()}
    for name, (who, address) in PAGES.items():
        show(visitors[who], address, filled, sink)
        (tmp_path / f"{name.replace(', ', '-')}.html").write_text(visitors[who].content())
    pages = [str(path) for path in sorted(tmp_path.glob("*.html"))]
    command = ["java", "-jar", str(CHECKER), "--errors-only", "--format", "gnu", *pages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len(pages) == len(PAGES)
