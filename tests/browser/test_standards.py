"""Every page before the judges: axe for accessibility, the W3C's checker for HTML."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from invitations_plugin.clock import now
from invitations_plugin.throttle import GUESSES

from ..support.rows import ago, one
from ..support.sink import Sink
from .conftest import DESK, PHONE, Live

TOOLS = Path(__file__).parent.parent / "tools" / "node_modules"
AXE = TOOLS / "axe-core" / "axe.min.js"
CHECKER = TOOLS / "vnu-jar" / "build" / "dist" / "vnu.jar"
SIGN_IN = re.compile(r"/invitations/[\w.-]+(?=/sign-in)")
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}"

CUSTOMER, STAFF, ANYBODY = "veronica@example.com", "admin@example.com", None
PAGES = {
    "list": (CUSTOMER, "/account/invitations/"),
    "empty list": ("marcus@example.com", "/account/invitations/"),
    "filtered list": (CUSTOMER, "/account/invitations/?status=expired"),
    "send": (CUSTOMER, "/account/invitations/send"),
    "send, wrong": (CUSTOMER, "wrong:/account/invitations/send"),
    "send, not now": (CUSTOMER, "refused:/account/invitations/send"),
    "list, not now": (CUSTOMER, "refused:/account/invitations/"),
    "grid": (STAFF, "/admin/invitations/"),
    "grid, filtered": (STAFF, "/admin/invitations/?invitee=anna&status=sent&sort=email"),
    "grid, no match": (STAFF, "/admin/invitations/?invitee=nobody"),
    "grid, bad filter": (STAFF, "/admin/invitations/?id_from=abc"),
    "detail": (STAFF, "/admin/invitations/1/"),
    "detail, asking": (STAFF, "/admin/invitations/1/?discard=1"),
    "confirmation": (STAFF, "confirm:/admin/invitations/"),
    "mass actions": (STAFF, "/admin/invitations/jobs/"),
    "mass action, running": (STAFF, "/admin/invitations/jobs/1"),
    "mass action, done": (STAFF, "/admin/invitations/jobs/2"),
    "adding": (STAFF, "/admin/invitations/new"),
    "adding, reviewed": (STAFF, "review:/admin/invitations/new"),
    "configuration": (STAFF, "/admin/invitations/configuration"),
    "configuration of a store view": (STAFF, "/admin/invitations/configuration?scope=store%3Afr"),
    "configuration, wrong": (STAFF, "misset:/admin/invitations/configuration?scope=store%3Afr"),
    "configuration, two at once": (STAFF, "crossed:/admin/invitations/configuration"),
    "configuration, history": (STAFF, "/admin/invitations/configuration/history"),
    "configuration, undo": (STAFF, "undo:/admin/invitations/configuration/history"),
    "configuration, import": (STAFF, "/admin/invitations/configuration/import"),
    "configuration, bad file": (STAFF, "misbring:/admin/invitations/configuration/import"),
    "configuration, import reviewed": (STAFF, "bring:/admin/invitations/configuration/import"),
    "why": (STAFF, "/admin/invitations/why"),
    "why, wrong": (STAFF, "/admin/invitations/why?customer=nobody&invitee=nobody"),
    "why, in the way": (STAFF, "limited:/admin/invitations/why?customer=veronica@example.com"),
    "missing": (STAFF, "/admin/invitations/99/"),
    "forbidden": (CUSTOMER, "/admin/invitations/"),
    "list, who asks": (CUSTOMER, "/account/invitations/?status=asked"),
    "detail, friend asking": (STAFF, "/admin/invitations/4/"),
    "gone": (ANYBODY, "/invitations/unknown"),
    "asked": (ANYBODY, "post:/invitations/unknown"),
    "opt-out": (ANYBODY, "/invitations/opt-out/unknown"),
    "opt-out, done": (ANYBODY, "post:/invitations/opt-out/unknown"),
    "landing": (ANYBODY, "link:"),
    "landing, signed in": (CUSTOMER, "link:"),
    "landing of a customer": (ANYBODY, "known:"),
    "declined": (ANYBODY, "decline:"),
    "closed": (ANYBODY, "closed:/register"),
    "guessing": (ANYBODY, "guess:/invitations/unknown"),  # the last: nobody finds a dead link now
}
THEMES = [
    pytest.param(DESK, "light", id="desktop-light"),
    pytest.param(DESK, "dark", id="desktop-dark"),
    pytest.param(PHONE, "light", id="phone-light"),
    pytest.param(PHONE, "dark", id="phone-dark"),
]


def need(path: Path, program: str | None = None) -> None:
    """Skip where a judge is missing; on CI that is a failure."""
    if path.exists() and (program is None or shutil.which(program)):
        return
    assert os.environ.get("CI") != "true", f"{path.name} or what runs it is missing"
    pytest.skip(f"{path.name} cannot run here: make test fetches it where npm and java are")


@pytest.fixture
def filled(live: Live, sink: Sink) -> Live:
    """A store with some invitations of every looks."""
    customer = live.store.customer()
    long = "a.rather-long.address.of-a-friend@subdomain.example.com"
    customer.send("anna@example.com", long, live.store.other_inviter)
    live.store.deliver()
    one(live.store, "cleo@example.com", "expired", asked_at=ago(hours=1))
    for days in (20, 21):
        live.store.setting("link_days", days)
    live.store.add_job(state="running", lease_until=now() + timedelta(hours=1), changed=1234)
    live.store.add_job(
        state="done", changed=4321, skipped={"accepted": 79}, failed=1, ended_at=now()
    )
    return live


@dataclass
class Way:
    """How a page is come to, where its address alone does not show it."""

    page: Page
    live: Live
    sink: Sink

    def link(self, path: str) -> None:
        self.page.goto(self.sink.mails[0].link)

    def known(self, path: str) -> None:
        """The link that a customer got, who is offered the sign-in alone."""
        found = SIGN_IN.search(self.sink.to(self.live.store.other_inviter)[0].text)
        assert found is not None
        self.page.goto(found.group())

    def decline(self, path: str) -> None:
        self.page.goto(self.sink.mails[1].link)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Decline").click()

    def post(self, path: str) -> None:
        self.page.goto(path)
        with self.page.expect_navigation():
            self.page.locator(".inv form button").click()

    def wrong(self, path: str) -> None:
        self.page.goto(path)
        self.page.locator("#emails-0").fill("nobody")
        self.page.get_by_role("button", name="Send Invitation").last.click()
        self.page.locator("#emails-0-error").wait_for()

    def refused(self, path: str) -> None:
        host = self.live.store.app.extensions["invitations"].host
        host.may_invite = lambda customer: "Invite friends after your first order."
        self.page.goto(path)
        del host.may_invite

    def confirm(self, path: str) -> None:
        self.page.goto(path)
        self.page.select_option("[name=select]", "all")
        self.page.select_option("[name=action]", "discard")
        self.page.get_by_role("button", name="Submit").click()

    def review(self, path: str) -> None:
        self.page.goto(path)
        self.page.fill(
            "[name=emails]", "zoe@example.com\nnobody\nanna@example.com\nzoe@example.com"
        )
        self.page.select_option("[name=store_view]", "en")
        self.page.select_option("[name=group]", "general")
        self.page.get_by_role("button", name="Continue").click()
        self.page.get_by_role("button", name="Save").wait_for()

    def misset(self, path: str) -> None:
        """A value that cannot be, beside a sender that is there no more."""
        self.live.store.setting("email_sender", "long-gone", "store", "fr")
        self.page.goto(path)
        self.page.locator("[name=link_days-inherit]").uncheck()
        self.page.fill("#link_days", "0")
        self._save("#link_days-error")

    def crossed(self, path: str) -> None:
        """Somebody else saves while the page is open."""
        self.page.goto(path)
        days = int(self.page.input_value("#link_days"))
        self.live.store.setting("link_days", days + 1)
        self.page.fill("#link_days", str(days + 2))
        self._save("#link_days-theirs")

    def _save(self, shown: str) -> None:
        self.page.get_by_role("button", name="Save Configuration").click()
        self.page.locator(shown).wait_for()

    def undo(self, path: str) -> None:
        """The first of several changes of a setting."""
        self.page.goto(path)
        self.page.get_by_role("button", name="Undo").last.click()
        self.page.get_by_role("heading", name="Undo this change?").wait_for()

    def bring(self, path: str) -> None:
        self._import(path, "[default]\nenabled = false\n[store.fr]\nmax_per_send = 4\n")
        self.page.get_by_role("button", name="Import").wait_for()

    def _import(self, path: str, text: str) -> None:
        self.page.goto(path)
        self.page.fill("[name=text]", text)
        self.page.get_by_role("button", name="Continue").click()

    def misbring(self, path: str) -> None:
        self._import(path, "[default]\nnonsense = 1\n")
        self.page.locator("#inv-problems").wait_for()

    def limited(self, path: str) -> None:
        self.live.store.setting("max_pending", 1)
        self.page.goto(path)
        self.live.store.setting("max_pending", 100)

    def closed(self, path: str) -> None:
        self.live.store.setting("registration", "invitation")
        self.page.goto(path)
        self.live.store.setting("registration", "all")

    def guess(self, path: str) -> None:
        for _ in range(GUESSES.most):
            self.page.request.get(path)
        self.page.goto(path)


def show(page: Page, address: str, live: Live, sink: Sink) -> None:
    """Open a page of the list above."""
    way, colon, path = address.partition(":")
    if colon:
        getattr(Way(page, live, sink), way)(path)
    else:
        page.goto(address)


@pytest.mark.parametrize(("width", "theme"), THEMES)
def test_axe_finds_nothing_on_any_page(
    filled: Live, sink: Sink, visit: Callable[..., Page], width: int, theme: str
) -> None:
    need(AXE)
    visitors = {who: visit(who, width, color_scheme=theme) for who, _ in PAGES.values()}
    found = []
    for name, (who, address) in PAGES.items():
        page = visitors[who]
        show(page, address, filled, sink)
        page.evaluate(AXE.read_text())
        result = page.evaluate(f"axe.run(document, {RULES})")
        found += [
            f"{name}: {each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in result["violations"]
        ]
    assert found == []


def test_no_page_is_wider_than_a_small_phone(
    filled: Live, sink: Sink, visit: Callable[..., Page]
) -> None:
    visitors = {who: visit(who, 320) for who, _ in PAGES.values()}
    wide = []
    for name, (who, address) in PAGES.items():
        show(visitors[who], address, filled, sink)
        if visitors[who].evaluate("document.documentElement.scrollWidth") > 320:
            wide.append(name)
    assert wide == []


def test_the_w3c_checker_finds_no_error(
    filled: Live, sink: Sink, visit: Callable[..., Page], tmp_path: Path
) -> None:
    need(CHECKER, "java")
    # Without JavaScript, so that what is checked is what was sent.
    visitors = {who: visit(who, java_script_enabled=False) for who, _ in PAGES.values()}
    for name, (who, address) in PAGES.items():
        show(visitors[who], address, filled, sink)
        (tmp_path / f"{name.replace(', ', '-')}.html").write_text(visitors[who].content())
    pages = [str(path) for path in sorted(tmp_path.glob("*.html"))]
    command = ["java", "-jar", str(CHECKER), "--errors-only", "--format", "gnu", *pages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len(pages) == len(PAGES)
