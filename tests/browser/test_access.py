"""The customer's pages by keyboard, by finger, enlarged, and over a slow line."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.sync_api import Page, Route, expect

from ..support.sink import Sink
from ..support.stores import LIST, SEND
from .conftest import LINES, PHONE, Live

ANNA, BEN = "anna@example.com", "ben@example.com"
VERONICA = "veronica@example.com"
LONG = "annabelle.rather.longname@harbourmaster.subdomain.example.com"
ADD, SENT = "Add another address", "You sent the invitation for"
SMALLEST = 24  # CSS pixels, WCAG 2.5.8

# What is too small, and has another target nearer than 24 pixels around its middle.
# Links within a sentence are excepted, and so is what is only there for the Enter key.
TOO_SMALL = """(smallest) => {
  const shown = [...document.querySelectorAll('.inv :is(a, button, input, select, textarea)')]
    .filter((node) => node.checkVisibility() && node.type !== 'hidden' && node.tabIndex >= 0);
  const middle = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  const boxes = shown.map((node) => node.getBoundingClientRect());
  return shown.filter((node, at) => {
    const box = boxes[at];
    if (box.width >= smallest && box.height >= smallest) return false;
    if (node.matches('p a, li > a:only-child') && node.closest('p, [role=alert]')) return false;
    const [x, y] = middle(box);
    return boxes.some((other, place) => place !== at
      && Math.hypot(Math.max(other.x - x, 0, x - other.right),
                    Math.max(other.y - y, 0, y - other.bottom)) < smallest / 2);
  }).map((node) => node.outerHTML.slice(0, 120));
}"""


def press_tab_to(page: Page, name: str) -> None:
    """Walk by the Tab key to what has a name."""
    wanted = page.get_by_role("button", name=name, exact=True).last
    for _ in range(60):
        if wanted.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not lead to {name}")


def test_a_form_is_filled_in_and_sent_by_the_keyboard_alone(
    visit: Callable[..., Page], live: Live
) -> None:
    page = visit(VERONICA)
    live.store.setting("max_per_send", 2)
    page.goto(SEND)
    expect(page.locator("#emails-0")).to_be_focused()
    page.keyboard.type(ANNA)
    press_tab_to(page, ADD)
    page.keyboard.press("Enter")
    added = page.get_by_label("E-mail address 2", exact=True)
    expect(added).to_be_focused()
    said = page.locator("#inv > [role=status]")
    expect(said).to_have_text("This is the most you can invite at one time: 2 friends.")
    expect(page.get_by_role("button", name=ADD)).to_have_count(0)
    page.keyboard.type(BEN)
    press_tab_to(page, "Send Invitation")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{SENT} {BEN}.")).to_be_visible()
    assert [each.email for each in live.store.invitations()] == [ANNA, BEN]


def test_how_many_more_may_be_added_is_announced(visit: Callable[..., Page]) -> None:
    page = visit(VERONICA)
    page.goto(SEND)
    page.get_by_role("button", name=ADD).press("Enter")
    said = page.locator("#inv > [role=status]")
    expect(said).to_contain_text("You can add 3 more.")
    labels = page.locator("ol label").all_text_contents()
    assert labels == ["E-mail address", "E-mail address 2"]


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
def test_the_first_field_with_an_error_has_the_focus(
    visit: Callable[..., Page], scripts: bool
) -> None:
    page = visit(VERONICA, java_script_enabled=scripts)
    page.goto(SEND)
    page.get_by_role("button", name=ADD).click()
    page.fill("#emails-0", ANNA)
    page.fill("#emails-1", "nobody")
    page.get_by_role("button", name="Send Invitation", exact=True).last.click()
    expect(page.locator("#emails-1")).to_be_focused()
    expect(page.locator("#emails-1")).to_have_accessible_description(re.compile("has an @"))
    page.get_by_role("alert").get_by_role("link").click()
    expect(page.locator("#emails-1")).to_be_focused()


@pytest.mark.parametrize("width", [320, PHONE, 1280])
def test_every_target_is_large_enough_for_a_finger(
    visit: Callable[..., Page], live: Live, sink: Sink, width: int
) -> None:
    live.store.setting("resend_hours", 0)
    live.store.customer().send(ANNA, BEN)
    live.store.deliver()
    page, friend = visit(VERONICA, width), visit(None, width)
    small: dict[str, list[str]] = {}
    for path in (LIST, f"{LIST}?status=expired", SEND):
        page.goto(path)
        small[path] = page.evaluate(TOO_SMALL, SMALLEST)
    page.get_by_role("button", name=ADD).click()
    expect(page.locator("#emails-1")).to_be_focused()
    page.get_by_role("button", name="Send Invitation", exact=True).last.click()
    expect(page.get_by_role("alert")).to_be_visible()
    small["errors"] = page.evaluate(TOO_SMALL, SMALLEST)
    for path in (sink.mails[0].link, "/invitations/unknown", "/invitations/opt-out/unknown"):
        friend.goto(path)
        small[path] = friend.evaluate(TOO_SMALL, SMALLEST)
    assert {path: nodes for path, nodes in small.items() if nodes} == {}


@pytest.mark.parametrize("path", [LIST, SEND])
def test_a_page_at_twice_its_size_needs_no_sideways_scrolling(
    visit: Callable[..., Page], live: Live, path: str
) -> None:
    """At 200 % a window of 640 pixels is 320 wide; text alone may be enlarged as well."""
    live.store.customer().send("a.rather-long.address.of-a-friend@subdomain.example.com")
    page = visit(VERONICA, 640)
    page.goto(path)
    page.evaluate("document.documentElement.style.zoom = 2")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate("document.documentElement.style.zoom = 1")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_over_a_slow_line_the_form_looks_busy_and_is_sent_once(
    visit: Callable[..., Page], live: Live
) -> None:
    page = visit(VERONICA)
    page.goto(SEND)
    page.fill("#emails-0", ANNA)
    held: list[Route] = []
    page.route(f"**{SEND}", lambda route: held.append(route))
    form = page.locator("#inv-send-form")
    button = form.get_by_role("button", name="Send Invitation", exact=True).last
    button.click()
    expect(form).to_have_attribute("aria-busy", "true")
    expect(button).to_have_css("opacity", "0.6")
    expect(button).to_have_css("cursor", "progress")
    button.click()
    page.locator("#emails-0").press("Enter")
    page.get_by_role("button", name=ADD).click()
    expect(page.locator("#emails-1")).to_have_count(0)
    assert len(held) == 1
    held[0].continue_()
    expect(page.get_by_text(f"{SENT} {ANNA}.")).to_be_visible()
    assert len(held) == len(live.store.invitations()) == 1


def test_over_a_slow_line_a_button_of_the_list_acts_once(
    visit: Callable[..., Page], live: Live
) -> None:
    live.store.customer().send(ANNA)
    page = visit(VERONICA)
    page.goto(LIST)
    held: list[Route] = []
    page.route("**/cancel", lambda route: held.append(route))
    button = page.get_by_role("button", name="Cancel")
    button.click()
    expect(page.locator("form[aria-busy=true]")).to_have_count(1)
    expect(button).to_have_css("opacity", "0.6")
    button.click()
    button.press("Enter")
    assert len(held) == 1
    held[0].continue_()
    expect(page.locator("tr[data-status=canceled]")).to_have_count(1)
    assert [each[0] for each in live.store.history(ANNA)].count("cancel") == len(held) == 1


def test_after_an_answer_that_is_none_of_ours_the_form_can_be_sent_again(
    visit: Callable[..., Page], live: Live
) -> None:
    page = visit(VERONICA)
    page.goto(SEND)
    page.fill("#emails-0", ANNA)
    page.route(f"**{SEND}", lambda route: route.fulfill(status=502, body="Bad Gateway"), times=1)
    button = page.get_by_role("button", name="Send Invitation", exact=True).last
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing you typed is lost")
    expect(page.get_by_role("alert")).to_be_in_viewport()
    expect(page.locator("#inv-send-form")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("#emails-0")).to_have_value(ANNA)
    button.click()
    expect(page.get_by_text(f"{SENT} {ANNA}.")).to_be_visible()
    assert len(live.store.invitations()) == 1


def test_a_form_whose_token_has_ended_keeps_what_was_typed_and_can_be_sent(
    visit: Callable[..., Page], live: Live
) -> None:
    page = visit(VERONICA)
    page.goto(SEND)
    page.fill("#emails-0", ANNA)
    page.fill("[name=message]", "Come and see")
    page.evaluate("document.querySelector('#inv-send [name=csrf_token]').value = 'ended'")
    button = page.get_by_role("button", name="Send Invitation", exact=True).last
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("This page was open for too long.")
    expect(page.locator("#emails-0")).to_have_value(ANNA)
    expect(page.locator("[name=message]")).to_have_value("Come and see")
    button.click()
    expect(page.get_by_text(f"{SENT} {ANNA}.")).to_be_visible()
    assert live.store.invitation(ANNA).message == "Come and see"


def test_an_address_breaks_between_its_parts_and_is_copied_whole(
    visit: Callable[..., Page], live: Live
) -> None:
    live.store.customer().send(LONG)
    page = visit(VERONICA, 320)
    page.goto(LIST)
    shown = page.locator("[id^=inv-email]")
    lines = shown.evaluate(LINES)
    assert "".join(lines) == LONG
    assert len(lines) > 1
    for line, following in pairwise(lines):
        assert line[-1] in "@-" or following[0] == ".", lines
    copied = shown.evaluate(
        "(node) => { getSelection().selectAllChildren(node); return getSelection().toString() }"
    )
    assert copied == LONG
    expect(page.get_by_role("button", name="Cancel")).to_have_accessible_description(LONG)
