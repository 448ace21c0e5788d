"""Signals: each once, after what it tells of stands, with the app and the documented words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from blinker import NamedSignal

from invitations_plugin import signals
from invitations_plugin.database import engine, session
from invitations_plugin.models import Invitation, OptOut

from .support.outbox import many, queue
from .support.rows import insert, one, row
from .support.sink import Sink
from .support.stores import LIST, MakeFriend, Store, Visitor

ANNA, BEN = "anna@example.com", "ben@example.com"
GRID = "/admin/invitations/"
OUT = re.compile(r"/invitations/opt-out/[\w.-]+")
SIGNALS = [each for each in vars(signals).values() if isinstance(each, NamedSignal)]


@dataclass
class Heard:
    """What a receiver was told, and what stood in the database at that moment."""

    senders: list[Any] = field(default_factory=list)
    words: list[set[str]] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    stood: list[str | None] = field(default_factory=list)


def status_by_another_connection(email: str) -> str | None:
    query = sa.select(Invitation.status).where(Invitation.email == email)
    with engine().connect() as another:
        return another.scalars(query).first()


@contextmanager
def hearing(signal: NamedSignal) -> Iterator[Heard]:
    """Write down every call of a signal."""
    heard = Heard()

    def receive(sender: Any, invitation: Any = None, **more: Any) -> None:
        heard.senders.append(sender)
        heard.words.append({*more} | ({"invitation"} if invitation is not None else set()))
        if invitation is not None:
            heard.told.append((invitation.email, invitation.status))
            heard.stood.append(status_by_another_connection(invitation.email))

    with signal.connected_to(receive):
        yield heard


def press(visitor: Visitor, path: str, **data: Any) -> None:
    assert visitor.post(path, data).status_code == 302


@pytest.fixture
def out_path(any_store: Store, sink: Sink) -> str:
    """The address of the mailed opt-out."""
    any_store.customer().send(ANNA)
    any_store.deliver()
    found = OUT.search(sink.mails[0].text)
    assert found is not None
    return found.group()


def test_each_invitation_of_a_form_is_told_once_it_stands(any_store: Store) -> None:
    visitor = any_store.customer()
    with hearing(signals.invitation_created) as heard:
        visitor.send(ANNA, BEN)
    assert heard.told == [(ANNA, "not_sent"), (BEN, "not_sent")]
    assert heard.stood == ["not_sent"] * 2
    assert heard.senders == [any_store.app] * 2
    assert heard.words == [{"invitation"}] * 2


def test_a_form_that_is_refused_tells_nothing(any_store: Store) -> None:
    visitor = any_store.customer()
    with hearing(signals.invitation_created) as heard:
        visitor.send(ANNA, "no address")
    assert heard.told == []


def test_a_mail_that_was_taken_is_told_and_one_that_was_not_is_not(
    any_store: Store, sink: Sink
) -> None:
    queue(any_store, ANNA, BEN)
    sink.refused[BEN] = "550 5.1.1 unknown"
    with hearing(signals.invitation_sent) as heard:
        any_store.deliver()
    assert (heard.told, heard.stood) == ([(ANNA, "sent")], ["sent"])
    assert heard.senders == [any_store.app]
    assert heard.words == [{"invitation"}]


def test_a_decline_is_told_once_it_stands(any_store: Store, friend: MakeFriend) -> None:
    visitor = friend()
    with hearing(signals.invitation_declined) as heard:
        for _ in range(2):
            visitor.post("/invitations/decline")
    assert (heard.told, heard.stood) == ([(ANNA, "declined")], ["declined"])
    assert heard.senders == [any_store.app]
    assert heard.words == [{"invitation"}]


def test_an_opt_out_is_told_once_and_after_the_commit(any_store: Store, out_path: str) -> None:
    counts: list[tuple[Any, set[str], int | None]] = []

    def receive(sender: Any, **words: Any) -> None:
        with engine().connect() as another:
            number = another.scalar(sa.select(sa.func.count()).select_from(OptOut))
        counts.append((sender, {*words}, number))

    with signals.opted_out.connected_to(receive):
        for _ in range(2):
            any_store.visitor().client.post(out_path)
    assert counts == [(any_store.app, set(), 1)]


def test_a_look_at_the_opt_out_or_a_made_up_link_tells_nothing(
    any_store: Store, out_path: str
) -> None:
    with hearing(signals.opted_out) as heard:
        any_store.visitor().get(out_path)
        any_store.visitor().client.post("/invitations/opt-out/made.up")
    assert heard.senders == []


def test_an_acceptance_is_told_with_its_customer_once_it_stands(
    any_store: Store, friend: MakeFriend
) -> None:
    visitor = friend()
    with hearing(signals.invitation_accepted) as heard:
        any_store.register(visitor, ANNA)
    assert (heard.told, heard.stood) == ([(ANNA, "accepted")], ["accepted"])
    assert heard.senders == [any_store.app]
    assert heard.words == [{"invitation", "customer"}]


def add(store: Store) -> None:
    session().add(store.new_customer(ANNA))


def flush(store: Store) -> None:
    add(store)
    session().flush()


def change_another(store: Store) -> None:
    session().execute(sa.update(store.customer_model).values(password_hash="another"))


def release_savepoint(store: Store) -> None:
    change_another(store)  # SQLite's driver begins no transaction for a savepoint
    with session().begin_nested():
        add(store)


def roll_back_and_commit_another(store: Store) -> None:
    flush(store)
    session().rollback()
    change_another(store)
    session().commit()


def roll_back_to_savepoint_and_commit_another(store: Store) -> None:
    change_another(store)
    nested = session().begin_nested()
    flush(store)
    nested.rollback()
    session().commit()


NEVER_COMMITTED = [
    flush,
    release_savepoint,
    roll_back_and_commit_another,
    roll_back_to_savepoint_and_commit_another,
]


@pytest.mark.parametrize("work", NEVER_COMMITTED)
def test_an_account_that_was_never_committed_tells_nothing_and_leaves_the_link_usable(
    any_store: Store, friend: MakeFriend, work: Callable[[Store], None]
) -> None:
    def door() -> str:
        work(any_store)
        return "not made"

    any_store.app.add_url_rule("/hidden", "hidden", door, methods=["POST"])
    visitor = friend()
    with hearing(signals.invitation_accepted) as heard:
        assert visitor.post("/hidden").status_code == 200
    assert heard.told == []
    assert any_store.invitation(ANNA).status == "sent"
    assert any_store.register(visitor, ANNA).status_code == 302
    assert any_store.invitation(ANNA).status == "accepted"


def test_a_cancel_is_told(any_store: Store) -> None:
    number, visitor = one(any_store), any_store.customer()
    visitor.get(LIST)
    with hearing(signals.invitation_discarded) as heard:
        press(visitor, f"{LIST}{number}/cancel")
    assert (heard.told, heard.stood) == ([(ANNA, "discarded")], ["discarded"])
    assert heard.senders == [any_store.app]
    assert heard.words == [{"invitation"}]


def test_a_discard_by_staff_is_told(any_store: Store) -> None:
    number, staff = one(any_store), any_store.staff()
    staff.get(f"{GRID}{number}/?discard=1")
    with hearing(signals.invitation_discarded) as heard:
        press(staff, f"{GRID}{number}/discard")
        press(staff, f"{GRID}{number}/discard")  # refused now
    assert (heard.told, heard.stood) == ([(ANNA, "discarded")], ["discarded"])
    assert heard.senders == [any_store.app]


def test_a_mass_discard_tells_of_each_that_was_discarded(any_store: Store) -> None:
    open_ids = insert(any_store, [row(each) for each in many(3)])
    closed = one(any_store, ANNA, "accepted")
    staff = any_store.staff()
    staff.get(GRID)
    with hearing(signals.invitation_discarded) as heard:
        chosen = {"action": "discard", "ids": [*open_ids, closed], "confirm": "1"}
        press(staff, f"{GRID}actions", **chosen)
    assert sorted(heard.told) == [(each, "discarded") for each in many(3)]
    assert heard.stood == ["discarded"] * 3


def test_what_a_sender_believes_to_have_canceled_is_not_told(any_store: Store) -> None:
    number, visitor = one(any_store, ANNA, "declined"), any_store.customer()
    visitor.get(LIST)
    with hearing(signals.invitation_discarded) as heard:
        press(visitor, f"{LIST}{number}/cancel")
    assert heard.told == []


class TestReceiversThatRaise:
    """They are logged, and what happened has happened."""

    @pytest.fixture(autouse=True)
    def raising(self) -> Iterator[None]:
        def fail(sender: Any, **words: Any) -> None:
            raise RuntimeError("a receiver's fault")

        for each in SIGNALS:
            each.connect(fail)
        yield
        for each in SIGNALS:
            each.disconnect(fail)

    def test_do_not_stop_the_sending_or_repeat_it(self, any_store: Store, sink: Sink) -> None:
        assert any_store.customer().send(ANNA, BEN).status_code == 302
        assert any_store.deliver().sent == 2
        assert any_store.deliver().handled == 0
        assert len(sink.mails) == 2
        assert {each.status for each in any_store.invitations()} == {"sent"}

    def test_do_not_stop_a_registration(self, any_store: Store, friend: MakeFriend) -> None:
        assert any_store.register(friend(), ANNA).status_code == 302
        assert any_store.invitation(ANNA).status == "accepted"

    def test_do_not_stop_a_decline(self, any_store: Store, friend: MakeFriend) -> None:
        assert friend().post("/invitations/decline").status_code == 200
        assert any_store.invitation(ANNA).status == "declined"

    def test_do_not_stop_an_opt_out(self, any_store: Store, out_path: str) -> None:
        assert any_store.visitor().client.post(out_path).status_code == 200
        with any_store.session() as db:
            assert db.scalar(sa.select(sa.func.count()).select_from(OptOut)) == 1

    def test_do_not_stop_a_mass_discard(self, any_store: Store) -> None:
        ids, staff = insert(any_store, [row(each) for each in many(3)]), any_store.staff()
        staff.get(GRID)
        press(staff, f"{GRID}actions", action="discard", ids=ids, confirm="1")
        assert {each.status for each in any_store.invitations()} == {"discarded"}

    def test_are_logged_with_the_signal_s_name(
        self, any_store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        any_store.customer().send(ANNA)
        assert "A receiver of invitation-created failed" in caplog.text

    def test_do_not_keep_others_from_hearing(self, any_store: Store) -> None:
        visitor = any_store.customer()
        with hearing(signals.invitation_created) as heard:
            visitor.send(ANNA)
        assert heard.told == [(ANNA, "not_sent")]
