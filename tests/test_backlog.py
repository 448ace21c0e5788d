"""What operators are told of the mails that wait, and of how tries ended."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from invitations_plugin import backlog, scope, tries
from invitations_plugin.backlog import Backlog, Place
from invitations_plugin.clock import now
from invitations_plugin.database import session
from invitations_plugin.models import OutboxState
from invitations_plugin.notices import notify
from invitations_plugin.tries import Rates

from .support.pages import statements
from .support.rows import ago, one
from .support.stores import Store
from .support.watching import IN_ONE, TIMED_OUT, asked, fail, fill, park, put, tried

PRIVATE = "private"


def test_mails_are_counted_by_where_they_stand(store: Store) -> None:
    assert asked(store, backlog.read) == Backlog()
    fill(store)
    put(store, "held@example.com", state=OutboxState.CLAIMED, lease_until=ago(minutes=-1))
    put(store, "again@example.com", ambiguous=1, due_at=ago(minutes=-30))
    fail(store, "dealt-with@example.com", status="discarded", discarded_by="staff")
    found = asked(store, backlog.read)
    assert found == Backlog(due=1, later=1, deferred=2, sending=2, parked=1, failed=1)
    assert found.waiting == 6


@IN_ONE
def test_a_long_outbox_is_counted_up_to_a_limit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MOST", 2)
    for number in range(4):
        put(store, f"{number}@example.com")
        assert asked(store, backlog.read).is_whole == (number < 2)
    assert asked(store, lambda db: backlog.queued(db, 2)) == 3


def test_each_place_lists_its_mails(store: Store) -> None:
    fill(store)
    with store.session() as db:
        for place in Place:
            [mail] = backlog.listed(db, place).rows
            assert mail.email == f"{place}@example.com"
            assert mail.invitation_id == store.invitation(mail.email).id


def test_lists_are_paged_without_a_gap(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "PAGE", 2)
    parked = [park(store, f"parked{number}@example.com") for number in range(5)]
    failed = [fail(store, f"failed{number}@example.com") for number in range(4)]
    assert all_pages(store, Place.PARKED) == [parked[:2], parked[2:4], parked[4:]]
    assert all_pages(store, Place.FAILED) == [failed[:1:-1], failed[1::-1]]


def all_pages(store: Store, place: Place) -> list[list[int]]:
    """Return the invitations that each page lists."""
    pages, after = [], 0
    with store.session() as db:
        while True:
            page = backlog.listed(db, place, after)
            pages.append([each.invitation_id for each in page.rows])
            if page.after is None:
                return pages
            after = page.after


def test_the_oldest_is_the_one_that_waits_longest_for_a_worker(store: Store) -> None:
    assert asked(store, backlog.oldest) is None
    put(store, "later@example.com", due_at=ago(minutes=-5))
    put(store, "held@example.com", state=OutboxState.CLAIMED, lease_until=ago(minutes=-1))
    park(store, "parked@example.com", due_at=ago(days=2))
    assert asked(store, backlog.oldest) is None
    since = ago(minutes=5)
    put(store, "due@example.com", due_at=since)
    assert asked(store, backlog.oldest) == since
    dead = ago(minutes=7)
    put(store, "dead@example.com", state=OutboxState.SENDING, lease_until=dead)
    assert asked(store, backlog.oldest) == dead


def test_a_notice_to_staff_waits_like_any_other_mail(store: Store) -> None:
    store.setting("staff_notice_address", "ada@example.com")
    with store.session() as db:
        notify(db, "template_failed", code="spring", number=1, error="it broke")
        db.commit()
    [mail] = asked(store, lambda db: backlog.listed(db, Place.DUE)).rows
    assert (mail.kind, mail.email, mail.invitation_id) == ("notice", None, None)


def test_staff_of_a_website_are_told_of_its_mails_alone(store: Store) -> None:
    fill(store)
    tried(store, store.invitation("failed@example.com").id, "fail", "550 no")
    since = ago(minutes=3)
    due = put(store, "ida@example.com", PRIVATE, due_at=since)
    tried(store, due, "defer", "451 later")
    parked = park(store, "ivo@example.com", website=PRIVATE)
    with store.app.test_request_context():
        scope.limit_to([PRIVATE])
        db = session()
        assert backlog.read(db) == Backlog(due=1, parked=1)
        assert backlog.oldest_of_mine(db) == since
        listed = {place: backlog.listed(db, place).rows for place in Place}
        assert {place: len(rows) for place, rows in listed.items() if rows} == {
            Place.DUE: 1,
            Place.PARKED: 1,
        }
        assert [each.invitation_id for each in listed[Place.PARKED]] == [parked]
        assert len(backlog.all_parked(db, 99, 99)) == 1
        assert len(backlog.chosen(db, range(99), 99)) == 1
        assert tries.rates(db) == (Rates(deferred=1), Rates(deferred=1))
        assert tries.reasons(db) == [("451 later", 1)]
    assert asked(store, backlog.read).due == 2


def test_tries_are_counted_by_their_end_in_an_hour_and_a_day(store: Store) -> None:
    number = one(store)
    for action in ("send", "send", "defer", "fail", "unknown", "resend"):
        tried(store, number, action)
    tried(store, number, "send", at=ago(hours=2))
    tried(store, number, "fail", at=ago(hours=25))
    hour, day = asked(store, tries.rates)
    assert hour == Rates(sent=2, deferred=1, failed=1, unknown=1)
    assert day == Rates(sent=3, deferred=1, failed=1, unknown=1)


@IN_ONE
def test_a_reason_stands_once_whatever_address_or_number_a_server_put_into_it(
    store: Store,
) -> None:
    number = one(store)
    for name, queue_id in (("ben", "4WkQ1c2zXy"), ("cleo", "4WkQ3D9aBc")):
        tried(store, number, "fail", f"550 5.1.1 <{name}@example.com>: no such user")
        tried(store, number, "defer", f"451 4.3.0 {queue_id}: queue full, ask {name}@example.com")
    tried(store, number, "unknown", TIMED_OUT)
    tried(store, number, "send", "250 fine")
    tried(store, number, "fail", "550 long ago", at=ago(days=2))
    assert asked(store, tries.reasons) == [
        ("451 4.3.0 …: queue full, ask <…>", 2),
        ("550 5.1.1 <…>: no such user", 2),
        (TIMED_OUT, 1),
    ]


def test_a_mail_may_have_arrived_twice_where_another_try_followed_an_unknown_end(
    store: Store,
) -> None:
    for address, ends in (
        ("a@example.com", ["unknown", "send"]),
        ("b@example.com", ["unknown", "unknown"]),
        ("c@example.com", ["unknown"]),
        ("d@example.com", ["defer", "send"]),
    ):
        number = one(store, address)
        for end in ends:
            tried(store, number, end)
    assert asked(store, tries.suspected_twice) == 2


def test_the_tries_of_a_day_are_found_by_an_index(store: Store) -> None:
    with store.app.app_context(), statements(store) as sent:
        tries.rates(session())
        tries.reasons(session())
    questions = [each for each in sent if "invitations_history" in each]
    assert len(questions) == 2
    with store.session() as db:
        for each in questions:
            assert "ix_invitations_history_tries" in plan(db.connection(), each)


def plan(connection: sa.Connection, question: str) -> str:
    """Return how a database would answer a question, its parameters put in."""
    if connection.dialect.name == "sqlite":
        values: object = (*[now()] * question.count("?"),)
        asked_for = f"EXPLAIN QUERY PLAN {question}"
    else:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        asked_for = f"EXPLAIN {question}"
        values = _values(question)
    rows = connection.exec_driver_sql(asked_for, values).all()  # type: ignore[arg-type]
    return " ".join(str(each) for each in rows)


def _values(question: str) -> dict[str, object]:
    """Return a value for each parameter of a PostgreSQL question, by its type."""
    found = re.findall(r"%\((\w+)\)s::(\w+)", question)
    made = {"TIMESTAMP": now() - timedelta(days=1), "INTEGER": 1, "VARCHAR": "send"}
    return {name: made[kind] for name, kind in found}
