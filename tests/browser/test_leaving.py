"""What was typed in the back office and is not saved: it is asked for, and Back brings it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Page, expect

from ..support.mail_templates import TEMPLATES
from .conftest import ADMIN, FORMS, TYPED


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
def test_back_brings_what_was_typed(
    typing: Callable[..., tuple[Page, str]], name: str, scripts: bool
) -> None:
    page, field = typing(name, java_script_enabled=scripts)
    page.get_by_role("navigation", name="Private Sales").get_by_role("link").first.click()
    page.wait_for_url(f"**{ADMIN}/")
    page.go_back()
    expect(page.locator(field)).to_have_value(FORMS[name][2])
    if scripts:  # what came back is as unsaved as it was
        asked = stay(page)
        page.locator(field).click()
        leave(page, "Delivery")
        assert asked == ["beforeunload"]


def test_back_from_too_much_and_from_the_review_brings_the_addresses(
    typing: Callable[..., tuple[Page, str]],
) -> None:
    page, field = typing("new")
    page.get_by_label("Send From").select_option("en")
    page.get_by_label("Invitee Group").select_option("vip")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Invite 2 addresses?").wait_for()
    page.go_back()
    expect(page.locator(field)).to_have_value(TYPED)
    much = f"{TYPED}\n" * 80_000  # beyond the two MiB that one request may bring
    page.locator(field).evaluate("(field, text) => { field.value = text; }", much)
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("what you typed is still there").wait_for()
    page.go_back()
    assert page.input_value(field) == much


def stay(page: Page) -> list[str]:
    """Stay wherever the browser asks from now on; return what it has asked."""
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", answer)
    return asked


def leave(page: Page, name: str) -> None:
    """Press what leads elsewhere; return when it has been asked or is under way."""
    page.get_by_role("link", name=name).or_(page.get_by_role("button", name=name)).first.click(
        no_wait_after=True
    )
    page.wait_for_timeout(300)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("template", "French"),
        ("template", "Delivery"),
        ("number", "Show"),
        ("setting", "History"),
        ("new", "Back"),
        ("import", "Back to the configuration"),
    ],
)
def test_the_browser_asks_before_what_was_typed_is_left(
    typing: Callable[..., tuple[Page, str]], name: str, way: str
) -> None:
    page, field = typing(name)
    asked, here = stay(page), page.url
    leave(page, way)
    assert asked == ["beforeunload"]
    assert page.url == here
    assert page.input_value(field) == FORMS[name][2]


def test_it_asks_of_what_came_back_with_an_error(
    typing: Callable[..., tuple[Page, str]],
) -> None:
    page, field = typing("number")
    asked = stay(page)
    page.fill(field, "many")
    page.get_by_role("button", name="Save Configuration").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert asked == []
    page.locator(field).click()
    leave(page, "History")
    assert asked == ["beforeunload"]


def test_it_does_not_ask_where_nothing_would_be_lost(
    typing: Callable[..., tuple[Page, str]],
) -> None:
    page, field = typing("template")
    asked = stay(page)
    html = page.locator(field).evaluate("field => field.defaultValue")
    page.fill(field, html)  # as it was
    page.select_option("[name=theme]", "dark")  # is looked at, not saved
    page.get_by_role("link", name="Back to the templates").click()
    page.wait_for_url(f"**{TEMPLATES}")
    page, field = typing("number")
    asked_again = stay(page)
    with page.expect_download():
        page.get_by_role("link", name="Export", exact=True).click()
    page.get_by_role("link", name="Reset").click()
    expect(page.locator(field)).to_have_value("30")
    page.fill(field, "12")
    page.get_by_role("button", name="Save Configuration").click()
    page.get_by_role("link", name="History").click()
    page.wait_for_url("**/configuration/history")
    assert asked == asked_again == []
