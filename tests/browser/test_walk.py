"""The whole way in a browser: on a desk, on a phone, and without JavaScript."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from ..support.sink import Sink
from ..support.stores import LIST, SEND
from .conftest import DESK, PHONE, Live

GRID = "/admin/invitations/"
WAYS = [
    pytest.param({"width": DESK}, id="desktop"),
    pytest.param({"width": PHONE}, id="phone"),
    pytest.param({"width": DESK, "java_script_enabled": False}, id="no-script"),
]


def send(page: Page, *addresses: str) -> None:
    """Fill in one row after the other, and send."""
    page.goto(SEND)
    for number, address in enumerate(addresses):
        if number:
            page.get_by_role("button", name="Add another address").click()
        page.fill(f"#emails-{number}", address)
    page.get_by_role("button", name="Send Invitation", exact=True).last.click()
    page.wait_for_url(f"**{LIST}")


def link_for(sink: Sink, address: str) -> str:
    """Wait for the mail of an address and return its link."""
    deadline = time.monotonic() + 20
    while not sink.to(address):
        assert time.monotonic() < deadline, f"no mail for {address}"
        time.sleep(0.05)
    return sink.to(address)[0].link


@pytest.mark.parametrize("way", WAYS)
def test_invite_register_accept_discard(
    live: Live, sink: Sink, visit: Callable[..., Page], way: dict[str, object]
) -> None:
    inviter = visit("veronica@example.com", **way)
    send(inviter, "anna@example.com", "ben@example.com", "cleo@example.com")
    expect(inviter.get_by_text("You sent the invitation for cleo@example.com.")).to_be_visible()

    register(visit(**way), link_for(sink, "anna@example.com"), "anna@example.com")
    inviter.goto(LIST)
    expect(inviter.locator("tr[data-status=accepted]")).to_contain_text("anna@example.com")

    discard(visit("admin@example.com", **way), "ben@example.com")
    inviter.goto(LIST)
    expect(inviter.locator("tr[data-status=canceled]")).to_contain_text("ben@example.com")
    stranger = visit(**way)
    answer = stranger.goto(link_for(sink, "ben@example.com"))
    assert answer is not None
    assert answer.status == 404


def register(page: Page, link: str, address: str) -> None:
    page.goto(link)
    assert page.url.endswith("/invitations/welcome")
    page.get_by_role("link", name="Create an account").click()
    expect(page.locator("[name=email]")).to_have_value(address)
    page.fill("[name=password]", "a long enough password")
    page.locator("main form button").last.click()
    page.wait_for_url("**/account/")


def discard(page: Page, address: str) -> None:
    page.goto(GRID)
    page.get_by_role("row", name=address).get_by_role("checkbox").check()
    page.select_option("[name=action]", "discard")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="Discard 1 invitation?")).to_be_visible()
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_text("1 invitation was discarded.")).to_be_visible()
