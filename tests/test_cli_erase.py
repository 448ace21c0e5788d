"""``flask invitations erase``: an address whose owner asked for it is named nowhere any more."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from sqlalchemy import Executable

from invitations_plugin import forgetting, workers
from invitations_plugin.addresses import keyed_hash, parse_address
from invitations_plugin.database import engine
from invitations_plugin.delivery_models import DeliveryState
from invitations_plugin.mail_models import MailTemplateFault
from invitations_plugin.models import History, Invitation, OptOut, Outbox, SavedView
from invitations_plugin.opt_outs import opt_out
from invitations_plugin.spellings import Spellings
from invitations_plugin.state import state
from invitations_plugin.watch_models import Worker
from sample_store.models import Order

from .support.outbox import change_outbox, recipients, wait_for
from .support.pages import Page
from .support.rows import STATUSES, ago, by, here, insert, one, row
from .support.sink import Mail, Sink
from .support.snapshots import contents
from .support.stores import LIST, MakeFriend, Store, Visitor
from .test_accounts import delete_by_statement
from .test_cli import run

ANNA, BEN = "anna@example.com", "ben@example.com"
TAGGED = "anna+tea@example.com"
VIEWS = "/admin/invitations/views"
LinkFor = Callable[..., str]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a mail that a test keeps from ending."""
    monkeypatch.setattr(forgetting, "PATIENCE", 0.3)


def erase(store: Store, address: str = ANNA, *more: str) -> Result:
    return run(store, "erase", address, "--yes", *more)


def dump(store: Store) -> str:
    """Return all that stands in the tables of the plugin, its search and limits included."""
    with store.app.app_context():
        target = engine()
    with target.connect() as connection:
        names = sa.inspect(connection).get_table_names()
        ours = [each for each in names if each.startswith("invitations_")]
        rows = [connection.exec_driver_sql(f'SELECT * FROM "{each}"').all() for each in ours]  # noqa: S608
    return str(rows).casefold()


def hashes(store: Store, address: str) -> dict[str, str]:
    """Return the columns by which an address is known."""
    with store.session():
        key, read = state().hash_key, parse_address(address)
    return {
        "email_hash": keyed_hash(read.identity, key),
        "recipient_hash": keyed_hash(read.mailbox, key),
    }


def invited(store: Store, address: str = ANNA, status: str = "sent", **more: Any) -> int:
    """Write an invitation as it would be made; return its id."""
    return one(store, address, status, **hashes(store, address), **more)


def found(store: Store, number: int) -> Invitation:
    [each] = [each for each in store.invitations() if each.id == number]
    return each


def told(store: Store, number: int) -> list[tuple[Any, ...]]:
    """Return action, from, to, actor and reason of an invitation's history."""
    row = History
    columns = (row.action, row.from_status, row.to_status, row.actor_kind, row.reason)
    with store.session() as db:
        query = sa.select(*columns).where(row.invitation_id == number).order_by(row.id)
        return [tuple(each) for each in db.execute(query)]


# What is asked of the command.


@pytest.mark.parametrize("typed", ["", "anna", "anna@", "Anna <anna@example.com>", "a@b.c, d@e.f"])
def test_what_is_no_address_is_refused(store: Store, typed: str) -> None:
    answer = erase(store, typed)
    assert answer.exit_code == 2
    assert "this is not one e-mail address" in answer.output


def test_an_address_that_nothing_names_is_told_so(store: Store) -> None:
    invited(store, BEN)
    before = contents(store)
    answer = erase(store)
    assert (answer.exit_code, answer.stdout) == (0, "Nothing here names this address.\n")
    assert contents(store) == before


def test_it_asks_first(store: Store) -> None:
    invited(store)
    before = contents(store)
    runner = store.app.test_cli_runner()
    answer = runner.invoke(args=["invitations", "erase", ANNA], input="n\n")
    assert (answer.exit_code, contents(store)) == (1, before)
    answer = runner.invoke(args=["invitations", "erase", ANNA], input="y\n")
    assert answer.exit_code == 0
    assert ANNA not in dump(store)


def test_a_dry_run_says_where_it_is_named_and_changes_nothing(store: Store) -> None:
    invited(store, message=f"for {ANNA}")
    before = contents(store)
    answer = run(store, "erase", ANNA, "--dry-run")
    assert answer.exit_code == 0
    assert answer.stdout.splitlines() == [
        "- invitations_invitation.email: 1",
        "- invitations_invitation.message: 1",
        "Invitations to it: 1. Nothing was changed.",
    ]
    assert contents(store) == before


def test_run_again_it_finds_nothing_to_do(store: Store) -> None:
    invited(store)
    assert erase(store).exit_code == 0
    before = contents(store)
    assert erase(store).stdout == "Nothing here names this address.\n"
    assert contents(store) == before


# Invitations.


@pytest.mark.parametrize("status", STATUSES)
def test_of_each_invitation_address_and_message_go_and_the_hashes_stay(
    store: Store, status: str
) -> None:
    number = invited(store, status=status, message="Come!", mail_error=f"550 <{ANNA}>")
    before = found(store, number)
    answer = erase(store)
    assert answer.exit_code == 0
    after = found(store, number)
    assert (after.email, after.message) == (None, None)
    assert after.mail_error == ("erased" if status == "not_sent" else None)
    assert after.purged_at is not None
    for kept in ("email_hash", "recipient_hash", "customer_key", "registered_at", "sent_at"):
        assert getattr(after, kept) == getattr(before, kept)
    assert ANNA not in dump(store)


@pytest.mark.parametrize("status", STATUSES)
def test_what_is_open_expires_and_all_else_stays_what_it_is(store: Store, status: str) -> None:
    number = invited(store, status=status)
    is_open = status in ("not_sent", "sent")
    answer = erase(store)
    assert f"Invitations to it erased: 1, open: {int(is_open)}" in answer.output
    assert found(store, number).status == ("expired" if is_open else status)
    moved = (status, "expired") if is_open else (None, None)
    assert told(store, number) == [("erase", *moved, "system", None)]


def test_every_spelling_of_the_mailbox_goes_and_no_other_one(store: Store) -> None:
    for key, each in enumerate(("j.doe@gmail.com", "jdoe+tea@googlemail.com", "JDoe@GMail.com")):
        invited(store, each, inviter_key=str(key))
    others = ["jdoe2@gmail.com", "xjdoe@gmail.com", "jdoe@gmail.com.example.com"]
    for each in others:
        invited(store, each)
    assert erase(store, "jd.oe@gmail.com").exit_code == 0
    assert [each.email for each in store.invitations()] == [None, None, None, *others]


def test_the_history_keeps_nothing_that_a_server_said(store: Store) -> None:
    number, other = invited(store), invited(store, BEN)
    with store.session() as db:
        for each, said in ((number, "550 no such user"), (other, f"250 next to <{ANNA.upper()}>")):
            db.add(History(invitation_id=each, actor_kind="system", action="fail", reason=said))
        db.commit()
    erase(store)
    assert told(store, number)[0][-1] is None
    assert told(store, other)[0][-1] == "250 next to <…>"
    assert ANNA not in dump(store)


def test_staff_read_that_it_was_on_request(store: Store, admin: Visitor) -> None:
    number = invited(store, status="accepted")
    erase(store)
    page = admin.get(f"/admin/invitations/{number}/")
    assert "Address and message removed on request" in page.text
    assert "Address removed" in admin.get("/admin/invitations/").text


def test_its_sender_sees_an_expired_invitation_and_nothing_of_who_asked(
    store: Store, sink: Sink, veronica: Visitor
) -> None:
    veronica.send(ANNA)
    store.deliver()
    erase(store)
    veronica.get(LIST)  # with the notice of what was sent
    page = veronica.get(LIST)
    assert "Address removed" in page.text
    assert list(Page(page).statuses.values()) == ["expired"]
    assert "request" not in page.text
    assert "anna@" not in page.text


def test_a_declined_one_looks_to_its_sender_like_an_open_one(
    store: Store, veronica: Visitor
) -> None:
    for number, status in enumerate(("sent", "declined")):
        invited(store, f"anna+{number}@example.com", status)
    erase(store)
    assert list(Page(veronica.get(LIST)).statuses.values()) == ["expired", "expired"]


def test_nobody_invites_who_invited_before_and_an_opt_out_holds(
    store: Store, sink: Sink, veronica: Visitor
) -> None:
    veronica.send(ANNA)
    with store.session() as db:
        opt_out(db, hashes(store, ANNA)["recipient_hash"])
        db.commit()
    erase(store)
    assert veronica.send(ANNA).status_code == 422
    store.customer(store.other_inviter).send(TAGGED)
    store.deliver()
    assert sink.mails == []
    with store.session() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(OptOut)) == 1


def test_the_link_of_an_erased_invitation_is_dead(
    any_store: Store, friend: MakeFriend, link_for: LinkFor
) -> None:
    link = link_for()
    visitor = friend(link=link)
    erase(any_store)
    assert any_store.visitor().get(link).status_code == 404
    assert visitor.get("/invitations/welcome").status_code == 404
    any_store.register(visitor, ANNA)
    assert [each.status for each in any_store.invitations()] == ["expired"]


def test_no_sender_and_no_staff_bring_an_erased_one_back(
    store: Store, veronica: Visitor, admin: Visitor
) -> None:
    number = invited(store, created_at=ago(days=3))
    erase(store)
    before = found(store, number)
    veronica.get(LIST)
    for action in ("resend", "cancel"):
        assert veronica.post(f"{LIST}{number}/{action}").status_code in (302, 429)
    admin.get("/admin/invitations/")
    for action in ("send", "reopen", "extend"):
        assert admin.post(f"/admin/invitations/{number}/{action}").status_code in (302, 409)
    after = found(store, number)
    assert (after.email, after.expires_at) == (None, before.expires_at)
    assert store.outbox() == []


def test_reports_and_what_the_tables_promise_stay_as_they_were(
    any_store: Store, friend: MakeFriend, sink: Sink
) -> None:
    assert any_store.register(friend(), ANNA).status_code == 302
    any_store.customer(any_store.other_inviter).send(TAGGED)
    any_store.deliver()

    def figures() -> str:
        assert run(any_store, "deliver").exit_code == 0
        report = run(any_store, "report", "invitations")
        return re.sub(r"\d\d:\d\d(:\d\d)?", "", report.stdout)

    before = figures()
    erase(any_store)
    assert figures() == before
    assert run(any_store, "reconcile").exit_code == 0
    accepted = found(any_store, 1)
    assert (accepted.status, accepted.email) == ("accepted", None)
    assert accepted.customer_key is not None


# Mail.


def test_mail_that_waits_does_not_leave(store: Store, sink: Sink, veronica: Visitor) -> None:
    veronica.send(ANNA, BEN)
    assert erase(store).exit_code == 0
    store.deliver()
    assert recipients(sink) == [BEN]
    assert [each.mail_state for each in store.invitations()] == ["skipped", "delivered"]
    assert store.outbox() == []
    assert run(store, "reconcile").exit_code == 0


@pytest.mark.parametrize("state", ["claimed", "parked"])
def test_mail_that_a_worker_claimed_or_that_was_parked_does_not_leave_either(
    store: Store, sink: Sink, veronica: Visitor, state: str
) -> None:
    veronica.send(ANNA)
    held = {"claim": "somebody", "lease_until": ago(minutes=1)} if state == "claimed" else {}
    change_outbox(store, state=state, last_error=f"<{ANNA}> or not", **held)
    store.change(ANNA, mail_state="queued" if state == "claimed" else state)
    erase(store)
    store.deliver()
    assert (sink.mails, store.outbox()) == ([], [])
    assert ANNA not in dump(store)


def test_a_mail_that_is_being_handed_over_ends_first(
    store: Store, sink: Sink, veronica: Visitor
) -> None:
    veronica.send(ANNA)
    answers: list[Result] = []
    sink.while_taking = lambda mail: answers.append(erase(store))
    store.deliver()
    [answer] = answers
    assert answer.exit_code == 3
    assert "being handed over" in answer.output
    assert [each.mail_state for each in store.invitations()] == ["delivered"]
    assert erase(store).exit_code == 0
    assert ANNA not in dump(store)


def test_a_mail_that_is_being_handed_over_is_waited_for(
    store: Store, sink: Sink, veronica: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PATIENCE", 20)
    veronica.send(ANNA)
    is_leaving = Event()

    def hold(mail: Mail) -> None:
        is_leaving.set()
        wait_for(lambda: counted(store) > 0)

    sink.while_taking = hold
    with ThreadPoolExecutor(2) as pool:
        delivery = pool.submit(store.deliver)
        assert is_leaving.wait(20)
        answer = pool.submit(erase, store).result()
        assert delivery.result().sent == 1
    assert answer.exit_code == 0
    assert ANNA not in dump(store)


def counted(store: Store) -> int:
    """Return how often an erasure has looked for invitations."""
    with store.app.app_context(), engine().connect() as connection:
        query = "SELECT taken FROM invitations_quota WHERE subject LIKE 'erase:%%'"
        return connection.exec_driver_sql(query).scalar() or 0


def test_a_server_is_suspected_for_nobody_who_was_erased(store: Store, sink: Sink) -> None:
    for each in ("anna@shop.example.com", BEN):
        store.customer().send(each)
    sink.refused = dict.fromkeys(("anna@shop.example.com", BEN), "554 5.7.1 blocked")
    store.deliver()
    assert "shop.example.com" in dump(store)
    erase(store, "anna@shop.example.com")
    with store.session() as db:
        [kept] = db.get_one(DeliveryState, 1).suspects
    assert kept["domain"] == "example.com"
    assert "shop.example.com" not in dump(store)


# Whatever else names it.


def test_notices_and_what_is_kept_of_faults_do_not_name_it(store: Store) -> None:
    fact = {"event": "template_failed", "facts": {"code": "a", "number": 1, "error": f"x {TAGGED}"}}
    with store.session() as db:
        db.add(Outbox(kind="notice", recipient="ada@x.test", payload=fact, message_id="<1@x>"))
        db.add(DeliveryState(id=1, reason=f"550 {ANNA}?"))
        db.add(MailTemplateFault(code="a", number=1, error=f"<{ANNA}>"))
        db.add(Worker(id="w", kind="worker", host="h", pid=1, refused="mailto:anna%40example.com"))
        db.commit()
    answer = erase(store)
    assert "Texts about others that named it erased: 4" in answer.output
    assert answer.exit_code == 0
    [notice] = store.outbox()
    assert notice.payload is not None
    assert notice.payload["facts"] == {"code": "a", "number": 1, "error": "x <…>"}


def test_what_was_written_to_others_names_it_no_more(store: Store, sink: Sink) -> None:
    store.customer().send(BEN, message=f"Ask {ANNA} as well!")
    assert erase(store).exit_code == 0
    store.deliver()
    [mail] = sink.mails
    assert "Ask <…> as well!" in mail.text
    assert ANNA not in dump(store)


@pytest.mark.parametrize(
    "text", [ANNA, f"={ANNA.upper()}", f"{TAGGED[:-3]}*", "anna@", f"x {ANNA}!"]
)
def test_no_filter_of_staff_names_it(store: Store, admin: Visitor, text: str) -> None:
    invited(store, BEN)
    admin.get(VIEWS)
    assert admin.post(VIEWS, {"name": "Hers", "invitee": text}).status_code == 302
    kept = {"timezone": "UTC", "upto": 9, "exclude": [], "websites": None}
    store.add_job(selection=kept | {"filters": {"invitee": text, "status": "sent"}})
    store.add_export(selection=kept | {"filters": {"message": text}})
    answer = erase(store)
    assert (answer.exit_code, answer.stdout) == (0, "Filters of staff that named it erased: 3\n")
    assert "anna" not in dump(store)
    store.run_jobs()
    assert store.invitation(BEN).status == "sent"


def test_a_filter_of_somebody_else_stays(store: Store, admin: Visitor) -> None:
    texts = ["joanna@example.com", "anna@example.org", "anna", BEN, "@example.com"]
    for text in texts:
        admin.get(VIEWS)
        admin.post(VIEWS, {"name": text, "invitee": text})
    erase(store)
    with store.session() as db:
        views = db.scalars(sa.select(SavedView).order_by(SavedView.id)).all()
        assert [view.arguments["invitee"] for view in views] == texts


def test_what_the_store_wrote_itself_is_named_and_left_to_it(store: Store) -> None:
    store.setting("staff_notice_address", ANNA)
    answer = erase(store)
    assert answer.exit_code == 3
    assert "- invitations_setting.value: 1" in answer.output
    assert "theirs to change" in answer.output


# An inviter's own address.


def test_the_account_of_an_inviter_is_the_store_s_to_delete(any_store: Store) -> None:
    any_store.customer().send(BEN)
    answer = erase(any_store, any_store.inviter)
    assert answer.exit_code == 3
    assert "- invitations_invitation.inviter_email: 1" in answer.output
    assert "delete the account in the store" in answer.output
    assert "who have no account" not in answer.output
    assert any_store.invitation(BEN).inviter_email == any_store.inviter


def test_of_an_inviter_invitations_to_the_address_go_all_the_same(store: Store) -> None:
    invited(store, BEN)
    invited(store, store.inviter, **by(store, store.other_inviter))
    erase(store, store.inviter)
    assert [each.email for each in store.invitations()] == [BEN, None]


def test_an_inviter_whose_account_is_gone_is_forgotten_as_at_its_deletion(
    any_store: Store,
) -> None:
    any_store.customer().send(BEN, message="Come and see my teapots!")
    with any_store.session() as db:
        if any_store.name != "second":  # orders would keep the customer
            db.execute(sa.delete(Order))
        db.commit()
    delete_by_statement(any_store, any_store.inviter)
    answer = erase(any_store, any_store.inviter)
    assert answer.exit_code == 0, answer.output
    assert "Inviters who have no account with it any more erased: 1" in answer.output
    assert any_store.inviter not in dump(any_store)
    assert "teapots" not in dump(any_store)
    assert any_store.invitation(BEN).status == "discarded"


def test_an_inviter_who_has_another_address_by_now_is_known_by_that(store: Store) -> None:
    insert(store, [row(BEN, **here(store) | by(store) | {"inviter_email": ANNA})])
    assert erase(store).exit_code == 0
    assert store.invitation(BEN).inviter_email == store.inviter


def test_an_invited_customer_s_account_is_mentioned(any_store: Store, friend: MakeFriend) -> None:
    assert any_store.register(friend(), ANNA).status_code == 302
    answer = erase(any_store)
    assert answer.exit_code == 0
    assert "The store has an account with this address" in answer.output
    assert ANNA in any_store.customer_emails()
    assert ANNA not in dump(any_store)


# Others at the same moment.


def while_open(store: Store, change: Executable, answers: list[Result]) -> None:
    """Change something, and commit it once an erasure had its first look."""
    with store.session() as db:
        db.execute(change)
        running = Thread(target=lambda: answers.append(erase(store)))
        running.start()
        if db.get_bind(Invitation).dialect.name == "postgresql":
            wait_for(lambda: counted(store) > 0)
        db.commit()
        running.join()


def test_an_invitation_that_somebody_was_just_making_goes_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PATIENCE", 20)
    answers: list[Result] = []
    made = row(ANNA, **here(store) | by(store) | hashes(store, ANNA))
    while_open(store, sa.insert(Invitation).values(made), answers)
    assert (answers[0].exit_code, "Invitations to it erased: 1" in answers[0].output) == (0, True)
    assert ANNA not in dump(store)


def test_an_invitation_that_somebody_holds_is_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PATIENCE", 20)
    number, answers = invited(store), list[Result]()
    values = {"message": f"new for {ANNA}"}
    change = sa.update(Invitation).where(Invitation.id == number).values(values)
    while_open(store, change, answers)
    assert answers[0].exit_code == 0
    assert ANNA not in dump(store)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (sa.update(Invitation).where(Invitation.id == 0).values(version=2), 3),
        (sa.insert(OptOut).values(email_hash="x", created_at=ago(days=1)), 0),
    ],
    ids=["invitations", "something else"],
)
@pytest.mark.parametrize("database", ["postgresql"])
def test_who_writes_invitations_for_too_long_is_told_of(
    store: Store, change: Executable, code: int
) -> None:
    with store.session() as db, ThreadPoolExecutor(1) as pool:
        db.execute(change)
        answer = pool.submit(erase, store).result()
        db.rollback()
    assert answer.exit_code == code
    assert ("Others still write what they had begun before" in answer.output) == (code == 3)


def test_whoever_acts_at_the_same_moment_gets_an_answer_and_leaves_no_address(
    any_store: Store, friend: MakeFriend, link_for: LinkFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PATIENCE", 20)
    any_store.setting("resend_hours", 0)
    any_store.setting("mailbox_per_day", 0)
    link = link_for()
    visitor, sender, again = friend(link=link), any_store.customer(), any_store.customer()
    other = any_store.customer(any_store.other_inviter)
    number = any_store.invitation(ANNA).id
    visitor.get(any_store.register_path)
    for each in (sender, again):
        each.get(LIST)
    acts: list[Callable[[], Any]] = [
        lambda: visitor.post(any_store.register_path, any_store.filled_in(ANNA)),
        lambda: sender.post(f"{LIST}{number}/resend"),
        lambda: again.post(f"{LIST}{number}/cancel"),
        lambda: other.send(ANNA),
        any_store.deliver,
        lambda: erase(any_store),
        lambda: erase(any_store),
    ]
    with ThreadPoolExecutor(len(acts)) as pool:
        answers = [each.result() for each in [pool.submit(act) for act in acts]]
    codes = {each.status_code for each in answers[:4]}
    assert codes <= {200, 302, 403, 404, 409, 422, 429}
    # What was invited after the last look is an invitation like any other.
    assert {each.exit_code for each in answers[5:]} <= {0, 3}
    any_store.deliver()
    assert erase(any_store).exit_code == 0
    assert "anna" not in dump(any_store)
    assert run(any_store, "reconcile").exit_code == 0


def test_a_worker_that_sends_meanwhile_leaves_no_address(
    store: Store, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PATIENCE", 20)
    store.setting("mailbox_per_day", 0)
    store.setting("mailbox_per_month", 0)
    store.customer().send(*(f"anna+{number}@example.com" for number in range(5)))
    clock = workers.Clock(store.app, threads=3)
    running = Thread(target=clock.run, name="invitations-test")
    running.start()
    try:
        wait_for(lambda: len(sink.mails) > 0)
        assert erase(store).exit_code == 0
    finally:
        clock.stop()
        running.join()
    assert "anna" not in dump(store)
    left = len(sink.mails)
    store.deliver()
    assert (len(sink.mails), store.outbox()) == (left, [])


def test_an_erasure_that_was_killed_is_run_again(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    invited(store, message="Come!")
    admin.get(VIEWS)
    admin.post(VIEWS, {"name": "Hers", "invitee": TAGGED})
    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "forget_filters", lambda *given: 1 / 0)
        assert erase(store).exit_code == 1
    assert erase(store).exit_code == 0
    assert "anna" not in dump(store)


# Texts.


@pytest.mark.parametrize(
    ("text", "without"),
    [
        (f"550 <{ANNA}>: no", "550 <…>: no"),
        ("to Anna+Tea@Example.COM.", "to <…>."),
        ("https://x.test/?to=anna%40example.com&a=1", "https://x.test/?to=<…>&a=1"),
        ("%3Canna%2Btea%40example.com%3E", "%3C<…>%3E"),
        ("joanna@example.com", "joanna@example.com"),
        ("x.anna@example.com", "x.anna@example.com"),
        ("anna@example.com.au", "anna@example.com.au"),
        ("anna@example.community", "anna@example.community"),
    ],
)
def test_a_text_names_a_mailbox_in_any_spelling(text: str, without: str) -> None:
    assert Spellings(parse_address(ANNA)).out_of(text) == without


def test_a_domain_is_known_as_people_read_it() -> None:
    spellings = Spellings(parse_address("anna@bücher.example"))
    assert spellings.are_in("an anna@bücher.example und anna@x.test")
    assert spellings.are_in("anna@xn--bcher-kva.example")
