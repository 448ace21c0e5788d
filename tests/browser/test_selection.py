"""What is selected in the grid, page after page, and the progress of what is done with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, Route, expect

from invitations_plugin import jobs
from invitations_plugin.models import Job

from ..support.rows import insert, row
from .conftest import Live
from .test_pages import admin_page

__all__ = ["admin_page"]  # the fixture with both versions of htmx

GRID = "/admin/invitations/"
VIP = f"{GRID}?group=vip"


@pytest.fixture
def ids(live: Live) -> list[int]:
    """Forty-five invitations of one group, and one of another."""
    made = insert(
        live.store, [row(f"friend-{n:02}@example.com", group_code="vip") for n in range(45)]
    )
    insert(live.store, [row("other@example.com")])
    return made


@pytest.fixture
def vips(admin_page: Page, ids: list[int]) -> Page:
    """Staff who look at the invitations of that group."""
    admin_page.goto(VIP)
    return admin_page


def menu(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Select", exact=True)


def box(page: Page, number: int) -> Locator:
    return page.get_by_role("checkbox", name=f"Select {number}", exact=True)


def turn(page: Page, way: str, first: int) -> None:
    """Go to the page beside, and wait for its first row."""
    page.get_by_role("link", name=way, exact=True).click()
    expect(page.locator("tr[data-invitation-id]").first).to_have_attribute(
        "data-invitation-id", str(first)
    )


def submit(page: Page, action: str) -> None:
    """Come to the question, and let its scripts begin: nobody answers it before."""
    page.select_option("[name=action]", action)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_load_state()


def selected(page: Page, text: str) -> None:
    expect(page.locator("[data-inv-count]")).to_have_text(text)


def test_single_picks_are_kept_across_pages_and_reloads(
    vips: Page, live: Live, ids: list[int]
) -> None:
    box(vips, ids[44]).check()
    turn(vips, "Next", ids[24])
    selected(vips, "1 selected")
    box(vips, ids[10]).check()
    turn(vips, "Previous", ids[44])
    expect(box(vips, ids[44])).to_be_checked()
    expect(box(vips, ids[43])).not_to_be_checked()
    vips.reload()
    selected(vips, "2 selected")
    submit(vips, "discard")
    expect(vips.get_by_role("heading", name="Discard 2 invitations?")).to_be_visible()
    vips.get_by_role("link", name="Back", exact=True).click()
    selected(vips, "2 selected")
    submit(vips, "discard")
    vips.get_by_role("button", name="OK").click()
    expect(vips.get_by_text("2 invitations were discarded.").first).to_be_visible()
    selected(vips, "")
    gone = [each.id for each in live.store.invitations() if each.status == "discarded"]
    assert gone == [ids[10], ids[44]]


def test_all_means_what_was_there_then_less_what_was_taken_out_on_any_page(
    vips: Page, live: Live, ids: list[int]
) -> None:
    menu(vips).select_option(label="Select All")
    selected(vips, "45 selected")
    turn(vips, "Next", ids[24])
    expect(box(vips, ids[20])).to_be_checked()
    box(vips, ids[20]).uncheck()
    [late] = insert(live.store, [row("late@example.com", group_code="vip")])
    vips.goto(VIP)
    selected(vips, "44 selected")
    expect(box(vips, late)).not_to_be_checked()
    expect(box(vips, late)).to_be_disabled()
    expect(box(vips, ids[44])).to_be_checked()
    box(vips, ids[44]).uncheck()
    submit(vips, "expire")
    expect(vips.get_by_role("heading", name="Expire 43 invitations?")).to_be_visible()
    vips.get_by_role("button", name="OK").click()
    expect(vips.get_by_text("43 invitations have expired.").first).to_be_visible()
    kept = [each.id for each in live.store.invitations() if each.status == "sent"]
    assert kept == [ids[20], ids[44], ids[44] + 1, late]


def test_what_is_visible_is_added_and_taken_away(vips: Page, live: Live, ids: list[int]) -> None:
    menu(vips).select_option(label="Select Visible")
    selected(vips, "20 selected")
    turn(vips, "Next", ids[24])
    menu(vips).select_option(label="Select Visible")
    selected(vips, "40 selected")
    menu(vips).select_option(label="Unselect Visible")
    selected(vips, "20 selected")
    menu(vips).select_option(label="Select All")
    menu(vips).select_option(label="Unselect Visible")
    selected(vips, "20 selected")
    vips.locator("#inv-action").focus()
    menu(vips).select_option(label="Deselect All")
    selected(vips, "")
    turn(vips, "Previous", ids[44])
    expect(vips.locator("[name=ids]:checked")).to_have_count(0)


def test_another_filter_has_a_selection_of_its_own_and_is_kept_without_an_address(
    admin_page: Page, live: Live, ids: list[int]
) -> None:
    admin_page.goto(f"{GRID}?invitee=friend-4")
    menu(admin_page).select_option(label="Select All")
    selected(admin_page, "5 selected")
    kept = admin_page.evaluate("sessionStorage.getItem('invitations-selected')")
    assert "friend" not in kept
    assert set(json.loads(kept)) == {"key", "all", "upto", "total", "ids"}
    admin_page.goto(GRID)
    selected(admin_page, "")
    expect(admin_page.locator("[name=ids]:checked")).to_have_count(0)


def test_the_keyboard_alone_selects_and_discards(vips: Page, live: Live, ids: list[int]) -> None:
    box(vips, ids[43]).focus()
    vips.keyboard.press("Space")
    selected(vips, "1 selected")
    menu(vips).focus()
    for name in ("Select All", "Deselect All", "Select Visible"):  # passed on the way down
        vips.keyboard.press("ArrowDown")
        expect(menu(vips).locator("option:checked")).to_have_text(name)
    selected(vips, "20 selected")
    vips.keyboard.press("ArrowDown")  # Unselect Visible
    selected(vips, "")
    vips.keyboard.press("ArrowUp")
    selected(vips, "20 selected")
    vips.locator("#inv-action").focus()
    vips.keyboard.press("ArrowDown")
    vips.keyboard.press("Tab")
    vips.keyboard.press("Enter")
    expect(vips.get_by_role("heading", name="Discard 20 invitations?")).to_be_visible()
    ok = vips.get_by_role("button", name="OK")
    ok.focus()
    vips.keyboard.press("Enter")
    expect(vips.get_by_text("20 invitations were discarded.").first).to_be_visible()


def test_plots_that_come_late_leave_the_menu_to_whoever_uses_it(
    admin_page: Page, ids: list[int]
) -> None:
    held: list[Route] = []
    admin_page.route("**/reports/glance*", lambda route: held.append(route))
    admin_page.goto(VIP)
    menu(admin_page).focus()
    for _ in range(2):
        admin_page.keyboard.press("ArrowDown")
    held[0].continue_()
    admin_page.locator("#inv-glance svg").first.wait_for()
    expect(menu(admin_page).locator("option:checked")).to_have_text("Deselect All")
    selected(admin_page, "")


def test_without_javascript_all_is_a_field_and_picks_are_those_of_the_page(
    visit: Callable[..., Page], live: Live, ids: list[int]
) -> None:
    page = visit("admin@example.com", java_script_enabled=False)
    page.goto(VIP)
    menu(page).select_option("all")
    submit(page, "extend")
    expect(page.get_by_role("heading", name="Extend 45 invitations?")).to_be_visible()
    page.get_by_role("link", name="Back", exact=True).click()
    box(page, ids[40]).check()
    submit(page, "discard")
    expect(page.get_by_role("heading", name="Discard 1 invitation?")).to_be_visible()
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_text("1 invitation was discarded.")).to_be_visible()


@pytest.fixture
def finish(monkeypatch: pytest.MonkeyPatch, live: Live) -> Callable[[], None]:
    """Let jobs wait until this function is called."""
    run = jobs.run_all
    monkeypatch.setattr("invitations_plugin.admin.actions.AT_ONCE", 0)
    monkeypatch.setattr(jobs, "run_all", lambda over: True)

    def finish() -> None:
        with live.store.app.app_context():
            run()

    return finish


def note(live: Live, **values: Any) -> None:
    with live.store.session() as db:
        db.execute(sa.update(Job).values(**values))
        db.commit()


def test_progress_shows_by_itself_survives_a_reload_and_is_announced_at_its_end_only(
    vips: Page, live: Live, ids: list[int], finish: Callable[[], None]
) -> None:
    menu(vips).select_option(label="Select All")
    submit(vips, "discard")
    vips.get_by_role("button", name="OK").click()
    bar = vips.get_by_role("progressbar", name="0 of 45")
    expect(bar).to_be_visible()
    vips.evaluate("window.stillHere = true")
    stop = vips.get_by_role("button", name="Stop")
    stop.focus()
    note(live, state="running", changed=12)
    expect(vips.get_by_role("progressbar", name="12 of 45")).to_be_visible()
    expect(stop).to_be_focused()
    expect(vips.get_by_role("status")).to_have_count(0)
    vips.reload()
    vips.evaluate("window.stillHere = true")
    note(live, changed=13)
    expect(vips.get_by_role("progressbar", name="13 of 45")).to_be_visible()
    note(live, state="queued", changed=0)
    finish()
    expect(vips.get_by_role("progressbar", name="45 of 45")).to_be_visible()
    expect(vips.get_by_role("status").filter(has_text="Done")).not_to_have_count(0)
    assert vips.evaluate("window.stillHere") is True


def test_a_job_goes_on_when_its_page_is_closed_and_is_found_again(
    vips: Page,
    visit: Callable[..., Page],
    live: Live,
    ids: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread of the store runs it, and nobody's browser."""
    monkeypatch.setattr("invitations_plugin.admin.actions.AT_ONCE", 0)
    menu(vips).select_option(label="Select All")
    submit(vips, "discard")
    vips.get_by_role("button", name="OK").click(no_wait_after=True)
    vips.wait_for_url("**/jobs/1")
    vips.close()
    page = visit("admin@example.com")
    page.goto(GRID)
    page.get_by_role("link", name="Mass Actions").click()
    page.get_by_role("link", name="Discard Selected").click()
    expect(page.get_by_role("progressbar", name="45 of 45")).to_be_visible()
    expect(page.get_by_text("Done")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


def test_a_running_job_is_stopped_by_its_button(
    vips: Page, live: Live, ids: list[int], finish: Callable[[], None]
) -> None:
    menu(vips).select_option(label="Select All")
    submit(vips, "discard")
    vips.get_by_role("button", name="OK").click()
    vips.goto(GRID)
    vips.get_by_role("link", name="Show progress").click()
    vips.get_by_role("button", name="Stop").click()
    expect(vips.get_by_text("Stopped", exact=True)).to_be_visible()
    expect(vips.get_by_role("button", name="Stop")).to_have_count(0)
    finish()
    assert {each.status for each in live.store.invitations()} == {"sent"}


def test_without_javascript_back_from_the_question_ticks_what_was_ticked(
    visit: Callable[..., Page], ids: list[int]
) -> None:
    page = visit("admin@example.com", java_script_enabled=False)
    page.goto(VIP)
    page.get_by_role("link", name="Next", exact=True).click()
    box(page, ids[23]).check()
    submit(page, "discard")
    page.get_by_role("link", name="Back", exact=True).click()
    expect(box(page, ids[23])).to_be_checked()
    expect(page.locator("tbody input:checked")).to_have_count(1)
    expect(page.locator("[name=action]")).to_have_value("discard")
    submit(page, "discard")
    expect(page.get_by_role("heading")).to_have_text("Discard 1 invitation?")
    page.get_by_role("link", name="Back", exact=True).click()
    menu(page).select_option("all")
    submit(page, "expire")
    expect(page.get_by_role("heading")).to_have_text("Expire 45 invitations?")
    page.get_by_role("link", name="Back", exact=True).click()
    expect(menu(page)).to_have_value("")  # or one box more would still mean all
    expect(page.locator("tbody input:checked")).to_have_count(0)
