"""Whatever happens to invitations, in whatever order, through the pages and the mail server.

Two customers do the same all the time: one invites friends of whom nothing is special, the
other one friends who have an account, opted out or decline. Neither must see a difference.

A new event is one more rule. What a sender does goes through ``both``, what a friend or
staff does must leave both senders with the same to see.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar
from urllib.parse import quote_from_bytes

import pytest
import sqlalchemy as sa
import time_machine
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as rules_of
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from werkzeug.test import TestResponse

from invitations_plugin import outbox
from invitations_plugin.addresses import keyed_hash, parse_address
from invitations_plugin.clock import now
from invitations_plugin.lifecycle import is_discardable, is_sendable
from invitations_plugin.models import History, Invitation, OptOut, Outbox, Quota
from invitations_plugin.opt_outs import is_opted_out, opt_out
from invitations_plugin.state import state
from invitations_plugin.workers import expire_all

from .support.pages import Page
from .support.sink import Mail, Sink
from .support.snapshots import contents
from .support.stores import LIST, SEND, Store, Visitor

GRID, DECLINE = "/admin/invitations/", "/invitations/decline"
HTMX = {"HX-Request": "true"}
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
WAITS = [timedelta(minutes=31), timedelta(hours=25), timedelta(days=31)]
LATER = st.sampled_from([None, timedelta(hours=25)])  # before and after the cool-down
WAITING = ("queued", "sending", "parked")
SEEN = {"sending", "sent", "not_sent", "accepted", "canceled", "expired"}

# The friends of each side; on the secret one ben has an account and cara opted out.
NAMES = ("anna", "ben", "cara")
FRIENDS = st.sampled_from(("anna", "anna", *NAMES))  # most happens to the one who may decline
TYPED: list[Callable[[str], str]] = [str, str.upper, " {} ".format]

# What the mail server says to every mail of a run.
ANSWERS: dict[str, tuple[str, str]] = {
    "takes it": ("DATA", "250 OK"),
    "takes it and hangs up": ("DATA", "250 drop"),
    "takes it and says nothing": ("DATA", "taken drop"),
    "breaks off": ("DATA", "drop"),
    "asks to come back": ("RCPT", "451 4.2.1 greylisted"),
    "knows nobody": ("RCPT", "550 5.1.1 unknown"),
    "is away": ("connect", "421 4.3.2 away"),
}
LINK = re.compile(r"/invitations/[\w.-]+(?=/sign-in)")  # the one that every mail has
OUT = re.compile(r"/invitations/opt-out/[\w.-]+")
# What two pages differ in, though they show the same.
OWN = re.compile(
    r'(?<=name="csrf_token" )[^>]+|(?<=name="submission" )[^>]+'
    r"|(?<=/invitations/)\d+|(?<=inv-email-)\d+|(?<=inv-resend-)\d+|(?<=inv-cancel-)\d+"
    r'|(?<=data-invitation-id=")\d+|(?<=data-inv-draft=")[0-9a-f]+'
)


def columns(row: Any) -> dict[str, Any]:
    """Return all that stands in a row."""
    return {each.key: getattr(row, each.key) for each in sa.inspect(type(row)).column_attrs}


def links(mail: Mail, kind: re.Pattern[str]) -> list[str]:
    """Return the paths of a kind of link in a mail."""
    return kind.findall(mail.text)


class Side:
    """One of the two customers, with friends at a domain of their own."""

    def __init__(self, store: Store, email: str, domain: str) -> None:
        self.store = store
        self.email = email
        self.domain = domain
        self.come()

    def come(self) -> None:
        """Come, or come back later: a session does not last as long as an invitation."""
        self.visitor = self.store.customer(self.email)
        self.form = self.visitor.get(SEND)

    def address(self, name: str) -> str:
        return f"{name}@{self.domain}"

    def find(self, name: str) -> Invitation | None:
        """Return the invitation of a friend, None before there is one."""
        with self.store.session() as db:
            query = sa.select(Invitation).where(Invitation.email == self.address(name))
            row = db.scalars(query).first()
            if row is not None:
                db.expunge(row)
            return row

    def send(self, typed: list[str], *, again: bool) -> TestResponse:
        """Fill in the form, or the one that was sent before once more."""
        if not again:
            self.form = self.visitor.get(SEND)
        rows = [text.replace("@", f"@{self.domain}") for text in typed]
        return self.visitor.send(*rows, page=self.form, headers=HTMX)

    def press(self, button: str, name: str) -> TestResponse:
        row = self.find(name)
        number = row.id if row is not None else 0
        return self.visitor.post(f"{LIST}{number}/{button}", headers=HTMX)

    def shown(self, answer: TestResponse) -> list[str]:
        """Return line by line all that an answer tells, but for what is this sender's own."""
        headers = [f"{name}: {answer.headers.get(name)}" for name in ("HX-Redirect", "Retry-After")]
        text = answer.text.replace("<wbr>", "").replace(self.domain, "DOMAIN")
        text = OWN.sub("", text)
        return [answer.status, *headers, *text.splitlines()]


class Lives(RuleBasedStateMachine):
    """Everything that people, mail servers and time do to invitations."""

    store: ClassVar[Store]
    sink: ClassVar[Sink]
    rounds: ClassVar[Any] = count()

    def __init__(self) -> None:
        super().__init__()
        self.clock = time_machine.travel(START, tick=False)
        self.time = self.clock.start()
        self.accepted: set[str] = set()
        self.twice: set[str] = set()  # Message-IDs whose mail may come a second time

    def teardown(self) -> None:
        self.clock.stop()

    @initialize(start=st.sampled_from(["empty", "invited", "declined", "declined"]))
    def open_the_store(self, start: str) -> None:
        with self.store.session() as db:
            for table in (History, Outbox, Invitation, OptOut, Quota):
                db.execute(sa.delete(table))
            db.commit()
        self.sink.mails.clear()
        number = next(self.rounds)
        self.plain = Side(self.store, self.store.inviter, f"plain{number}.example.com")
        self.secret = Side(self.store, self.store.other_inviter, f"secret{number}.example.com")
        self.sides = (self.plain, self.secret)
        with self.store.session() as db:
            db.add(self.store.new_customer(self.secret.address("ben")))
            mailbox = parse_address(self.secret.address("cara")).mailbox
            opt_out(db, keyed_hash(mailbox, state().hash_key))
            db.commit()
        self.known = Counter(self.store.customer_emails())
        if start != "empty":
            self.send(list(NAMES), str, again=False)
            self.store.deliver()
        if start == "declined":
            self.decline("anna")

    # What a sender does, each side the same.

    def both(self, step: Callable[[Side], TestResponse]) -> None:
        """Let both senders do the same, and see them answered alike."""
        plain, secret = (side.shown(step(side)) for side in self.sides)
        assert plain == secret
        assert plain[0][:3] in ("200", "404", "422", "429")

    @rule(
        names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=2),
        typed=st.sampled_from(TYPED),
        again=st.booleans(),
    )
    def send(self, names: list[str], typed: Callable[[str], str], again: bool) -> None:
        self.both(lambda side: side.send([typed(f"{name}@") for name in names], again=again))

    @rule(button=st.sampled_from(["resend", "cancel"]), name=FRIENDS, much=LATER)
    def press(self, button: str, name: str, much: timedelta | None) -> None:
        """Press a button, at once or later, whether it is offered or not."""
        if much is not None:
            self.wait(much)
        self.both(lambda side: side.press(button, name))

    # What friends do.

    def link_of(self, side: Side, name: str, kind: re.Pattern[str] = LINK) -> str | None:
        """Return a link of the last mail that a friend got, None before there is one."""
        found = self.sink.to(side.address(name))
        return links(found[-1], kind)[0] if found else None

    def holders(self, name: str) -> list[tuple[Side, Visitor]]:
        """Return a visitor of each side who followed the friend's link, none where one is dead."""
        found = []
        for side in self.sides:
            link, visitor = self.link_of(side, name), self.store.visitor()
            if link is None or visitor.get(link).status_code != 302:
                return []
            found.append((side, visitor))
        return found

    @rule()
    def register(self) -> None:
        for side, visitor in self.holders("anna"):
            assert self.store.register(visitor, side.address("anna")).status_code == 302

    @rule(name=FRIENDS)
    def register_another_address(self, name: str) -> None:
        for side, visitor in self.holders(name):
            answer = self.store.register(visitor, f"another.{side.address(name)}")
            assert answer.status_code == 422

    @rule(name=FRIENDS)
    def decline(self, name: str) -> None:
        """Decline on the secret side, where the landing offers it."""
        link, visitor = self.link_of(self.secret, name), self.store.visitor()
        if link is None:
            return
        landing = Page(visitor.get(link, follow_redirects=True))
        if DECLINE in landing.actions():
            assert visitor.post(DECLINE).status_code == 200

    @rule(name=FRIENDS)
    def opt_out(self, name: str) -> None:
        link = self.link_of(self.secret, name, OUT)
        if link is not None:
            assert self.store.visitor().client.post(link).status_code == 200

    # What staff do, where they may do it on both sides.

    def by_staff(self, button: str, name: str, possible: sa.ColumnElement[bool]) -> None:
        found = [side.find(name) for side in self.sides]
        ids = [row.id for row in found if row is not None]
        with self.store.session() as db:
            condition = (Invitation.id.in_(ids), possible)
            able = db.scalar(sa.select(sa.func.count(Invitation.id)).where(*condition))
        if able == len(self.sides):
            staff = self.store.staff()
            for number in ids:
                staff.get(f"{GRID}{number}/{'?discard=1' if button == 'discard' else ''}")
                assert staff.post(f"{GRID}{number}/{button}").status_code == 302

    @rule(name=FRIENDS)
    def staff_discard(self, name: str) -> None:
        self.by_staff("discard", name, is_discardable())

    @rule(name=FRIENDS)
    def staff_send(self, name: str) -> None:
        self.by_staff("send", name, is_sendable())

    # What time and the mail server do.

    @rule(much=st.sampled_from(WAITS))
    def wait(self, much: timedelta) -> None:
        self.time.shift(much)
        for side in self.sides:
            side.come()

    @rule()
    def expire(self) -> None:
        with self.store.app.app_context():
            expire_all()

    @rule(answer=st.sampled_from(sorted(ANSWERS)), runs=st.integers(1, 2))
    def deliver(self, answer: str, runs: int) -> None:
        """Let the worker run; where a friend gets no mail, no mail goes wrong."""
        if self.somebody_gets_nothing():
            answer = "takes it"
        wanted, before = self.wanted(), len(self.sink.mails)
        command, said = ANSWERS[answer]
        self.sink.at_connect = said if command == "connect" else None
        self.sink.replies[command] = [said] * 20
        for _ in range(runs):
            self.store.deliver()
        self.sink.at_connect = None
        self.sink.replies.clear()
        came = self.sink.mails[before:]
        assert Counter(address for mail in came for address in mail.recipients) <= wanted
        if said == "taken drop":
            self.twice |= {mail.message["Message-ID"] for mail in came}

    def somebody_gets_nothing(self) -> bool:
        with self.store.session() as db:
            rows = db.scalars(sa.select(Invitation).join(Outbox)).all()
            return any(
                each.status == "declined" or is_opted_out(db, each.recipient_hash) for each in rows
            )

    def wanted(self) -> Counter[str]:
        """Return whom a mail may reach now: not who canceled, declined, opted out or is late."""
        with self.store.session() as db:
            rows = db.scalars(sa.select(Invitation).join(Outbox)).all()
            return Counter(
                str(each.email)
                for each in rows
                if each.status == "not_sent"
                and each.expires_at > now()
                and not is_opted_out(db, each.recipient_hash)
            )

    @rule()
    def look_at_everything(self) -> None:
        before, staff = contents(self.store), self.store.staff()
        for side in self.sides:
            self.find_by_status(side)
            self.look(side.visitor, SEND)
        self.look(staff, GRID)
        for row in self.store.invitations():
            self.look(staff, f"{GRID}{row.id}/?discard=1")
        for mail in self.sink.mails[-3:]:
            [link], [out] = links(mail, LINK), links(mail, OUT)
            for path in (link, f"{link}/sign-in", out):
                self.look(self.store.visitor(), path)
        assert contents(self.store) == before

    def look(self, visitor: Visitor, path: str) -> None:
        for method in ("HEAD", "GET"):
            assert visitor.client.open(path, method=method).status_code in (200, 302, 404, 429)

    def find_by_status(self, side: Side) -> None:
        """See each invitation under the status that it shows, and under no other."""
        expected = Page(side.visitor.get(LIST)).statuses
        found: dict[int, str] = {}
        for status in SEEN:
            rows = Page(side.visitor.get(f"{LIST}?status={status}")).statuses
            assert set(rows.values()) <= {status}
            assert not found.keys() & rows.keys()
            found |= rows
        assert found == expected

    # What always holds.

    @invariant()
    def all_holds(self) -> None:
        """See what the senders see, which changes nothing, and what stands in the tables."""
        before = self.store.invitations(), self.store.outbox()
        self.both_senders_see_the_same()
        rows, owed = self.store.invitations(), self.store.outbox()
        assert [list(map(columns, each)) for each in before] == [
            list(map(columns, each)) for each in (rows, owed)
        ]
        self.each_address_is_invited_once(rows)
        self.what_waits_stands_in_the_outbox(rows, owed)
        self.each_accepted_one_has_its_account(rows)
        self.no_mail_comes_twice_without_need()

    def both_senders_see_the_same(self) -> None:
        pages = [side.visitor.get(LIST, headers=HTMX) for side in self.sides]
        plain, secret = (side.shown(page) for side, page in zip(self.sides, pages, strict=True))
        assert plain == secret
        assert set(Page(pages[0]).statuses.values()) <= SEEN

    def each_address_is_invited_once(self, rows: list[Invitation]) -> None:
        keys = [(each.website, each.inviter_key, each.email_hash) for each in rows]
        assert len(keys) == len(set(keys))

    def what_waits_stands_in_the_outbox(self, rows: list[Invitation], owed: list[Outbox]) -> None:
        waiting = {each.id: each.mail_state for each in rows if each.mail_state in WAITING}
        assert sorted((each.invitation_id, each.state) for each in owed) == sorted(waiting.items())

    def no_mail_comes_twice_without_need(self) -> None:
        copies = Counter(mail.message["Message-ID"] for mail in self.sink.mails)
        assert max(copies.values(), default=0) <= 2
        assert {each for each, times in copies.items() if times > 1} <= self.twice

    def each_accepted_one_has_its_account(self, rows: list[Invitation]) -> None:
        accepted = [each for each in rows if each.status == "accepted"]
        made = Counter(self.store.customer_emails()) - self.known
        assert made == Counter(each.email for each in accepted)
        assert len({each.customer_key for each in accepted} - {None}) == len(accepted)
        assert self.accepted <= made.keys()
        self.accepted = set(made)


@pytest.fixture
def even_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both senders' mails are tried again at the same moment."""
    monkeypatch.setattr(outbox, "JITTER", 0)


@pytest.mark.usefixtures("even_waits")
def test_no_order_of_events_breaks_a_promise_or_tells_a_secret(store: Store, sink: Sink) -> None:
    store.setting("max_pending", 3)
    kind = type("LivesHere", (Lives,), {"store": store, "sink": sink})
    examples = os.environ.get("TEST_EXAMPLES")
    chosen = rules_of(
        max_examples=int(examples or 8),
        stateful_step_count=25,
        deadline=None,
        database=None,
        derandomize=examples is None,
        # A failure is told as it was found: to make it shorter takes minutes.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(kind, settings=chosen)


# Any bytes at all in the fields of a form.

ODD = ["\x00", "\u202e", "\ufeff", "\U0001f600", "\r\nBcc: x@example.com", "{{7*7}}", "\u2028"]
TEXTS = (
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode())
    | st.lists(st.sampled_from(ODD) | st.text(max_size=5)).map(lambda all_: "".join(all_).encode())
    | st.sampled_from([b"\xed\xa0\x80", b"\xff\xfe", b"anna@example.com", b"-1", b"9" * 30])
)
QUERY = ("status", "before", "after", "store")
FIELDS = ("emails-0", "emails-1", "message", "submission", "add_row", "remove_row", "csrf_token")


@pytest.mark.parametrize("path", [SEND, f"{SEND}/rows", f"{LIST}1/resend", f"{LIST}1/cancel"])
def test_no_bytes_in_any_field_break_a_page(store: Store, veronica: Visitor, path: str) -> None:
    store.setting("max_per_hour", 0)
    store.setting("max_per_day", 0)
    store.setting("max_pending", 0)
    veronica.send("first@example.com")
    veronica.get(SEND)
    headers = {"X-CSRFToken": veronica.token}

    @rules_of(max_examples=25, deadline=None, database=None, derandomize=True)
    @given(fields=st.dictionaries(st.sampled_from(FIELDS), TEXTS), query=TEXTS)
    def post(fields: dict[str, bytes], query: bytes) -> None:
        body = "&".join(f"{name}={quote_from_bytes(text)}" for name, text in fields.items())
        address = f"{path}?{'&'.join(f'{key}={quote_from_bytes(query)}' for key in QUERY)}"
        kind = "application/x-www-form-urlencoded"
        answer = veronica.client.post(address, data=body, content_type=kind, headers=headers)
        assert answer.status_code in (200, 302, 400, 422, 429)
        answer = veronica.client.get(address)
        assert answer.status_code in (200, 302, 405)

    post()
    assert store.deliver().deferred == 0
    for row in store.invitations():
        unseen = {each for each in row.message or "" if unicodedata.category(each) in ("Cc", "Cs")}
        assert unseen <= {"\n"}
