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
from typing import Any, Literal

import pytest
from playwright.sync_api import Page

from invitations_plugin import mail_templates
from invitations_plugin.clock import now
from invitations_plugin.grid import COLUMNS
from invitations_plugin.host import Host
from invitations_plugin.lifecycle import Actor, note
from invitations_plugin.throttle import GUESSES

from ..support.mail_templates import CONTENT, add_template, edit
from ..support.reports import spring
from ..support.rows import ago, one
from ..support.sink import Sink
from ..support.watching import add_worker, park, tried
from .conftest import DESK, PHONE, Live

TOOLS = Path(__file__).parent.parent / "tools" / "node_modules"
AXE = TOOLS / "axe-core" / "axe.min.js"
CHECKER = TOOLS / "vnu-jar" / "build" / "dist" / "vnu.jar"
SIGN_IN = re.compile(r"/invitations/[\w.-]+(?=/sign-in)")
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# What only the colours decide.
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}

ALL = ",".join(COLUMNS)
REPORTS = "/admin/invitations/reports/"
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
    "grid, all columns": (STAFF, f"/admin/invitations/?density=comfortable&columns={ALL}"),
    "grid, filters": (STAFF, "/admin/invitations/filters?id_from=abc"),
    "grid, filters opened": (STAFF, "open:Filters"),
    "grid, columns": (STAFF, "/admin/invitations/columns"),
    "grid, no column": (STAFF, "/admin/invitations/columns?order=id"),
    "grid, columns opened": (STAFF, "open:Columns"),
    "grid, views": (STAFF, "/admin/invitations/views"),
    "grid, views opened": (STAFF, "open:All invitations"),
    "grid, somebody else's view": (STAFF, "/admin/invitations/?view=999"),
    "detail": (STAFF, "/admin/invitations/1/"),
    "detail, asking": (STAFF, "/admin/invitations/1/?discard=1"),
    "detail, crowded": (STAFF, "/admin/invitations/5/"),
    "detail, closed": (STAFF, "/admin/invitations/6/"),
    "detail, wrong": (STAFF, "bad_end:/admin/invitations/5/"),
    "detail, conflict": (STAFF, "clash:/admin/invitations/5/"),
    "confirmation": (STAFF, "confirm:/admin/invitations/"),
    "mass actions": (STAFF, "/admin/invitations/jobs/"),
    "mass action, running": (STAFF, "/admin/invitations/jobs/1"),
    "mass action, done": (STAFF, "/admin/invitations/jobs/2"),
    "export, asked": (STAFF, "export:/admin/invitations/"),
    "exports": (STAFF, "/admin/invitations/exports/"),
    "delivery": (STAFF, "/admin/invitations/delivery/"),
    "delivery, nothing there": (STAFF, "/admin/invitations/delivery/?place=later"),
    "delivery, deciding": (STAFF, "decide:/admin/invitations/delivery/?place=parked"),
    "delivery, wrong": (STAFF, "untried:/admin/invitations/delivery/"),
    "export, waiting": (STAFF, "/admin/invitations/exports/1"),
    "export, running": (STAFF, "/admin/invitations/exports/2"),
    "export, done": (STAFF, "/admin/invitations/exports/3"),
    "export, failed": (STAFF, "/admin/invitations/exports/4"),
    "adding": (STAFF, "/admin/invitations/new"),
    "adding, reviewed": (STAFF, "review:/admin/invitations/new"),
    "adding, wrong": (STAFF, "incomplete:/admin/invitations/new"),
    "adding, one result": (STAFF, "result:/admin/invitations/new"),
    "confirmation, nothing": (STAFF, "nothing:/admin/invitations/?status=sent"),
    "templates": (STAFF, "/admin/invitations/templates/"),
    "template, new": (STAFF, "/admin/invitations/templates/new"),
    "template, shipped": (STAFF, "/admin/invitations/templates/invitation_sent/"),
    "template": (STAFF, "/admin/invitations/templates/spring/"),
    "template, not written": (STAFF, "/admin/invitations/templates/spring/?language=it"),
    "template, wrong": (STAFF, "template:/admin/invitations/templates/spring/"),
    "template, preview": (STAFF, "/admin/invitations/templates/spring/preview"),
    "template, versions": (STAFF, "/admin/invitations/templates/spring/versions/"),
    "template, version": (STAFF, "/admin/invitations/templates/spring/versions/1"),
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
    "report, invitations": (STAFF, f"{REPORTS}invitations"),
    "report, many intervals": (STAFF, f"{REPORTS}invitations?from=2024-06-01&by=day&to=2026-11-26"),
    "report, folded": (STAFF, f"{REPORTS}invitations?from=2024-01-01&by=month&empty=fold"),
    "report, nothing": (STAFF, f"{REPORTS}invitations?from=2020-01-01&to=2020-01-02"),
    "report, wrong": (STAFF, f"{REPORTS}invitations?from=2026-02-30&store=nowhere&by=hour"),
    "report, customers": (STAFF, f"{REPORTS}customers?by=year"),
    "report, nobody": (STAFF, f"{REPORTS}customers?search=nobody"),
    "report, conversions": (STAFF, f"{REPORTS}conversions?by=month&from=2026-01-01"),
    "report, unconnected": (STAFF, f"unconnected:{REPORTS}conversions"),
    "report, tree": (STAFF, f"tree:{REPORTS}customers?from=2026-01-01&to=2026-12-31"),
    "report, small plots": (STAFF, f"{REPORTS}glance"),
    "grid, from a report": (STAFF, f"drill:{REPORTS}customers"),
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
READERS = {who for who, _ in PAGES.values()}
Theme = Literal["light", "dark"]
THEMES = [
    pytest.param(DESK, ("light", "dark"), id="desktop"),
    pytest.param(PHONE, ("dark", "light"), id="phone"),
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
    crowded = one(live.store, long, "expired", website="private", message="Long. " * 160)
    one(live.store, "dora@example.com", "discarded", message="Come and see.")
    spring(live.store)
    with live.store.session() as db:
        for number in range(25):
            said = f"message; group_code: general -> vip{number}"
            note(db, crowded, Actor("staff", "1", "Ada Admin"), "edit", reason=said)
            note(db, crowded, Actor("system"), "defer", reason="451 later", message_id="<1@x>")
        db.commit()
    staff = live.store.staff()
    staff.get("/admin/invitations/views")
    for name in ("Late", "A view with quite a long name, as long as one may have, 60 letters"[:60]):
        staff.post("/admin/invitations/views", {"name": name, "status": "sent"})
    for days in (20, 21):
        live.store.setting("link_days", days)
    live.store.add_job(state="running", lease_until=now() + timedelta(hours=1), changed=1234)
    live.store.add_job(
        state="done", changed=4321, skipped={"accepted": 79}, failed=1, ended_at=now()
    )
    live.store.add_export()
    later = now() + timedelta(hours=1)
    live.store.add_export(
        state="running", done=1234, downloads=1, started_at=now(), touched_at=later
    )
    live.store.add_export(state="done", done=5000, downloads=2, started_at=now(), ended_at=now())
    live.store.add_export(state="failed", error="Busy", actor_key="staff:99", ended_at=now())
    number = park(live.store, "parked.friend@example.com")
    tried(live.store, number, "unknown", "TimeoutError: The read operation timed out")
    add_worker(live.store, did={"sent": 1204, "failed": 2}, did_at=now(), refused="421 4.3.2 busy")
    add_worker(live.store, id="silent", seen_at=ago(hours=1))
    add_template(live.store, contents={"en": CONTENT, "fr": CONTENT})
    edit(live.store.staff(), subject="Spring at {{ store_name }}")
    live.store.setting("email_template", "spring", "website", "private")
    with live.store.session() as db:
        mail_templates.note_fault(db, "spring", 2, "TypeError: no such thing")
        mail_templates.note_fault(db, "invitation_sent", 0, "TypeError: no such thing")
        db.commit()
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

    def bad_end(self, path: str) -> None:
        self.page.goto(path)
        self.page.fill("[name=expires]", "2020-01-01")
        self.page.get_by_role("button", name="Save").click()
        self.page.locator("#expires-error").wait_for()

    def clash(self, path: str) -> None:
        """What another member of staff saved in between."""
        self.page.goto(path)
        other, version = self.live.store.staff(), self.page.input_value("#inv-edit [name=version]")
        other.get(path)
        words = f"Saved over version {version}"
        assert other.post(path, {"message": words, "version": version}).status_code == 302
        self.page.fill("[name=message]", "My own words")
        self.page.get_by_role("button", name="Save").click()
        self.page.get_by_text(words).wait_for()

    def confirm(self, path: str, action: str = "discard") -> None:
        self.page.goto(path)
        self.page.select_option("[name=select]", "all")
        self.page.select_option("[name=action]", action)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Submit").click()

    def export(self, path: str) -> None:
        self.confirm(path, "export_xlsx")

    def open(self, name: str) -> None:
        self.page.goto("/admin/invitations/")
        self.page.get_by_role("link", name=name).first.click()
        self.page.locator("main form.inv-card, main .inv-card form").first.wait_for()

    def decide(self, path: str) -> None:
        self.page.goto(path)
        self.page.get_by_role("checkbox").first.check()
        self.page.get_by_role("button", name="Send Once More").click()
        self.page.get_by_role("heading", name="Send 1 mail once more?").wait_for()

    def untried(self, path: str) -> None:
        self.page.goto(path)
        self.page.fill("[name=to]", "nobody")
        self.page.get_by_role("button", name="Send Test Mail").click()
        self.page.locator("#to-error").wait_for()

    def review(self, path: str) -> None:
        self.page.goto(path)
        self.page.fill(
            "[name=emails]", "zoe@example.com\nnobody\nanna@example.com\nzoe@example.com"
        )
        self.page.select_option("[name=store_view]", "en")
        self.page.select_option("[name=group]", "general")
        self.page.get_by_role("button", name="Continue").click()
        self.page.get_by_role("button", name="Save").wait_for()

    def result(self, path: str) -> None:
        self.review(path)
        self.page.get_by_role("button", name="Not an e-mail address").click()
        self.page.locator("[name=show][value=bad][aria-current]").wait_for()

    def incomplete(self, path: str) -> None:
        self.page.goto(path)
        self.page.get_by_role("button", name="Continue").click()
        self.page.locator("#group-error").wait_for()

    def nothing(self, path: str) -> None:
        self.page.goto(path)
        self.page.select_option("[name=select]", "all")
        with self.page.expect_navigation():
            self.page.select_option("[name=action]", "send")
            self.page.get_by_role("button", name="Submit").click()

    def template(self, path: str) -> None:
        self.page.goto(path)
        self.page.fill("[name=html]", "{{ nothing }}")
        self.page.fill("[name=to]", "nobody")
        self.page.get_by_role("button", name="Send Test Mail").click()
        self.page.locator("#to-error").wait_for()

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

    def unconnected(self, path: str) -> None:
        """The report of a store that does not tell of purchases."""
        known = type(self.live.store.app.extensions["invitations"].host)
        told, known.purchases = known.purchases, Host.purchases
        self.page.goto(path)
        known.purchases = told

    def tree(self, path: str) -> None:
        self.page.goto(path)
        self.page.get_by_role("link", name="Who they brought").first.click()
        self.page.get_by_role("heading", name="Brought by").wait_for()

    def drill(self, path: str) -> None:
        self.page.goto(path)
        self.page.locator("td.inv-number a").first.click()
        self.page.get_by_role("link", name="Back to the report").wait_for()

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
    page.wait_for_load_state()


def violations(page: Page, rules: object = LEVELS) -> list[dict[str, Any]]:
    """Return what axe finds against a page; all it finds would take longer to hand over.

    It asks no frame: none of ours lets a script in to answer.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(
        "(runOnly) => axe.run(document, {resultTypes: ['violations'], iframes: false, runOnly})"
        ".then((all) => all.violations)",
        rules,
    )
    return found


@pytest.mark.parametrize(("width", "themes"), THEMES)
def test_axe_finds_nothing_on_any_page(
    filled: Live, sink: Sink, visit: Callable[..., Page], width: int, themes: tuple[Theme, Theme]
) -> None:
    """In both themes of a page that is opened once: most of the time goes into opening it."""
    need(AXE)
    still = {"reduced_motion": "reduce"}  # no colour is on its way from one theme to the other
    visitors = {who: visit(who, width, **still) for who in READERS}
    found = []
    for name, (who, address) in PAGES.items():
        page = visitors[who]
        show(page, address, filled, sink)
        for theme, rules in zip(themes, (LEVELS, COLOURS), strict=True):
            page.emulate_media(color_scheme=theme)
            found += [
                f"{name}, {theme}: {each['id']}: {each['nodes'][0]['html'][:200]}"
                for each in violations(page, rules)
            ]
    assert found == []


def test_no_page_is_wider_than_a_small_phone(
    filled: Live, sink: Sink, visit: Callable[..., Page]
) -> None:
    visitors = {who: visit(who, 320) for who in READERS}
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
    visitors = {who: visit(who, java_script_enabled=False) for who in READERS}
    for name, (who, address) in PAGES.items():
        show(visitors[who], address, filled, sink)
        (tmp_path / f"{name.replace(', ', '-')}.html").write_text(visitors[who].content())
    pages = [str(path) for path in sorted(tmp_path.glob("*.html"))]
    command = ["java", "-jar", str(CHECKER), "--errors-only", "--format", "gnu", *pages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len(pages) == len(PAGES)
