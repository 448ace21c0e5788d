"""The grid as staff use it: columns, views, chips, order, totals, a phone, no script."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from ..support.rows import insert, row
from .conftest import PHONE, Live
from .test_pages import admin_page

__all__ = ["admin_page"]  # the fixture with both versions of htmx

GRID = "/admin/invitations/"
ADMIN = "admin@example.com"


@pytest.fixture
def ids(live: Live) -> list[int]:
    """Forty-five invitations, every third one expired."""
    return insert(
        live.store,
        [
            row(f"friend-{n:02}@example.com", "sent" if n % 3 else "expired", message=f"Hello {n}")
            for n in range(45)
        ],
    )


@pytest.fixture
def grid(admin_page: Page, ids: list[int]) -> Page:
    """Staff who look at them; the mark is gone once a page is loaded anew."""
    admin_page.goto(GRID)
    admin_page.evaluate("window.stillHere = true")
    return admin_page


def heads(page: Page) -> Locator:
    return page.locator(".inv-grid thead tr:first-child th a")


def first_row(page: Page) -> Locator:
    return page.locator("tr[data-invitation-id]").first


def is_still_here(page: Page) -> bool:
    return bool(page.evaluate("window.stillHere === true"))


def test_columns_are_chosen_and_put_in_order(grid: Page, ids: list[int]) -> None:
    grid.get_by_role("link", name="Columns").click()
    panel = grid.locator("#inv-panel")
    expect(panel.get_by_role("checkbox").first).to_be_focused()
    panel.get_by_role("checkbox", name="Message").check()
    panel.get_by_role("checkbox", name="Registered").uncheck()
    up = panel.get_by_role("button", name="Move Status up")
    up.focus()
    for place in (4, 3, 2):
        grid.keyboard.press("Enter")
        expect(panel.get_by_role("checkbox").nth(place)).to_have_value("status")
        expect(up).to_be_focused()
    expect(panel.get_by_role("checkbox", name="Message")).to_be_checked()
    assert is_still_here(grid)
    panel.get_by_role("button", name="Apply").click()
    labels = ["ID", "Email", "Status", "Invitee", "Sent", "Valid Website", "Invitee Group"]
    expect(heads(grid)).to_have_text([*labels, "Message"])
    expect(grid).to_have_url(re.compile("columns=id%2Cemail%2Cstatus"))
    expect(first_row(grid)).to_contain_text("Hello 44")
    grid.go_back()
    expect(heads(grid)).to_have_count(8)


def test_a_panel_closes_by_its_button_or_escape_and_gives_the_focus_back(grid: Page) -> None:
    opener = grid.get_by_role("link", name="Columns")
    for way in ("Escape", "Close"):
        opener.press("Enter")
        expect(grid.locator("#inv-panel form")).to_be_visible()
        expect(grid).to_have_url(re.compile(f"{GRID}$"))
        if way == "Escape":
            grid.keyboard.press("Escape")
        else:
            grid.locator("#inv-panel").get_by_role("link", name="Close").click()
        expect(grid.locator("#inv-panel")).to_be_empty()
        expect(opener).to_be_focused()
    assert is_still_here(grid)


def test_a_view_is_saved_changed_and_opened_again(grid: Page, ids: list[int]) -> None:
    grid.select_option("#inv-filter-status", "expired")
    grid.locator("#inv-filter-status").press("Enter")
    grid.get_by_role("button", name="Filter", exact=True).click()
    expect(first_row(grid)).to_have_attribute("data-status", "expired")
    grid.get_by_role("link", name="All invitations").click()
    panel = grid.locator("#inv-panel")
    panel.get_by_label("Save the grid as it is now as").fill("Late friends")
    panel.get_by_role("checkbox", name="Start with this view").check()
    panel.get_by_role("button", name="Save", exact=True).click()
    expect(grid.get_by_text("The view Late friends was saved.").first).to_be_visible()
    opener = grid.get_by_role("link", name="Late friends")
    expect(opener).to_have_text("Late friends")
    grid.get_by_role("link", name="Invitee", exact=True).click()
    expect(opener).to_have_text("Late friends changed")
    grid.goto(GRID)
    expect(opener).to_have_text("Late friends")
    expect(first_row(grid)).to_have_attribute("data-status", "expired")
    grid.get_by_role("link", name="Clear all").first.click()
    expect(grid.locator("#inv-total")).to_contain_text("45 found")
    grid.get_by_role("link", name="All invitations").click()
    panel.get_by_role("link", name="Late friends").click()
    expect(grid.locator("#inv-total")).to_contain_text("15 found")


def test_chips_are_removed_one_by_one_and_the_back_button_brings_them_back(
    grid: Page, ids: list[int]
) -> None:
    grid.goto(f"{GRID}?status=sent&invitee=friend-1")
    grid.evaluate("window.stillHere = true")
    chips = grid.locator(".inv-chip")
    expect(chips).to_have_count(2)
    grid.get_by_role("link", name="Remove the filter Status: Sent").click()
    expect(chips).to_have_count(1)
    expect(grid.locator("#inv-total")).to_contain_text("10 found")
    expect(grid.locator("#inv-filter-invitee")).to_have_value("friend-1")
    assert is_still_here(grid)
    grid.get_by_role("link", name="Clear all").click()
    expect(chips).to_have_count(0)
    expect(grid.locator("#inv-total")).to_contain_text("45 found")
    for number in (1, 2):
        grid.go_back()
        expect(chips).to_have_count(number)


def test_the_keyboard_sorts_and_keeps_its_place(grid: Page, ids: list[int]) -> None:
    head = grid.get_by_role("link", name="Invitee", exact=True)
    for direction, first in (("ascending", "friend-00"), ("descending", "friend-44")):
        head.focus()
        grid.keyboard.press("Enter")
        expect(first_row(grid)).to_contain_text(first)
        expect(grid.locator(f"th[aria-sort={direction}]")).to_have_text("Invitee")
        expect(head).to_be_focused()
    expect(grid.get_by_role("status").filter(has_text="45 found")).to_have_count(1)
    assert is_still_here(grid)


def test_a_bad_filter_is_shown_at_its_field_without_a_reload(grid: Page) -> None:
    grid.fill("#inv-filter-id_from", "abc")
    grid.locator("#inv-filter-id_from").press("Enter")
    field = grid.locator("#inv-filter-id_from")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("Enter a whole number."))
    expect(field).to_be_focused()
    assert is_still_here(grid)


def test_a_total_becomes_exact_by_itself_and_so_does_the_selection(
    admin_page: Page, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invitations_plugin.grid.pages.COUNTED", 10)
    held: list[Route] = []
    admin_page.route("**/*count=1*", lambda route: held.append(route))
    admin_page.goto(GRID)
    total = admin_page.locator("#inv-total")
    expect(total).to_contain_text("10+ found")
    admin_page.get_by_role("combobox", name="Select", exact=True).select_option("all")
    expect(admin_page.locator("[data-inv-count]")).to_have_text("10+ selected")
    held[0].continue_()
    expect(total).to_have_text("45 found")
    expect(admin_page.locator("[data-inv-count]")).to_have_text("45 selected")
    assert admin_page.evaluate("document.activeElement.id") != "inv-grid"


def test_a_selection_survives_another_order_and_other_columns(grid: Page, ids: list[int]) -> None:
    box = grid.get_by_role("checkbox", name=f"Select {ids[44]}", exact=True)
    box.check()
    grid.get_by_role("link", name="Invitee", exact=True).click()
    expect(first_row(grid)).to_contain_text("friend-00")
    expect(grid.locator("[data-inv-count]")).to_have_text("1 selected")
    grid.goto(f"{GRID}?columns=invitee,id")
    expect(box).to_be_checked()


def test_while_it_loads_the_old_rows_are_dimmed_and_a_failure_can_be_tried_again(
    grid: Page, ids: list[int]
) -> None:
    held: list[Route] = []
    grid.route("**/*after=*", lambda route: held.append(route))
    grid.get_by_role("link", name="Next", exact=True).click()
    expect(grid.locator("#inv-grid")).to_have_attribute("aria-busy", "true")
    expect(grid.locator(".inv-grid tbody")).to_have_css("opacity", "0.5")
    held[0].fulfill(status=502, body="Bad Gateway")
    note = grid.get_by_role("alert")
    expect(note).to_contain_text("The invitations could not be loaded.")
    expect(grid.locator("#inv-grid")).not_to_have_attribute("aria-busy", "true")
    expect(first_row(grid)).to_contain_text("friend-44")
    grid.unroute("**/*after=*")
    note.get_by_role("link", name="Try again").click()
    expect(first_row(grid)).to_contain_text("friend-24")


def test_on_a_phone_rows_are_cards_and_everything_is_within_reach(
    visit: Callable[..., Page], live: Live, ids: list[int]
) -> None:
    page = visit(ADMIN, PHONE, has_touch=True)
    page.goto(f"{GRID}?columns=id,inviter,email,invitee,message,sent,registered,expires,status")
    for width in (PHONE, 320):
        page.set_viewport_size({"width": width, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        expect(page.locator(".inv-act")).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": PHONE, "height": 640})
    expect(page.locator("#inv-filter-invitee")).to_be_hidden()
    page.get_by_role("link", name="Filters").click()
    panel = page.locator("#inv-panel")
    panel.get_by_label("Message", exact=True).fill("Hello 4")
    panel.get_by_label("Sort by").select_option("invitee")
    panel.get_by_label("Order").select_option("asc")
    panel.get_by_role("button", name="Filter").click()
    expect(page.locator("tr[data-invitation-id]")).to_have_count(6)
    expect(first_row(page)).to_contain_text("friend-04")
    page.get_by_role("checkbox", name=f"Select {ids[4]}", exact=True).tap()
    page.get_by_role("checkbox", name=f"Select {ids[40]}", exact=True).tap()
    expect(page.locator("[data-inv-count]")).to_have_text("2 selected")
    page.select_option("[name=action]", "discard")
    page.get_by_role("button", name="Submit").tap()
    expect(page.get_by_role("heading", name="Discard 2 invitations?")).to_be_visible()


@pytest.mark.parametrize("enlarged", ["zoom", "text"])
def test_the_grid_at_twice_its_size_needs_no_sideways_scrolling(
    visit: Callable[..., Page], ids: list[int], enlarged: str
) -> None:
    page = visit(ADMIN, 640)
    page.goto(GRID)
    style = "zoom = 2" if enlarged == "zoom" else "fontSize = '200%'"
    page.evaluate(f"document.documentElement.style.{style}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_javascript_everything_works_too(
    visit: Callable[..., Page], live: Live, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invitations_plugin.grid.pages.COUNTED", 10)
    page = visit(ADMIN, java_script_enabled=False)
    page.goto(GRID)
    page.get_by_role("link", name="Count all").click()
    expect(page.locator("#inv-total")).to_have_text("45 found")
    page.fill("#inv-filter-invitee", "friend-*")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("link", name="Invitee", exact=True).click()
    expect(first_row(page)).to_contain_text("friend-00")
    page.get_by_role("link", name="Next", exact=True).click()
    expect(first_row(page)).to_contain_text("friend-20")
    page.get_by_role("link", name="Columns").click()
    page.get_by_role("checkbox", name="Message").check()
    page.get_by_role("button", name="Move Message up").click()
    page.get_by_role("button", name="Apply").click()
    expect(heads(page)).to_have_count(9)
    expect(first_row(page)).to_contain_text("Hello 0")
    page.get_by_role("link", name="Filters").click()
    page.get_by_label("Status", exact=True).select_option("expired")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".inv-chip")).to_have_count(2)
    page.get_by_role("link", name="All invitations").click()
    page.get_by_label("Save the grid as it is now as").fill("Late")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"{GRID}views")
    page.get_by_role("link", name="Late", exact=True).click()
    expect(heads(page)).to_have_count(9)
    page.get_by_role("link", name="Comfortable").click()
    page.get_by_role("combobox", name="Select", exact=True).select_option("all")
    page.select_option("[name=action]", "discard")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="Discard 15 invitations?")).to_be_visible()
