"""My Invitations: what a sender sees of them, and may still do."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from invitations_plugin.database import engine

from .support.pages import Page, statements
from .support.rows import ago, by, insert, one, row
from .support.sink import Sink
from .support.stores import LIST, Store, Visitor

HTMX = {"HX-Request": "true"}

# What is in the row, and what its sender is told.
SEEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "waiting": ({"status": "not_sent"}, "sending", "Sending"),
    "leaving": ({"status": "not_sent", "mail_state": "sending"}, "sending", "Sending"),
    "parked": ({"status": "not_sent", "mail_state": "parked"}, "sending", "Sending"),
    "failed": ({"status": "not_sent", "mail_state": "failed"}, "not_sent", "Not Sent"),
    "sent": ({"status": "sent"}, "sent", "Sent"),
    "opted out": ({"status": "sent", "mail_state": "skipped"}, "sent", "Sent"),
    "declined": ({"status": "declined"}, "sent", "Sent"),
    "accepted": ({"status": "accepted"}, "accepted", "Accepted"),
    "discarded": ({"status": "discarded"}, "canceled", "Canceled"),
    "canceled": ({"status": "discarded", "discarded_by": "sender"}, "canceled", "Canceled"),
    "declined, then canceled": (
        {"status": "declined", "sender_canceled": True},
        "canceled",
        "Canceled",
    ),
    "expired": ({"status": "expired"}, "expired", "Expired"),
    "ended just now": ({"status": "sent", "expires_at": ago(hours=1)}, "expired", "Expired"),
    "ended while it waited": (
        {"status": "not_sent", "expires_at": ago(hours=1)},
        "expired",
        "Expired",
    ),
    "declined, then ended": (
        {"status": "declined", "expires_at": ago(hours=1)},
        "expired",
        "Expired",
    ),
}


def every_kind(store: Store) -> dict[int, str]:
    """Write a row of every kind; return the statuses that its sender shall see."""
    mine = by(store)
    made = [row(f"{n}@example.com", **mine, **kind[0]) for n, kind in enumerate(SEEN.values())]
    ids = insert(store, made)
    return dict(zip(ids, [seen for _, seen, _ in SEEN.values()], strict=True))


def test_each_invitation_shows_the_status_its_sender_may_know(
    store: Store, veronica: Visitor
) -> None:
    expected = every_kind(store)
    page = Page(veronica.get(LIST))
    assert page.statuses == expected
    shown = [each.text for each in page.all("td", data_label="Status")]
    assert [" ".join(text.split()) for text in shown] == [
        label for _, _, label in reversed(SEEN.values())
    ]


def test_the_filter_shows_exactly_one_status(store: Store, veronica: Visitor) -> None:
    expected = every_kind(store)
    for status in ("sending", "sent", "not_sent", "accepted", "canceled", "expired"):
        page = Page(veronica.get(f"{LIST}?status={status}"))
        wanted = {number for number, seen in expected.items() if seen == status}
        assert page.statuses == dict.fromkeys(wanted, status)
        current = [each.attributes["href"] for each in page.all("a", aria_current="true")]
        assert f"{LIST}?status={status}" in current


def test_an_unknown_filter_shows_all(store: Store, veronica: Visitor) -> None:
    expected = every_kind(store)
    for status in ("nonsense", "%00", "'"):
        assert Page(veronica.get(f"{LIST}?status={status}")).statuses == expected


def test_a_filter_without_a_row_leads_back(store: Store, veronica: Visitor) -> None:
    one(store)
    page = Page(veronica.get(f"{LIST}?status=accepted"))
    assert page.statuses == {}
    assert page.link("Show all") == LIST


def test_pages_of_twenty_lead_through_every_row_once_and_back(
    store: Store, veronica: Visitor
) -> None:
    ids = insert(store, [row(f"{n}@example.com", **by(store)) for n in range(45)])
    older = walk(veronica, LIST, "Older")
    assert [len(page) for page in older] == [20, 20, 5]
    assert [each for page in older for each in page] == ids[::-1]
    newer = walk(veronica, f"{LIST}?after={ids[4]}", "Newer")
    assert newer == [ids[5:25][::-1], ids[25:45][::-1]]


def walk(visitor: Visitor, path: str | None, link: str) -> list[list[int]]:
    """Follow a link to its end; return the ids of each page."""
    pages = []
    while path is not None:
        page = Page(visitor.get(path))
        pages.append(list(page.statuses))
        path = page.link(link)
    return pages


def test_a_new_row_moves_none_from_page_to_page(store: Store, veronica: Visitor) -> None:
    ids = insert(store, [row(f"{n}@example.com", **by(store)) for n in range(25)])
    first = Page(veronica.get(LIST))
    one(store, "new@example.com")
    path = first.link("Older")
    assert path is not None
    assert [*first.statuses, *Page(veronica.get(path)).statuses] == ids[::-1]


def test_pages_keep_the_filter(store: Store, veronica: Visitor) -> None:
    mine = by(store)
    wanted = insert(store, [row(f"{n}@example.com", "accepted", **mine) for n in range(21)])
    insert(store, [row(f"s{n}@example.com", **mine) for n in range(21)])
    assert walk(veronica, f"{LIST}?status=accepted", "Older") == [wanted[:0:-1], wanted[:1]]


@pytest.mark.parametrize(
    "key", ["before=abc", "after=-1", f"before={2**63}", f"after={'9' * 5000}"]
)
def test_a_page_that_cannot_be_is_the_first(store: Store, veronica: Visitor, key: str) -> None:
    number = one(store)
    assert Page(veronica.get(f"{LIST}?{key}")).statuses == {number: "sent"}


@pytest.mark.parametrize("key", ["before", "after"])
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
def test_a_page_past_the_end_is_the_first(
    store: Store, veronica: Visitor, key: str, headers: dict[str, str]
) -> None:
    number = one(store)
    for query in (f"{key}={number}", f"status=sent&{key}={number}"):
        answer = veronica.get(f"{LIST}?{query}", headers=headers)
        assert Page(answer).statuses == {number: "sent"}
        assert "better shared" not in answer.text


def test_only_the_own_invitations_are_shown(store: Store, veronica: Visitor) -> None:
    mine = one(store)
    insert(store, [row("anna@example.com", **by(store, store.other_inviter)), row("b@example.com")])
    assert Page(veronica.get(LIST)).statuses == {mine: "sent"}


def test_the_summary_counts_all_that_were_made(store: Store, veronica: Visitor) -> None:
    every_kind(store)
    insert(store, [row("other@example.com", "accepted", **by(store, store.other_inviter))])
    for path in (LIST, f"{LIST}?status=expired"):
        expected = f"{len(SEEN)} invitations sent, 1 accepted"
        assert expected in Page(veronica.get(path)).text("p")


def test_a_resend_waits_for_its_cool_down_and_says_until_when(
    store: Store, veronica: Visitor
) -> None:
    number = one(store, last_sent_at=ago(hours=23))
    page = Page(veronica.get(LIST))
    assert any(text.startswith("Resend from ") for text in page.text("p"))
    assert f"{LIST}{number}/resend" not in page.actions()
    [notice] = Page(veronica.post(f"{LIST}{number}/resend", follow_redirects=True)).notices
    assert notice.startswith("You can send this invitation again after ")
    assert store.outbox() == []


def test_after_the_cool_down_an_invitation_goes_out_again(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    number = one(store, last_sent_at=ago(hours=25))
    assert f"{LIST}{number}/resend" in Page(veronica.get(LIST)).actions()
    page = Page(veronica.post(f"{LIST}{number}/resend", follow_redirects=True))
    assert page.notices == ["You sent the invitation for anna@example.com again."]
    assert page.statuses == {number: "sending"}
    store.deliver()
    assert len(sink.to("anna@example.com")) == 1
    assert Page(veronica.get(LIST)).statuses == {number: "sent"}
    assert f"{LIST}{number}/resend" not in Page(veronica.get(LIST)).actions()


def test_how_long_a_link_lives_is_shown_once_its_mail_left(store: Store, veronica: Visitor) -> None:
    veronica.send("anna@example.com")
    assert not any("Valid until" in text for text in Page(veronica.get(LIST)).text("p"))
    store.deliver()
    assert any("Valid until" in text for text in Page(veronica.get(LIST)).text("p"))


def test_a_mail_that_failed_for_good_can_go_out_again_at_once(
    store: Store, veronica: Visitor
) -> None:
    number = one(store, status="not_sent", mail_state="failed")
    assert f"{LIST}{number}/resend" in Page(veronica.get(LIST)).actions()
    page = Page(veronica.post(f"{LIST}{number}/resend", follow_redirects=True))
    assert page.statuses == {number: "sending"}
    assert [each.invitation_id for each in store.outbox()] == [number]


@pytest.mark.parametrize("status", ["accepted", "discarded"])
def test_what_is_closed_offers_nothing(store: Store, veronica: Visitor, status: str) -> None:
    number = one(store, status=status, last_sent_at=ago(days=9))
    assert not any(LIST in each for each in Page(veronica.get(LIST)).actions())
    for action in ("resend", "cancel"):
        [notice] = Page(veronica.post(f"{LIST}{number}/{action}", follow_redirects=True)).notices
        assert "changed in the meantime" in notice
    assert store.invitation("anna@example.com").status == status


def test_a_canceled_invitation_is_not_mailed_and_can_be_taken_back(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    veronica.send("anna@example.com")
    number = store.invitation("anna@example.com").id
    veronica.get(LIST)
    page = Page(veronica.post(f"{LIST}{number}/cancel", follow_redirects=True))
    assert page.notices == ["You canceled the invitation for anna@example.com."]
    assert page.statuses == {number: "canceled"}
    store.deliver()
    assert sink.mails == []

    veronica.post(f"{LIST}{number}/resend")
    store.deliver()
    assert len(sink.to("anna@example.com")) == 1
    assert Page(veronica.get(LIST)).statuses == {number: "sent"}


def test_a_cancel_that_meets_the_mail_just_leaving_is_done(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    veronica.send("anna@example.com")
    number = store.invitation("anna@example.com").id
    veronica.get(LIST)
    with store.app.app_context():
        target = engine()
    faster = iter([True])

    def leave(*about: Any) -> None:
        if "UPDATE invitations_invitation" in about[2] and next(faster, False):
            store.deliver()

    sa.event.listen(target, "before_cursor_execute", leave)
    page = Page(veronica.post(f"{LIST}{number}/cancel", follow_redirects=True))
    assert page.notices == ["You canceled the invitation for anna@example.com."]
    assert len(sink.mails) == 1
    moves = [each[:1] for each in store.history("anna@example.com")]
    assert moves == [("create",), ("send",), ("cancel",)]


def test_to_cancel_a_second_time_says_so(store: Store, veronica: Visitor) -> None:
    number = one(store)
    veronica.get(LIST)
    veronica.post(f"{LIST}{number}/cancel")
    [_, notice] = Page(veronica.post(f"{LIST}{number}/cancel", follow_redirects=True)).notices
    assert "changed in the meantime" in notice
    assert store.history("anna@example.com") == [("cancel", "sent", "discarded", "sender")]


@pytest.mark.parametrize("action", ["resend", "cancel"])
def test_the_invitations_of_others_do_not_exist(
    store: Store, veronica: Visitor, action: str
) -> None:
    other = by(store, store.other_inviter) | {"last_sent_at": ago(days=9)}
    [theirs, staffs] = insert(
        store, [row("anna@example.com", **other), row("b@example.com", last_sent_at=ago(days=9))]
    )
    veronica.get(LIST)
    answers = {
        veronica.post(f"{LIST}{number}/{action}").status_code
        for number in (theirs, staffs, 99999, 2**63 - 1, 2**63, "abc", -1)
    }
    assert answers == {404}
    assert {each.status for each in store.invitations()} == {"sent"}


def test_a_customer_without_invitations_is_asked_to_send_one(veronica: Visitor) -> None:
    page = Page(veronica.get(LIST))
    assert page.statuses == {}
    assert page.all("table") == []
    assert page.link("Send Invitations") == f"{LIST}send"


def test_an_action_of_htmx_is_answered_with_the_list(store: Store, veronica: Visitor) -> None:
    number = one(store)
    veronica.get(LIST)
    answer = veronica.post(f"{LIST}{number}/cancel", headers=HTMX)
    assert answer.headers["X-Invitations-Fragment"] == "1"
    assert Page(answer).statuses == {number: "canceled"}
    assert Page(answer).notices == ["You canceled the invitation for anna@example.com."]


def test_the_number_of_queries_does_not_grow_with_the_rows(store: Store, veronica: Visitor) -> None:
    counts = []
    for number in (0, 1, 19, 40):
        for each in range(number):
            one(store, f"{number}.{each}@example.com")
        with statements(store) as seen:
            assert veronica.get(LIST).status_code == 200
        counts.append(len(seen))
    assert len(set(counts)) == 1, counts
    assert counts[0] <= 6


def test_nothing_in_a_row_becomes_markup(store: Store, veronica: Visitor) -> None:
    one(store, "<img/src=x/onerror=alert(1)>'\"{{7*7}}@example.com")
    page = Page(veronica.get(LIST))
    assert "<img/src=x/onerror=alert(1)>'\"{{7*7}}@example.com" in page.text("span")
    assert not any(name.startswith("on") for each in page.elements for name in each.attributes)


def test_an_address_may_break_between_its_parts_alone(store: Store, veronica: Visitor) -> None:
    one(store, "o'brien.<b>@mail.example.com")
    answer = veronica.get(LIST)
    assert "o&#39;brien<wbr>.&lt;b&gt;@<wbr>mail<wbr>.example<wbr>.com<" in answer.text
    assert "o'brien.<b>@mail.example.com" in Page(answer).text("span")


def test_an_erased_address_still_has_its_row(store: Store, veronica: Visitor) -> None:
    [number] = insert(store, [row(None, "expired", **by(store))])
    page = Page(veronica.get(LIST))
    assert page.statuses == {number: "expired"}
    assert "Address removed" in page.text("span")
    assert not any(LIST in each for each in page.actions())
    veronica.post(f"{LIST}{number}/resend")
    assert store.outbox() == []


def test_the_account_menu_marks_where_one_is(store: Store, veronica: Visitor) -> None:
    entry = Page(veronica.get(LIST)).all("a", class_="inv-account-entry")
    assert [(each.text, each.attributes.get("aria-current")) for each in entry] == [
        ("My Invitations", "page")
    ]
    entry = Page(veronica.get("/account/")).all("a", class_="inv-account-entry")
    assert [each.attributes.get("aria-current") for each in entry] == [None]
