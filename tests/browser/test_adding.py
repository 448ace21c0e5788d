"""Add Invitations in a browser: by the keyboard, without JavaScript, and clicked twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .conftest import PHONE, Live

NEW = "/admin/invitations/new"
GRID = "/admin/invitations/"
STAFF = "admin@example.com"
ANNA, BEN = "anna@example.com", "ben@example.com"
PASTED = f"Anna Lund <{ANNA}>\nnobody\n{BEN}; {ANNA}"


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def fill_in(page: Page, emails: str = PASTED) -> None:
    page.goto(NEW)
    page.get_by_label("Enter Each Email on New Line").fill(emails)
    page.get_by_label("Send From").select_option("en")
    page.get_by_label("Invitee Group").select_option("vip")


def walk_to(page: Page, name: str) -> None:
    """Walk by the Tab key to what has a name."""
    for _ in range(40):
        focused = page.evaluate("document.activeElement.innerText || document.activeElement.name")
        if focused == name:
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not lead to {name}")


def test_the_keyboard_alone_adds_invitations(visit: Callable[..., Page], live: Live) -> None:
    page = visit(STAFF)
    page.goto(GRID)
    walk_to(page, "Add Invitations")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Enter Each Email on New Line")).to_be_focused()
    page.keyboard.type(f"{ANNA}\n{BEN}")
    walk_to(page, "Continue")
    page.keyboard.press("Enter")
    summary = page.get_by_role("alert").get_by_role("link", name="Send From: Choose one")
    expect(page.get_by_label("Send From")).to_be_focused()
    expect(page.get_by_label("Send From")).to_have_accessible_description(
        "Choose one from the list."
    )
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Send From")).to_be_focused()
    page.keyboard.type("Main Website: F")
    page.keyboard.press("Tab")
    page.keyboard.type("Ret")
    walk_to(page, "Continue")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Invite 2 addresses?")).to_be_visible()
    walk_to(page, "Save")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 invitations were saved and are on their way.").first).to_be_visible()
    made = live.store.invitations()
    assert {(each.store_view, each.group_code) for each in made} == {("fr", "retailer")}


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("width", [1280, PHONE], ids=["desk", "phone"])
def test_results_are_shown_one_by_one_and_back_and_reset_do_as_they_say(
    visit: Callable[..., Page], live: Live, scripts: bool, width: int
) -> None:
    page = visit(STAFF, width, java_script_enabled=scripts)
    fill_in(page)
    button(page, "Continue")
    rows = page.locator("tr[data-verdict]")
    expect(rows).to_have_count(4)
    page.get_by_role("button", name="Not an e-mail address 1").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("there is no @ in it")
    page.get_by_role("button", name="All 4").click()
    expect(rows).to_have_count(4)
    button(page, "Back")
    emails = page.get_by_label("Enter Each Email on New Line")
    expect(emails).to_have_value(PASTED)
    expect(page.get_by_label("Invitee Group")).to_have_value("vip")
    page.get_by_role("link", name="Reset").click()
    expect(emails).to_have_value("")
    fill_in(page)
    button(page, "Continue")
    button(page, "Save")
    expect(page.get_by_text("2 invitations were saved").first).to_be_visible()
    assert {each.email for each in live.store.invitations()} == {ANNA, BEN}


def test_save_clicked_twice_is_sent_once(visit: Callable[..., Page], live: Live) -> None:
    page = visit(STAFF)
    fill_in(page, ANNA)
    button(page, "Continue")
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.method))
    page.get_by_role("button", name="Save", exact=True).dblclick()
    expect(page.get_by_text("1 invitation was saved").first).to_be_visible()
    assert posts.count("POST") == len(live.store.invitations()) == 1


def test_ten_thousand_addresses_are_reviewed_without_a_wait(
    visit: Callable[..., Page], live: Live
) -> None:
    page = visit(STAFF)
    fill_in(page)
    pasted = "\n".join([*(f"friend{n}@example.com" for n in range(9_999)), "nobody"])
    emails = page.get_by_label("Enter Each Email on New Line")
    emails.evaluate("(field, text) => { field.value = text; }", pasted)  # as a paste, at once
    button(page, "Continue")
    expect(page.get_by_role("heading", name="Invite 9,999 addresses?")).to_be_visible()
    expect(page.get_by_text("9,000 more lines are not shown.")).to_be_visible()
    page.get_by_role("button", name="Not an e-mail address 1").click()
    expect(page.locator("tr[data-verdict]")).to_have_count(1)
    button(page, "Save")
    expect(page.get_by_text("9,999 invitations were saved").first).to_be_visible(timeout=60_000)
