"""What a browser shows and says: htmx in both versions, the keyboard, focus, selection."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from ..support.stores import LIST, SEND
from .conftest import PHONE, Live

TOOLS = Path(__file__).parent.parent / "tools" / "node_modules"
HTMX_4 = TOOLS / "htmx4" / "dist" / "htmx.min.js"
OURS = "**/htmx-2.0.11.min.js"


@pytest.fixture(params=["htmx 2", "htmx 4"])
def customer(request: pytest.FixtureRequest, visit: Callable[..., Page]) -> Page:
    """A customer whose pages load one or the other htmx."""
    page = visit("veronica@example.com")
    _choose(page, request.param)
    return page


@pytest.fixture(params=["htmx 2", "htmx 4"])
def admin_page(request: pytest.FixtureRequest, visit: Callable[..., Page]) -> Page:
    """Staff whose pages load one or the other htmx."""
    page = visit("admin@example.com")
    _choose(page, request.param)
    return page


def _choose(page: Page, version: str) -> None:
    def answer(route: Route) -> None:
        route.fulfill(body=HTMX_4.read_text(), content_type="text/javascript")

    if version == "htmx 4":
        page.route(OURS, answer)


def fill_database(live: Live, number: int) -> None:
    """Let a customer invite many, as fast as the limits of the test's store allow."""
    live.store.setting("max_per_send", 100)
    live.store.setting("max_per_hour", 0)
    live.store.setting("max_per_day", 0)
    live.store.setting("max_pending", 0)
    customer = live.store.customer()
    for start in range(0, number, 100):
        rows = range(start, min(start + 100, number))
        customer.send(*[f"friend-{row:03}@example.com" for row in rows])


def test_plus_adds_a_row_without_a_reload_and_moves_the_focus(customer: Page) -> None:
    customer.goto(SEND)
    customer.evaluate("window.stillHere = true")
    customer.fill("#emails-0", "anna@example.com")
    customer.get_by_role("button", name="Add another address").press("Enter")
    expect(customer.locator("#emails-1")).to_be_focused()
    expect(customer.locator("#emails-0")).to_have_value("anna@example.com")
    assert customer.evaluate("window.stillHere") is True


def test_a_row_can_be_removed_and_the_others_keep_their_text(customer: Page) -> None:
    customer.goto(SEND)
    customer.fill("#emails-0", "anna@example.com")
    customer.get_by_role("button", name="Add another address").click()
    customer.fill("#emails-1", "ben@example.com")
    customer.get_by_role("button", name="Remove E-mail address", exact=True).click()
    expect(customer.locator("#emails-1")).to_have_count(0)
    expect(customer.locator("#emails-0")).to_have_value("ben@example.com")


def test_errors_are_shown_at_their_field_with_everything_kept(customer: Page) -> None:
    customer.goto(SEND)
    customer.fill("#emails-0", "nobody")
    customer.fill("[name=message]", "Come and see")
    customer.locator("#emails-0").press("Enter")
    expect(customer.locator("#emails-0")).to_have_attribute("aria-invalid", "true")
    expect(customer.locator("#emails-0")).to_be_focused()
    expect(customer.get_by_role("alert")).to_contain_text("An e-mail address has an @")
    expect(customer.locator("#emails-0")).to_have_value("nobody")
    expect(customer.locator("[name=message]")).to_have_value("Come and see")


def test_cancel_changes_the_list_in_place(customer: Page, live: Live) -> None:
    live.store.customer().send("anna@example.com")
    customer.goto(LIST)
    customer.evaluate("window.stillHere = true")
    customer.get_by_role("button", name="Cancel").click()
    expect(customer.locator("tr[data-status=canceled]")).to_have_count(1)
    said = customer.get_by_text("You canceled the invitation for anna@example.com.").first
    expect(said).to_be_visible()
    assert customer.evaluate("window.stillHere") is True


def test_a_filter_changes_the_grid_and_the_address(admin_page: Page, live: Live) -> None:
    live.store.customer().send("anna@example.com", "ben@example.com")
    admin_page.goto("/admin/invitations/")
    admin_page.evaluate("window.stillHere = true")
    admin_page.fill("#inv-filter-invitee", "anna")
    admin_page.locator("#inv-filter-invitee").press("Enter")
    expect(admin_page.locator("tr[data-invitation-id]")).to_have_count(1)
    expect(admin_page).to_have_url(re.compile("invitee=anna"))
    assert admin_page.evaluate("window.stillHere") is True
    admin_page.go_back()
    expect(admin_page.locator("tr[data-invitation-id]")).to_have_count(2)


def test_the_pager_walks_without_a_reload(admin_page: Page, live: Live) -> None:
    fill_database(live, 45)
    admin_page.goto("/admin/invitations/")
    for first in ("friend-024", "friend-004"):
        admin_page.get_by_role("link", name="Next").click()
        expect(admin_page.locator("tr[data-invitation-id]").first).to_contain_text(first)
    expect(admin_page.locator("tr[data-invitation-id]")).to_have_count(5)
    expect(admin_page.get_by_role("link", name="Next")).to_have_count(0)


def test_select_all_discards_more_than_is_visible_less_the_exceptions(
    admin_page: Page, live: Live
) -> None:
    fill_database(live, 30)
    admin_page.goto("/admin/invitations/")
    admin_page.get_by_role("combobox", name="Select", exact=True).select_option("all")
    admin_page.get_by_role("row", name="friend-029@example.com").get_by_role("checkbox").uncheck()
    expect(admin_page.get_by_text("29 selected")).to_be_visible()
    admin_page.select_option("[name=action]", "discard")
    admin_page.get_by_role("button", name="Submit").click()
    expect(admin_page.get_by_role("heading", name="Discard 29 invitations?")).to_be_visible()
    admin_page.get_by_role("button", name="OK").click()
    expect(admin_page.get_by_text("29 invitations were discarded.").first).to_be_visible()
    assert live.store.invitation("friend-029@example.com").status != "discarded"


def test_a_session_that_ended_leads_to_the_sign_in_as_a_whole_page(
    admin_page: Page, live: Live
) -> None:
    live.store.customer().send("anna@example.com")
    admin_page.goto("/admin/invitations/")
    admin_page.locator("#inv-glance svg").first.wait_for()  # which comes by itself
    admin_page.context.clear_cookies()
    admin_page.get_by_role("link", name="30", exact=True).click()
    admin_page.wait_for_url(re.compile("/login.*admin"))
    expect(admin_page.locator("[name=password]")).to_be_visible()


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("version", ["htmx 2", "htmx 4"])
def test_after_a_connection_that_broke_the_form_is_sent_once_more(
    visit: Callable[..., Page], live: Live, lost: str, version: str
) -> None:
    def break_off(route: Route) -> None:
        if lost == "answer":
            route.fetch()
        route.abort()

    customer = visit("veronica@example.com").context.new_page()  # a console that may complain
    _choose(customer, version)
    customer.set_viewport_size({"width": PHONE, "height": 400})
    customer.goto(SEND)
    customer.fill("#emails-0", "anna@example.com")
    customer.fill("[name=message]", "Come and see")
    customer.route(f"**{SEND}", break_off, times=1)
    button = customer.get_by_role("button", name="Send Invitation", exact=True).last
    button.click()
    said = customer.get_by_role("alert")
    expect(said).to_have_text(
        "The store could not be reached. Nothing you typed is lost: please try again."
    )
    expect(said).to_be_in_viewport()
    expect(customer.locator("[name=message]")).to_have_value("Come and see")
    button.click()
    customer.wait_for_url(f"**{LIST}")
    assert [each.message for each in live.store.invitations()] == ["Come and see"]


def test_an_answer_of_somebody_else_asks_to_reload(customer: Page, live: Live) -> None:
    live.store.customer().send("anna@example.com")
    customer.goto(LIST)
    customer.route("**/cancel", lambda route: route.fulfill(status=403, body="No."))
    customer.get_by_role("button", name="Cancel").click()
    expect(customer.get_by_role("alert")).to_contain_text("Please reload the page")


def test_a_second_click_while_sending_sends_nothing_twice(customer: Page, live: Live) -> None:
    customer.goto(SEND)
    customer.fill("#emails-0", "anna@example.com")
    customer.get_by_role("button", name="Send Invitation", exact=True).last.dblclick()
    customer.wait_for_url(f"**{LIST}")
    assert len(live.store.invitations()) == 1
