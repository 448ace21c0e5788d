"""Held mail: nothing leaves until an operator lets it, and what a backup knows is not believed."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from click.testing import Result

from invitations_plugin import outbox
from invitations_plugin.models import History

from .support.outbox import change_outbox, queue, recipients
from .support.pages import Page
from .support.rows import ago
from .support.sink import Sink
from .support.stores import MakeStore, Store, Visitor
from .test_delivery import die_while_sending

ANNA, BEN, CARA = "anna@example.com", "ben@example.com", "cara@example.com"
IN_ONE = pytest.mark.parametrize("database", ["sqlite"])


def run(store: Store, *arguments: str) -> Result:
    """Run ``flask invitations``; it ends well."""
    answer = store.app.test_cli_runner().invoke(args=["invitations", *arguments])
    assert answer.exit_code == 0, answer.output
    return answer


def states(store: Store) -> list[tuple[str, str | None]]:
    return [(each.state, each.claim) for each in store.outbox()]


@IN_ONE
def test_held_mail_waits_and_leaves_once_it_is_released(store: Store, sink: Sink) -> None:
    queue(store, ANNA)
    run(store, "hold")
    answer = run(store, "deliver")
    assert "0 sent" in answer.output
    assert "All mail is held" in answer.output
    assert (sink.mails, states(store)) == ([], [("queued", None)])
    assert "Mail leaves again." in run(store, "release").output
    assert "held" not in run(store, "deliver").output
    assert recipients(sink) == [ANNA]


@IN_ONE
def test_a_hold_ends_a_run_with_its_batch(store: Store, sink: Sink) -> None:
    store.setting("batch_size", 1)
    queue(store, ANNA, BEN)
    sink.while_taking = lambda mail: store.setting("hold_outbox", True)
    assert store.deliver().sent == 1


@IN_ONE
def test_pages_and_the_doctor_say_that_mail_is_held(store: Store, admin: Visitor) -> None:
    run(store, "hold")
    for path in ("", "configuration"):
        notices = Page(admin.get(f"/admin/invitations/{path}")).notices
        assert any(each.startswith("All mail is held") for each in notices)
    assert "Notice: All mail is held" in run(store, "doctor").output
    run(store, "release")
    assert "All mail is held" not in admin.get("/admin/invitations/").text
    assert "held" not in run(store, "doctor").output


def test_what_a_worker_had_in_hand_when_the_backup_was_made_waits_for_a_person(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, ANNA)
    die_while_sending(store)
    queue(store, BEN)
    with store.app.app_context():
        assert len(outbox.claim(1)) == 1
    queue(store, CARA)
    assert "2 parked" in run(store, "hold", "--restored").output
    clock.shift(timedelta(days=1))
    run(store, "release")
    assert store.deliver().sent == 1
    assert recipients(sink) == [CARA]
    assert states(store) == [("parked", None)] * 2
    assert {store.invitation(each).mail_state for each in (ANNA, BEN)} == {"parked"}
    with store.session() as db:
        parked = db.query(History).filter_by(action="park").all()
        assert {(each.actor_kind, each.actor_name) for each in parked} == {
            ("staff", "command line")
        }


def test_what_waited_already_may_be_parked_and_newer_mail_leaves(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, ANNA)
    run(store, "hold", "--restored")
    clock.shift(timedelta(minutes=1))
    queue(store, BEN)
    assert "1 parked" in run(store, "release", "--park").output
    store.deliver()
    assert recipients(sink) == [BEN]
    assert store.invitation(ANNA).mail_state == "parked"


@IN_ONE
def test_a_store_may_start_with_its_mail_held(make_store: MakeStore, sink: Sink) -> None:
    store = make_store(INVITATIONS_HOLD_OUTBOX=True)
    queue(store, ANNA)
    assert store.deliver().handled == 0
    run(store, "hold", "--restored")
    run(store, "release")
    assert store.deliver().sent == 1


@IN_ONE
def test_a_release_lets_a_server_that_is_left_alone_be_tried_at_once(
    store: Store, sink: Sink
) -> None:
    queue(store, *(f"friend@shop{place}.example.com" for place in range(5)))
    sink.replies["RCPT"] = ["554 blocked"] * 5
    assert store.deliver().unreachable is not None
    assert store.deliver().handled == 0
    run(store, "release")
    assert store.deliver().sent == 5


@IN_ONE
def test_while_mail_is_held_nothing_is_repeated(store: Store, sink: Sink) -> None:
    queue(store, ANNA)
    die_while_sending(store)
    change_outbox(store, lease_until=ago(hours=1))
    run(store, "hold")
    store.deliver()
    assert [each.state for each in store.outbox()] == ["sending"]
