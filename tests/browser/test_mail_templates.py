"""Mail templates in a browser: the preview of what is typed, and how the default mail looks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from invitations_plugin.i18n import LANGUAGES, in_language
from invitations_plugin.mail import EXAMPLES, example_variables
from invitations_plugin.mail_shipped import render
from invitations_plugin.state import store_view

from ..support.mail_templates import HTML, TEMPLATES, add_template, version_numbers
from ..support.sink import Sink
from .conftest import DESK, PHONE, Live
from .test_standards import AXE, CHECKER, need, violations

STYLED = f'{HTML}<p id="typed" style="color:rgb(1, 2, 3)">Typed, not saved</p>'


def mail_in(page: Page, title: str) -> FrameLocator:
    """Return the mail in a frame of the preview."""
    return page.frame_locator("[name=inv-preview]").frame_locator(f"iframe[title='{title}']")


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_preview_shows_what_is_typed_with_its_styles_and_loses_nothing(
    live: Live, visit: Callable[..., Page], has_scripts: bool
) -> None:
    add_template(live.store)
    page = visit("admin@example.com", java_script_enabled=has_scripts)
    page.goto(f"{TEMPLATES}spring/")
    expect(mail_in(page, "On a desk").get_by_text("Come in")).to_be_visible()
    for html in (STYLED, STYLED.replace("Typed", "Typed again")):  # the form stays of use
        page.fill("[name=html]", html)
        page.get_by_role("button", name="Preview").click()
        for title in ("On a desk", "On a phone"):
            typed = mail_in(page, title).locator("#typed")
            expect(typed).to_contain_text("again" if "again" in html else "Typed,")
            if has_scripts:
                expect(typed).to_have_css("color", "rgb(1, 2, 3)")
        assert page.input_value("[name=html]").strip() == html
    assert version_numbers(live.store) == [1]
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Version 2 was saved.").wait_for()


def test_a_preview_shows_a_phone_and_a_dark_theme(live: Live, visit: Callable[..., Page]) -> None:
    page = visit("admin@example.com")
    page.goto(f"{TEMPLATES}invitation_sent/")
    card = mail_in(page, "On a phone").locator(".inv-card")
    expect(card).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(card).to_have_css("border-radius", "0px")
    page.select_option("[name=theme]", "dark")
    page.get_by_role("button", name="Preview").click()
    expect(card).to_have_css("background-color", "rgb(32, 34, 38)")
    desk = mail_in(page, "On a desk").locator(".inv-card")
    expect(desk).to_have_css("border-radius", "12px")


def test_a_link_of_a_preview_opens_the_neutral_page_elsewhere(
    live: Live, visit: Callable[..., Page]
) -> None:
    page = visit("admin@example.com")
    page.goto(f"{TEMPLATES}invitation_sent/")
    with page.expect_popup() as opened:
        mail_in(page, "On a desk").get_by_role("link", name="Create an account").click()
    opened.value.wait_for_load_state()
    assert opened.value.url == f"{live.url}/invitations/example"
    assert page.url.endswith(f"{TEMPLATES}invitation_sent/")


def test_a_test_mail_keeps_what_was_typed(
    live: Live, sink: Sink, visit: Callable[..., Page]
) -> None:
    add_template(live.store)
    page = visit("admin@example.com")
    page.goto(f"{TEMPLATES}spring/")
    page.fill("[name=subject]", "Typed, not saved")
    page.get_by_role("button", name="Send Test Mail").click()
    page.get_by_text("It said: 250 OK").wait_for()
    assert page.input_value("[name=subject]") == "Typed, not saved"
    assert [each.message["Subject"] for each in sink.mails] == ["Typed, not saved"]


@pytest.fixture
def mails(live: Live) -> dict[str, str]:
    """The default mail's HTML in each language to each kind of friend."""
    made = {}
    with live.store.app.app_context():
        for language in LANGUAGES:
            with in_language(language):
                for example in EXAMPLES:
                    variables = example_variables(store_view("en"), example)
                    made[f"{language}-{example}"] = render("invitation_sent", variables).html
    return made


@pytest.fixture
def silent(visit: Callable[..., Page]) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a browser which must ask for nothing."""
    asked: list[str] = []

    def open_browser(**more: object) -> Page:
        page = visit(**more)
        page.on("request", lambda request: asked.append(request.url))
        return page

    yield open_browser
    assert asked == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_default_mail(
    mails: dict[str, str], silent: Callable[..., Page], theme: str
) -> None:
    need(AXE)
    page = silent(color_scheme=theme)
    found = []
    for name, html in mails.items():
        page.set_content(html)
        found += [f"{name}: {each['id']}" for each in violations(page)]
    assert found == []


@pytest.mark.parametrize("width", [320, PHONE, DESK])
def test_the_default_mail_is_never_wider_than_its_window(
    mails: dict[str, str], silent: Callable[..., Page], width: int
) -> None:
    page = silent(width=width)
    wide = []
    for name, html in mails.items():
        page.set_content(html)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(name)
    assert wide == []


def test_the_w3c_checker_finds_no_error_in_the_default_mail(
    mails: dict[str, str], tmp_path: Path
) -> None:
    need(CHECKER, "java")
    for name, html in mails.items():
        (tmp_path / f"{name}.html").write_text(html)
    pages = [str(path) for path in sorted(tmp_path.glob("*.html"))]
    command = ["java", "-jar", str(CHECKER), "--errors-only", "--format", "gnu", *pages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
