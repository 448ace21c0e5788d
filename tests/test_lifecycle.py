"""The life of an invitation: which moves there are, and what each leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from threading import Barrier, Thread
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import settings as rules_of
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from invitations_plugin import lifecycle
from invitations_plugin.addresses import parse_address
from invitations_plugin.clock import now
from invitations_plugin.database import atomically, session
from invitations_plugin.inviting import AlreadyInvited, Submission, invite
from invitations_plugin.lifecycle import Actor, LifecycleError
from invitations_plugin.limits import Inviter
from invitations_plugin.models import History, Invitation, Outbox
from invitations_plugin.settings import Settings
from invitations_plugin.state import store_view

from .support.pages import Page
from .support.rows import STATUSES, ago, insert, one, row
from .support.sink import Sink
from .support.stores import LIST, Store, Visitor

GRID = "/admin/invitations/"
SETTINGS = Settings(resend_hours=0)
ACTIONS = ("send", "accept", "discard", "decline", "expire", "resend", "reopen")
ACTORS = ("sender", "staff", "invitee", "system")

# Rows in every state that matters, then what the product's table says; all else is refused.
ROWS: dict[str, dict[str, Any]] = {
    "waiting": row("waiting@x.test", "not_sent"),
    "failed": row("failed@x.test", "not_sent", mail_state="failed"),
    "sent": row("sent@x.test", "sent"),
    "accepted": row("accepted@x.test", "accepted"),
    "canceled": row("canceled@x.test", "discarded", discarded_by="sender"),
    "discarded": row("discarded@x.test", "discarded", discarded_by="staff"),
    "declined": row("declined@x.test", "declined"),
    "expired": row("expired@x.test", "expired"),
}
TABLE: list[tuple[str, str, str, str]] = [
    ("waiting failed", "send", "system", "sent"),
    ("waiting failed sent expired", "accept", "invitee", "accepted"),
    ("waiting failed sent expired", "discard", "sender", "discarded"),
    ("waiting failed sent expired", "discard", "staff", "discarded"),
    ("sent", "decline", "invitee", "declined"),
    ("waiting failed sent", "expire", "system", "expired"),
    ("waiting failed sent", "expire", "staff", "expired"),
    ("failed sent expired canceled", "resend", "sender", "not_sent"),
    ("failed sent", "resend", "staff", "not_sent"),
    ("canceled discarded declined expired", "reopen", "staff", "not_sent"),
    # Nobody tells a sender that a friend declined: nothing is refused, nothing moves.
    ("declined", "discard", "sender", "declined"),
    ("declined", "resend", "sender", "declined"),
]


def act(db: Session, found: Invitation, action: str, actor: Actor) -> None:
    """Do what an action is called."""
    if action == "resend":
        lifecycle.resend(db, found, actor, SETTINGS, "x.test")
    elif action == "reopen":
        lifecycle.reopen(db, found, actor, SETTINGS, "x.test")
    elif action == "discard":
        lifecycle.discard(db, found, actor)
    else:
        values: dict[str, dict[str, Any]] = {
            "send": {"sent_at": now()},
            "accept": {"registered_at": now(), "customer_key": "77"},
        }
        lifecycle.move(db, found, action, actor, values.get(action))


def outcome(db: Session, email: str, action: str, actor: str) -> str | None:
    """Return the status that an action leads to, None where it is refused; undo it."""
    found = db.scalars(sa.select(Invitation).where(Invitation.email == email)).one()
    try:
        act(db, found, action, Actor(actor))
        return found.status
    except LifecycleError:
        return None
    finally:
        db.rollback()


def test_every_move_is_legal_or_refused_as_the_table_says(store: Store) -> None:
    insert(store, ROWS.values())
    expected = {
        (name, action, actor): target
        for names, action, actor, target in TABLE
        for name in names.split()
    }
    with store.session() as db:
        seen = {
            (name, action, actor): outcome(db, f"{name}@x.test", action, actor)
            for name in ROWS
            for action in ACTIONS
            for actor in ACTORS
        }
    assert {key: target for key, target in seen.items() if target is not None} == expected
    assert len(seen) == len(ROWS) * len(ACTIONS) * len(ACTORS)


def test_the_history_says_who_did_what_when_and_why(
    store: Store, veronica: Visitor, admin: Visitor, sink: Sink
) -> None:
    started = now()
    veronica.send("anna@example.com")
    sink.replies["RCPT"].append("451 4.3.0 greylisted")
    store.deliver()
    admin.get(GRID)
    admin.post(f"{GRID}{store.invitation('anna@example.com').id}/discard")

    assert store.history("anna@example.com") == [
        ("create", None, "not_sent", "sender"),
        ("defer", None, None, "system"),
        ("discard", "not_sent", "discarded", "staff"),
    ]
    with store.session() as db:
        entries = db.scalars(sa.select(History).order_by(History.id)).all()
    assert [each.actor_name for each in entries] == ["Veronica Costello", "", "Ada Admin"]
    assert entries[0].actor_key
    assert "greylisted" in (entries[1].reason or "")
    assert all(started <= each.at <= now() for each in entries)


def test_a_move_that_is_refused_leaves_no_trace(store: Store) -> None:
    one(store, status="accepted")
    with store.session() as db:
        found = db.scalars(sa.select(Invitation)).one()
        with pytest.raises(lifecycle.IllegalMove):
            lifecycle.discard(db, found, Actor("staff"))
        db.commit()
    assert store.invitation("anna@example.com").version == 1
    assert store.history("anna@example.com") == []


def test_the_second_of_two_who_change_a_row_is_told(store: Store) -> None:
    one(store)
    with store.session() as db:
        seen = db.execute(sa.select(Invitation.id, Invitation.status, Invitation.version)).one()
        lifecycle.move(db, seen, "decline", lifecycle.THE_INVITEE)
        with pytest.raises(lifecycle.Changed):
            lifecycle.move(db, seen, "expire", lifecycle.THE_SYSTEM)
        db.commit()
    assert store.invitation("anna@example.com").status == "declined"
    assert len(store.history("anna@example.com")) == 1


def test_a_row_that_came_back_to_its_status_is_not_the_row_seen(store: Store) -> None:
    one(store)
    with store.session() as db:
        seen = db.execute(sa.select(Invitation.id, Invitation.status, Invitation.version)).one()
        found = db.scalars(sa.select(Invitation)).one()
        for action, actor in (("resend", "staff"), ("send", "system")):
            act(db, found, action, Actor(actor))
        with pytest.raises(lifecycle.Changed):
            lifecycle.move(db, seen, "decline", lifecycle.THE_INVITEE)
        db.commit()
    assert store.invitation("anna@example.com").status == "sent"


def race(store: Store, *works: Callable[[Session, Invitation], None], email: str) -> None:
    """Do things to one invitation at one moment, each in a thread of its own."""
    start = Barrier(len(works))

    def run(work: Callable[[Session, Invitation], None]) -> None:
        with store.app.app_context():
            find = sa.select(Invitation).where(Invitation.email == email)
            session().connection()
            start.wait()
            try:
                atomically(lambda: work(session(), session().scalars(find).one()))
            except LifecycleError:
                return

    threads = [Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_discard_and_accept_at_one_moment_exactly_one_happens(store: Store) -> None:
    emails = [f"friend{number}@x.test" for number in range(50)]
    insert(store, [row(email) for email in emails])
    for email in emails:
        race(
            store,
            lambda db, found: lifecycle.discard(db, found, Actor("staff")),
            lambda db, found, key=email: lifecycle.accept(db, found, key),  # type: ignore[misc]
            email=email,
        )
    done = {"discarded": "discard", "accepted": "accept"}
    for invitation in store.invitations():
        assert invitation.email is not None
        [entry] = store.history(invitation.email)
        assert entry[:3] == (done[invitation.status], "sent", invitation.status)
        assert (invitation.customer_key is not None) == (invitation.status == "accepted")


def test_time_ends_what_is_open_and_nothing_else(store: Store) -> None:
    ended = {"expires_at": ago(seconds=1)}
    insert(store, [row(f"{each}@x.test", each, **ended) for each in STATUSES])
    insert(store, [row("open@x.test", "sent")])
    with store.session() as db:
        assert atomically(lambda: lifecycle.expire_due(db)) == 2
        assert atomically(lambda: lifecycle.expire_due(db)) == 0

    found = {each.email: each.status for each in store.invitations()}
    assert found.pop("open@x.test") == "sent"
    expected = {f"{each}@x.test": each for each in STATUSES}
    assert found == expected | {"not_sent@x.test": "expired", "sent@x.test": "expired"}
    assert store.history("sent@x.test") == [("expire", "sent", "expired", "system")]


def test_expiry_works_through_any_number_in_bounded_steps(store: Store) -> None:
    insert(store, [row(f"a{n}@x.test", expires_at=ago(hours=n)) for n in range(5)])
    with store.session() as db:
        counts = [atomically(lambda: lifecycle.expire_due(db, limit=2)) for _ in range(4)]
    assert counts == [2, 2, 1, 0]


@pytest.mark.parametrize("status", ["not_sent", "sent", "expired"])
def test_an_ended_link_is_not_accepted_until_it_is_renewed(store: Store, status: str) -> None:
    one(store, status=status, expires_at=ago(seconds=1))
    with store.session() as db:
        found = db.scalars(sa.select(Invitation)).one()
        with pytest.raises(lifecycle.LinkExpired):
            lifecycle.accept(db, found, "77")
        found.expires_at = now() + timedelta(days=1)
        db.flush()
        lifecycle.accept(db, found, "77")
        db.commit()
    assert store.invitation("anna@example.com").status == "accepted"


def test_a_resend_keeps_the_link_and_a_reopening_changes_it(store: Store, admin: Visitor) -> None:
    old = {
        each: one(store, f"{each}@example.com", each)
        for each in ("sent", "discarded", "declined", "expired")
    }
    links = {each.id: each.public_id for each in store.invitations()}
    admin.get(GRID)
    for each in old.values():
        admin.post(f"{GRID}{each}/send")

    rows = {each.email: each for each in store.invitations()}
    assert {each.status for each in rows.values()} == {"not_sent"}
    kept = {email for email, each in rows.items() if each.public_id == links[each.id]}
    assert kept == {"sent@example.com"}
    assert len(store.outbox()) == 4


def test_a_link_lives_on_from_the_day_it_is_sent_again(store: Store, veronica: Visitor) -> None:
    number = one(store, status="expired", last_sent_at=ago(days=31))
    veronica.get(LIST)
    veronica.post(f"{LIST}{number}/resend")
    left = store.invitation("anna@example.com").expires_at - now()
    assert timedelta(days=29) < left <= timedelta(days=30)


def test_what_staff_discarded_stays_closed_to_its_sender(store: Store, veronica: Visitor) -> None:
    number = one(store, status="discarded", discarded_by="staff", last_sent_at=ago(days=9))
    page = Page(veronica.get(LIST))
    assert page.statuses == {number: "canceled"}
    assert not any(f"{LIST}{number}" in each for each in page.actions())
    veronica.post(f"{LIST}{number}/resend")
    assert store.invitation("anna@example.com").status == "discarded"
    assert store.outbox() == []


def test_a_declined_invitation_looks_sent_whatever_its_sender_does(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    number = one(store, status="declined", last_sent_at=ago(days=9), mail_state="delivered")
    assert Page(veronica.get(LIST)).statuses == {number: "sent"}
    for action, seen in (("resend", "sending"), ("", "sent"), ("cancel", "canceled")):
        if action:
            veronica.post(f"{LIST}{number}/{action}", follow_redirects=True)
        else:
            store.deliver()
        assert Page(veronica.get(LIST)).statuses == {number: seen}, action
    assert store.invitation("anna@example.com").status == "declined"
    assert (store.outbox(), sink.mails) == ([], [])


BROKEN = [
    "status = 'lost'",
    "mail_state = 'lost'",
    "status = 'accepted'",
    "registered_at = created_at",
    "status = 'discarded'",
    "discarded_by = 'staff'",
    "sent_at = NULL",
    "email_hash = 'hash of ben@example.com'",
    "public_id = 'that of ben'",
    "status = 'accepted', registered_at = created_at, customer_key = '77'",
]


def test_the_database_itself_refuses_what_cannot_be(store: Store) -> None:
    one(store)
    one(store, "ben@example.com", "accepted", customer_key="77", public_id="that of ben")
    for change in BROKEN:
        of_anna = f"SET {change} WHERE email = 'anna@example.com'"
        with store.session() as db, pytest.raises(IntegrityError):
            db.execute(sa.text(f"UPDATE invitations_invitation {of_anna}"))
    assert store.invitation("anna@example.com").version == 1


def test_the_store_itself_invites_an_address_once_too(store: Store) -> None:
    insert(store, [row("anna@example.com")])
    with pytest.raises(IntegrityError):
        insert(store, [row("anna@example.com")])
    insert(store, [row("anna@example.com", website="private")])
    assert len(store.invitations()) == 2


class Lives(RuleBasedStateMachine):
    """Whatever is done to invitations in whatever order, by whomever."""

    store: ClassVar[Store]

    def __init__(self) -> None:
        super().__init__()
        self.accepted: dict[int, str] = {}
        with self.store.session() as db:
            for table in (History, Outbox, Invitation):
                db.execute(sa.delete(table))
            db.commit()

    def do(self, work: Callable[[Session], object]) -> None:
        with self.store.session() as db, suppress(LifecycleError, AlreadyInvited):
            atomically(lambda: work(db))

    def change(self, pick: int, work: Callable[[Session, Invitation], object]) -> None:
        def chosen(db: Session) -> None:
            rows = db.scalars(sa.select(Invitation).order_by(Invitation.id)).all()
            work(db, rows[pick % len(rows)])

        self.do(chosen)

    @rule(name=st.sampled_from(["anna", "ANNA", "ben"]), key=st.sampled_from(["1", "2"]))
    def invite(self, name: str, key: str) -> None:
        inviter = Inviter(key, f"{key}@shop.test", key)
        address = parse_address(f"{name}@example.com")

        def work(db: Session) -> None:
            view, sender = store_view("en"), Actor("sender", key)
            asked = Submission(view, [address], "general", sender, inviter)
            invite(db, asked, SETTINGS, b"key", "x.test")

        self.do(work)

    @precondition(lambda self: self.rows())
    @rule(
        pick=st.integers(0, 3),
        action=st.sampled_from(["discard", "decline", "resend", "reopen"]),
        actor=st.sampled_from(ACTORS),
    )
    def act(self, pick: int, action: str, actor: str) -> None:
        self.change(pick, lambda db, found: act(db, found, action, Actor(actor)))

    @precondition(lambda self: self.rows())
    @rule(pick=st.integers(0, 3))
    def accept(self, pick: int) -> None:
        self.change(pick, lambda db, found: lifecycle.accept(db, found, f"customer {found.id}"))

    @precondition(lambda self: self.rows())
    @rule(pick=st.integers(0, 3))
    def end(self, pick: int) -> None:
        self.change(pick, lambda db, found: setattr(found, "expires_at", ago(seconds=1)))
        self.do(lifecycle.expire_due)

    @rule()
    def deliver(self) -> None:
        self.store.deliver()

    def rows(self) -> list[Invitation]:
        return self.store.invitations()

    @invariant()
    def all_holds(self) -> None:
        rows = self.rows()
        with self.store.session() as db:
            entries = list(db.scalars(sa.select(History).order_by(History.id)))
            owed = list(db.scalars(sa.select(Outbox.invitation_id)))
        self.an_address_is_invited_once(rows)
        self.what_was_accepted_stays_with_its_customer(rows)
        for each in rows:
            history_leads_to(each, [entry for entry in entries if entry.invitation_id == each.id])
        assert len(owed) == len(set(owed))
        assert {each.id for each in rows if each.status == "not_sent"} <= set(owed)

    def an_address_is_invited_once(self, rows: list[Invitation]) -> None:
        keys = [(each.website, each.inviter_key, each.email_hash) for each in rows]
        assert len(keys) == len(set(keys))

    def what_was_accepted_stays_with_its_customer(self, rows: list[Invitation]) -> None:
        found = {each.id: each.customer_key or "" for each in rows if each.status == "accepted"}
        assert self.accepted.items() <= found.items()
        assert all(found.values())
        self.accepted = found


def history_leads_to(found: Invitation, entries: list[History]) -> None:
    moves = [entry for entry in entries if entry.to_status]
    assert moves[-1].to_status == found.status
    for before, after in pairwise(moves):
        assert after.from_status == before.to_status


def test_no_order_of_events_breaks_what_always_holds(store: Store) -> None:
    kind = type("LivesHere", (Lives,), {"store": store})
    few = rules_of(
        max_examples=8, stateful_step_count=20, deadline=None, database=None, derandomize=True
    )
    run_state_machine_as_test(kind, settings=few)
