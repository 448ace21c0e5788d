"""What a link opens: the landing, the ways to answer it, and nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, timedelta

import pytest
import time_machine

from .support.sink import Sink
from .support.snapshots import contents
from .support.stores import LIST, MakeFriend, MakeStore, Store

ANNA, BEN = "anna@example.com", "ben@example.com"
WELCOME, DECLINE = "/invitations/welcome", "/invitations/decline"
OUT = re.compile(r"/invitations/opt-out/[\w.-]+")


def test_a_link_leads_on_to_an_address_without_it(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    link = link_for()
    answer = any_store.visitor().get(link)
    assert (answer.status_code, answer.location) == (302, WELCOME)
    assert link.rpartition("/")[2] not in any_store.customer().get(LIST).text


def test_the_landing_needs_a_link(any_store: Store) -> None:
    assert any_store.visitor().get(WELCOME).status_code == 404


def test_a_link_that_differs_in_any_character_opens_nothing(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    link = link_for()
    start = len("/invitations/")
    altered = [
        link[:at] + ("A" if link[at] != "A" else "B") + link[at + 1 :]
        for at in range(start, len(link))
    ]
    wrong_ones = (*altered, link.swapcase(), f"{link}=", f"{link}%00", link[:-1], f"{link}x")
    for number, wrong in enumerate(wrong_ones):
        somewhere = {"REMOTE_ADDR": f"10.0.0.{number}"}
        answer = any_store.visitor().get(wrong, environ_base=somewhere)
        assert answer.status_code == 404, wrong
    assert any_store.visitor().get(link).status_code == 302


@pytest.mark.parametrize(
    "text",
    ["None", "null", "0", str(2**63), "a" * 100_000, "%00", "%ed%a0%80", "é.é", "..", "a.b.c"],
)
def test_what_is_no_link_gets_the_neutral_page(any_store: Store, text: str) -> None:
    answer = any_store.visitor().get(f"/invitations/{text}")
    assert answer.status_code == 404


def test_a_link_of_another_purpose_opens_nothing(
    any_store: Store, link_for: Callable[..., str], sink: Sink
) -> None:
    link = link_for().rpartition("/")[2]
    out = OUT.search(sink.to(ANNA)[0].text)
    assert out is not None
    opted_out = out.group().rpartition("/")[2]
    assert any_store.visitor().get(f"/invitations/{opted_out}").status_code == 404
    assert any_store.visitor().post(f"/invitations/opt-out/{link}").status_code == 200
    assert contents(any_store)["invitations_opt_out"] == []


def test_links_outlive_a_change_of_the_secret_key(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    link, config = link_for(), any_store.app.config
    config.update(SECRET_KEY_FALLBACKS=[config["SECRET_KEY"]], SECRET_KEY="a new one")
    assert any_store.visitor().get(link).status_code == 302
    config.update(SECRET_KEY_FALLBACKS=[])
    assert any_store.visitor().get(link).status_code == 404


@pytest.mark.parametrize("ahead", [5, 5 * 60])
def test_a_link_from_a_node_whose_clock_is_ahead_opens_at_once(
    any_store: Store, link_for: Callable[..., str], friend: MakeFriend, ahead: int
) -> None:
    here = time.time()
    with time_machine.travel(here + ahead, tick=False):
        link = link_for()
    with time_machine.travel(here, tick=False):
        assert any_store.register(friend(link=link), ANNA).status_code == 302
    assert any_store.invitation(ANNA).status == "accepted"


@pytest.mark.parametrize(("seconds", "opens"), [(-1, True), (1, False)])
def test_a_link_opens_until_its_last_second(
    any_store: Store, link_for: Callable[..., str], seconds: int, opens: bool
) -> None:
    link = link_for()
    end = any_store.invitation(ANNA).expires_at.replace(tzinfo=UTC)
    with time_machine.travel(end + timedelta(seconds=seconds), tick=False):
        answer = any_store.visitor().get(link)
    assert answer.status_code == (302 if opens else 404)


@pytest.mark.parametrize("query", ["token[]=x&token=y", "link=None", f"token={'x' * 100_000}"])
def test_arguments_that_nobody_asked_for_change_nothing(
    any_store: Store, link_for: Callable[..., str], query: str
) -> None:
    link = link_for()
    assert any_store.visitor().get(f"{link}?{query}").location == WELCOME
    assert any_store.visitor().get(f"/invitations/unknown?{query}").status_code == 404
    assert any_store.visitor().get(f"{WELCOME}?{query}").status_code == 404


def test_the_link_followed_last_is_the_one_that_counts(
    any_store: Store, friend: MakeFriend, link_for: Callable[..., str]
) -> None:
    visitor = friend(ANNA)
    visitor.get(link_for(BEN))
    assert f'value="{BEN}"' in visitor.get(any_store.register_path).text
    assert any_store.register(visitor, ANNA).status_code == 422
    assert any_store.register(visitor, BEN).status_code == 302
    assert any_store.invitation(ANNA).status == "sent"
    assert any_store.invitation(BEN).status == "accepted"


def test_a_link_is_worth_nothing_on_another_website(make_store: MakeStore, sink: Sink) -> None:
    store = make_store()
    store.setting("registration", "invitation")
    store.customer(store.other_inviter).send(ANNA)
    store.deliver()
    visitor = store.visitor()
    visitor.get(sink.to(ANNA)[0].link)
    assert visitor.get(f"{WELCOME}?store=it").status_code == 404
    assert store.register(visitor, ANNA).status_code == 403
    visitor.get(f"{WELCOME}?store=fr")
    assert store.register(visitor, ANNA).status_code == 302
    assert store.group_of(ANNA) == "vip"


def test_a_friend_who_declines_closes_the_invitation(
    any_store: Store, friend: MakeFriend, link_for: Callable[..., str]
) -> None:
    link = link_for()
    visitor = friend(link=link)
    assert visitor.post(DECLINE).status_code == 200
    assert any_store.history(ANNA)[-1] == ("decline", "sent", "declined", "invitee")
    assert visitor.get(link).status_code == visitor.get(WELCOME).status_code == 404
    assert visitor.post(DECLINE).status_code == 404
    assert 'data-status="sent"' in any_store.customer().get(LIST).text


def test_declining_needs_a_link(any_store: Store) -> None:
    visitor = any_store.visitor()
    visitor.get(any_store.register_path)
    assert visitor.post(DECLINE).status_code == 404


def test_a_sign_in_link_leads_to_the_sign_in(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    answer = any_store.visitor().get(f"{link_for()}/sign-in")
    assert answer.status_code == 302
    assert answer.location.startswith(any_store.sign_in_path)
    assert any_store.invitation(ANNA).status == "sent"


def test_opting_out_asks_first_and_is_for_good(
    any_store: Store, link_for: Callable[..., str], sink: Sink
) -> None:
    any_store.setting("mailbox_per_day", 0)
    link_for()
    out = OUT.search(sink.to(ANNA)[0].text)
    assert out is not None
    visitor = any_store.visitor()
    assert visitor.get(out.group()).status_code == 200
    any_store.customer(any_store.other_inviter).send(ANNA)
    assert visitor.post(out.group()).status_code == 200
    any_store.deliver()
    assert len(sink.to(ANNA)) == 1


def test_the_answer_to_an_opt_out_tells_nothing(
    any_store: Store, link_for: Callable[..., str], sink: Sink
) -> None:
    link_for()
    out = OUT.search(sink.to(ANNA)[0].text)
    assert out is not None
    known = any_store.visitor().post(out.group())
    unknown = any_store.visitor().post("/invitations/opt-out/nobody")
    assert known.status_code == unknown.status_code
    token = re.compile(r'(csrf_token" value=|X-CSRFToken": )"[^"]+"')
    same = token.sub("", known.text).replace(out.group(), "")
    assert same == token.sub("", unknown.text).replace("/invitations/opt-out/nobody", "")
