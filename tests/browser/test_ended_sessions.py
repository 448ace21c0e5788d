"""What was typed when a session ended comes back after the sign-in, to whom it belongs, once."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from ..support.stores import SEND
from ..test_editing import Editor
from .conftest import ADMIN, FORMS, STAFF, TYPED, Live
from .test_pages import HTMX_4, OURS

ANNA, BEN = "anna@example.com", "ben@example.com"
VERONICA = "veronica@example.com"
ADD, SENT = "Add another address", "You sent the invitation for"
SAVE = {
    "new": "Continue",
    "import": "Continue",
    "template": "Save",
    "subject": "Save",
    "setting": "Save Configuration",
    "number": "Save Configuration",
}


def session_ends_while_typing(page: Page) -> None:
    """Type into two rows and the message, and send when nobody is signed in any more."""
    page.goto(SEND)
    page.fill("#emails-0", ANNA)
    page.get_by_role("button", name=ADD).click()
    expect(page.locator("#emails-1")).to_be_focused()  # or the focus comes while more is typed
    page.fill("#emails-1", BEN)
    page.fill("[name=message]", "Come and see\n<b>us</b>")
    page.context.clear_cookies()
    page.get_by_role("button", name="Send Invitation", exact=True).last.click()
    page.wait_for_url(re.compile("/login"))


def sign_in_here(page: Page, email: str, password: str) -> None:
    page.fill("[name=email]", email)
    page.fill("[name=password]", password)
    page.locator("main form button").last.click()
    page.wait_for_url(lambda url: "/login" not in url)


def draft(page: Page) -> object:
    """Return what the tab keeps of a form, once the page has begun."""
    page.wait_for_load_state()
    return page.evaluate("() => sessionStorage.getItem('invitations-draft')")


@pytest.mark.parametrize("htmx", ["htmx 2", "htmx 4", "no htmx"])
def test_what_was_typed_outlives_a_session_that_ended(
    visit: Callable[..., Page], live: Live, htmx: str
) -> None:
    page = visit(VERONICA)
    if htmx != "htmx 2":
        script = HTMX_4.read_text() if htmx == "htmx 4" else ""
        page.route(OURS, lambda route: route.fulfill(body=script, content_type="text/javascript"))
    session_ends_while_typing(page)
    sign_in_here(page, VERONICA, live.store.password)
    expect(page.locator("#emails-1")).to_have_value(BEN)
    expect(page.locator("#emails-0")).to_have_value(ANNA)
    expect(page.locator("[name=message]")).to_have_value("Come and see\n<b>us</b>")
    assert draft(page) is None
    page.get_by_role("button", name="Send Invitation", exact=True).last.click()
    expect(page.get_by_text(f"{SENT} {BEN}.")).to_be_visible()
    assert draft(page) is None
    page.goto(SEND)
    expect(page.locator("#emails-0")).to_have_value("")
    assert [each.email for each in live.store.invitations()] == [ANNA, BEN]


def test_a_single_address_is_given_back_in_its_place(
    visit: Callable[..., Page], live: Live
) -> None:
    page = visit(VERONICA)
    page.goto(SEND)
    page.fill("#emails-0", ANNA)
    page.context.clear_cookies()
    page.locator("#emails-0").press("Enter")
    page.wait_for_url(re.compile("/login"))
    sign_in_here(page, VERONICA, live.store.password)
    expect(page.locator("#emails-0")).to_have_value(ANNA)
    expect(page).to_have_url(re.compile(f"{SEND}$"))


def test_whoever_signs_in_next_does_not_see_what_was_typed(
    visit: Callable[..., Page], live: Live
) -> None:
    page = visit(VERONICA)
    session_ends_while_typing(page)
    sign_in_here(page, live.store.other_inviter, live.store.password)
    expect(page.locator("#emails-0")).to_have_value("")
    expect(page.locator("[name=message]")).to_have_value("")
    assert draft(page) is None


def test_an_answer_of_ours_keeps_nothing(visit: Callable[..., Page]) -> None:
    page = visit(VERONICA)
    page.goto(SEND)
    page.fill("#emails-0", "nobody")
    page.locator("#emails-0").press("Enter")
    expect(page.locator("#emails-0-error")).to_be_visible()
    assert draft(page) is None
    page.goto(SEND)
    expect(page.locator("#emails-0")).to_have_value("")


Typing = Callable[..., tuple[Page, str]]


def end_session(page: Page, button: str) -> None:
    """Press a button when nobody is signed in any more."""
    page.context.clear_cookies()
    page.get_by_role("button", name=button, exact=True).first.click()
    page.wait_for_url(re.compile("/login"))


@pytest.mark.parametrize("name", FORMS)
def test_the_back_office_s_forms_come_back_as_they_were(
    typing: Typing, live: Live, name: str
) -> None:
    page, field = typing(name)
    end_session(page, SAVE[name])
    sign_in_here(page, STAFF, live.store.password)
    expect(page.locator(field)).to_have_value(FORMS[name][2])
    assert draft(page) is None
    assert "typed" not in page.url
    page.reload()  # once
    expect(page.locator(field)).not_to_have_value(FORMS[name][2])


def test_what_was_chosen_comes_back_with_the_review_s_addresses(typing: Typing, live: Live) -> None:
    page, field = typing("new")
    page.get_by_label("Send From").select_option("en")
    page.get_by_label("Invitee Group").select_option("vip")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Invite 2 addresses?").wait_for()
    end_session(page, "Save")
    sign_in_here(page, STAFF, live.store.password)
    expect(page.locator(field)).to_have_value(TYPED)
    expect(page.get_by_label("Send From")).to_have_value("en")
    expect(page.get_by_label("Invitee Group")).to_have_value("vip")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("2 invitations")).to_be_visible()


def test_a_setting_that_no_longer_follows_comes_back_as_such(live: Live, typing: Typing) -> None:
    page, _ = typing("number")
    page.goto(f"{ADMIN}/configuration?scope=website:main")
    follows = page.locator("[name=link_days-inherit]")
    follows.uncheck()
    page.fill("[name=link_days]", "12")
    end_session(page, "Save Configuration")
    sign_in_here(page, STAFF, live.store.password)
    expect(page.locator("[name=link_days]")).to_have_value("12")
    expect(follows).not_to_be_checked()
    expect(page.locator("[name=link_days]")).to_be_enabled()


def test_what_was_saved_is_not_typed_once_more(typing: Typing) -> None:
    page, field = typing("number")
    page.fill(field, " 12 ")
    page.get_by_role("button", name="Save Configuration").click()
    expect(page.locator(field)).to_have_value("12")
    assert draft(page) is None


def test_an_edit_comes_back_and_meets_what_somebody_else_saved_meanwhile(
    live: Live, visit: Callable[..., Page]
) -> None:
    live.store.customer().send(ANNA)
    [number] = [row.id for row in live.store.invitations()]
    page = visit(STAFF)
    page.goto(f"{ADMIN}/{number}/")
    page.fill("[name=message]", "Mine")
    page.context.clear_cookies()
    page.locator("#inv-edit button").click()
    page.wait_for_url(re.compile("/login"))
    Editor(live.store.staff(), number).save(message="Theirs")
    sign_in_here(page, STAFF, live.store.password)
    expect(page.locator("[name=message]")).to_have_value("Mine")
    page.locator("#inv-edit button").click()
    expect(page.get_by_text("Saved by somebody else meanwhile:")).to_be_visible()
    expect(page.locator("[name=message]")).to_have_value("Mine")
