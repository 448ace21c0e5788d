"""Exports as staff meet them: from the menu to the file, with JavaScript and without."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect
from sqlalchemy.orm import Session

from invitations_plugin import exporting
from invitations_plugin.cells import Row
from invitations_plugin.grid import Selection

from ..support.rows import insert, row
from .conftest import Live

STAFF = "admin@example.com"
GRID = "/admin/invitations/"


@pytest.fixture
def filled(live: Live) -> Live:
    """A store with some invitations."""
    insert(live.store, [row(f"{n}@example.com") for n in range(30)])
    return live


def ask(page: Page, kind: str = "csv") -> None:
    """Choose everything and the export, up to its confirmation."""
    page.goto(GRID)
    page.select_option("[name=select]", "all")
    page.select_option("[name=action]", f"export_{kind}")
    page.get_by_role("button", name="Submit").click()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_after_ok_the_file_comes_by_itself_once(
    filled: Live, visit: Callable[..., Page], kind: str
) -> None:
    page = visit(STAFF)
    ask(page, kind)
    with page.expect_download() as download:
        page.get_by_role("button", name="OK").click()
    assert download.value.suggested_filename.endswith(f"-1.{kind}")
    assert Path(download.value.path()).stat().st_size > 1000
    expect(page.locator("#inv-export [role=status]")).to_have_text("Done")
    expect(page.locator("label[for=inv-progress]")).to_have_text("30 rows")
    assert page.evaluate("location.hash") == ""
    page.reload()
    expect(page.get_by_text("Downloads")).to_be_visible()
    with page.expect_download():
        page.get_by_role("button", name="Download again").click()
    expect(page.locator("dt:has-text('Downloads') + dd")).to_have_text("2")


def test_a_shared_address_starts_nothing(filled: Live, visit: Callable[..., Page]) -> None:
    page = visit(STAFF, java_script_enabled=False)
    ask_without_scripts(page)
    other = visit(STAFF)
    other.goto(f"{GRID}exports/1")
    expect(other.get_by_role("button", name="Download")).to_be_visible()
    expect(other.locator("dt:has-text('Downloads') + dd")).to_have_text("0")


def ask_without_scripts(page: Page) -> None:
    page.goto(GRID)
    page.get_by_role("checkbox").first.check()
    page.select_option("[name=action]", "export_csv")
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("button", name="OK").click()


def test_without_scripts_a_button_brings_the_file(filled: Live, visit: Callable[..., Page]) -> None:
    page = visit(STAFF, java_script_enabled=False)
    ask_without_scripts(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).read_bytes().count(b"\r\n") == 2
    page.get_by_role("link", name="Look again").click()
    assert page.locator("#inv-export [role=status]").inner_text() == "Done"


def test_the_page_follows_a_file_while_it_is_made(
    filled: Live, visit: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, seen = exporting._next_rows, threading.Event()

    def wait_to_be_seen(db: Session, chosen: Selection, place: int) -> Sequence[Row]:
        assert not place or seen.wait(30)
        return known(db, chosen, place)

    monkeypatch.setattr(exporting, "_next_rows", wait_to_be_seen)
    page, asked = visit(STAFF), []

    def listen(request: Request) -> None:  # the page itself cannot be read while a file is awaited
        asked.append(request.headers.get("hx-request"))
        if asked.count("true") == 3:
            seen.set()

    ask(page, "xlsx")
    page.on("request", listen)
    with page.expect_download():
        page.get_by_role("button", name="OK").click()
    expect(page.locator("#inv-export")).to_have_attribute("data-state", "done")
