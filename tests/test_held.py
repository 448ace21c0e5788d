"""The link that a visitor holds, and the sign-in of somebody who had an account."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask_login import login_user

from invitations_plugin import held

from .support.second_store import SecondStore
from .support.sink import Sink
from .support.snapshots import contents
from .support.stores import MakeStore, Store

ANNA = "anna@example.com"
SIGNED_IN = ("sign_in", None, None, "invitee")
LinkFor = Callable[..., str]


def sign_ins(store: Store, address: str) -> int:
    return store.history(address).count(SIGNED_IN)


@pytest.fixture
def invited(any_store: Store) -> str:
    """The address of a customer, whom another one invites."""
    return any_store.other_inviter


@pytest.fixture
def link(any_store: Store, invited: str, sink: Sink) -> str:
    """The link of that invitation; its mail offers the sign-in alone."""
    any_store.customer().send(invited)
    any_store.deliver()
    found = re.search(r"/invitations/[\w-]+\.[\w-]+(?=/sign-in)", sink.to(invited)[0].text)
    assert found is not None
    return found.group()


@pytest.mark.parametrize("way", ["", "/sign-in"], ids=["landing", "sign-in"])
def test_a_customer_s_sign_in_through_a_link_is_noted_once(
    any_store: Store, invited: str, link: str, way: str
) -> None:
    visitor = any_store.visitor()
    visitor.get(link + way, follow_redirects=True)
    for _ in range(2):
        assert any_store.sign_in(visitor, invited).status_code == 302
        any_store.sign_out(visitor)
    row = any_store.invitation(invited)
    assert any_store.history(invited)[-1] == SIGNED_IN
    assert sign_ins(any_store, invited) == 1
    assert (row.status, row.customer_key, row.registered_at) == ("sent", None, None)
    assert "The friend signed in to an account" in (
        any_store.staff().get(f"/admin/invitations/{row.id}/").text
    )


def test_the_link_is_let_go_with_the_sign_in(any_store: Store, invited: str, link: str) -> None:
    visitor = any_store.visitor()
    visitor.get(link)
    any_store.sign_in(visitor, invited)
    with visitor.client.session_transaction() as cookie:
        assert not {held.KEY, held.AWAITED} & set(cookie)


@pytest.mark.parametrize("way", ["", "/sign-in"], ids=["landing", "sign-in"])
def test_a_scanner_that_follows_every_link_notes_nothing(
    any_store: Store, invited: str, link: str, way: str
) -> None:
    before, scanner = contents(any_store), any_store.visitor()
    scanner.client.head(link + way)
    for _ in range(2):
        scanner.get(link + way, follow_redirects=True)
    assert contents(any_store) == before


def test_a_sign_in_that_fails_is_not_noted_and_the_next_one_is(
    any_store: Store, invited: str, link: str
) -> None:
    visitor = any_store.visitor()
    visitor.get(f"{link}/sign-in")
    any_store.sign_in(visitor, "nobody@example.com")
    assert sign_ins(any_store, invited) == 0
    any_store.sign_in(visitor, invited)
    assert sign_ins(any_store, invited) == 1


def test_a_sign_in_without_a_link_is_not_noted(any_store: Store, invited: str, link: str) -> None:
    any_store.customer(invited)
    assert sign_ins(any_store, invited) == 0


def test_whoever_is_signed_in_already_does_not_sign_in(
    any_store: Store, invited: str, link: str
) -> None:
    visitor = any_store.customer(invited)
    visitor.get(link, follow_redirects=True)
    visitor.get(f"{link}/sign-in", follow_redirects=True)
    assert sign_ins(any_store, invited) == 0


def test_staff_who_sign_in_are_no_friends(any_store: Store, link_for: LinkFor) -> None:
    visitor = any_store.visitor()
    visitor.get(f"{link_for()}/sign-in")
    assert any_store.sign_in(visitor, "admin@example.com").status_code == 302
    assert sign_ins(any_store, ANNA) == 0


def test_a_new_account_is_no_sign_in(any_store: Store, link_for: LinkFor) -> None:
    visitor = any_store.visitor()
    visitor.get(link_for())
    any_store.register(visitor, ANNA)
    visitor.get(any_store.account_path)
    assert [each[0] for each in any_store.history(ANNA)] == ["create", "send", "accept"]


def test_a_plain_account_made_with_a_link_in_hand_is_no_sign_in(
    any_store: Store, link_for: LinkFor
) -> None:
    any_store.setting("unlinked_registration", "ignore")
    visitor = any_store.visitor()
    visitor.get(link_for())
    any_store.change(ANNA, status="discarded", discarded_by="staff")
    assert any_store.register(visitor, "ben@example.com").status_code == 302
    visitor.get(any_store.account_path)
    assert sign_ins(any_store, ANNA) == 0


def test_the_friend_who_accepted_may_sign_in_through_the_mail_later(
    any_store: Store, link_for: LinkFor
) -> None:
    link, friend = link_for(), any_store.visitor()
    friend.get(link)
    any_store.register(friend, ANNA)
    visitor = any_store.visitor()
    visitor.get(f"{link}/sign-in")
    any_store.sign_in(visitor, ANNA)
    assert any_store.history(ANNA)[-1] == SIGNED_IN
    assert any_store.invitation(ANNA).status == "accepted"


@pytest.fixture
def magic(any_store: Store, invited: str) -> str:
    """A door that signs in by a GET, as links in a store's own mail do."""

    def enter() -> str:
        host = any_store.app.extensions["invitations"].host
        login_user(host.customer_by_email(invited, "main"))
        return "in"

    any_store.app.add_url_rule("/magic", "magic", enter)
    return "/magic"


def test_a_sign_in_by_a_link_of_the_store_is_noted(
    any_store: Store, magic: str, invited: str, link: str
) -> None:
    visitor = any_store.visitor()
    visitor.get(f"{link}/sign-in")
    for _ in range(2):  # such a door keeps the session, and is open to whoever is in
        assert visitor.get(magic).text == "in"
    assert sign_ins(any_store, invited) == 1


def test_from_the_sign_in_a_friend_may_go_on_to_register(
    any_store: Store, link_for: LinkFor
) -> None:
    any_store.setting("registration", "invitation")
    visitor = any_store.visitor()
    visitor.get(f"{link_for()}/sign-in")
    assert any_store.register(visitor, ANNA).status_code == 302
    assert any_store.invitation(ANNA).status == "accepted"


@pytest.fixture
def unmarked(make_store: MakeStore) -> Store:
    """A store that reads no session by itself: Flask-Login does at every answer."""
    store = make_store(SecondStore)
    funcs = store.app.after_request_funcs[None]
    funcs[:] = [each for each in funcs if each.__name__ != "_update_remember_cookie"]
    store.app.view_functions["people.home"] = lambda: "the same for all"
    return store


@pytest.mark.parametrize("path", ["/", "/account/invitations/static/storefront.css"])
def test_what_is_the_same_for_all_may_be_kept_by_caches(unmarked: Store, path: str) -> None:
    visitor = unmarked.visitor() if path == "/" else unmarked.customer()
    with visitor.get(path) as answer:
        assert answer.status_code == 200
        assert "Cookie" not in answer.headers.get("Vary", "")
