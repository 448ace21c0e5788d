"""Add Invitations: pasted addresses, a look at what becomes of each, then Save."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from invitations_plugin import Group
from invitations_plugin.database import engine
from invitations_plugin.models import History, Invitation
from invitations_plugin.pasted import find_typed, read_pasted
from invitations_plugin.state import host

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
    assert "3 nobody Not an e-mail address: there is no @ in it" in lines
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
        f"{ANNA} <{ANNA}>\n'{BEN}' <mailto:{BEN}>",
        f"{ANNA} <MAILTO:{ANNA}?subject=Hi%20there>; [{BEN}](mailto:{BEN})",
        f"Write to {ANNA}, or to {BEN}.",
        f'"Lund, Anna","{ANNA}","12"\n"Bee, Ben","{BEN}","13"',
        f"\N{BULLET} {ANNA}\n\N{MIDDLE DOT}{BEN}!",
        f"\N{LEFT DOUBLE QUOTATION MARK}{ANNA}\N{RIGHT DOUBLE QUOTATION MARK}\n| {BEN} |",
        f"{ANNA}\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}{BEN}\N{LINE SEPARATOR}",
        f"{ANNA}\N{FULLWIDTH COMMA}{BEN.replace('@', chr(0xFF20))}\N{FULLWIDTH SEMICOLON}",
        f"Anna\N{FULLWIDTH LESS-THAN SIGN}{ANNA}\N{FULLWIDTH GREATER-THAN SIGN} {BEN}",
    ],
)
def test_addresses_are_read_from_any_sane_form(text: str) -> None:
    found = [each.address for each in read_pasted(find_typed(text))]
    assert [each and each.delivery for each in found] == [ANNA, BEN]


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
    typed = f"{store.inviter.upper()}\n{ANNA}"
    review = fill_in(admin, typed)
    assert VERDICT.findall(review.text) == ["sign_in", "new"]
    assert Page(review).text("h1") == ["Invite 2 addresses?"]
    store.setting("existing_customers", "skip")
    assert VERDICT.findall(fill_in(admin, typed).text) == ["customer", "new"]
    assert VERDICT.findall(fill_in(admin, typed, store_view="it").text) == ["new", "new"]


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
    assert saved.notices[-2:] == [
        "1 invitation was saved and is on its way.",
        "1 address of the review was left out: it was invited, blocked or opted out since.",
    ]
    assert len(store.invitations()) == 2


def test_who_is_invited_while_it_is_saved_is_told_and_asked_about_again(
    store: Store, admin: Visitor
) -> None:
    given = hidden(fill_in(admin, f"{ANNA}\n{BEN}"))
    key = next(each.email_hash for each in _saved_and_removed(store, ANNA))
    with store.app.app_context():
        target = engine()
    faster = iter([True])

    def be_faster(*about: Any) -> None:
        if "INSERT INTO invitations_invitation" in about[2] and next(faster, False):
            insert(store, [row(ANNA, email_hash=key)])

    sa.event.listen(target, "before_cursor_execute", be_faster)
    again = admin.post(NEW, given)
    page = Page(again)
    assert page.notices == [
        "Somebody else invited some of these just now. Nothing was saved; check again."
    ]
    assert VERDICT.findall(again.text) == ["invited", "new"]
    assert [each.email for each in store.invitations()] == [ANNA]
    saved = Page(admin.post(NEW, hidden(again), follow_redirects=True))
    assert saved.notices == ["1 invitation was saved and is on its way."]


def _saved_and_removed(store: Store, address: str) -> list[Invitation]:
    save(store.staff(), address)
    made = store.invitations()
    with store.session() as db:
        db.execute(sa.delete(Invitation))
        db.commit()
    return made


def test_two_admins_who_save_the_same_at_once_invite_everybody_once(
    store: Store, admin: Visitor
) -> None:
    forms = [hidden(fill_in(admin, "\n".join(many(20)))) for _ in range(4)]
    assert len({each["submission"] for each in forms}) == 4
    answers = at_once(store, admin, forms, NEW)
    assert {each.status_code for each in answers} <= {200, 302}
    assert 302 in {each.status_code for each in answers}
    assert len(store.invitations()) == len(store.outbox()) == 20


def test_back_in_the_browser_after_saving_another_address_is_saved_too(
    store: Store, admin: Visitor
) -> None:
    given = hidden(fill_in(admin, ANNA))
    for _ in range(2):
        admin.post(NEW, given)
    saved = Page(
        admin.post(
            NEW, given | {"emails": f"{ANNA}\n{BEN}", "reviewed": "1"}, follow_redirects=True
        )
    )
    assert saved.notices[-1:] == ["1 invitation was saved and is on its way."]
    assert [each.email for each in store.invitations()] == [ANNA, BEN]
    admin.post(NEW, given | {"emails": f"{ANNA}\n{BEN}"})
    assert len(store.invitations()) == len(store.outbox()) == 2


def test_what_was_chosen_stands_in_the_review(store: Store, admin: Visitor) -> None:
    review = Page(fill_in(admin, ANNA, message="Come in\nand see", store_view="it"))
    facts = dict(zip(review.text("dt"), review.text("dd"), strict=True))
    assert facts == {
        "Send From": "Private Sales: Italiano",
        "Invitee Group": "VIP",
        "Message": "Come in and see",
    }


def test_the_review_shows_the_lines_of_one_result(store: Store, admin: Visitor) -> None:
    review = fill_in(admin, f"{ANNA}\nnobody\n{ANNA}\n{BEN}")
    offered = [" ".join(each.text.split()) for each in Page(review).all("button", name="show")]
    assert offered == [
        "All 4", "Will be invited 2", "Not an e-mail address 1", "Entered more than once 1",
    ]  # fmt: skip
    given = {name: text for name, text in hidden(review).items() if name != "confirm"}
    for result, number in (("bad", 1), ("new", 2), ("", 4), ("customer", 4), ("\x00", 4)):
        shown = admin.post(NEW, given | {"show": result})
        assert len(VERDICT.findall(shown.text)) == number, result
        assert Page(shown).text("h1") == ["Invite 2 addresses?"]
    assert store.invitations() == []
    assert Page(fill_in(admin, ANNA)).all("button", name="show") == []


def test_send_from_decides_sender_language_and_links(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    store.setting("email_sender", "sales", "store", "it")
    for address, view in ((ANNA, "it"), (BEN, "fr")):
        save(admin, address, store_view=view)
    store.deliver()
    [italian], [french] = sink.to(ANNA), sink.to(BEN)
    with store.app.app_context():
        views = {each.code: each for site in host().websites() for each in site.store_views}
        senders = {each.code: each for each in host().senders(views["it"])}
        own = host().senders(views["fr"])[0]
    assert (italian.sender, french.sender) == (senders["sales"].email, own.email)
    assert "Private Sales" in italian.message["From"]
    for mail, said in ((italian, "Hai un invito"), (french, "invitation")):
        assert said in mail.message["Subject"]
    for mail, code, address in ((italian, "it", ANNA), (french, "fr", BEN)):
        friend = store.visitor()
        landing = friend.get(mail.link, follow_redirects=True)
        assert f'lang="{code}"' in landing.text
        assert views[code].privacy_url in mail.text
        store.register(friend, address)
        assert store.invitation(address).status == "accepted"
        assert store.group_of(address) == "vip"


def test_the_history_names_who_added_it(store: Store, admin: Visitor) -> None:
    save(admin, ANNA)
    with store.session() as db:
        [made] = db.execute(sa.select(History.actor_kind, History.actor_key, History.actor_name))
    assert tuple(made) == ("staff", "staff:1", "Ada Admin")
    [history] = Page(admin.get(f"{GRID}1/")).all("ol", class_="inv-history")
    assert "Ada Admin" in history.text


def test_a_choice_that_is_gone_since_the_review_is_named_and_nothing_is_saved(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = hidden(fill_in(admin, ANNA))
    with store.app.app_context():
        monkeypatch.setattr(type(host()), "groups", lambda self: (Group("general", "General"),))
    page = Page(admin.post(NEW, given))
    assert page.error("group") == "Choose one from the list."
    assert page.all("textarea", name="emails")[0].text.strip() == ANNA
    assert store.invitations() == []


def test_an_error_is_linked_from_the_top_and_tied_to_its_field(
    store: Store, admin: Visitor
) -> None:
    page = Page(fill_in(admin, "", store_view="", group=""))
    for name, label, error in (
        ("emails", "Enter Each Email on New Line", "Enter at least one e-mail address."),
        ("store_view", "Send From", "Choose one from the list."),
        ("group", "Invitee Group", "Choose one from the list."),
    ):
        assert page.link(f"{label}: {error}") == f"#{name}"
        [field] = [each for each in page.elements if each.attributes.get("name") == name]
        assert field.attributes["id"] == name
        assert field.attributes["aria-invalid"] == "true"
        assert f"{name}-error" in field.attributes["aria-describedby"].split()
    [focused] = [each for each in page.elements if "autofocus" in each.attributes]
    assert focused.attributes["id"] == "emails"


HOSTILE = {
    "a long line": "x" * 1_900_000,
    "a long address": "x" * 500_000 + "@example.com",
    "a long domain": "x@" + "y." * 200_000 + "com",
    "angles": "<" * 300_000,
    "nothing but @": " ".join(f"{n}@" for n in range(200_000)),
    "NUL": f"\x00{ANNA}\x00\n\x00",
    "turned round": f"\u202e{ANNA}\u202c\u200b\ufeff",
    "a surrogate": b"a\xed\xa0\x80b@example.com".decode("utf-8", "surrogateescape"),
    "markup": "<img src=x onerror=alert(1)>@example.com {{ 7*7 }}",
    "lines of all kinds": f"{ANNA}\x0b{ANNA}\x0c{ANNA}\x85{ANNA}\u2028{ANNA}",
}


@pytest.mark.parametrize("confirm", [{}, {"confirm": "1"}], ids=["review", "save"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_is_pasted_is_answered(
    store: Store, admin: Visitor, text: str, confirm: dict[str, str]
) -> None:
    given = text.encode("utf-8", "surrogateescape")
    answer = fill_in(admin, given, message="\x00 \u202e", **confirm)  # type: ignore[arg-type]
    assert answer.status_code in (200, 302, 422)
    assert not Page(answer).all("img")
    assert len(store.invitations()) <= 1


def test_more_than_a_request_may_have_is_told_on_a_page_of_ours(
    store: Store, admin: Visitor
) -> None:
    answer = fill_in(admin, "x" * 5_000_000)
    assert answer.status_code == 413
    assert "Please go back: what you typed is still there." in answer.text
    assert "data-hx-headers" in answer.text
    assert store.invitations() == []


def test_staff_have_no_limit_of_a_sender(store: Store, admin: Visitor) -> None:
    store.setting("max_per_hour", 1)
    store.setting("max_of_all_per_day", 1)
    store.setting("allow_message", False)
    save(admin, "\n".join(many(60)), message="Come in")
    assert {each.message for each in store.invitations()} == {"Come in"}
    assert len(store.invitations()) == 60


def test_thousands_of_addresses_are_a_few_statements(store: Store, admin: Visitor) -> None:
    text = "\n".join(f"friend{n}@example.com" for n in range(3000))
    review = fill_in(admin, "\n".join(text.splitlines()[:1001]))
    assert "1 more line is not shown." in Page(review).text("p")
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
