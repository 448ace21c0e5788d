"""The send form: what it takes, what it refuses, and that it counts once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from .support.pages import Page, at_once, statements
from .support.rows import ago, by, insert, one, row
from .support.sink import Sink
from .support.stores import LIST, SEND, SUBMISSION, Store, Visitor

ROWS = f"{SEND}/rows"
HTMX = {"HX-Request": "true"}


def addresses(number: int, start: int = 0) -> list[str]:
    return [f"friend{start + each}@example.com" for each in range(number)]


def nothing_sent(store: Store) -> bool:
    return store.invitations() == [] and store.outbox() == []


def test_five_addresses_are_five_invitations_written_at_once(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    veronica.get(SEND)
    with statements(store) as seen:
        answer = veronica.send(*addresses(5), message="Come in")
    assert answer.status_code == 302
    assert answer.location == LIST
    tables = "invitation|outbox|history"
    writes = re.findall(rf"INSERT INTO invitations_({tables}) |(COMMIT)", " ".join(seen))
    order = "".join("C" if commit else table[0] for table, commit in writes)
    assert re.search(r"i[ih]*o+C", order), order
    assert order.strip("C").count("C") == 0, order

    assert [each.email for each in store.invitations()] == addresses(5)
    assert {each.message for each in store.invitations()} == {"Come in"}
    assert len(store.outbox()) == 5
    store.deliver()
    assert sorted(mail.recipients for mail in sink.mails) == [[each] for each in addresses(5)]


def test_success_names_every_address(veronica: Visitor) -> None:
    page = Page(veronica.send(*addresses(2), follow_redirects=True))
    assert page.notices == [f"You sent the invitation for {each}." for each in addresses(2)]


def test_a_sixth_address_is_refused_at_its_field_and_all_is_kept(
    store: Store, veronica: Visitor
) -> None:
    answer = veronica.send(*addresses(6), message="Come in")
    assert answer.status_code == 422
    page = Page(answer)
    assert page.error("emails-5") == "You can invite up to 5 friends at one time."
    assert page.error("emails-4") == ""
    assert [page.fields[f"emails-{each}"] for each in range(6)] == addresses(6)
    assert page.all("textarea")[0].text.strip() == "Come in"
    assert page.all("input", name="emails-5")[0].attributes.keys() >= {"autofocus", "aria-invalid"}
    assert nothing_sent(store)


def test_the_limit_of_one_form_is_that_of_the_store_view(store: Store, veronica: Visitor) -> None:
    store.setting("max_per_send", 3, "store", "fr")
    veronica.get(f"{SEND}?store=fr")
    refused = veronica.send(*addresses(4))
    assert (refused.status_code, "3" in Page(refused).error("emails-3")) == (422, True)
    veronica.get(f"{SEND}?store=en")
    assert veronica.send(*addresses(4)).status_code == 302


def test_blank_rows_are_passed_over(store: Store, veronica: Visitor) -> None:
    assert veronica.send("", "anna@example.com", "  ", "ben@example.com", "\t").status_code == 302
    assert [each.email for each in store.invitations()] == ["anna@example.com", "ben@example.com"]


def test_a_form_without_any_address_asks_for_one(store: Store, veronica: Visitor) -> None:
    answer = veronica.send("", " ")
    page = Page(answer)
    assert answer.status_code == 422
    assert page.error("emails-0") == "Enter the e-mail address of a friend."
    assert "autofocus" in page.all("input", name="emails-0")[0].attributes
    assert nothing_sent(store)


def test_an_address_twice_in_a_form_is_invited_once_and_said(
    store: Store, veronica: Visitor
) -> None:
    answer = veronica.send("anna@example.com", "ANNA@Example.COM", follow_redirects=True)
    done, repeated = Page(answer).notices
    assert done == "You sent the invitation for anna@example.com."
    assert "more than once" in repeated
    assert len(store.invitations()) == len(store.outbox()) == 1


def test_a_stranger_is_led_to_the_sign_in(store: Store) -> None:
    stranger = store.visitor()
    plain = stranger.post(SEND, {"emails-0": "anna@example.com"})
    assert (plain.status_code, plain.location[: len("/login")]) == (302, "/login")
    piece = stranger.post(SEND, {"emails-0": "anna@example.com"}, headers=HTMX)
    assert piece.headers["HX-Redirect"].startswith("/login")
    assert piece.data == b""
    assert nothing_sent(store)


def test_staff_do_not_invite_as_customers(store: Store, admin: Visitor) -> None:
    assert admin.get(SEND).status_code == 403
    assert nothing_sent(store)


def test_a_message_where_none_is_allowed_is_ignored(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    store.setting("allow_message", False, "store", "en")
    assert Page(veronica.get(SEND)).all("textarea") == []
    assert veronica.send("anna@example.com", message="Buy pills").status_code == 302
    store.deliver()
    assert store.invitation("anna@example.com").message is None
    assert "pills" not in sink.mails[0].text


def test_a_message_of_a_thousand_characters_is_kept_whole(store: Store, veronica: Visitor) -> None:
    refused = veronica.send("anna@example.com", message="é" * 1001)
    page = Page(refused)
    assert refused.status_code == 422
    assert page.error("message") == "The message has 1001 characters; at most 1000 are possible."
    assert page.fields["emails-0"] == "anna@example.com"
    assert nothing_sent(store)
    assert veronica.send("anna@example.com", message="é" * 1000).status_code == 302
    assert store.invitation("anna@example.com").message == "é" * 1000


@pytest.mark.parametrize("size", [200_000, 1_000_000, 3_000_000])
def test_a_huge_message_is_refused(store: Store, veronica: Visitor, size: int) -> None:
    answer = veronica.send("anna@example.com", message="a" * size)
    assert answer.status_code in (413, 422)
    assert nothing_sent(store)


@pytest.mark.parametrize(
    "own", ["veronica@example.com", " VERONICA@Example.com ", "veronica+friend@example.com"]
)
def test_nobody_invites_the_own_address(store: Store, veronica: Visitor, own: str) -> None:
    answer = veronica.send("anna@example.com", own)
    assert answer.status_code == 422
    assert Page(answer).error("emails-1") == "This is your own address."
    assert nothing_sent(store)


BAD = {
    "a display name": "Al <al@example.com>",
    "two addresses": "al@example.com, ben@example.com",
    "two by semicolon": "al@example.com;ben@example.com",
    "two by space": "al@example.com ben@example.com",
    "no at": "al.example.com",
    "no domain": "al@",
    "a local part of 65": f"{'a' * 65}@example.com",
    "255 in all": f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.example.com",
    "100 kB": f"{'a' * 100_000}@example.com",
    "an umlaut before the at": "jörg@example.com",
    "a Kelvin sign": "bob\u212a@example.com",
    "a dotless i": "v\u0131ctor@example.com",
    "quotes": '"al ben"@example.com',
    "an address literal": "al@[127.0.0.1]",
    "a comment": "al(x)@example.com",
    "a line break": "al@example.com\nBcc: ben@example.com",
    "NUL": "a\x00l@example.com",
    "right to left": "\u202eal@example.com",
    "an emoji": "\U0001f600@example.com",
    "markup": "<img src=x onerror=alert(1)>@example.com",
}


def test_what_is_no_single_address_is_refused_at_its_field(store: Store, veronica: Visitor) -> None:
    veronica.get(SEND)
    for name, text in BAD.items():
        answer = veronica.send("anna@example.com", text)
        page = Page(answer)
        assert (answer.status_code, bool(page.error("emails-1"))) == (422, True), name
        assert page.error("emails-0") == "", name
        assert page.fields["emails-0"] == "anna@example.com", name
        assert page.all("img", src="x") == [], name
    assert nothing_sent(store)


SPELLINGS = {
    "bob@fa\xdf.de": "bob@xn--fa-hia.de",
    "bob@\uff45xample.com": "bob@example.com",
    "Rob@Example.Com": "Rob@example.com",
    "bob@\u0440\u0430ura.com": "bob@xn--ura-5cd3f.com",
    "bob+1@gmail.com": "bob+1@gmail.com",
    "b.o.b@gmail.com": "b.o.b@gmail.com",
    "o'brien@example.com": "o'brien@example.com",
}


def test_mail_goes_to_what_was_typed_in_its_ascii_form(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    store.setting("mailbox_per_day", 0)  # some of them are one mailbox
    for typed in SPELLINGS:
        assert veronica.send(typed).status_code == 302
    store.deliver()
    assert [mail.recipients for mail in sink.mails] == [[each] for each in SPELLINGS.values()]
    shown = Page(veronica.get(LIST)).text("span")
    assert set(SPELLINGS.values()) <= set(shown)


def test_two_spellings_of_a_domain_are_one_address(store: Store, veronica: Visitor) -> None:
    veronica.send("bob@fa\xdf.de")
    assert veronica.send("BOB@XN--FA-HIA.de").status_code == 422
    assert len(store.invitations()) == 1


def test_a_form_posted_twice_answers_alike_and_sends_once(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    page = veronica.get(SEND)
    answers = [
        Page(veronica.send(*addresses(2), page=page, follow_redirects=True)).notices
        for _ in range(2)
    ]
    store.deliver()
    again = veronica.send(*addresses(2), page=page, follow_redirects=True)
    assert answers[0] == answers[1] == Page(again).notices
    assert len(store.invitations()) == len(sink.mails) == 2


def test_a_form_with_other_addresses_is_another_form(store: Store, veronica: Visitor) -> None:
    page = veronica.get(SEND)
    veronica.send("anna@example.com", page=page)
    answer = veronica.send("ben@example.com", page=page, follow_redirects=True)
    assert "You sent the invitation for ben@example.com." in Page(answer).notices
    refused = veronica.send("anna@example.com", "cleo@example.com", page=page)
    assert "already invited" in Page(refused).error("emails-0")
    assert [each.email for each in store.invitations()] == ["anna@example.com", "ben@example.com"]


@pytest.mark.parametrize("typed", ["anna@example.com", "ANNA@EXAMPLE.COM", "  anna@example.com "])
def test_a_second_invitation_is_refused_and_says_when_the_first_was(
    store: Store, veronica: Visitor, typed: str
) -> None:
    veronica.send("anna@example.com")
    store.change("anna@example.com", created_at=datetime(2026, 3, 14, 12))
    answer = veronica.send("ben@example.com", typed)
    assert answer.status_code == 422
    assert Page(answer).error("emails-1") == "You already invited this address on Mar 14, 2026."
    assert Page(answer).error("emails-0") == ""
    assert len(store.invitations()) == len(store.outbox()) == 1


def test_the_refusal_of_a_second_invitation_says_when_it_can_be_sent_again(
    store: Store, veronica: Visitor
) -> None:
    veronica.send("anna@example.com")
    store.deliver()
    assert "You can send it again after " in Page(veronica.send("anna@example.com")).error(
        "emails-0"
    )
    store.change("anna@example.com", last_sent_at=ago(hours=25))
    said = Page(veronica.send("anna@example.com")).error("emails-0")
    assert said.endswith("You can send it again from My Invitations.")


@pytest.mark.parametrize("status", ["accepted", "discarded", "declined", "expired"])
def test_an_address_stays_invited_whatever_became_of_it(
    store: Store, veronica: Visitor, status: str
) -> None:
    veronica.send("anna@example.com")
    ended = {"discarded_by": "staff"} if status == "discarded" else {}
    if status == "accepted":
        ended = {"registered_at": ago(hours=1), "customer_key": "77"}  # type: ignore[dict-item]
    store.change("anna@example.com", status=status, **ended)
    answer = veronica.send("anna@example.com")
    assert answer.status_code == 422
    assert Page(answer).error("emails-0").startswith("You already invited this address on ")
    assert len(store.invitations()) == 1


def test_two_customers_may_invite_one_address(store: Store, veronica: Visitor) -> None:
    veronica.send("anna@example.com")
    assert store.customer(store.other_inviter).send("anna@example.com").status_code == 302
    first, second = store.invitations()
    assert first.email_hash == second.email_hash
    assert first.public_id != second.public_id


def test_fifty_posts_of_one_address_at_once_make_one_invitation(
    store: Store, veronica: Visitor
) -> None:
    veronica.get(SEND)
    fields = {"emails-0": "anna@example.com"}
    answers = at_once(store, veronica, [fields | {"submission": f"form {n}"} for n in range(50)])
    assert sorted({each.status_code for each in answers}) == [302, 422]
    assert [each.status_code for each in answers].count(302) == 1
    assert len(store.invitations()) == len(store.outbox()) == 1


def test_fifty_posts_of_one_form_at_once_answer_alike(store: Store, veronica: Visitor) -> None:
    fields = filled(veronica.get(SEND), "anna@example.com", "ben@example.com")
    answers = at_once(store, veronica, [fields] * 50)
    assert {each.status_code for each in answers} == {302}
    assert len(store.invitations()) == len(store.outbox()) == 2


def filled(page: TestResponse, *given: str) -> dict[str, str]:
    """Return what a browser posts of the form on a page."""
    found = SUBMISSION.search(page.text)
    assert found is not None
    return {"submission": found.group(1)} | {f"emails-{n}": each for n, each in enumerate(given)}


LIMITS: dict[str, tuple[dict[str, Any], str]] = {
    "max_per_hour": ({"created_at": ago(minutes=20)}, "You can invite up to 3 friends an hour."),
    "max_per_day": ({"created_at": ago(hours=20)}, "You can invite up to 3 friends a day."),
    "max_pending": (
        {"created_at": ago(days=29, hours=20)},
        "Up to 3 invitations may wait for an answer at one time.",
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_of_a_sender_holds_for_all_of_a_form(
    store: Store, veronica: Visitor, name: str
) -> None:
    made, text = LIMITS[name]
    store.setting(name, 3)
    insert(store, [row(each, **by(store), **made) for each in addresses(2)])
    answer = veronica.send("anna@example.com", "ben@example.com", message="Come in")
    page = Page(answer)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 86_400
    assert text in page.notices[0]
    assert page.fields["emails-1"] == "ben@example.com"
    assert page.all("textarea")[0].text.strip() == "Come in"
    assert store.outbox() == []
    assert veronica.send("anna@example.com").status_code == 302


def test_the_twenty_first_of_an_hour_waits_for_the_first_to_be_an_hour_old(
    store: Store, veronica: Visitor, later: Callable[[timedelta], None]
) -> None:
    for start in range(0, 20, 5):
        assert veronica.send(*addresses(5, start)).status_code == 302
    refused = veronica.send("anna@example.com", headers=HTMX)
    assert (refused.status_code, refused.headers["X-Invitations-Fragment"]) == (429, "1")
    assert len(store.invitations()) == len(store.outbox()) == 20

    later(timedelta(seconds=int(refused.headers["Retry-After"])))
    assert veronica.send("anna@example.com").status_code == 302


def test_a_cancel_gives_nothing_back_of_an_hour(store: Store, veronica: Visitor) -> None:
    store.setting("max_per_hour", 1)
    veronica.send("anna@example.com")
    veronica.get(LIST)
    veronica.post(f"{LIST}{store.invitation('anna@example.com').id}/cancel")
    assert store.invitation("anna@example.com").status == "discarded"
    assert veronica.send("ben@example.com").status_code == 429


def test_a_mail_that_failed_for_good_does_not_count(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    store.setting("max_per_hour", 1)
    sink.replies["RCPT"].append("550 5.1.1 no such user")
    veronica.send("ana@example.com")
    store.deliver()
    assert 'data-status="not_sent"' in veronica.get(LIST).text
    assert veronica.send("anna@example.com").status_code == 302


def test_parallel_posts_do_not_pass_a_limit(store: Store, veronica: Visitor) -> None:
    insert(store, [row(each, **by(store)) for each in addresses(19)])
    veronica.get(SEND)
    forms = [{"emails-0": each, "submission": each} for each in addresses(50, 100)]
    answers = at_once(store, veronica, forms)
    assert sorted(each.status_code for each in answers) == [302] + [429] * 49
    assert len(store.invitations()) == 20


def test_a_form_open_for_too_long_keeps_what_was_typed(
    store: Store, veronica: Visitor, later: Callable[[timedelta], None]
) -> None:
    page = veronica.get(SEND)
    later(timedelta(minutes=61))
    answer = veronica.send("anna@example.com", page=page, message="Come in", headers=HTMX)
    assert (answer.status_code, answer.headers["X-Invitations-Fragment"]) == (400, "1")
    shown = Page(answer)
    assert "This page was open for too long." in shown.notices[0]
    assert shown.fields["emails-0"] == "anna@example.com"
    assert shown.all("textarea")[0].text.strip() == "Come in"
    assert nothing_sent(store)
    assert veronica.send("anna@example.com", page=answer).status_code == 302


@pytest.mark.parametrize("path", [SEND, f"{LIST}1/resend", f"{LIST}1/cancel"])
def test_nothing_is_changed_without_the_token(store: Store, veronica: Visitor, path: str) -> None:
    number = one(store, last_sent_at=ago(days=9))
    before = store.invitation("anna@example.com").version
    path = path.replace("/1/", f"/{number}/")
    for given in ({"data": {"emails-0": "ben@example.com"}}, {"json": {"emails-0": "b@c.de"}}):
        assert veronica.client.post(path, **given).status_code == 400
    assert (
        veronica.client.post(path, data=json.dumps({}), content_type="text/plain").status_code
        == 400
    )
    assert [each.version for each in store.invitations()] == [before]


@pytest.mark.parametrize(
    ("path", "page"),
    [
        (ROWS, SEND),
        (f"{LIST}1/resend?status=expired", f"{LIST}?status=expired"),
        (f"{LIST}1/cancel", LIST),
    ],
)
def test_a_link_does_nothing_of_what_a_button_does_and_leads_to_its_page(
    veronica: Visitor, path: str, page: str
) -> None:
    for answer in (veronica.get(path), veronica.client.head(path)):
        assert (answer.status_code, answer.location) == (302, page)


def test_looking_at_the_form_changes_nothing(store: Store, veronica: Visitor) -> None:
    with statements(store) as seen:
        for _ in range(5):
            assert veronica.get(f"{SEND}?emails-0=anna@example.com&message=x").status_code == 200
    assert not [each for each in seen if each.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert nothing_sent(store)


HOSTILE = (
    b"%00",
    b"a%00%40example.com",
    b"%ED%A0%80",
    b"%FF%FE",
    b"%E2%80%AE%E2%81%A6",
    b"%F0%9F%98%80" * 40,
    b"%27%22%3E%3Cimg+src%3Dx%3E%7B%7B7*7%7D%7D",
    b"-1",
    b"99999999999999999999",
)


@pytest.mark.parametrize("path", [SEND, ROWS])
def test_no_text_in_any_field_breaks_the_page(store: Store, veronica: Visitor, path: str) -> None:
    for limit in ("max_per_hour", "max_per_day", "max_pending"):
        store.setting(limit, 0)
    veronica.get(SEND)
    headers = {"X-CSRFToken": veronica.token}
    fields = ("emails-0", "message", "submission", "add_row", "remove_row", "emails-9")
    for number, field in enumerate(fields):
        for text in HOSTILE:
            address = f"anna{number}.{HOSTILE.index(text)}%40example.com"
            given = {"emails-1": address.encode(), field: text}
            body = b"&".join(name.encode() + b"=" + value for name, value in given.items())
            kind = "application/x-www-form-urlencoded"
            answer = veronica.client.post(path, data=body, content_type=kind, headers=headers)
            assert answer.status_code in (200, 302, 422), (field, text)
            assert "<img src=x" not in answer.text


@pytest.mark.parametrize(
    "text", ["\x00a\x07b", "\U0001f468\u200d\U0001f469", "\u202eevil\u2066", "{{ 7*7 }}"]
)
def test_a_message_is_cleaned_and_never_a_reason_to_refuse(
    store: Store, veronica: Visitor, sink: Sink, text: str
) -> None:
    assert veronica.send("anna@example.com", message=text).status_code == 302
    assert store.deliver().sent == 1
    kept = store.invitation("anna@example.com").message or ""
    assert not set(kept) & {"\x00", "\x07", "\u202e", "\u2066"}
    assert kept in sink.mails[0].text


def test_a_field_given_twice_is_read_once(store: Store, veronica: Visitor) -> None:
    veronica.get(SEND)
    fields = {"emails-0": ["anna@example.com", "ben@example.com"]}
    assert veronica.post(SEND, fields).status_code == 302
    assert [each.email for each in store.invitations()] == ["anna@example.com"]


@pytest.mark.parametrize("field", ["message", "submission"])
def test_of_a_field_given_twice_the_first_counts(
    store: Store, veronica: Visitor, field: str
) -> None:
    veronica.get(SEND)
    given = {"emails-0": "anna@example.com", field: ["the first", "the second"]}
    assert veronica.post(SEND, given).status_code == 302
    assert getattr(store.invitation("anna@example.com"), field) == "the first"


@pytest.mark.parametrize("path", [SEND, ROWS])
@pytest.mark.parametrize(
    "field", ["emails-0", "message", "submission", "csrf_token", "remove_row", "unknown"]
)
@pytest.mark.parametrize("size", [400_000, 1_000_000])
def test_a_megabyte_in_any_field_is_refused_or_passed_over(
    store: Store, veronica: Visitor, path: str, field: str, size: int
) -> None:
    veronica.get(SEND)
    answer = veronica.post(path, {field: "a" * size})
    assert answer.status_code in (200, 400, 413, 422)
    assert nothing_sent(store)


def test_switched_off_everywhere_there_are_no_such_pages(store: Store, veronica: Visitor) -> None:
    page = veronica.get(SEND)
    store.setting("enabled", False)
    assert veronica.send("anna@example.com", page=page).status_code == 404
    for path in (SEND, LIST):
        assert veronica.get(path).status_code == 404
    assert veronica.post(ROWS).status_code == 404
    assert "My Invitations" not in veronica.get("/account/").text
    assert nothing_sent(store)


def test_switched_off_on_one_website_the_other_goes_on(store: Store, veronica: Visitor) -> None:
    page = veronica.get(SEND)
    store.setting("storefront_enabled", False, "website", "main")
    assert veronica.send("anna@example.com", page=page).status_code == 404
    assert veronica.get(LIST).status_code == 404
    assert "My Invitations" not in veronica.get("/account/").text
    assert store.customer("giulia@example.com").send("anna@example.com").status_code == 302
    assert store.staff().get("/admin/invitations/").status_code == 200


def test_a_row_is_added_and_removed_without_sending(store: Store, veronica: Visitor) -> None:
    first = veronica.get(SEND)
    rows = {"emails-0": "anna@example.com", "message": "Come in", "add_row": "1"}
    added = Page(veronica.post(ROWS, filled(first) | rows))
    assert [added.fields[f"emails-{n}"] for n in range(2)] == ["anna@example.com", ""]
    assert "autofocus" in added.all("input", name="emails-1")[0].attributes
    assert added.fields["submission"] == filled(first)["submission"]
    assert added.all("textarea")[0].text.strip() == "Come in"

    typed = {f"emails-{n}": each for n, each in enumerate(addresses(3))}
    removed = Page(veronica.post(ROWS, typed | {"remove_row": "1"}))
    assert [removed.fields.get(f"emails-{n}") for n in range(3)] == [
        "friend0@example.com",
        "friend2@example.com",
        None,
    ]
    assert nothing_sent(store)


def test_no_more_rows_are_offered_than_may_be_sent(store: Store, veronica: Visitor) -> None:
    store.setting("max_per_send", 2)
    assert Page(veronica.get(SEND)).all("button", name="add_row")
    for _ in range(2):
        page = Page(veronica.post(ROWS, {"emails-0": "a", "emails-1": "b", "add_row": "1"}))
        assert not page.all("button", name="add_row")
        assert page.fields["emails-1"] == "b"
        assert "emails-2" not in page.fields


def test_the_last_row_can_be_emptied_but_not_removed(veronica: Visitor) -> None:
    veronica.get(SEND)
    page = Page(veronica.post(ROWS, {"emails-0": "anna@example.com", "remove_row": "0"}))
    assert page.fields["emails-0"] == ""
    assert not page.all("button", name="remove_row")


@pytest.mark.parametrize("path", [LIST, SEND])
def test_htmx_gets_the_piece_and_anybody_else_the_page(veronica: Visitor, path: str) -> None:
    page = veronica.get(path)
    piece = veronica.get(path, headers=HTMX)
    restored = veronica.get(path, headers=HTMX | {"HX-History-Restore-Request": "true"})
    assert "<html" in page.text
    assert "<html" not in piece.text
    assert piece.headers["X-Invitations-Fragment"] == "1"
    assert "<html" in restored.text
    assert Page(page).text("table")[:1] == Page(piece).text("table")[:1]
    assert Page(page).fields.keys() >= Page(piece).fields.keys()


def test_an_error_reaches_htmx_as_the_form(veronica: Visitor) -> None:
    answer = veronica.send("nobody", headers=HTMX)
    assert (answer.status_code, answer.headers["X-Invitations-Fragment"]) == (422, "1")
    assert Page(answer).error("emails-0") == "An e-mail address has an @, such as name@example.com."
    assert "<html" not in answer.text


def test_success_leads_htmx_to_the_list(veronica: Visitor) -> None:
    answer = veronica.send("anna@example.com", headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, LIST)


@pytest.mark.parametrize("path", [LIST, SEND, "/account/invitations/99999/cancel"])
def test_personal_pages_are_kept_by_nobody(veronica: Visitor, path: str) -> None:
    veronica.get(SEND)
    answer = veronica.post(path) if path.endswith("cancel") else veronica.get(path)
    assert answer.headers["Cache-Control"] == "no-store, private"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors" in answer.headers["Content-Security-Policy"]
    if answer.status_code == 200:
        assert {"HX-Request", "Cookie"} <= set(answer.vary)
