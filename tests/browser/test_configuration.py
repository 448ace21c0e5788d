"""The configuration page in a real browser, with JavaScript and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from ..test_configuration import CONFIGURATION, in_force
from .conftest import Live

STAFF = "admin@example.com"
FRENCH = f"{CONFIGURATION}?scope=store%3Afr"


def save(page: Page) -> None:
    page.get_by_role("button", name="Save Configuration").click()
    page.locator(".inv-notice-success").wait_for()


def test_a_field_opens_when_its_box_is_unticked_and_closes_again(
    live: Live, visit: Callable[..., Page]
) -> None:
    page = visit(STAFF)
    page.goto(FRENCH)
    field, box = page.locator("#link_days"), page.locator("[name=link_days-inherit]")
    expect(field).to_be_disabled()
    box.uncheck()
    field.fill("9")
    save(page)
    assert in_force(live.store, "link_days") == 9
    expect(field).to_be_enabled()
    box.check()
    expect(field).to_be_disabled()
    save(page)
    assert in_force(live.store, "link_days") == 30


@pytest.mark.parametrize("width", [1280, 360])
def test_without_javascript_every_way_is_open(
    live: Live, visit: Callable[..., Page], width: int
) -> None:
    page = visit(STAFF, width, java_script_enabled=False)
    page.goto("/admin/invitations/")
    page.get_by_role("link", name="Configuration").click()
    page.get_by_label("Scope", exact=True).select_option(label="Français")
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_role("link", name="Links", exact=True).click()
    page.locator("[name=link_days-inherit]").uncheck()
    page.get_by_label("Lifetime of a Link in Days").fill("none")
    page.get_by_role("button", name="Save Configuration").click()
    page.get_by_role("link", name="Lifetime of a Link in Days").click()
    page.get_by_label("Lifetime of a Link in Days").fill("9")
    save(page)
    assert in_force(live.store, "link_days") == 9
    page.get_by_role("link", name="History").click()
    page.get_by_role("button", name="Undo: Lifetime of a Link in Days, not set").click()
    expect(page.locator(".inv-notice-success")).to_contain_text("is back")
    assert in_force(live.store, "link_days") == 30


def test_a_file_goes_out_and_comes_back(live: Live, visit: Callable[..., Page]) -> None:
    live.store.setting("link_days", 9, "store", "fr")
    page = visit(STAFF)
    page.goto(CONFIGURATION)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export", exact=True).click()
    path = download.value.path()
    live.store.setting("link_days", 10, "store", "fr")
    page.get_by_role("link", name="Import").click()
    page.set_input_files("#file", path)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Import").click()
    page.get_by_text("1 setting was imported.").wait_for()
    assert in_force(live.store, "link_days") == 9
