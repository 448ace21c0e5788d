"""What came to nothing is forgotten after its time, and mail that waits to be taken back."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from invitations_plugin.database import engine
from invitations_plugin.models import IS_CLOSED_WITH_ADDRESS, History, Invitation, SavedView

from .support.outbox import in_threads, queue, recipients
from .support.pages import Page
from .support.rows import ago, by, insert, one, row
from .support.sink import Sink
from .support.snapshots import contents
from .support.stores import LIST, Store, Visitor
from .test_cli import run

ANNA = "anna@example.com"
VIEWS = "/admin/invitations/views"


def left(store: Store) -> list[str | None]:
    return [each.email for each in store.invitations()]


def dump(store: Store) -> str:
    """Return all that the database holds, but what these rows have in place of a hash."""
    return re.sub(r"hash of [\w@.]+", "", str(contents(store)))


@pytest.mark.parametrize("status", ["expired", "discarded", "declined"])
def test_what_came_to_nothing_is_forgotten_after_thirty_days(store: Store, status: str) -> None:
    one(store, ANNA, status, expires_at=ago(days=31), message="Come", mail_error="550 <anna@e>")
    one(store, "ben@example.com", status, expires_at=ago(days=29))
    before = store.invitation(ANNA)
    answer = run(store, "purge")
    assert (answer.exit_code, answer.output) == (0, "1 purged\n")
    [gone, kept] = store.invitations()
    assert (gone.email, gone.message, gone.mail_error) == (None, None, None)
    assert (gone.email_hash, gone.status) == (before.email_hash, status)
    assert gone.purged_at is not None
    assert (kept.email, kept.purged_at) == ("ben@example.com", None)
    assert run(store, "purge").output == "0 purged\n"


@pytest.mark.parametrize("status", ["accepted", "sent", "not_sent"])
def test_what_was_accepted_or_is_open_is_kept(store: Store, status: str) -> None:
    one(store, ANNA, status, expires_at=ago(days=400))
    run(store, "purge")
    assert left(store) == [ANNA]


def test_each_store_view_has_its_own_time(store: Store) -> None:
    store.setting("retention_days", 5, "store", "fr")
    store.setting("retention_days", 0, "store", "it")
    store.setting("retention_days", 10, "store", "en")
    rows = [(code, days) for code in ("en", "fr", "it", "gone") for days in (7, 12, 400)]
    insert(
        store,
        [
            row(f"{code}{days}@example.com", "expired", store_view=code, expires_at=ago(days=days))
            for code, days in rows
        ],
    )
    run(store, "purge")
    kept = {each.email for each in store.invitations() if each.email}
    assert kept == {"en7@example.com", "gone7@example.com"} | {
        f"it{days}@example.com" for days in (7, 12, 400)
    }


def test_what_the_server_said_goes_with_the_address(store: Store, admin: Visitor) -> None:
    number = one(store, ANNA, "expired", expires_at=ago(days=31))
    with store.session() as db:
        for action in ("fail", "wait"):
            db.add(
                History(invitation_id=number, actor_kind="system", action=action, reason="5 anna@")
            )
        db.commit()
    run(store, "purge")
    with store.session() as db:
        told = db.execute(sa.select(History.action, History.reason).order_by(History.id))
        assert [tuple(each) for each in told] == [
            ("fail", None),
            ("wait", "5 anna@"),
            ("purge", None),
        ]
    page = admin.get(f"/admin/invitations/{number}/")
    assert "Address and message removed: their time was over" in page.text
    assert ANNA not in page.text.replace("<wbr>", "")


def test_what_a_server_said_of_a_mail_that_it_took_goes_too(store: Store, sink: Sink) -> None:
    queue(store, ANNA)
    sink.replies["DATA"] = [f"250 2.0.0 <{ANNA}> 4f2c Saved"]
    assert store.deliver().sent == 1
    assert f"<{ANNA}> 4f2c" in dump(store)
    store.change(ANNA, status="expired", expires_at=ago(days=31))
    assert run(store, "purge").output == "1 purged\n"
    assert ANNA not in dump(store)


def test_what_a_server_said_of_a_mail_that_still_waits_for_a_decision_goes_too(
    store: Store, sink: Sink
) -> None:
    store.setting("never_twice", True)
    queue(store, ANNA)
    sink.replies["DATA"] = [f"300 <{ANNA}> or not"]
    assert store.deliver().deferred == 1
    store.change(ANNA, status="discarded", discarded_by="staff", expires_at=ago(days=31))
    run(store, "purge")
    assert [(each.state, each.last_error) for each in store.outbox()] == [("parked", None)]
    assert ANNA not in dump(store)


def test_a_refusal_that_seemed_to_be_everybody_s_keeps_no_address(
    store: Store,
    sink: Sink,
    clock: time_machine.Traveller,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.setting("staff_notice_address", "ada@staff.example.com")
    friends = [f"friend@shop{number}.example.com" for number in range(6)]
    queue(store, *friends)
    sink.refused = {each: f"554 5.7.1 <{each}>: blocked, ask for {each}" for each in friends}
    report = store.deliver()
    assert "554 5.7.1 <…>: blocked, ask for <…>" in str(report.unreachable)
    store.deliver()
    [notice] = sink.mails
    assert "blocked" in notice.text
    shown = [str(report.unreachable), notice.text, caplog.text]
    assert [each for each in friends if any(each in text for text in shown)] == []
    for each in friends:
        store.change(each, status="expired", expires_at=ago(days=31))
    run(store, "purge")
    assert "friend@" not in dump(store)


@pytest.mark.parametrize("happens", ["extended", "leaving"])
def test_what_lives_again_while_the_purge_looks_keeps_its_address(
    store: Store, admin: Visitor, happens: str
) -> None:
    number = one(store, ANNA, "expired", expires_at=ago(days=31))
    one(store, "ben@example.com", "expired", expires_at=ago(days=31))
    admin.get("/admin/invitations/")
    chosen = {"action": "extend", "ids": number, "confirm": "1"}
    changes = {
        "extended": lambda: admin.post("/admin/invitations/actions", chosen),
        "leaving": lambda: store.change(ANNA, mail_state="sending"),
    }
    done: list[str] = []

    def change_it(db: Any, cursor: Any, statement: str, *more: Any) -> None:
        is_looking = statement.startswith("SELECT") and "mail_state !=" in statement
        if is_looking and not done:
            done.append(happens)
            in_threads(changes[happens], 1)

    with store.app.app_context():
        sa.event.listen(engine(), "after_cursor_execute", change_it)
    assert (run(store, "purge").output, done) == ("1 purged\n", [happens])
    assert left(store) == [ANNA, None]
    assert [action for action, *_ in store.history(ANNA)].count("purge") == 0


def test_many_go_in_parts_and_are_found_by_an_index(store: Store) -> None:
    rows = [row(f"a{n}@example.com", "expired", expires_at=ago(days=40)) for n in range(1100)]
    insert(store, rows)
    assert run(store, "purge").output == "1100 purged\n"
    with store.app.app_context(), engine().connect() as connection:
        is_postgresql = connection.dialect.name == "postgresql"
        explain = "EXPLAIN" if is_postgresql else "EXPLAIN QUERY PLAN"
        chosen = (sa.text(IS_CLOSED_WITH_ADDRESS), Invitation.expires_at <= ago(days=30))
        found = sa.select(Invitation.id).where(*chosen).order_by(Invitation.expires_at).limit(9)
        query = found.compile(connection, compile_kwargs={"literal_binds": True})
        if is_postgresql:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = "".join(str(each) for each in connection.exec_driver_sql(f"{explain} {query}"))
    assert "ix_invitations_invitation_closed_expires_at" in plan


def test_the_sender_sees_that_it_was_and_cannot_invite_the_address_again(
    store: Store, sink: Sink, veronica: Visitor
) -> None:
    veronica.send(ANNA)
    store.deliver()
    store.change(ANNA, status="expired", expires_at=ago(days=31))
    run(store, "purge")
    veronica.get(LIST)  # with the notice of what was sent
    assert "anna@" not in veronica.get(LIST).text
    assert veronica.send(ANNA).status_code == 422
    with store.session() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(Invitation)) == 1


def test_mail_waits_so_long_as_it_can_be_taken_back(
    store: Store, sink: Sink, veronica: Visitor, later: Callable[[timedelta], None]
) -> None:
    store.setting("undo_seconds", 60, "store", "en")
    veronica.send(ANNA, "ben@example.com")
    store.deliver()
    assert recipients(sink) == []
    number = store.invitation(ANNA).id
    veronica.get(LIST)
    assert veronica.post(f"/account/invitations/{number}/cancel").status_code == 302
    assert set(Page(veronica.get(LIST)).statuses.values()) == {"canceled", "sending"}
    later(timedelta(seconds=61))
    store.deliver()
    assert recipients(sink) == ["ben@example.com"]


def test_no_filter_that_staff_kept_names_who_was_purged(store: Store, admin: Visitor) -> None:
    """Somebody whom another invitation or her own account still names is kept there."""
    other, own = "ben@example.com", "cleo@example.com"
    for address in (ANNA, other, own):
        one(store, address, "expired", expires_at=ago(days=31))
    one(store, other, inviter_key="2")
    one(store, "dora@example.com", inviter_email=own)
    named = {"All": f"={ANNA}", "Other": other, "Own": f"{own[:-3]}*"}
    for called, text in named.items():
        admin.get(VIEWS)
        assert admin.post(VIEWS, {"name": called, "invitee": text}).status_code == 302
    kept = {"timezone": "UTC", "upto": 9, "exclude": [], "websites": None}
    store.add_job(selection=kept | {"filters": {"invitee": ANNA, "status": "expired"}})
    store.add_export(selection=kept | {"filters": {"invitee": ANNA}})
    run(store, "purge")
    assert ANNA not in dump(store)
    with store.session() as db:
        found = db.scalars(sa.select(SavedView).order_by(SavedView.id)).all()
        left_in = {view.name: view.arguments["invitee"] for view in found}
    assert left_in == named | {"All": left_in["All"]}
    assert left_in["All"].startswith("gone:")


def test_the_inviter_s_own_data_stays(store: Store) -> None:
    insert(store, [row(ANNA, "expired", expires_at=ago(days=31), **by(store))])
    run(store, "purge")
    assert [each.inviter_email for each in store.invitations()] == [store.inviter]
