"""Add Invitations: pasted addresses, a look at what becomes of each, then Save."""

from __future__ import annotations

import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from invitations_plugin.pasted import read_pasted

from .support.outbox import many, recipients
from .support.pages import Page, at_once, statements, twins
from .support.rows import insert, row
from .support.sink import Sink
from .support.stores import SUBMISSION, Store, Visitor

GRID = "/admin/invitations/"
NEW = f"{GRID}new"
ANNA, BEN = "anna@example.com", "ben@example.com"
VERDICT = re.compile(r'data-verdict="(\w+)"')


def fill_in(visitor: Visitor, emails: str, **fields: Any) -> TestResponse:
    """Fill in the form and go on to the review."""
    page = visitor.get(NEW)
    found = SUBMISSION.search(page.text)
    assert found is not None
    given = {"emails": emails, "message": "", "store_view": "en", "group": "vip"}
    return visitor.post(NEW, given | {"submission": found.group(1)} | fields)


def hidden(page: TestResponse) -> dict[str, str]:
    """Return what the review's form posts when Save is pressed."""
    shown = Page(page)
    [emails] = shown.all("textarea", name="emails")
    return shown.fields | {"emails": emails.text.removeprefix("\n"), "confirm": "1"}


def save(visitor: Visitor, emails: str, **fields: Any) -> TestResponse:
    return visitor.post(NEW, hidden(fill_in(visitor, emails, **fields)))


def test_what_is_pasted_is_reviewed_then_saved_then_mailed(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    review = fill_in(admin, f"{ANNA}\n{BEN}", message="Come in", store_view="it")
    assert (review.status_code, store.invitations()) == (200, [])
    assert "Invite 2 addresses?" in Page(review).text("h1")
    saved = admin.post(NEW, hidden(review), follow_redirects=True)
    assert "2 invitations were saved and are on their way." in Page(saved).notices
    rows = store.invitations()
    assert {(each.inviter_key, each.store_view, each.website) for each in rows} == {
        ("", "it", "private")
    }
    assert {(each.group_code, each.message) for each in rows} == {("vip", "Come in")}
    assert store.history(ANNA) == [("create", None, "not_sent", "staff")]
    store.deliver()
    assert sorted(recipients(sink)) == [ANNA, BEN]
    assert "Come in" in sink.mails[0].text
    assert sink.mails[0].message["Subject"].startswith("Hai un invito")


def test_every_line_has_its_result(store: Store, admin: Visitor) -> None:
    insert(store, [row("old@example.com")])
    store.setting("blocked_domains", "blocked.example")
    save(admin, "known@example.com")
    text = f"{ANNA}\nANNA@example.com\nnobody\nx@blocked.example\nKnown@example.com\n{BEN}"
    review = fill_in(admin, text)
    assert sorted(VERDICT.findall(review.text)) == sorted(
        ["new", "repeated", "bad", "blocked", "invited", "new"]
    )
    lines = [each for each in Page(review).text("tr") if "Result" not in each]
    assert "3 nobody Not an e-mail address: An e-mail address has an @" in " ".join(lines)
    assert lines[-1] == f"6 {BEN} Will be invited"
    admin.post(NEW, hidden(review))
    assert len(store.invitations()) == 4


@pytest.mark.parametrize(
    "text",
    [
        f"{ANNA}\r\n{BEN}\r\n",
        f"{ANNA}, {BEN}",
        f"{ANNA};{BEN};",
        f'Anna Lund <{ANNA}>, "Bee, Ben" <{BEN}>',
        f"Anna\t{ANNA}\t12\nBen\t{BEN}\t13",
        f"  mailto:{ANNA} '{BEN}'",
        f"<{ANNA}>\n\n\n<{BEN}>",
    ],
)
def test_addresses_are_read_from_any_sane_form(text: str) -> None:
    assert [each.address.delivery for each in read_pasted(text) if each.address] == [ANNA, BEN]
    assert [each for each in read_pasted(text) if each.address is None] == []


def test_mailboxes_that_opted_out_are_left_out(store: Store, admin: Visitor, sink: Sink) -> None:
    save(admin, ANNA)
    store.deliver()
    found = re.search(r"/invitations/opt-out/[\w.-]+", sink.mails[0].text)
    assert found is not None
    store.visitor().post(found.group())
    review = fill_in(admin, "anna+again@example.com")
    assert VERDICT.findall(review.text) == ["opted_out"]
    assert Page(review).all("button", name="confirm") == []


def test_customers_are_left_out_only_where_the_store_skips_them(
    store: Store, admin: Visitor
) -> None:
    assert VERDICT.findall(fill_in(admin, store.inviter).text) == ["new"]
    store.setting("existing_customers", "skip")
    assert VERDICT.findall(fill_in(admin, store.inviter).text) == ["customer"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"emails": " \n"}, "emails"),
        ({"store_view": ""}, "store_view"),
        ({"store_view": "xx"}, "store_view"),
        ({"group": ""}, "group"),
        ({"group": "2147483648"}, "group"),
        ({"message": "x" * 1001}, "message"),
        ({"emails": "\n".join(["a@example.com"] * 10_001)}, "emails"),
    ],
)
def test_a_bad_field_is_named_and_nothing_typed_is_lost(
    store: Store, admin: Visitor, fields: dict[str, str], wrong: str
) -> None:
    typed = {"emails": ANNA, "message": "Come in"} | fields
    answer = fill_in(admin, **typed)
    page = Page(answer)
    assert answer.status_code == 422
    assert [name for name in ("emails", "message", "store_view", "group") if page.error(name)] == [
        wrong
    ]
    shown = {each.attributes["name"]: each.text.strip() for each in page.all("textarea")}
    assert shown == {name: text.strip() for name, text in typed.items() if name in shown}
    assert store.invitations() == []


def test_back_from_the_review_keeps_what_was_typed(store: Store, admin: Visitor) -> None:
    review = fill_in(admin, f"{ANNA}\nnobody", message="Come in")
    given = {name: text for name, text in hidden(review).items() if name != "confirm"}
    page = Page(admin.post(NEW, given | {"edit": "1"}))
    assert [each.text.strip() for each in page.all("textarea")] == [f"{ANNA}\nnobody", "Come in"]
    chosen = [
        each.attributes["value"] for each in page.all("option") if "selected" in each.attributes
    ]
    assert chosen == ["en", "vip"]
    assert store.invitations() == []


def test_a_review_saved_twice_makes_one_invitation_each(store: Store, admin: Visitor) -> None:
    given = hidden(fill_in(admin, f"{ANNA}\n{BEN}"))
    answers = [admin.post(NEW, given) for _ in range(2)]
    assert [each.status_code for each in answers] == [302, 302]
    assert len(store.invitations()) == len(store.outbox()) == 2


def test_a_review_saved_in_parallel_makes_one_invitation_each(store: Store, admin: Visitor) -> None:
    given = hidden(fill_in(admin, f"{ANNA}\n{BEN}"))
    browsers = twins(store, admin, 8)
    answers = at_once(store, admin, [given] * len(browsers), NEW)
    assert {each.status_code for each in answers} <= {200, 302}
    assert len(store.invitations()) == len(store.outbox()) == 2


def test_who_was_invited_since_the_review_is_not_invited_again(
    store: Store, admin: Visitor
) -> None:
    given = hidden(fill_in(admin, f"{ANNA}\n{BEN}"))
    save(admin, ANNA)
    saved = Page(admin.post(NEW, given, follow_redirects=True))
    assert "1 invitation was saved and is on its way." in saved.notices
    assert len(store.invitations()) == 2


def test_staff_have_no_limit_of_a_sender(store: Store, admin: Visitor) -> None:
    store.setting("max_per_hour", 1)
    store.setting("max_of_all_per_day", 1)
    store.setting("allow_message", False)
    save(admin, "\n".join(many(60)), message="Come in")
    assert {each.message for each in store.invitations()} == {"Come in"}
    assert len(store.invitations()) == 60


def test_thousands_of_addresses_are_a_few_statements(store: Store, admin: Visitor) -> None:
    text = "\n".join(f"friend{n}@example.com" for n in range(3000))
    review = fill_in(admin, text)
    assert "2,000 more lines are not shown." in Page(review).text("p")
    with statements(store) as seen:
        assert admin.post(NEW, hidden(review)).status_code == 302
    assert len(seen) < 60
    assert len(store.invitations()) == 3000


def test_only_who_may_create_sees_the_way(store: Store, admin: Visitor) -> None:
    assert Page(admin.get(GRID)).link("Add Invitations") == NEW
    clerk = store.staff("clerk@example.com")
    assert Page(clerk.get(GRID)).link("Add Invitations") is None
    assert clerk.get(NEW).status_code == clerk.post(NEW, {"emails": ANNA}).status_code == 403
    assert store.visitor().get(NEW).status_code == 302
    assert store.customer().get(NEW).status_code == 403


def test_a_stale_form_keeps_what_was_typed(store: Store, admin: Visitor) -> None:
    admin.get(NEW)
    admin.token = "stale"
    answer = admin.post(NEW, {"emails": ANNA, "store_view": "en", "group": "vip"})
    page = Page(answer)
    assert answer.status_code == 400
    assert page.all("textarea", name="emails")[0].text.strip() == ANNA
    assert store.invitations() == []
