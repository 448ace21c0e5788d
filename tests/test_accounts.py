"""What becomes of invitations when their people's accounts come, rest and go."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from werkzeug.test import TestResponse

from invitations_plugin.models import Export, History, Invitation, Job, Quota, SavedView
from invitations_plugin.workers import Clock
from sample_store.models import Order

from .support.outbox import queue
from .support.pages import Page, statements
from .support.rows import STATUSES, by, here, insert, row
from .support.sink import Sink
from .support.snapshots import contents
from .support.stores import LIST, MakeFriend, Store

ANNA, BEN = "anna@example.com", "ben@example.com"
WELCOME, GRID = "/invitations/welcome", "/admin/invitations/"
VIEWS = f"{GRID}views"
HAS_ACCOUNT = "You have an account with this address already."
LinkFor = Callable[..., str]


@pytest.fixture
def any_store(any_store: Store) -> Store:
    """A store whose customers bought nothing: orders would keep them from being deleted.

    Several of them invite the same people, whose mailboxes take it all on one day.
    """
    any_store.setting("mailbox_per_day", 0)
    with any_store.session() as db:
        if any_store.name == "sample":
            db.execute(sa.delete(Order))
        db.commit()
    return any_store


def delete(store: Store, email: str) -> None:
    """Delete a customer as a store does, by its session."""
    with store.session() as db:
        db.delete(find(store, email))
        db.commit()


def delete_by_statement(store: Store, email: str) -> None:
    """Delete a customer where the session does not see it."""
    model = store.customer_model
    with store.session() as db:
        key = find(store, email).id
        db.execute(sa.delete(model.__table__).where(model.__table__.c.id == key))
        db.commit()


def find(store: Store, email: str) -> Any:
    return store.app.extensions["invitations"].host.customer_by_email(email, "main")


def disable(store: Store, monkeypatch: pytest.MonkeyPatch, *emails: str) -> None:
    host = store.app.extensions["invitations"].host
    monkeypatch.setattr(host, "is_active", lambda customer: host.email(customer) not in emails)


def actions(store: Store, number: int) -> list[tuple[str, str | None]]:
    """Return what happened to an invitation, and why."""
    with store.session() as db:
        query = sa.select(History).where(History.invitation_id == number).order_by(History.id)
        return [(each.action, each.reason) for each in db.scalars(query)]


# An address that several customers invited.


@pytest.fixture
def overtaken(any_store: Store, friend: MakeFriend, link_for: LinkFor) -> str:
    """The link of an invitation whose friend came by somebody else's."""
    links = [link_for(inviter=each) for each in (any_store.inviter, any_store.other_inviter)]
    assert any_store.register(friend(link=links[0]), ANNA).status_code == 302
    return links[1]


def test_the_other_inviter_sees_no_difference(any_store: Store, overtaken: str) -> None:
    found = any_store.invitation(ANNA, any_store.other_inviter)
    assert (found.status, found.existing_customer) == ("sent", True)
    assert actions(any_store, found.id)[-1] == ("overtaken", None)
    page = any_store.customer(any_store.other_inviter).get(LIST)
    assert Page(page).statuses == {found.id: "sent"}
    assert any_store.invitation(ANNA, any_store.inviter).status == "accepted"


def test_staff_read_that_another_invitation_was_accepted(any_store: Store, overtaken: str) -> None:
    number = any_store.invitation(ANNA, any_store.other_inviter).id
    assert "Another invitation of this address was accepted" in (
        any_store.staff().get(f"{GRID}{number}/").text
    )


def test_the_other_link_offers_the_sign_in_alone(any_store: Store, overtaken: str) -> None:
    answer = any_store.visitor().get(overtaken, follow_redirects=True)
    page = Page(answer)
    assert HAS_ACCOUNT in answer.text
    assert (page.link("Sign in") or "").startswith(any_store.sign_in_path)
    assert page.link("Create an account") is None


def test_the_link_of_somebody_who_registered_otherwise_offers_the_sign_in_alone(
    any_store: Store, friend: MakeFriend
) -> None:
    any_store.setting("unlinked_registration", "ignore")
    visitor = friend()
    assert HAS_ACCOUNT not in visitor.get(WELCOME).text
    any_store.register(any_store.visitor(), ANNA)
    assert HAS_ACCOUNT in visitor.get(WELCOME).text


def test_the_other_mail_that_still_waits_offers_the_sign_in_alone(
    any_store: Store, friend: MakeFriend, sink: Sink
) -> None:
    any_store.setting("registered_address", "any")
    visitor = friend()
    any_store.customer(any_store.other_inviter).send(ANNA)
    any_store.register(visitor, BEN)
    any_store.deliver()
    assert "Create an account" not in sink.to(ANNA)[-1].text
    assert any_store.invitation(ANNA, any_store.other_inviter).existing_customer


def test_the_other_link_makes_no_second_account(
    any_store: Store, friend: MakeFriend, link_for: LinkFor
) -> None:
    any_store.setting("registered_address", "any")
    links = [link_for(inviter=each) for each in (any_store.inviter, any_store.other_inviter)]
    first, second = (friend(link=link) for link in links)
    assert any_store.register(first, ANNA).status_code == 302
    assert any_store.register(second, BEN).status_code == 404
    assert BEN not in any_store.customer_emails()
    assert any_store.invitation(ANNA, any_store.other_inviter).status == "sent"


@pytest.mark.parametrize("remove", [delete, delete_by_statement])
def test_the_other_link_works_again_when_the_account_is_gone(
    any_store: Store, overtaken: str, remove: Callable[[Store, str], None]
) -> None:
    remove(any_store, ANNA)
    visitor = any_store.visitor()
    assert HAS_ACCOUNT not in visitor.get(overtaken, follow_redirects=True).text
    assert any_store.register(visitor, ANNA).status_code == 302
    assert any_store.invitation(ANNA, any_store.other_inviter).status == "accepted"


def test_of_two_links_of_one_address_one_is_accepted_however_many_register_at_once(
    any_store: Store, friend: MakeFriend, link_for: LinkFor
) -> None:
    any_store.setting("registered_address", "any")
    any_store.setting("registration", "invitation")
    before = any_store.customer_emails()
    links = [link_for(inviter=each) for each in (any_store.inviter, any_store.other_inviter)]
    visitors = {f"friend{n}@example.com": friend(link=links[n % 2]) for n in range(16)}
    for visitor in visitors.values():
        visitor.get(any_store.register_path)

    def register(address: str) -> TestResponse:
        return visitors[address].post(any_store.register_path, any_store.filled_in(address))

    with ThreadPoolExecutor(len(visitors)) as pool:
        codes = [each.status_code for each in pool.map(register, visitors)]
    assert codes.count(302) == 1
    assert set(codes) <= {302, 403, 404}
    assert len(any_store.customer_emails()) == len(before) + 1
    assert sorted(each.status for each in any_store.invitations()) == ["accepted", "sent"]


@pytest.mark.parametrize(("hours", "left"), [(0, 1), (2, 0)])
def test_the_worker_removes_the_turns_of_addresses_that_are_over(
    any_store: Store, friend: MakeFriend, hours: int, left: int
) -> None:
    any_store.register(friend(), ANNA)
    turns = sa.select(sa.func.count()).where(Quota.subject.startswith("address:"))
    with any_store.session() as db, time_machine.travel(time.time() + hours * 3600):
        Clock(any_store.app)._look()
        assert db.scalar(turns) == left


# An inviter whose account the store deletes.


@pytest.fixture
def left_behind(any_store: Store) -> dict[str, int]:
    """Invitations of a customer in every status, by it."""
    named = here(any_store) | by(any_store)
    named |= {"inviter_name": any_store.inviter_name, "message": "Come!"}
    ids = insert(any_store, [row(f"{each}@x.test", each, **named) for each in STATUSES])
    return dict(zip(STATUSES, ids, strict=True))


def test_what_an_erased_inviter_left_open_is_closed(
    any_store: Store, left_behind: dict[str, int]
) -> None:
    delete(any_store, any_store.inviter)
    found = {each.id: each.status for each in any_store.invitations()}
    for status, number in left_behind.items():
        is_open = status in ("not_sent", "sent", "expired")
        assert found[number] == ("discarded" if is_open else status)
        assert actions(any_store, number) == ([("cancel", "account deleted")] if is_open else [])
    assert any_store.history("sent@x.test") == [("cancel", "sent", "discarded", "sender")]


def test_nothing_of_an_erased_inviter_stays_in_the_tables(any_store: Store) -> None:
    any_store.customer().send(ANNA, message="Come and see my teapots!")
    with any_store.session():
        key = any_store.app.extensions["invitations"].host.key(find(any_store, any_store.inviter))
    delete(any_store, any_store.inviter)
    kept = contents(any_store)
    said = str([kept["invitations_invitation"], kept["invitations_history"]])
    for secret in (any_store.inviter, any_store.inviter_name, "teapots", f"'{key}'"):
        assert secret not in said


def test_no_filter_that_staff_kept_names_an_erased_inviter(any_store: Store) -> None:
    email, name = any_store.inviter, any_store.inviter_name
    any_store.customer().send(ANNA)
    any_store.customer(any_store.other_inviter).send(BEN)
    key = any_store.invitation(ANNA).inviter_key
    staff = any_store.staff()
    hers = {"email": f"={email.upper()}", "invitee": f"{email[:10]}*", "inviter": f"not {name}!"}
    for called, filters in (
        ("By key", {"inviter_key": key}),
        (f"All of {name}", hers),
        ("Mine", {"email": f"x{email}", "message": "come", "status": "sent"}),
    ):
        staff.get(VIEWS)
        assert staff.post(VIEWS, {"name": called, **filters}).status_code == 302
    kept = {"timezone": "UTC", "upto": 9, "exclude": [], "websites": None}
    for filters in ({"inviter_key": key, "status": "sent"}, {"invitee": email}, hers):
        any_store.add_job(selection=kept | {"filters": filters})
        any_store.add_export(selection=kept | {"filters": filters})
    delete(any_store, email)
    with any_store.session() as db:
        views = db.scalars(sa.select(SavedView).order_by(SavedView.id)).all()
        after = [each.arguments for each in views]
        for each in (Job, Export):
            chosen = sa.select(each.selection).order_by(each.id)
            after += [selection["filters"] for selection in db.scalars(chosen)]
        assert [each.name for each in views] == ["By key", "2", "Mine"]
    gone = after[0]["inviter_key"]
    all_gone = dict.fromkeys(hers, gone)
    kept_ones = [{"inviter_key": gone, "status": "sent"}, {"invitee": gone}, all_gone]
    other = {"email": f"x{email}", "message": "come", "status": "sent"}
    assert after == [{"inviter_key": gone}, all_gone, other, *kept_ones, *kept_ones]
    any_store.run_jobs()
    assert any_store.invitation(BEN).status == "not_sent"
    shown = staff.get(f"{GRID}?view=1", follow_redirects=True)
    assert "Account removed" in shown.text
    assert list(Page(shown).statuses) == [any_store.invitation(ANNA).id]


def test_a_view_gets_its_number_for_a_name_beside_one_that_is_called_so(
    any_store: Store,
) -> None:
    staff = any_store.staff()
    for called in ("2", any_store.inviter):
        staff.get(VIEWS)
        staff.post(VIEWS, {"name": called, "status": "sent"})
    staff.get(VIEWS)  # which says once that it was saved
    delete(any_store, any_store.inviter)
    page = staff.get(VIEWS)
    assert any_store.inviter not in page.text
    assert 'value="2*"' in page.text


def test_mail_and_link_of_an_erased_inviter_are_dead(
    any_store: Store, link_for: LinkFor, sink: Sink
) -> None:
    link = link_for(ANNA)
    any_store.customer().send(BEN)
    delete(any_store, any_store.inviter)
    any_store.deliver()
    assert sink.to(BEN) == []
    assert any_store.visitor().get(link).status_code == 404


def test_staff_see_the_rows_of_an_erased_inviter(
    any_store: Store, left_behind: dict[str, int]
) -> None:
    delete(any_store, any_store.inviter)
    staff = any_store.staff()
    assert staff.get(GRID).text.count("Address removed") == len(left_behind)
    for number in left_behind.values():
        page = staff.get(f"{GRID}{number}/")
        assert page.status_code == 200
        assert "Address removed" in page.text


def test_staff_may_open_an_erased_inviter_s_invitation_in_the_store_s_name(
    any_store: Store, left_behind: dict[str, int], sink: Sink
) -> None:
    delete(any_store, any_store.inviter)
    staff = any_store.staff()
    staff.get(GRID)
    staff.post(f"{GRID}{left_behind['sent']}/send")
    any_store.deliver()
    (mail,) = sink.to("sent@x.test")
    assert any_store.inviter_name not in mail.text
    assert any_store.visitor().get(mail.link).status_code == 302


def test_an_account_that_is_not_deleted_after_all_loses_nothing(
    any_store: Store, left_behind: dict[str, int]
) -> None:
    before = contents(any_store)
    with any_store.session() as db:
        db.delete(find(any_store, any_store.inviter))
        db.flush()
        db.rollback()
    assert contents(any_store) == before


def test_erasing_takes_as_many_statements_for_many_rows_as_for_few(any_store: Store) -> None:
    numbers = []
    for inviter, many in ((any_store.inviter, 2), (any_store.other_inviter, 40)):
        addresses = [f"{inviter[:3]}{number}@x.test" for number in range(many)]
        insert(any_store, [row(each, **by(any_store, inviter)) for each in addresses])
        with statements(any_store) as seen:
            delete(any_store, inviter)
        numbers.append(len(seen))
    assert numbers[0] == numbers[1]
    assert {each.status for each in any_store.invitations()} == {"discarded"}


# An inviter whose account rests.


def test_a_disabled_inviter_s_link_rests_until_the_account_is_back(
    any_store: Store, friend: MakeFriend, link_for: LinkFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = link_for()
    holder, before = friend(link=link), contents(any_store)
    with monkeypatch.context() as patch:
        disable(any_store, patch, any_store.inviter)
        answer = any_store.visitor().get(link)
        assert (answer.status_code, holder.get(WELCOME).status_code) == (404, 404)
        assert "This invitation is not available" in answer.text
    assert contents(any_store) == before
    assert any_store.register(holder, ANNA).status_code == 302
    assert any_store.invitation(ANNA).status == "accepted"


def test_a_disabled_inviter_s_mail_does_not_leave_until_it_is_sent_again(
    any_store: Store, monkeypatch: pytest.MonkeyPatch, sink: Sink
) -> None:
    visitor = any_store.customer()
    visitor.send(ANNA)
    with monkeypatch.context() as patch:
        disable(any_store, patch, any_store.inviter)
        assert any_store.deliver().skipped == 1
    found = any_store.invitation(ANNA)
    assert (found.mail_state, found.mail_error, sink.mails) == ("skipped", "inviter disabled", [])
    visitor.get(LIST)
    visitor.post(f"{LIST}{found.id}/resend")
    any_store.deliver()
    assert len(sink.to(ANNA)) == 1


def test_a_disabled_inviter_is_not_credited_without_the_link_either(
    any_store: Store, link_for: LinkFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_for(inviter=any_store.inviter)
    link_for(inviter=any_store.other_inviter)
    disable(any_store, monkeypatch, any_store.inviter)
    any_store.register(any_store.visitor(), ANNA)
    assert any_store.invitation(ANNA, any_store.inviter).status == "sent"
    assert any_store.invitation(ANNA, any_store.other_inviter).status == "accepted"


def test_what_staff_sent_needs_no_inviter(
    any_store: Store, monkeypatch: pytest.MonkeyPatch, sink: Sink
) -> None:
    queue(any_store, ANNA, inviter_key="", inviter_email=None)
    disable(any_store, monkeypatch, any_store.inviter, any_store.other_inviter)
    any_store.deliver()
    assert any_store.visitor().get(sink.to(ANNA)[0].link).status_code == 302


def test_an_inviter_who_was_deleted_past_the_session_invites_nobody(
    any_store: Store, link_for: LinkFor
) -> None:
    link = link_for()
    delete_by_statement(any_store, any_store.inviter)
    assert any_store.visitor().get(link).status_code == 404
    with any_store.session() as db:
        assert db.scalar(sa.select(Invitation.status)) == "sent"
