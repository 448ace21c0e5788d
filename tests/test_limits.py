"""Limits: of a sender, of a mailbox, of the store; what opens them, and what never does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from invitations_plugin.host import Host
from invitations_plugin.settings import BadSetting

from .support.outbox import in_threads, many, queue, recipients
from .support.pages import Page, at_once
from .support.rows import ago, by, insert, one, row
from .support.sink import Sink
from .support.stores import LIST, SEND, Store, Visitor

ANNA, BEN = "anna@example.com", "ben@example.com"
MARCUS = "marcus@example.com"
Later = Callable[[timedelta], None]


def host_of(store: Store) -> Host:
    host: Host = store.app.extensions["invitations"].host
    return host


def refusal(visitor: Visitor, *given: str) -> str:
    """Send what a limit refuses; return what the page says of it."""
    answer = visitor.send(*given, message="Come in")
    page = Page(answer)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert page.fields["emails-0"] == given[0]
    assert page.all("textarea")[0].text.strip() == "Come in"
    return page.notices[0]


def sent_before(store: Store, number: int, status: str = "sent", **changes: Any) -> None:
    friends = [f"before{each}@example.com" for each in range(number)]
    insert(store, [row(each, status, **by(store), **changes) for each in friends])


def status_of(visitor: Visitor) -> list[str]:
    return list(Page(visitor.get(LIST)).statuses.values())


# A sender


@pytest.mark.parametrize("status", ["sent", "accepted", "discarded", "declined", "expired"])
def test_whatever_a_customer_ever_sent_counts_altogether(
    store: Store, veronica: Visitor, status: str
) -> None:
    store.setting("max_lifetime", 3)
    sent_before(store, 2, status, created_at=ago(days=400))
    assert refusal(veronica, ANNA, BEN) == "You can invite 3 friends in all. Nothing was sent."
    assert veronica.send(ANNA).status_code == 302
    refusal(veronica, BEN)


def test_neither_a_cancel_nor_a_discard_gives_an_invitation_back(
    store: Store, veronica: Visitor, admin: Visitor
) -> None:
    store.setting("max_lifetime", 2)
    veronica.send(ANNA, BEN)
    veronica.get(LIST)
    veronica.post(f"{LIST}{store.invitation(ANNA).id}/cancel")
    admin.get("/admin/invitations/")
    admin.post(f"/admin/invitations/{store.invitation(BEN).id}/discard")
    assert {each.status for each in store.invitations()} == {"discarded"}
    refusal(veronica, "carl@example.com")


def test_fifty_parallel_posts_do_not_pass_a_lifetime_limit(store: Store, veronica: Visitor) -> None:
    store.setting("max_per_hour", 0)
    store.setting("max_lifetime", 20)
    sent_before(store, 19)
    veronica.get(SEND)
    forms = [{"emails-0": each, "submission": each} for each in many(50)]
    answers = at_once(store, veronica, forms)
    assert sorted(each.status_code for each in answers) == [302] + [429] * 49
    assert len(store.invitations()) == 20


def test_what_waits_for_an_answer_makes_room_when_the_first_link_ends(
    store: Store, veronica: Visitor, later: Later
) -> None:
    store.setting("max_pending", 3)
    for days in (3, 2, 9):
        one(store, f"{days}@example.com", expires_at=ago(days=-days))
    said = refusal(veronica, ANNA, BEN)
    assert said.startswith("Up to 3 invitations may wait for an answer at one time.")
    opens = datetime.now(UTC) + timedelta(days=3)
    assert f"Try again after {opens:%b} {opens.day}, {opens.year}" in said
    later(timedelta(days=3, seconds=5))
    assert veronica.send(ANNA, BEN).status_code == 302


def test_a_group_has_limits_of_its_own(store: Store, veronica: Visitor) -> None:
    store.setting("group_limits", "vip: max_per_send=2 max_per_hour=3\ngeneral: max_per_hour=1")
    marcus = store.customer(MARCUS)
    too_many = marcus.send(ANNA, BEN, "carl@example.com")
    assert Page(too_many).error("emails-2") == "You can invite up to 2 friends at one time."
    assert marcus.send(ANNA, BEN).status_code == 302
    assert "3 friends an hour" in refusal(marcus, "carl@example.com", "dora@example.com")
    assert "1 friend an hour" in refusal(veronica, ANNA, BEN)


def test_a_new_customer_may_send_less_until_the_account_is_older(
    store: Store, veronica: Visitor, monkeypatch: pytest.MonkeyPatch, later: Later
) -> None:
    joined = datetime.now(UTC) - timedelta(hours=22)
    monkeypatch.setattr(host_of(store), "customer_since", lambda customer: joined)
    store.setting("max_of_new_customer", 1)
    assert veronica.send(ANNA, BEN).status_code == 302, "off without hours"
    store.setting("new_customer_hours", 24)
    assert "While your account is new" in refusal(veronica, "carl@example.com")
    later(timedelta(hours=2, seconds=5))
    assert veronica.send("carl@example.com").status_code == 302


def test_a_new_customer_may_be_kept_from_sending(
    store: Store, veronica: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    naive = ago(hours=1)
    monkeypatch.setattr(host_of(store), "customer_since", lambda customer: naive)
    store.setting("new_customer_hours", 24)
    store.setting("max_of_new_customer", 0)
    assert "too new to invite" in refusal(veronica, ANNA)
    assert store.invitations() == []


def test_a_failed_mail_that_is_sent_again_counts_again(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    store.setting("max_per_hour", 1)
    sink.refused[ANNA] = "550 5.1.1 no such user"
    veronica.send(ANNA)
    store.deliver()
    assert veronica.send(BEN).status_code == 302
    veronica.get(LIST)
    again = veronica.post(f"{LIST}{store.invitation(ANNA).id}/resend")
    assert again.status_code == 429
    assert "1 friend an hour" in Page(again).notices[0]
    assert store.invitation(ANNA).mail_state == "failed"


# All customers together


def test_all_customers_of_a_website_share_a_day(
    store: Store, veronica: Visitor, later: Later
) -> None:
    store.setting("max_of_all_per_day", 3, "website", "main")
    marcus = store.customer(MARCUS)
    giulia = store.customer("giulia@example.com")
    giulia.get(f"{SEND}?store=it")
    assert veronica.send(ANNA, BEN).status_code == 302
    said = refusal(marcus, ANNA, BEN)
    assert said.startswith("The store sends up to 3 invitations a day. Nothing was sent. Try again")
    assert marcus.send(ANNA).status_code == 302
    refusal(veronica, "carl@example.com")
    assert giulia.send(*many(5)).status_code == 302, "another website"
    later(timedelta(days=1))
    assert veronica.send("carl@example.com").status_code == 302


def test_a_form_sent_twice_takes_once_from_the_store_s_day(store: Store, veronica: Visitor) -> None:
    store.setting("max_of_all_per_day", 3)
    page = veronica.get(SEND)
    for _ in range(3):
        assert veronica.send(ANNA, page=page).status_code == 302
    assert veronica.send(BEN, "carl@example.com").status_code == 302


def test_parallel_senders_do_not_pass_the_store_s_day(store: Store, veronica: Visitor) -> None:
    store.setting("max_of_all_per_day", 10)
    senders = [(veronica, "v"), (store.customer(MARCUS), "m")]
    for sender, _ in senders:
        sender.get(SEND)
    forms = {name: [{"emails-0": f"{name}{each}"} for each in many(10)] for _, name in senders}
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda who: at_once(store, who[0], forms[who[1]]), senders))
    assert (
        sorted(each.status_code for group in answers for each in group) == [302] * 10 + [429] * 10
    )
    assert len(store.invitations()) == 10


# Domains


@pytest.mark.parametrize(
    "address",
    [
        "x@blocked.example",
        "X@BLOCKED.EXAMPLE",
        "x@sub.blocked.example",
        "x@\uff42locked.example",
        "x@fa\xdf.de",
        "x@xn--fa-hia.de",
        "x@any.zip",
    ],
)
def test_an_address_at_a_blocked_domain_is_refused_in_neutral_words(
    store: Store, veronica: Visitor, address: str
) -> None:
    store.setting("blocked_domains", "Blocked.Example, fa\xdf.de\nzip")
    answer = veronica.send(ANNA, address)
    page = Page(answer)
    assert answer.status_code == 422
    assert page.error("emails-1") == "We cannot send invitations to this address."
    assert page.error("emails-0") == ""
    assert page.fields["emails-1"] == address
    assert store.invitations() == []


def test_all_that_is_wrong_is_named_at_once(store: Store, veronica: Visitor) -> None:
    store.setting("blocked_domains", "blocked.example")
    assert veronica.send(BEN).status_code == 302
    wrong = (BEN, "x@blocked.example", store.inviter)
    for typed in ((*wrong, "nobody", ANNA), (*wrong, ANNA)):
        answer = veronica.send(*typed, message="Come in")
        page = Page(answer)
        assert answer.status_code == 422
        assert page.error("emails-0").startswith("You already invited this address on")
        assert page.error("emails-1") == "We cannot send invitations to this address."
        assert page.error("emails-2") == "This is your own address."
        assert page.error(f"emails-{typed.index(ANNA)}") == ""
        assert ("nobody" in typed) == ("an @" in page.error("emails-3"))
    assert [each.email for each in store.invitations()] == [BEN]


def test_an_address_has_one_error_though_two_rules_are_against_it(
    store: Store, veronica: Visitor
) -> None:
    veronica.send(ANNA)
    store.setting("blocked_domains", "example.com")
    page = Page(veronica.send(ANNA, store.inviter))
    assert page.error("emails-0") == "We cannot send invitations to this address."
    assert page.error("emails-1") == "This is your own address."


def test_a_domain_that_only_ends_alike_is_not_blocked(store: Store, veronica: Visitor) -> None:
    store.setting("blocked_domains", "blocked.example")
    assert veronica.send("x@unblocked.example", "x@blocked.example.com").status_code == 302


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blocked_domains", "good.example bad domain!"),
        ("blocked_domains", "a@b.example"),
        ("group_limits", "vip"),
        ("group_limits", "vip: max_per_day"),
        ("group_limits", "vip: max_per_day=-1"),
        ("group_limits", "vip: link_days=3"),
        ("group_limits", "max_per_day=3"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"])
def test_a_setting_that_cannot_be_read_is_refused_and_the_old_one_stays(
    store: Store, veronica: Visitor, name: str, value: str
) -> None:
    with pytest.raises(BadSetting, match=r"is no domain|is none of|a whole number"):
        store.setting(name, value)
    assert veronica.send(ANNA).status_code == 302


# A mailbox


def test_a_second_sender_s_mail_waits_a_day_and_its_sender_sees_sending(
    store: Store, veronica: Visitor, sink: Sink, later: Later
) -> None:
    marcus = store.customer(MARCUS)
    assert veronica.send(ANNA).status_code == marcus.send(ANNA).status_code == 302
    report = store.deliver()
    assert (report.sent, report.deferred) == (1, 1)
    assert (status_of(veronica), status_of(marcus)) == (["sent"], ["sending"])
    later(timedelta(hours=23))
    store.deliver()
    assert recipients(sink) == [ANNA]
    later(timedelta(hours=1, seconds=5))
    store.deliver()
    assert recipients(sink) == [ANNA, ANNA]
    assert status_of(marcus) == ["sent"]


def test_tags_and_dots_are_one_mailbox(store: Store, veronica: Visitor, sink: Sink) -> None:
    store.setting("max_per_send", 50)
    store.setting("max_per_hour", 0)
    veronica.send("v.ictim@gmail.com", *[f"victim+{n}@gmail.com" for n in range(49)])
    store.deliver()
    assert recipients(sink) == ["v.ictim@gmail.com"]
    assert len(store.outbox()) == 49


def test_a_fourth_mail_in_thirty_days_waits(store: Store, sink: Sink, later: Later) -> None:
    store.setting("mailbox_per_day", 0)
    ids = queue(store, *[f"{ANNA[:-4]}.{n}" for n in range(4)], recipient_hash="same")
    store.deliver()
    assert len(recipients(sink)) == 3
    later(timedelta(days=29))
    store.deliver()
    assert len(recipients(sink)) == 3
    later(timedelta(days=1, seconds=5))
    store.deliver()
    assert len(recipients(sink)) == len(ids)


def test_the_link_of_a_mail_that_waited_lives_from_then_on(
    store: Store, veronica: Visitor, sink: Sink, later: Later
) -> None:
    store.setting("link_days", 2)
    store.setting("mailbox_per_day", 0)
    store.setting("mailbox_per_month", 1)
    marcus = store.customer(MARCUS)
    veronica.send(ANNA)
    marcus.send(ANNA)
    store.deliver()
    later(timedelta(days=30, seconds=5))
    store.deliver()
    assert len(sink.mails) == 2
    later(timedelta(days=1))
    assert store.visitor().get(sink.mails[1].link).status_code == 302
    assert store.visitor().get(sink.mails[0].link).status_code == 404


def test_a_resend_takes_its_turn_too(store: Store, veronica: Visitor, sink: Sink) -> None:
    store.setting("resend_hours", 0)
    veronica.send(ANNA)
    store.deliver()
    veronica.get(LIST)
    assert veronica.post(f"{LIST}{store.invitation(ANNA).id}/resend").status_code == 302
    store.deliver()
    assert recipients(sink) == [ANNA]
    assert status_of(veronica) == ["sending"]


def test_a_mail_that_did_not_arrive_takes_no_turn(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    sink.replies["RCPT"].append("550 5.1.1 no such user")
    veronica.send(ANNA)
    store.deliver()
    store.customer(MARCUS).send(ANNA)
    store.deliver()
    assert recipients(sink) == [ANNA]


def test_a_mail_of_unknown_end_takes_a_turn_but_not_its_own(
    store: Store, veronica: Visitor, sink: Sink, later: Later
) -> None:
    sink.replies["DATA"].append("drop")
    veronica.send(ANNA)
    store.deliver()
    marcus = store.customer(MARCUS)
    marcus.send(ANNA)
    store.deliver()
    assert status_of(marcus) == ["sending"], "the first one may have arrived"
    later(timedelta(minutes=31))
    store.deliver()
    assert recipients(sink)[-1:] == [ANNA]
    assert (status_of(veronica), status_of(marcus)) == (["sent"], ["sending"])


def test_workers_side_by_side_leave_a_mailbox_its_limit(store: Store, sink: Sink) -> None:
    sink.delay = 0.05
    queue(store, *many(12), recipient_hash="one mailbox")
    in_threads(store.deliver, 4)
    assert len(recipients(sink)) == 1
    assert len(store.outbox()) == 11


def test_without_a_limit_nothing_waits(store: Store, veronica: Visitor, sink: Sink) -> None:
    for name in ("mailbox_per_day", "mailbox_per_month"):
        store.setting(name, 0)
    queue(store, *many(5), recipient_hash="one mailbox")
    store.deliver()
    assert len(recipients(sink)) == 5


# Customers of the store


def test_customers_may_be_skipped_and_only_their_number_told(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    store.setting("existing_customers", "skip")
    answer = veronica.send(ANNA, MARCUS, follow_redirects=True)
    assert Page(answer).notices == [
        f"You sent the invitation for {ANNA}.",
        "1 address belongs to a customer already and was skipped.",
    ]
    assert [each.email for each in store.invitations()] == [ANNA]


def test_a_form_of_customers_only_makes_nothing(store: Store, veronica: Visitor) -> None:
    store.setting("existing_customers", "skip")
    page = veronica.get(SEND)
    for _ in range(2):
        answer = veronica.send(MARCUS.upper(), page=page, follow_redirects=True)
        assert Page(answer).notices == ["1 address belongs to a customer already and was skipped."]
    assert store.invitations() == []


def test_a_form_sent_twice_tells_the_same_skipped_customers(
    store: Store, veronica: Visitor
) -> None:
    store.setting("existing_customers", "skip")
    page = veronica.get(SEND)
    told = [
        Page(veronica.send(ANNA, MARCUS, page=page, follow_redirects=True)).notices
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert len(store.invitations()) == 1


def test_asking_who_is_a_customer_has_the_limit_of_a_day(
    store: Store, veronica: Visitor, later: Later
) -> None:
    store.setting("existing_customers", "skip")
    store.setting("max_per_day", 2)
    for _ in range(2):
        assert veronica.send(MARCUS).status_code == 302
    assert "2 friends a day" in refusal(veronica, MARCUS)
    later(timedelta(days=1))
    assert veronica.send(MARCUS).status_code == 302


def test_an_own_friend_who_joined_is_invited_already_and_not_skipped(
    store: Store, veronica: Visitor
) -> None:
    veronica.send(MARCUS)
    store.setting("existing_customers", "skip")
    assert "already invited" in Page(veronica.send(MARCUS)).error("emails-0")


# The store's own policy


@pytest.mark.parametrize(
    ("may", "text"),
    [
        ("Invite friends after your first order.", "Invite friends after your first order."),
        (False, "You cannot invite friends at the moment."),
    ],
)
def test_the_store_may_say_who_invites_and_why_not(
    any_store: Store, monkeypatch: pytest.MonkeyPatch, may: bool | str, text: str
) -> None:
    visitor = any_store.customer()
    visitor.get(SEND)
    monkeypatch.setattr(host_of(any_store), "may_invite", lambda customer: may)
    posted = visitor.post(SEND, {"emails-0": ANNA, "message": "Come in"})
    page = Page(posted)
    assert (posted.status_code, page.notices[0], page.fields["emails-0"]) == (403, text, ANNA)
    assert any_store.invitations() == []

    shown = visitor.get(SEND)
    assert (shown.status_code, Page(shown).all("form", id="inv-send-form")) == (403, [])
    assert text in shown.text
    listed = visitor.get(LIST)
    assert (listed.status_code, Page(listed).link("Send Invitations")) == (200, None)
    assert text in listed.text


def test_who_may_not_invite_may_not_resend_but_cancel(
    any_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_store.setting("resend_hours", 0)
    number = one(any_store, ANNA)
    visitor = any_store.customer()
    monkeypatch.setattr(host_of(any_store), "may_invite", lambda customer: "Not today.")
    page = Page(visitor.get(LIST))
    assert [each for each in page.actions() if LIST in each] == [f"{LIST}{number}/cancel"]
    refused = visitor.post(f"{LIST}{number}/resend")
    assert (refused.status_code, "Not today." in refused.text) == (403, True)
    assert any_store.outbox() == []
    assert visitor.post(f"{LIST}{number}/cancel").status_code == 302
