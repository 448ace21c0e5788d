"""A link of one website that is opened at another one's address, in a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from ..support.outbox import queue, wait_for
from ..support.sink import Sink
from .conftest import Live


@pytest.fixture
def addresses(live: Live) -> dict[str, str]:
    """The addresses of the two websites, which are names of one store."""
    found = {"main": live.url, "private": live.url.replace("127.0.0.1", "localhost")}
    config = live.store.app.config
    config.update(STORE_URL_MAIN=found["main"], STORE_URL_PRIVATE=found["private"])
    return found


@pytest.mark.parametrize(
    ("website", "view", "other"), [("private", "it", "main"), ("main", "fr", "private")]
)
def test_a_friend_who_comes_by_the_other_address_registers_at_the_right_one(
    live: Live,
    sink: Sink,
    visit: Callable[..., Page],
    addresses: dict[str, str],
    website: str,
    view: str,
    other: str,
) -> None:
    queue(live.store, "anna@example.com", website=website, store_view=view, group_code="vip")
    friend = visit()
    friend.goto(addresses[other])
    wait_for(lambda: bool(sink.to("anna@example.com")))
    mail = sink.to("anna@example.com")[0]
    assert f"{addresses[website]}{mail.link}" in mail.text
    friend.goto(f"{addresses[other]}{mail.link}")
    expect(friend).to_have_url(f"{addresses[website]}/invitations/welcome")
    expect(friend.locator("html")).to_have_attribute("lang", view)
    friend.locator("main a[href='/register']").first.click()
    expect(friend.locator("[name=email]")).to_have_value("anna@example.com")
    friend.fill("[name=password]", live.store.password)
    friend.locator("main form button").last.click()
    friend.wait_for_url(f"{addresses[website]}/account/")
    assert live.store.group_of("anna@example.com") == "vip"
    assert live.store.invitation("anna@example.com").status == "accepted"
