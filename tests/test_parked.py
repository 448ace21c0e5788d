"""Parked mails: sent once more or given up, by a person and once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
import time_machine

from invitations_plugin import parked
from invitations_plugin.lifecycle import STAFF, Actor
from invitations_plugin.models import History

from .support.outbox import change_outbox, in_threads, queue, recipients
from .support.rows import ago
from .support.sink import Sink
from .support.stores import Store

ANNA, BEN = "anna@example.com", "ben@example.com"
ADA = Actor(STAFF, "staff:1", "Ada")


def park(store: Store, *addresses: str) -> list[int]:
    """Write mails that wait for a person; return the ids of their rows in the outbox."""
    queue(store, *addresses, mail_state="parked")
    change_outbox(store, state="parked", ambiguous=2)
    return [each.id for each in store.outbox()]


def decide(
    store: Store, name: str, ids: Sequence[int], websites: Sequence[str] | None = None
) -> list[int]:
    """Let Ada decide, as a page does."""
    with store.session() as db:
        done: list[int] = getattr(parked, name)(db, ids, ADA, websites)
        db.commit()
        return done


def mail_state(store: Store, address: str = ANNA) -> str:
    return store.invitation(address).mail_state


def last_entry(store: Store) -> tuple[str, str, str]:
    """Return what happened last to any invitation, and who did it."""
    with store.session() as db:
        entry = db.query(History).order_by(History.id.desc()).limit(1).one()
        return entry.action, entry.actor_kind, entry.actor_name


def test_a_released_mail_goes_once_more_with_its_message_id(store: Store, sink: Sink) -> None:
    ids = park(store, ANNA)
    message_id = store.outbox()[0].message_id
    assert decide(store, "release", ids) == [store.invitation(ANNA).id]
    assert mail_state(store) == "queued"
    assert last_entry(store) == ("release", STAFF, "Ada")
    assert store.deliver().sent == 1
    assert sink.mails[0].message["Message-ID"] == message_id
    assert (store.outbox(), mail_state(store)) == ([], "delivered")


def test_a_released_mail_of_unknown_end_is_parked_again(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    ids = park(store, ANNA)
    decide(store, "release", ids)
    sink.replies["DATA"] = ["drop"]
    store.deliver()
    assert (store.outbox()[0].state, mail_state(store)) == ("parked", "parked")
    clock.shift(timedelta(days=2))
    assert store.deliver().handled == 0


def test_a_mail_that_is_given_up_has_failed_and_never_leaves(store: Store, sink: Sink) -> None:
    ids = park(store, ANNA, BEN)
    assert len(decide(store, "give_up", ids[:1])) == 1
    assert (mail_state(store), mail_state(store, BEN)) == ("failed", "parked")
    assert last_entry(store) == ("give_up", STAFF, "Ada")
    assert store.deliver().handled == 0
    assert len(store.outbox()) == 1


def test_what_a_friend_answered_has_arrived(store: Store) -> None:
    ids = park(store, ANNA)
    store.change(ANNA, status="declined")
    decide(store, "give_up", ids)
    assert mail_state(store) == "delivered"


@pytest.mark.parametrize(
    "changes",
    [{"status": "declined"}, {"expires_at": ago(seconds=1)}],
    ids=["declined", "expired"],
)
def test_what_must_not_leave_stays_parked(store: Store, changes: dict[str, object]) -> None:
    ids = park(store, ANNA)
    number = store.invitation(ANNA).id
    store.change(ANNA, **changes)
    assert decide(store, "release", ids) == []
    assert [each.state for each in store.outbox()] == ["parked"]
    assert decide(store, "give_up", ids) == [number]


@pytest.mark.parametrize("name", ["release", "give_up"])
def test_what_is_not_parked_or_of_another_website_is_left_alone(store: Store, name: str) -> None:
    ids = park(store, ANNA)
    queue(store, BEN)
    before = [(each.id, each.state, each.due_at) for each in store.outbox()]
    assert decide(store, name, [each[0] for each in before], ["private"]) == []
    assert decide(store, name, [before[1][0], 2**62]) == []
    assert decide(store, name, []) == []
    assert [(each.id, each.state, each.due_at) for each in store.outbox()] == before
    assert len(decide(store, name, ids, ["main"])) == 1


def test_of_several_who_decide_at_once_one_does(store: Store, sink: Sink) -> None:
    ids = park(store, ANNA)
    done: list[int] = []
    in_threads(lambda: done.extend(decide(store, "release", ids)), 4)
    assert len(done) == 1
    assert [entry[0] for entry in store.history(ANNA)] == ["release"]
    store.deliver()
    assert recipients(sink) == [ANNA]
