"""Notices to staff: who is told what by mail, how often, and that a failing one harms nothing."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
import time_machine
from jinja2 import ChoiceLoader, DictLoader

from invitations_plugin import mail_shipped
from invitations_plugin.mail_kinds import INVITATION
from invitations_plugin.models import Quota
from invitations_plugin.notices import EVENTS, Event, notify

from .support.mail_templates import add_template, spoil
from .support.outbox import change_outbox, in_threads, queue, recipients
from .support.pages import Page
from .support.sink import Sink
from .support.stores import MakeStore, Store, Visitor
from .test_mail import Tags

ANNA, BEN = "anna@example.com", "ben@example.com"
ADA, BOB = "ada@example.com", "bob@example.com"
FAILING = "{{ nothing.at.all }}"
SETTING = "staff_notice_address"
IN_ONE = pytest.mark.parametrize("database", ["sqlite"])  # what no database makes another


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    """A store that tells Ada what needs a person."""
    made = make_store()
    made.setting(SETTING, ADA)
    return made


def tell(store: Store, code: str = "spring", error: str = "it broke") -> int:
    """Tell staff that a template failed; return how many mails were written."""
    with store.session() as db:
        count = notify(db, "template_failed", code=code, number=1, error=error)
        db.commit()
        return count


def replace_shipped(store: Store, files: dict[str, str]) -> None:
    """Put a store's own files in place of shipped mails."""
    files = {f"invitations/email/{name}": text for name, text in files.items()}
    env = store.app.jinja_env
    env.loader = ChoiceLoader([DictLoader(files), *([env.loader] if env.loader else [])])


def test_a_template_that_fails_is_told_to_staff_and_its_mail_leaves(
    store: Store, sink: Sink
) -> None:
    add_template(store)
    spoil(store, "spring", text=FAILING)
    store.setting("email_template", "spring")
    queue(store, ANNA, BEN)
    assert store.deliver().sent == 3
    assert recipients(sink) == [ANNA, BEN, ADA]
    notice = sink.to(ADA)[0]
    assert notice.message["Subject"] == "A mail template failed: spring"
    assert notice.message["Auto-Submitted"] == "auto-generated"
    assert notice.message["List-Unsubscribe"] is None
    for part in (notice.text, notice.html):
        assert "UndefinedError" in part
        assert "http://127.0.0.1/admin/invitations/templates/spring/" in part
    assert store.outbox() == []


@IN_ONE
def test_the_page_that_a_notice_leads_to_is_there(store: Store, admin: Visitor, sink: Sink) -> None:
    add_template(store)
    tell(store)
    store.deliver()
    (link,) = Tags(sink.mails[0].html).links
    assert admin.get(urlsplit(link).path).status_code == 200


@IN_ONE
def test_each_address_gets_a_mail_of_its_own(store: Store, sink: Sink) -> None:
    store.setting(SETTING, f"{ADA}\n{BOB}, ADA@example.com")
    assert tell(store) == 2
    store.deliver()
    assert sorted(recipients(sink)) == [ADA, BOB]
    assert len({mail.message["Message-ID"] for mail in sink.mails}) == 2


def test_the_same_is_said_once_and_again_after_a_day(
    store: Store, clock: time_machine.Traveller
) -> None:
    assert [tell(store), tell(store), tell(store, "summer")] == [1, 0, 1]
    clock.shift(timedelta(hours=23))
    assert tell(store) == 0
    clock.shift(timedelta(hours=2))
    assert [tell(store), tell(store)] == [1, 0]


def test_of_several_who_tell_the_same_at_once_one_does(store: Store) -> None:
    in_threads(lambda: tell(store), 4)
    assert len(store.outbox()) == 1


def test_a_notice_goes_with_the_transaction_that_it_tells_of(store: Store) -> None:
    with store.session() as db:
        notify(db, "template_failed", code="spring", number=1, error="it broke")
        db.rollback()
    assert store.outbox() == []
    assert tell(store) == 1


def test_without_an_address_nothing_is_written_and_the_first_one_is_told(
    store: Store, sink: Sink
) -> None:
    store.setting(SETTING, "")
    assert tell(store) == 0
    with store.session() as db:
        kept = sa.select(Quota).where(Quota.subject.like("notice:%"))
        assert db.scalars(kept).all() == []
    store.setting(SETTING, ADA)
    assert tell(store) == 1


def test_an_address_that_was_taken_away_is_told_nothing_more(store: Store, sink: Sink) -> None:
    tell(store)
    store.setting(SETTING, BOB)
    assert store.deliver().skipped == 1
    assert (sink.mails, store.outbox()) == ([], [])


@IN_ONE
@pytest.mark.parametrize("event", ["nothing_known", "template_failed"])
def test_an_unknown_event_or_other_facts_are_refused(store: Store, event: str) -> None:
    with store.session() as db, pytest.raises(ValueError, match=event):
        notify(db, event, code="spring")


@IN_ONE
def test_a_notices_own_template_that_fails_gives_way_to_ours_and_tells_nobody(
    store: Store, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    mails = ("template_failed", "invitation_sent")
    replace_shipped(store, {f"{name}/body.txt": FAILING for name in mails})
    queue(store, ANNA)
    assert store.deliver().sent == 2
    assert sink.to(ADA)[0].message["Subject"] == "A mail template failed: invitation_sent"
    assert "own template of the notice 'template_failed' failed" in caplog.text
    assert store.outbox() == []


@pytest.mark.parametrize("reply", ["550 5.7.1 no", "451 4.2.1 later", "drop"])
def test_a_notice_that_is_not_taken_stops_no_mail_and_tells_nobody(
    store: Store, sink: Sink, reply: str
) -> None:
    tell(store)
    queue(store, ANNA, BEN)
    change_outbox(store, due_at=datetime(2026, 1, 1))
    sink.replies["RCPT" if reply != "drop" else "DATA"] = [reply]
    store.deliver()
    assert recipients(sink) == [ANNA, BEN]
    left = [(each.kind, each.state) for each in store.outbox()]
    assert left == ([] if reply.startswith("550") else [("notice", "queued")])


@IN_ONE
def test_a_notice_that_fails_for_good_is_in_the_log(
    store: Store, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    tell(store)
    sink.refused[ADA] = "550 5.1.1 unknown"
    with caplog.at_level(logging.WARNING):
        assert store.deliver().failed == 1
    assert "the notice 'template_failed' did not leave: 550 5.1.1 unknown" in caplog.text


def test_a_notice_of_unknown_end_goes_once_more_and_then_no_more(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    tell(store)
    sink.replies["DATA"] = ["drop", "drop"]
    for _ in range(2):
        store.deliver()
        clock.shift(timedelta(minutes=31))
    assert store.outbox() == []
    assert sink.asked_for == [ADA, ADA]


@IN_ONE
def test_what_a_server_said_makes_no_link_and_no_markup(store: Store, sink: Sink) -> None:
    tell(store, error="<b>see</b> https://evil.example/x {{ 7 * 7 }}")
    store.deliver()
    mail = sink.mails[0]
    assert "evil.example" not in mail.text + mail.html
    assert "{{ 7 * 7 }}" in mail.text
    assert "b" not in Tags(mail.html).tags


@IN_ONE
def test_moments_are_those_of_the_store_view(
    store: Store, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EVENTS, "alarm", Event(facts=frozenset({"since"})))
    parts = dict.fromkeys(("subject.txt", "body.txt", "body.html"), "Since {{ since }}.")
    replace_shipped(store, {f"alarm/{name}": text for name, text in parts.items()})
    with store.session() as db:
        notify(db, "alarm", since=datetime(2026, 7, 26, 12, 30))
        db.commit()
    store.deliver()
    assert sink.mails[0].text.strip() == "Since Jul 26, 2026, 1:30\u202fPM."


@IN_ONE
def test_notices_are_no_templates_of_an_invitation(store: Store, admin: Visitor) -> None:
    with store.session():
        assert set(mail_shipped.folders(INVITATION)).isdisjoint(EVENTS)
    assert admin.get("/admin/invitations/templates/template_failed/").status_code == 404


@IN_ONE
def test_the_configuration_takes_addresses_and_the_doctor_misses_them(
    store: Store, admin: Visitor
) -> None:
    runner = store.app.test_cli_runner()
    assert "Notice" not in runner.invoke(args=["invitations", "doctor"]).output
    page = Page(admin.get("/admin/invitations/configuration"))
    assert "Staff Notice Address" in " ".join(page.text("label"))
    store.setting(SETTING, "")
    said = runner.invoke(args=["invitations", "doctor"])
    assert said.exit_code == 0
    assert "Nobody is told by mail" in said.output
