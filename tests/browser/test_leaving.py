"""What was typed in a form of the back office and is not saved yet: Back brings it again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from ..support.mail_templates import TEMPLATES, add_template
from .conftest import Live

STAFF = "admin@example.com"
ADMIN = "/admin/invitations"
TYPED = "anna@example.com\nben@example.com"
# Where something is typed: an address, a field, and what is typed.
FORMS = {
    "new": (f"{ADMIN}/new", "emails", TYPED),
    "template": (f"{TEMPLATES}spring/", "html", "<p>Typed, not saved</p>"),
    "subject": (f"{TEMPLATES}spring/", "subject", "Typed, not saved"),
    "import": (f"{ADMIN}/configuration/import", "text", "[default]\nlink_days = 7"),
    "setting": (f"{ADMIN}/configuration", "blocked_domains", "example.org"),
    "number": (f"{ADMIN}/configuration", "link_days", "12"),
}


@pytest.fixture
def typing(live: Live, visit: Callable[..., Page]) -> Callable[..., tuple[Page, str]]:
    """Return a function that opens a form and types into it."""
    add_template(live.store)

    def open_form(name: str, **more: object) -> tuple[Page, str]:
        url, field, text = FORMS[name]
        page = visit(STAFF, **more)
        page.goto(url)
        page.locator(f"[name={field}]").click()  # a browser asks only for whom has touched the page
        page.fill(f"[name={field}]", text)
        return page, f"[name={field}]"

    return open_form


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
