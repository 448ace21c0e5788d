"""Registering through a link, on a store of each kind: who gets in, and what it does."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, request
from flask import session as cookie
from flask_babel import lazy_gettext
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from invitations_plugin import (
    accept,
    held,
    invitation_accepted,
    invitation_required,
    lifecycle,
    registration,
    registration_form,
)
from invitations_plugin.database import engine, session
from invitations_plugin.models import Invitation

from .second_host import create_app
from .second_host.models import Member
from .support.pages import Page, statements
from .support.rows import ago
from .support.second_store import SecondStore
from .support.sink import Sink
from .support.stores import LIST, MakeFriend, MakeStore, Store, Visitor

ANNA, BEN = "anna@example.com", "ben@example.com"
WELCOME, CLOSED = "/invitations/welcome", "By invitation only"
RELEASE = "/invitations/release"
SECRETS = re.compile(r'(csrf_token" value=|X-CSRFToken": )"[^"]+"')


class CallingStore(SecondStore):
    """A store that calls ``accept`` itself."""

    def make_app(self, config: dict[str, Any]) -> Flask:
        return create_app(config, acceptance="call")


def close(store: Store) -> None:
    store.setting("registration", "invitation")


def add_door(store: Store, work: Callable[[], object], path: str = "/hidden") -> str:
    """Give the store one more view, which the plugin was not told of."""

    def view() -> str:
        return str(work() or "made")

    store.app.add_url_rule(path, path, view, methods=["GET", "POST"])
    return path


def insert(store: Store) -> None:
    """Insert a customer as a store's own code does, without a form."""
    session().add(store.new_customer(request.form["email"]))
    session().commit()


def status(store: Store, address: str = ANNA) -> str:
    return store.invitation(address).status


def test_the_landing_names_the_inviter_and_hides_most_of_the_address(
    any_store: Store, friend: MakeFriend
) -> None:
    page = friend().get(WELCOME)
    assert any_store.inviter_name in page.text
    assert "a•••@example.com" in page.text
    assert ANNA not in page.text
    assert any_store.inviter not in page.text


def test_the_landing_is_kept_out_of_caches_and_search_engines(friend: MakeFriend) -> None:
    headers = friend().get(WELCOME).headers
    assert headers["Referrer-Policy"] in ("same-origin", "strict-origin")
    assert "no-store" in headers["Cache-Control"]
    assert "noindex" in headers["X-Robots-Tag"]


def test_the_form_is_filled_in_with_the_invited_address(
    any_store: Store, friend: MakeFriend
) -> None:
    assert f'value="{ANNA}"' in friend().get(any_store.register_path).text
    assert ANNA not in any_store.visitor().get(any_store.register_path).text


def test_a_new_account_accepts_the_invitation(any_store: Store, friend: MakeFriend) -> None:
    assert any_store.register(friend(), ANNA).status_code == 302
    row = any_store.invitation(ANNA)
    assert row.status == "accepted"
    assert row.registered_at is not None
    assert any_store.history(ANNA)[-1] == ("accept", "sent", "accepted", "invitee")


def test_the_accepted_invitation_names_the_account(any_store: Store, friend: MakeFriend) -> None:
    any_store.register(friend(), ANNA)
    page = any_store.staff().get(f"/admin/invitations/{any_store.invitation(ANNA).id}/")
    with any_store.session():
        host = any_store.app.extensions["invitations"].host
        customer = host.customer_by_email(ANNA, "main")
        assert any_store.invitation(ANNA).customer_key == host.key(customer)
    assert Page(page).text("dd").count(ANNA) == 2  # who was invited, and who came


def test_account_and_acceptance_are_one_transaction(any_store: Store, friend: MakeFriend) -> None:
    visitor = friend()
    with statements(any_store) as seen:
        any_store.register(visitor, ANNA)
    table = any_store.customer_model.__tablename__
    inserted = next(i for i, each in enumerate(seen) if each.startswith(f"INSERT INTO {table} "))
    accepted = next(
        i for i, each in enumerate(seen) if each.startswith("UPDATE invitations_invitation")
    )
    assert inserted < accepted
    assert "COMMIT" not in seen[inserted:accepted]


def test_a_rollback_takes_account_and_acceptance_back(any_store: Store, friend: MakeFriend) -> None:
    def think_better_of_it() -> None:
        session().add(any_store.new_customer(ANNA))
        session().flush()
        session().rollback()

    door = add_door(any_store, think_better_of_it)
    assert friend().post(door).status_code == 200
    assert status(any_store) == "sent"
    assert ANNA not in any_store.customer_emails()


def test_a_failed_insert_that_the_store_catches_accepts_nothing(
    any_store: Store, friend: MakeFriend
) -> None:
    any_store.setting("unlinked_registration", "ignore")
    visitor = friend()
    any_store.register(any_store.visitor(), ANNA)
    assert any_store.register(visitor, ANNA).status_code == 422
    assert status(any_store) == "sent"
    assert any_store.customer_emails().count(ANNA) == 1


def test_a_store_that_goes_on_after_a_failed_insert_accepts_nothing(
    any_store: Store, friend: MakeFriend
) -> None:
    def try_and_go_on() -> None:
        try:
            with session().begin_nested():
                session().add(any_store.new_customer(ANNA))
        except IntegrityError:
            host = any_store.app.extensions["invitations"].host
            host.customer_by_email(ANNA, "main").password_hash = "another"
            session().commit()

    any_store.setting("unlinked_registration", "ignore")
    door, visitor = add_door(any_store, try_and_go_on), friend()
    any_store.register(any_store.visitor(), ANNA)
    assert visitor.post(door).status_code == 200
    assert status(any_store) == "sent"


def test_a_store_may_insert_in_a_session_of_its_own(any_store: Store, friend: MakeFriend) -> None:
    def insert_apart() -> None:
        with Session(engine()) as own:
            own.add(any_store.new_customer(ANNA))
            own.commit()

    door = add_door(any_store, insert_apart)
    assert friend().post(door).status_code == 200
    assert status(any_store) == "accepted"
    assert ANNA in any_store.customer_emails()


def test_a_second_try_after_a_refused_form_accepts(any_store: Store, friend: MakeFriend) -> None:
    visitor = friend()
    assert any_store.register(visitor, ANNA, password="").status_code == 422
    assert status(any_store) == "sent"
    assert any_store.register(visitor, ANNA).status_code == 302
    assert status(any_store) == "accepted"


def test_a_session_cleared_before_the_insert_loses_no_invitation(
    any_store: Store, friend: MakeFriend
) -> None:
    def begin_anew() -> None:
        cookie.clear()
        insert(any_store)

    door = add_door(any_store, begin_anew)
    assert friend().post(door, {"email": ANNA}).status_code == 200
    assert status(any_store) == "accepted"


def test_a_session_that_was_cleared_in_vain_still_holds_the_link(
    make_store: MakeStore, sink: Sink
) -> None:
    store = make_store(SecondStore)
    store.customer().send(ANNA)
    store.deliver()
    visitor = store.visitor()
    visitor.get(sink.to(ANNA)[0].link)
    assert store.register(visitor, ANNA, username="veronica").status_code == 422
    assert store.register(visitor, ANNA).status_code == 302
    assert status(store) == "accepted"


def test_another_address_is_refused_at_its_field_and_nothing_is_lost(
    any_store: Store, friend: MakeFriend
) -> None:
    visitor = friend()
    answer = any_store.register(visitor, "other@example.com")
    assert answer.status_code == 422
    assert 'value="other@example.com"' in answer.text
    assert "a•••@example.com" in answer.text
    assert "other@example.com" not in any_store.customer_emails()
    assert any_store.register(visitor, ANNA).status_code == 302
    assert status(any_store) == "accepted"


def test_the_invited_address_may_be_written_in_another_case(
    any_store: Store, friend: MakeFriend
) -> None:
    assert any_store.register(friend(), "Anna@EXAMPLE.com").status_code == 302
    assert status(any_store) == "accepted"


def test_elsewhere_another_address_makes_a_plain_account(
    any_store: Store, friend: MakeFriend
) -> None:
    door = add_door(any_store, lambda: insert(any_store))
    assert friend().post(door, {"email": BEN}).status_code == 200
    assert BEN in any_store.customer_emails()
    assert status(any_store) == "sent"


def test_going_on_without_the_invitation_frees_the_form(
    any_store: Store, friend: MakeFriend
) -> None:
    visitor = friend()
    assert visitor.post(RELEASE).location == any_store.register_path
    assert any_store.register(visitor, BEN).status_code == 302
    assert status(any_store) == "sent"


ENDED = "Your invitation is no longer valid."
DISCARDED = {"status": "discarded", "discarded_by": "staff"}


@pytest.mark.parametrize("changes", [DISCARDED, {"expires_at": ago(hours=1)}])
def test_a_link_that_ended_is_told_of_on_the_registration_page(
    make_store: MakeStore, sink: Sink, changes: dict[str, Any]
) -> None:
    store, visitor = holding(make_store, sink)
    assert ENDED not in visitor.get(store.register_path).text
    store.change(ANNA, **changes)
    for _ in range(2):
        shown = visitor.get(store.register_path).text
        assert shown.count(f"{ENDED} You can still create an account.") == 1
    assert store.register(visitor, BEN).status_code == 302
    assert ENDED not in visitor.get(store.account_path).text
    assert BEN in store.customer_emails()


def test_a_link_that_ended_while_the_form_was_filled_in_is_told_of_afterwards(
    make_store: MakeStore, sink: Sink
) -> None:
    store, visitor = holding(make_store, sink)
    visitor.get(store.register_path)
    store.change(ANNA, **DISCARDED)
    assert visitor.post(store.register_path, {"email": ANNA}).status_code == 422
    assert visitor.post(store.register_path, store.filled_in(ANNA)).status_code == 302
    shown = visitor.get(store.account_path).text
    assert f"{ENDED[:-1]}, so your account was made without it." in shown
    store.sign_out(visitor)
    assert ENDED not in visitor.get(store.register_path).text


def test_a_link_that_is_good_or_of_another_website_is_not_said_to_have_ended(
    make_store: MakeStore, sink: Sink
) -> None:
    store, visitor = holding(make_store, sink)
    assert ENDED not in visitor.get(f"{store.register_path}?store=it").text
    assert ENDED not in visitor.get(f"{store.register_path}?store=en").text
    assert store.register(visitor, ANNA).status_code == 302
    assert ENDED[:-1] not in visitor.get(store.account_path).text
    store.sign_out(visitor)
    assert ENDED not in visitor.get(store.register_path).text


def test_where_an_invitation_is_needed_no_account_without_it_is_spoken_of(
    make_store: MakeStore, sink: Sink
) -> None:
    store, visitor = holding(make_store, sink)
    store.change(ANNA, **DISCARDED)
    close(store)
    assert ENDED not in visitor.get(store.register_path).text
    store.setting("registration", "all")
    store.setting("enabled", False)
    assert ENDED not in visitor.get(store.register_path).text


def test_a_store_without_flashed_messages_piles_none_up(
    any_store: Store, friend: MakeFriend
) -> None:
    visitor = friend()
    any_store.change(ANNA, **DISCARDED)
    for _ in range(3):
        visitor.get(any_store.register_path)
    with visitor.client.session_transaction() as kept:
        assert len(kept.get("_flashes", [])) <= 1


def holding(make_store: MakeStore, sink: Sink) -> tuple[Store, Visitor]:
    """Return a store that is open to all, and a visitor who holds a link to it."""
    store = make_store()
    store.customer().send(ANNA)
    store.deliver()
    visitor = store.visitor()
    visitor.get(sink.to(ANNA)[0].link)
    return store, visitor


def test_the_landing_leads_to_the_form_without_the_invitation(
    any_store: Store, friend: MakeFriend
) -> None:
    visitor = friend()
    refused = any_store.register(visitor, BEN)
    assert "choose to continue without the invitation" in refused.text
    landing = Page(visitor.get(WELCOME))
    assert "Continue without the invitation" in landing.text("button")
    assert RELEASE in landing.actions()
    visitor.post(RELEASE)
    assert ANNA not in visitor.get(any_store.register_path).text
    assert any_store.register(visitor, BEN).status_code == 302
    assert (status(any_store), BEN in any_store.customer_emails()) == ("sent", True)


def test_who_was_invited_with_an_account_may_make_another_one(any_store: Store, sink: Sink) -> None:
    any_store.customer().send(any_store.other_inviter)
    any_store.deliver()
    found = re.search(r"/invitations/[\w.-]+(?=/sign-in)", sink.mails[0].text)
    assert found is not None
    page = Page(any_store.visitor().get(found.group(), follow_redirects=True))
    assert (RELEASE in page.actions(), page.link("Create an account")) == (True, None)


@pytest.mark.parametrize(
    ("name", "value"), [("registration", "invitation"), ("registered_address", "any")]
)
def test_nobody_is_sent_on_without_the_invitation_where_that_leads_nowhere(
    any_store: Store, friend: MakeFriend, name: str, value: str
) -> None:
    any_store.setting(name, value)
    visitor = friend()
    assert RELEASE not in Page(visitor.get(WELCOME)).actions()
    assert "without the invitation" not in any_store.register(visitor, BEN).text


def test_who_is_signed_in_is_not_sent_on_to_register(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    link, customer = link_for(), any_store.customer()
    assert RELEASE not in Page(customer.get(link, follow_redirects=True)).actions()


def test_a_door_without_a_form_says_where_the_way_on_is(
    make_store: MakeStore, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store()
    store.customer().send(ANNA)
    store.deliver()
    monkeypatch.setattr(registration_form, "_has_invited_address", lambda form: True)
    for setting, offered in (("all", True), ("invitation", False)):
        store.setting("registration", setting)
        visitor = store.visitor()
        visitor.get(sink.to(ANNA)[0].link)
        refused = store.register(visitor, BEN)
        assert refused.status_code == 422
        assert (RELEASE in Page(refused).actions()) is offered


def test_any_address_may_register_where_the_store_says_so(
    any_store: Store, friend: MakeFriend
) -> None:
    any_store.setting("registered_address", "any")
    assert any_store.register(friend(), "other@example.com").status_code == 302
    assert status(any_store) == "accepted"


def test_the_account_gets_the_group_of_the_invitation(make_store: MakeStore, sink: Sink) -> None:
    store = make_store()
    store.customer(store.other_inviter).send(ANNA)
    store.deliver()
    visitor = store.visitor()
    visitor.get(sink.to(ANNA)[0].link)
    store.register(visitor, ANNA, group_code="wholesale")
    assert store.group_of(ANNA) == "vip"


def test_a_group_that_is_gone_becomes_the_default_one(make_store: MakeStore, sink: Sink) -> None:
    store = make_store()
    store.customer(store.other_inviter).send(ANNA)
    store.change(ANNA, group_code="closed-club")
    store.deliver()
    visitor = store.visitor()
    visitor.get(sink.to(ANNA)[0].link)
    assert store.register(visitor, ANNA).status_code == 302
    assert store.group_of(ANNA) == "general"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_closed_store_shuts_its_door(any_store: Store, method: str) -> None:
    close(any_store)
    answer = any_store.visitor().client.open(any_store.register_path, method=method)
    assert answer.status_code == 403
    assert method == "HEAD" or CLOSED in answer.text


def test_a_closed_store_shows_the_ways_on(any_store: Store) -> None:
    close(any_store)
    page = Page(any_store.visitor().get(any_store.register_path))
    assert (page.link("Sign in") or "").startswith(any_store.sign_in_path)
    assert page.link("Back to the store") == "/"
    signed_in = Page(any_store.customer().get(any_store.register_path))
    assert signed_in.link("Sign in") is None


def test_the_gate_answers_before_the_token_is_asked_for(any_store: Store) -> None:
    visitor = any_store.visitor()
    visitor.get(any_store.register_path)
    close(any_store)
    answer = visitor.client.post(any_store.register_path, data=any_store.filled_in(ANNA))
    assert answer.status_code == 403
    assert ANNA not in any_store.customer_emails()


def test_a_closed_store_lets_the_invited_in(any_store: Store, friend: MakeFriend) -> None:
    close(any_store)
    assert any_store.register(friend(), ANNA).status_code == 302
    assert status(any_store) == "accepted"


def test_a_closed_store_shuts_doors_that_nobody_told_of(any_store: Store) -> None:
    door = add_door(any_store, lambda: insert(any_store))
    visitor = any_store.visitor()
    visitor.get(any_store.register_path)
    close(any_store)
    answer = visitor.post(door, {"email": ANNA})
    assert answer.status_code == 403
    assert CLOSED in answer.text
    assert ANNA not in any_store.customer_emails()


def test_a_closed_store_lets_one_link_make_one_account_only(
    any_store: Store, friend: MakeFriend
) -> None:
    def insert_two() -> None:
        session().add_all([any_store.new_customer(ANNA), any_store.new_customer(BEN)])
        session().commit()

    door = add_door(any_store, insert_two)
    close(any_store)
    before = any_store.customer_emails()
    assert friend().post(door).status_code == 403
    assert any_store.customer_emails() == before
    assert status(any_store) == "sent"


def test_staff_may_create_customers_in_a_closed_store(any_store: Store) -> None:
    door = add_door(any_store, lambda: insert(any_store))
    close(any_store)
    staff = any_store.staff()
    staff.get(any_store.form_path)
    assert staff.post(door, {"email": ANNA}).status_code == 200
    assert ANNA in any_store.customer_emails()


def test_a_script_may_create_customers_in_a_closed_store(any_store: Store) -> None:
    close(any_store)
    with any_store.session() as db:
        db.add(any_store.new_customer(ANNA))
        db.commit()
    assert ANNA in any_store.customer_emails()


def test_any_view_can_be_kept_for_the_invited(any_store: Store, friend: MakeFriend) -> None:
    door = add_door(any_store, invitation_required(lambda: "come in"), "/club")
    assert any_store.visitor().get(door).text == "come in"
    close(any_store)
    assert any_store.visitor().get(door).status_code == 403
    assert friend().get(door).text == "come in"


def test_doors_are_open_where_invitations_are_off(any_store: Store) -> None:
    close(any_store)
    any_store.setting("enabled", "false")
    assert any_store.register(any_store.visitor(), ANNA).status_code == 302


def test_a_used_link_answers_like_one_that_never_was(
    any_store: Store, friend: MakeFriend, link_for: Callable[..., str]
) -> None:
    link = link_for()
    any_store.register(friend(link=link), ANNA)
    used, unknown = any_store.visitor().get(link), any_store.visitor().get("/invitations/no")
    assert used.status_code == unknown.status_code == 404
    shown = used.text.replace(link, "/invitations/no")
    assert SECRETS.sub("", shown) == SECRETS.sub("", unknown.text)


def test_a_used_link_makes_a_plain_account_in_an_open_store(
    any_store: Store, friend: MakeFriend, link_for: Callable[..., str]
) -> None:
    link = link_for()
    first, second = friend(link=link), friend(link=link)
    any_store.register(first, ANNA)
    assert any_store.register(second, BEN).status_code == 302
    assert len(any_store.history(ANNA)) == 3
    assert BEN in any_store.customer_emails()


def test_a_used_link_opens_no_closed_store(
    any_store: Store, friend: MakeFriend, link_for: Callable[..., str]
) -> None:
    close(any_store)
    link = link_for()
    first, second = friend(link=link), friend(link=link)
    any_store.register(first, ANNA)
    assert any_store.register(second, BEN).status_code == 403
    assert BEN not in any_store.customer_emails()


def test_the_link_is_forgotten_once_it_was_used(any_store: Store, friend: MakeFriend) -> None:
    visitor = friend()
    any_store.register(visitor, ANNA)
    close(any_store)
    any_store.sign_out(visitor)
    assert visitor.get(WELCOME).status_code == 404
    assert visitor.get(any_store.register_path).status_code == 403


def test_an_expired_link_makes_a_plain_account(any_store: Store, friend: MakeFriend) -> None:
    visitor = friend()
    any_store.change(ANNA, expires_at=sa.text("created_at"))
    assert any_store.register(visitor, ANNA).status_code == 302
    assert status(any_store) == "sent"


def test_a_signed_in_visitor_opens_a_link_and_nothing_is_lost(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    link = link_for()
    visitor = any_store.customer(any_store.other_inviter)
    page = visitor.get(link, follow_redirects=True)
    assert "You are signed in already." in page.text
    assert any_store.register_path not in page.text
    assert visitor.get(LIST).status_code == 200
    assert status(any_store) == "sent"


def test_a_signed_in_visitor_who_makes_an_account_for_another_accepts_nothing(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    door = add_door(any_store, lambda: insert(any_store))
    visitor = any_store.customer(any_store.other_inviter)
    visitor.get(link_for(), follow_redirects=True)
    assert visitor.post(door, {"email": BEN}).status_code == 200
    assert status(any_store) == "sent"


def test_of_two_inviters_the_one_whose_link_was_used_is_credited(
    any_store: Store, friend: MakeFriend
) -> None:
    any_store.setting("mailbox_per_day", 2)
    first, second = any_store.inviter, any_store.other_inviter
    friends = [friend(inviter=each) for each in (first, second)]
    assert any_store.register(friends[1], ANNA).status_code == 302
    assert any_store.register(friends[0], ANNA).status_code == 422
    assert any_store.invitation(ANNA, second).status == "accepted"
    assert any_store.invitation(ANNA, first).status == "sent"
    assert any_store.customer_emails().count(ANNA) == 1


# An open store, and an invited address that comes without its link.


def test_an_invited_address_is_recognised_without_its_link(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    link = link_for()
    assert any_store.register(any_store.visitor(), ANNA.upper()).status_code == 302
    assert any_store.history(ANNA)[-1] == ("accept", "sent", "accepted", "invitee")
    assert any_store.visitor().get(link).status_code == 404
    page = any_store.staff().get(f"/admin/invitations/{any_store.invitation(ANNA).id}/")
    assert "The address was registered without the link." in page.text


def test_whoever_listens_is_told_of_one_without_its_link(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    told: list[str] = []

    def hear(app: Flask, invitation: Any, **more: Any) -> None:
        told.append(invitation.email)

    link_for()
    with invitation_accepted.connected_to(hear, any_store.app):
        any_store.register(any_store.visitor(), ANNA)
    assert told == [ANNA]


@pytest.mark.parametrize(
    ("choice", "found", "group"),
    [
        ("credit", "accepted", "general"),
        ("credit_group", "accepted", "vip"),
        ("ignore", "sent", "general"),
    ],
)
def test_the_store_chooses_what_an_address_without_its_link_gets(
    store: Store, choice: str, found: str, group: str
) -> None:
    store.setting("unlinked_registration", choice)
    store.customer(store.other_inviter).send(ANNA)
    store.deliver()
    assert store.register(store.visitor(), ANNA).status_code == 302
    assert (status(store), store.group_of(ANNA)) == (found, group)


def test_of_several_the_one_who_invited_first_is_credited_without_the_link(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    any_store.setting("mailbox_per_day", 2)
    first, second = any_store.other_inviter, any_store.inviter
    for each in (first, second):
        link_for(inviter=each)
    any_store.register(any_store.visitor(), ANNA)
    assert any_store.invitation(ANNA, first).status == "accepted"
    assert any_store.invitation(ANNA, second).status == "sent"


@pytest.mark.parametrize(
    "values",
    [
        {"expires_at": sa.text("created_at")},
        {"status": "discarded", "discarded_by": "sender"},
        {"status": "declined"},
        {"website": "private"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_what_no_link_would_open_is_not_recognised(
    any_store: Store, link_for: Callable[..., str], values: dict[str, Any]
) -> None:
    link_for()
    any_store.change(ANNA, **values)
    before = status(any_store)
    assert any_store.register(any_store.visitor(), ANNA).status_code == 302
    assert status(any_store) == before


def test_another_website_s_registration_is_not_recognised(store: Store, veronica: Visitor) -> None:
    veronica.send(ANNA)
    store.deliver()
    visitor = store.visitor()
    visitor.get("/?store=it")
    assert store.register(visitor, ANNA).status_code == 302
    assert status(store) == "sent"


@pytest.mark.parametrize("who", ["marcus@example.com", "admin@example.com"])
def test_an_invited_address_that_somebody_else_registers_is_not_recognised(
    any_store: Store, link_for: Callable[..., str], who: str
) -> None:
    door = add_door(any_store, lambda: insert(any_store))
    link_for()
    visitor = any_store.customer(who)
    visitor.get(any_store.form_path)
    assert visitor.post(door, {"email": ANNA}).status_code == 200
    assert ANNA in any_store.customer_emails()
    assert status(any_store) == "sent"


def test_a_script_s_customer_is_not_recognised(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    link_for()
    with any_store.session() as db:
        db.add(any_store.new_customer(ANNA))
        db.commit()
    assert status(any_store) == "sent"


def test_the_held_link_wins_over_the_address(any_store: Store, friend: MakeFriend) -> None:
    any_store.setting("registered_address", "any")
    any_store.customer().send(BEN)
    any_store.deliver()
    any_store.register(friend(ANNA), BEN)
    assert (status(any_store, ANNA), status(any_store, BEN)) == ("accepted", "sent")


def test_the_held_link_wins_over_another_invited_address(
    any_store: Store, friend: MakeFriend
) -> None:
    door = add_door(any_store, lambda: insert(any_store))
    any_store.customer().send(BEN)
    any_store.deliver()
    assert friend(ANNA).post(door, {"email": BEN}).status_code == 200
    assert (status(any_store, ANNA), status(any_store, BEN)) == ("sent", "sent")


def test_an_invitation_closed_in_this_moment_leaves_a_plain_account(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close_first(db: Session, row: Any, *given: Any, **more: Any) -> None:
        change = sa.update(Invitation).values(status="discarded", discarded_by="staff", version=9)
        db.execute(change, execution_options={"synchronize_session": False})
        lifecycle.accept(db, row, *given, **more)

    store.setting("unlinked_registration", "credit_group")
    store.customer(store.other_inviter).send(ANNA)
    store.deliver()
    monkeypatch.setattr(registration, "accept_row", close_first)
    assert store.register(store.visitor(), ANNA).status_code == 302
    assert (status(store), store.group_of(ANNA)) == ("discarded", "general")


# A CAPTCHA of the store's.


def tell_of(store: Store, monkeypatch: pytest.MonkeyPatch, door: str) -> None:
    """Make a view one of the registration endpoints."""
    host = store.app.extensions["invitations"].host
    monkeypatch.setattr(host, "registration_endpoints", (*host.registration_endpoints, door))


@pytest.fixture
def captcha(any_store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the store says of each answer that is no "right"; one entry an asking."""
    asked: list[str] = []

    def answer() -> str | None:
        given = request.get_json(silent=True) or request.form
        asked.append(str(given.get("answer")))
        return None if asked[-1] == "right" else "Please type the word again."

    monkeypatch.setattr(any_store.app.extensions["invitations"].host, "captcha", answer)
    return asked


@pytest.mark.parametrize("has_link", [True, False], ids=["link", "no link"])
def test_a_captcha_that_does_not_pass_is_said_in_the_form(
    any_store: Store, friend: MakeFriend, captcha: list[str], has_link: bool
) -> None:
    visitor = friend() if has_link else any_store.visitor()
    answer = any_store.register(visitor, ANNA, answer="wrong")
    assert answer.status_code == 422
    assert answer.text.count("Please type the word again.") >= 1
    assert f'value="{ANNA}"' in answer.text
    assert ANNA not in any_store.customer_emails()
    assert any_store.register(visitor, ANNA, answer="right").status_code == 302
    assert captcha == ["wrong", "right"]


def test_a_captcha_is_asked_once_for_each_post(any_store: Store, captcha: list[str]) -> None:
    visitor = any_store.visitor()
    any_store.register(visitor, ANNA, answer="right", password="")
    assert captcha == ["right"]


def test_the_error_stands_at_the_captcha_s_own_field(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = store.app.extensions["invitations"].host
    monkeypatch.setattr(host, "captcha", lambda: "Not so.")
    assert Page(store.register(store.visitor(), ANNA)).error("email") == "Not so."
    monkeypatch.setattr(host, "captcha_field", "name")
    page = Page(store.register(store.visitor(), ANNA))
    assert (page.error("name"), page.error("email")) == ("Not so.", "")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (False, "No account was created yet"),
        (" ", "No account was created yet"),
        (lazy_gettext("Not so."), "Not so."),
    ],
)
def test_a_captcha_without_words_does_not_pass_in_words_of_ours(
    store: Store, monkeypatch: pytest.MonkeyPatch, told: Any, shown: str
) -> None:
    monkeypatch.setattr(store.app.extensions["invitations"].host, "captcha", lambda: told)
    assert Page(store.register(store.visitor(), ANNA)).error("email") == shown
    assert ANNA not in store.customer_emails()


def test_a_captcha_that_is_true_passes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.app.extensions["invitations"].host, "captcha", lambda: True)
    assert store.register(store.visitor(), ANNA).status_code == 302
    assert ANNA in store.customer_emails()


@pytest.mark.parametrize("told", [0, 1, ["wrong"], {"success": True}])
def test_a_captcha_that_tells_anything_else_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    monkeypatch.setattr(store.app.extensions["invitations"].host, "captcha", lambda: told)
    with pytest.raises(TypeError, match=r"Host\.captcha\(\) must return None or True"):
        store.register(store.visitor(), ANNA)


def test_a_door_without_the_form_answers_a_failed_captcha_with_a_page(
    any_store: Store, captcha: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = add_door(any_store, lambda: insert(any_store))
    visitor = any_store.visitor()
    visitor.get(any_store.register_path)
    tell_of(any_store, monkeypatch, door)
    answer = visitor.post(door, {"email": ANNA})
    assert answer.status_code == 422
    assert "Please type the word again." in answer.text
    assert Page(answer).link("Try again") == any_store.register_path
    assert ANNA not in any_store.customer_emails()
    assert visitor.post(door, {"email": ANNA, "answer": "right"}).status_code == 200
    assert len(captcha) == 2


def test_no_captcha_is_asked_of_a_request_that_sends_no_form(
    any_store: Store, captcha: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def insert_anna() -> None:
        session().add(any_store.new_customer(ANNA))
        session().commit()

    door = add_door(any_store, insert_anna)
    tell_of(any_store, monkeypatch, door)
    assert any_store.visitor().get(door).status_code == 200
    assert captcha == []


def test_no_captcha_is_asked_where_nobody_registers(any_store: Store, captcha: list[str]) -> None:
    door = add_door(any_store, lambda: insert(any_store))
    visitor = any_store.customer()
    visitor.get(any_store.form_path)
    assert visitor.post(door, {"email": ANNA}).status_code == 200
    assert captcha == []


def test_whoever_listens_is_told_after_the_commit(any_store: Store, friend: MakeFriend) -> None:
    told: list[tuple[str, str]] = []

    def hear(app: Flask, invitation: Any, customer: Any, **more: Any) -> None:
        told.append(
            (invitation.status, any_store.app.extensions["invitations"].host.email(customer))
        )

    with invitation_accepted.connected_to(hear, any_store.app):
        any_store.register(friend(), ANNA)
    assert told == [("accepted", ANNA)]


def test_fifty_registrations_with_one_link_make_one_account(
    any_store: Store, friend: MakeFriend, link_for: Callable[..., str]
) -> None:
    any_store.setting("registered_address", "any")
    close(any_store)
    before, link = any_store.customer_emails(), link_for()
    visitors = {f"friend{number}@example.com": friend(link=link) for number in range(50)}
    for visitor in visitors.values():
        visitor.get(any_store.register_path)

    def register(address: str) -> TestResponse:
        return visitors[address].post(any_store.register_path, any_store.filled_in(address))

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(register, visitors))
    assert sorted({each.status_code for each in answers} - {403, 404}) == [302]
    assert len(any_store.customer_emails()) == len(before) + 1
    assert status(any_store) == "accepted"


class TestTheJsonDoor:
    """Second doors answer programs as programs read."""

    @pytest.fixture
    def second(self, make_store: MakeStore) -> SecondStore:
        store = make_store(SecondStore)
        assert isinstance(store, SecondStore)
        return store

    @pytest.fixture
    def holder(self, second: SecondStore, sink: Sink) -> Visitor:
        second.customer().send(ANNA)
        second.deliver()
        visitor = second.visitor()
        visitor.get(sink.to(ANNA)[0].link)
        return visitor

    def post(self, store: SecondStore, visitor: Visitor, address: str) -> TestResponse:
        return visitor.client.post(store.json_door, json=store.filled_in(address))

    def test_is_shut_in_json(self, second: SecondStore) -> None:
        close(second)
        answer = self.post(second, second.visitor(), ANNA)
        assert answer.status_code == 403
        assert answer.json == {
            "error": "invitation_required",
            "message": "Accounts are created by invitation only.",
        }

    def test_accepts(self, second: SecondStore, holder: Visitor) -> None:
        close(second)
        assert self.post(second, holder, ANNA).status_code == 201
        assert status(second) == "accepted"

    def test_leaves_no_link_in_the_session(self, second: SecondStore, holder: Visitor) -> None:
        with holder.client.session_transaction() as before:
            assert held.KEY in before
        self.post(second, holder, ANNA)
        with holder.client.session_transaction() as after:
            assert held.KEY not in after

    def test_answers_a_failed_captcha_in_json(
        self, second: SecondStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host = second.app.extensions["invitations"].host
        monkeypatch.setattr(host, "captcha", lambda: "Not so.")
        answer = self.post(second, second.visitor(), ANNA)
        assert answer.status_code == 422
        assert answer.json == {"error": "captcha_failed", "message": "Not so."}
        assert ANNA not in second.customer_emails()

    def test_asks_staff_for_no_captcha(
        self, second: SecondStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host = second.app.extensions["invitations"].host
        monkeypatch.setattr(host, "captcha", lambda: "Not so.")
        assert self.post(second, second.staff(), ANNA).status_code == 201

    def test_refuses_another_address_in_json(self, second: SecondStore, holder: Visitor) -> None:
        answer = self.post(second, holder, BEN)
        assert answer.status_code == 422
        assert answer.json is not None
        assert answer.json["error"] == "address_mismatch"
        assert status(second) == "sent"


class TestAStoreThatCalls:
    """acceptance="call": nothing is accepted unless the store says so."""

    @pytest.fixture
    def calling(self, make_store: MakeStore) -> Store:
        store = make_store(CallingStore)
        add_door(store, lambda: self.insert_past_the_session(store))
        return store

    @pytest.fixture
    def holder(self, calling: Store, sink: Sink) -> Visitor:
        calling.customer().send(ANNA)
        calling.deliver()
        visitor = calling.visitor()
        visitor.get(sink.to(ANNA)[0].link)
        return visitor

    def insert_past_the_session(self, store: Store) -> str:
        values = {"mail": request.form["email"], "username": "new", "password_hash": ""}
        statement = sa.insert(Member).values(values).returning(Member)
        made = session().scalars(statement).one()
        told = accept(made)
        session().commit()
        return str(told)

    def test_accepts_by_the_call(self, calling: Store, holder: Visitor) -> None:
        assert holder.post("/hidden", {"email": ANNA}).text == "True"
        assert status(calling) == "accepted"

    def test_has_nothing_to_accept_without_a_link(self, calling: Store) -> None:
        assert calling.visitor().post("/hidden", {"email": ANNA}).text == "False"

    def test_recognises_an_invited_address(self, calling: Store, holder: Visitor) -> None:
        assert calling.visitor().post("/hidden", {"email": ANNA}).text == "True"
        assert status(calling) == "accepted"

    def test_makes_no_account_for_another_address(self, calling: Store, holder: Visitor) -> None:
        assert holder.post("/hidden", {"email": BEN}).status_code == 422
        assert BEN not in calling.customer_emails()

    def test_accepts_nothing_by_an_insert_alone(self, calling: Store, holder: Visitor) -> None:
        assert calling.register(holder, ANNA).status_code == 302
        assert status(calling) == "sent"
