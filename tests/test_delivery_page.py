"""The page of the delivery: what staff see of it, decide on, and try."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from werkzeug.test import TestResponse

from invitations_plugin import alarms, backlog, trials
from invitations_plugin.admin import delivery_words
from invitations_plugin.clock import now
from invitations_plugin.models import OutboxState

from .support.pages import Page, statements
from .support.rows import ago, one
from .support.sink import Sink
from .support.stores import MakeStore, Store, Visitor
from .support.watching import TIMED_OUT, add_worker, fail, fill, park, put, refusing, tried

GRID = "/admin/invitations/"
DELIVERY = f"{GRID}delivery/"
DECIDE = f"{GRID}delivery/parked"
TEST = f"{GRID}delivery/test"
PAOLA = "paola@example.com"  # works for Private Sales only


@pytest.fixture
def database() -> str:
    """The figures are tested on both databases; the page is the same."""
    return "sqlite"


def states(answer: TestResponse) -> list[str]:
    """Return what the page says of the delivery in sentences."""
    page = Page(answer)
    found = [
        each
        for each in page.all("p")
        if each.attributes.get("class", "").startswith("inv-notice inv-notice-")
    ]
    return [" ".join(each.text.split()) for each in found]


def numbers(page: Page) -> dict[str, str]:
    """Return the first number of each line of figures, by its label."""
    texts = [(each.tag, " ".join(each.text.split())) for each in page.elements]
    cells = [each for each in texts if each[0] in ("th", "td")]
    pairs = pairwise(cells)
    return {
        label: number for (head, label), (cell, number) in pairs if (head, cell) == ("th", "td")
    }


def mails(answer: TestResponse) -> list[int]:
    """Return the ids of the mails that the page lists."""
    rows = Page(answer).all("tr")
    return [
        int(each.attributes["data-mail-id"]) for each in rows if "data-mail-id" in each.attributes
    ]


def test_an_idle_delivery_says_so(admin: Visitor) -> None:
    answer = admin.get(DELIVERY)
    assert states(answer) == ["All mail has left."]
    assert "No worker was seen in the last day." in answer.text
    assert "No mail is due." in answer.text
    assert Page(admin.get(GRID)).link("Delivery") == DELIVERY


def test_figures_tell_where_mail_stands_and_how_tries_ended(store: Store, admin: Visitor) -> None:
    fill(store)
    number = one(store, "tried@example.com")
    for action, reason in (("send", "250"), ("send", "250"), ("fail", "550 <a@b.example> no")):
        tried(store, number, action, reason)
    add_worker(store, did={"sent": 1234, "deferred": 0, "failed": 2}, did_at=now())
    answer = admin.get(DELIVERY)
    found = numbers(Page(answer))
    assert found["Waits for a decision"] == "1"
    assert found["Tried again later"] == "1"
    assert found["Due now"] == "1"
    assert found["Sent"] == "2"
    assert found["550 <…> no"] == "1"
    assert "Sent: 1,234 · Failed for good: 2" in answer.text
    assert "Alive" in Page(answer).text("span")
    assert TIMED_OUT in Page(answer).text("td")
    assert states(answer) == ["1 mail waits for a decision.", states(answer)[1]]
    assert states(answer)[1].startswith("4 mails wait, the oldest for ")


def test_what_keeps_mail_from_leaving_is_said(store: Store, admin: Visitor) -> None:
    put(store, "due@example.com", due_at=ago(minutes=45))
    no_worker, late, waiting = states(admin.get(DELIVERY))
    assert no_worker.startswith("Mail is due and no worker has been seen.")
    assert late == "The oldest mail has waited for 45 minutes, which is more than 30 minutes."
    assert waiting == "1 mail waits, the oldest for 45 minutes."
    with refusing(store, "535 5.7.8 <b>who</b> are you?"):
        assert states(admin.get(DELIVERY))[0] == (
            "The mail server refuses: 535 5.7.8 <b>who</b> are you?"
        )
    store.setting("enabled", False)
    assert states(admin.get(DELIVERY))[0].startswith("Invitations are switched off")


def test_the_page_asks_for_its_figures_again_and_gets_a_piece(store: Store, admin: Visitor) -> None:
    fill(store)
    piece = admin.get(DELIVERY, headers={"HX-Request": "true"})
    for answer in (admin.get(DELIVERY), piece):
        [root] = Page(answer).all("div", id="inv-delivery")
        assert root.attributes["data-hx-get"] == DELIVERY
    assert "<html" not in piece.text
    assert mails(piece) == []


def test_each_place_lists_its_mails_with_the_way_to_their_invitations(
    store: Store, admin: Visitor
) -> None:
    fill(store)
    for place, label in delivery_words.PLACES.items():
        page = Page(admin.get(f"{DELIVERY}?place={place}"))
        number = store.invitation(f"{place}@example.com").id
        assert page.link(str(number)) == f"{GRID}{number}/"
        assert f"{place}@example.com" in page.text("td")
        assert [each.text for each in page.all("a", aria_current="page")] == ["Delivery", label]
        assert bool(page.all("button", name="action")) == (place == "parked")


def test_the_first_mails_listed_are_those_that_need_a_person(store: Store, admin: Visitor) -> None:
    put(store, "due@example.com")
    assert "due@example.com" in Page(admin.get(DELIVERY)).text("td")
    fail(store, "failed@example.com", "550 no <i>such</i> user")
    answer = admin.get(DELIVERY)
    assert "550 no &lt;i&gt;such&lt;/i&gt; user" in answer.text
    assert "due@example.com" not in Page(answer).text("td")


def test_a_long_list_has_pages(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PAGE", 2)
    for number in range(3):
        park(store, f"{number}@example.com")
    first = admin.get(DELIVERY)
    assert mails(first) == [1, 2]
    assert Page(first).link("First") is None
    onward = Page(first).link("Next")
    assert onward is not None
    second = admin.get(onward)
    assert mails(second) == [3]
    assert Page(second).link("Next") is None
    assert mails(admin.get(str(Page(second).link("First")))) == [1, 2]


def test_what_no_page_can_show_is_missing(admin: Visitor) -> None:
    for query in ("place=nowhere", "after=x", "after=-1", f"after={2**63}", f"after={10**30}"):
        assert admin.get(f"{DELIVERY}?{query}").status_code == 404


def test_questions_to_the_database_do_not_grow_with_the_mails(store: Store, admin: Visitor) -> None:
    def asked() -> int:
        with statements(store) as sent:
            admin.get(f"{DELIVERY}?place=parked")
        return len(sent)

    park(store, "first@example.com")
    asked()
    before = asked()
    for number in range(10):
        park(store, f"{number}@example.com")
    assert asked() == before


@pytest.mark.parametrize(
    ("action", "heading", "said", "state"),
    [
        ("release", "Send 2 mails once more?", "2 mails are on their way once more.", "queued"),
        ("give_up", "Give up 2 mails?", "2 mails were given up.", "failed"),
    ],
)
def test_parked_mails_are_decided_on_after_a_question(
    store: Store, admin: Visitor, action: str, heading: str, said: str, state: str
) -> None:
    for name in ("a", "b", "c"):
        park(store, f"{name}@example.com")
    admin.get(DELIVERY)
    question = admin.post(DECIDE, {"action": action, "ids": ["1", "2"]})
    assert Page(question).text("h1") == [heading]
    assert [each.mail_state for each in store.invitations()] == ["parked"] * 3
    answer = admin.post(DECIDE, confirmed(question), follow_redirects=True)
    assert Page(answer).notices == [said]
    assert [each.mail_state for each in store.invitations()] == [state, state, "parked"]
    assert [entry[0] for entry in store.history("a@example.com")] == [action]
    assert mails(answer) == [3]


def confirmed(question: TestResponse) -> dict[str, Any]:
    """Return what OK posts."""
    page = Page(question)
    ids = [each.attributes["value"] for each in page.all("input", name="ids")]
    return page.fields | {"ids": ids}


def test_all_that_are_parked_are_decided_on_but_none_that_came_later(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PAGE", 2)
    for number in range(4):
        park(store, f"{number}@example.com")
    page = Page(admin.get(DELIVERY))
    upto = page.fields["all"]
    park(store, "later@example.com")
    question = admin.post(DECIDE, {"action": "give_up", "all": upto})
    assert Page(question).text("h1") == ["Give up 4 mails?"]
    admin.post(DECIDE, confirmed(question))
    assert [each.mail_state for each in store.invitations()] == ["failed"] * 4 + ["parked"]


def test_a_released_mail_leaves(store: Store, admin: Visitor, sink: Sink) -> None:
    park(store, "anna@example.com")
    admin.get(DELIVERY)
    admin.post(DECIDE, {"action": "release", "ids": "1", "confirm": "1"})
    store.deliver()
    assert len(sink.to("anna@example.com")) == 1


def test_what_is_no_decision_changes_nothing(store: Store, admin: Visitor) -> None:
    park(store, "anna@example.com")
    admin.get(DELIVERY)
    for given in (
        {"action": "release"},
        {"ids": "1"},
        {"action": "burn", "ids": "1", "confirm": "1"},
        {"action": "give_up", "ids": ["x", "-1", str(2**63), "99"], "confirm": "1"},
        {"action": "give_up", "all": "x", "confirm": "1"},
    ):
        answer = admin.post(DECIDE, given, follow_redirects=True)
        assert Page(answer).notices == ["Choose at least one mail, and what becomes of it."]
        assert store.invitation("anna@example.com").mail_state == "parked"


def test_what_somebody_else_decided_meanwhile_is_said(store: Store, admin: Visitor) -> None:
    park(store, "anna@example.com")
    park(store, "ben@example.com", website="private")
    one_closed = store.staff()
    one_closed.get(f"{GRID}1/")
    one_closed.post(f"{GRID}1/discard", {"version": "1"})
    admin.get(DELIVERY)
    given = {"action": "release", "ids": ["1", "2"], "confirm": "1"}
    answer = admin.post(DECIDE, given, follow_redirects=True)
    assert Page(answer).notices == [
        "1 mail is on its way once more.",
        "1 mail stays as it is: its invitation was closed, or somebody decided already.",
    ]


def test_a_test_mail_shows_the_server_s_answer(store: Store, admin: Visitor, sink: Sink) -> None:
    page = Page(admin.get(DELIVERY))
    assert page.fields["to"] == "admin@example.com"
    answer = admin.post(TEST, {"to": "ops@example.com", "view": "fr"})
    [said] = Page(answer).notices
    assert said.endswith("took the mail for ops@example.com. It said: 250 OK")
    [mail] = sink.to("ops@example.com")
    assert "It left the store as invitations do." in mail.text or "boutique" in mail.text
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert "staff notice address" not in mail.text
    assert store.outbox() == []


def test_a_test_mail_that_is_refused_says_why(admin: Visitor, sink: Sink) -> None:
    sink.replies["RCPT"] = ["550 5.7.1 not from here"]
    admin.get(DELIVERY)
    answer = admin.post(TEST, {"to": "ops@example.com", "view": "en"})
    assert "It said: 550 5.7.1 not from here" in answer.text
    sink.at_connect = "421 busy"
    assert "cannot be used: 421 busy" in admin.post(TEST, {"to": "ops@example.com"}).text


def test_a_test_mail_needs_an_address(admin: Visitor, sink: Sink) -> None:
    admin.get(DELIVERY)
    answer = admin.post(TEST, {"to": "nobody", "view": "fr"})
    page = Page(answer)
    assert answer.status_code == 422
    assert page.error("to")
    assert page.fields["to"] == "nobody"
    [chosen] = [each.text for each in page.all("option", selected="")]
    assert "French" in chosen or "Français" in chosen
    assert sink.mails == []


def test_test_mails_are_limited(
    admin: Visitor, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.get(DELIVERY)
    for _ in range(trials.TRIALS.most):
        assert admin.post(TEST, {"to": "ops@example.com"}).status_code == 200
    answer = admin.post(TEST, {"to": "ops@example.com"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert len(sink.mails) == trials.TRIALS.most


def test_a_form_that_was_open_for_too_long_keeps_what_was_typed(admin: Visitor, sink: Sink) -> None:
    answer = admin.post(TEST, {"to": "ops@example.com", "csrf_token": "old"})
    assert answer.status_code == 400
    assert Page(answer).fields["to"] == "ops@example.com"
    assert sink.mails == []


def test_who_may_not_deliver_sees_nothing_of_it(store: Store) -> None:
    clerk = store.staff("clerk@example.com")
    assert Page(clerk.get(GRID)).link("Delivery") is None
    assert clerk.get(DELIVERY).status_code == 403
    assert clerk.post(DECIDE, {}).status_code == 403
    assert clerk.post(TEST, {}).status_code == 403


def test_staff_of_a_website_see_and_decide_on_its_mails_alone(store: Store) -> None:
    put(store, "due@example.com", due_at=ago(hours=3))
    park(store, "anna@example.com")
    park(store, "ida@example.com", website="private")
    put(store, "ivo@example.com", "private", state=OutboxState.SENDING, lease_until=ago(hours=-1))
    add_worker(store, did={"sent": 4321})
    paola = store.staff(PAOLA)
    answer = paola.get(DELIVERY)
    assert states(answer) == ["1 mail waits for a decision.", "1 mail waits; none is due."]
    assert "ida@example.com" in Page(answer).text("td")
    assert "anna@example.com" not in Page(answer).text("td")
    assert "4,321" not in answer.text
    options = Page(answer).text("option")
    assert len(options) == 1
    assert options[0].startswith("Private Sales")
    question = paola.post(DECIDE, {"action": "give_up", "all": "99"})
    assert Page(question).text("h1") == ["Give up 1 mail?"]
    given = {"action": "give_up", "ids": ["2", "3"], "confirm": "1"}
    paola.post(DECIDE, given)
    assert store.invitation("anna@example.com").mail_state == "parked"
    assert store.invitation("ida@example.com").mail_state == "failed"


def test_a_notice_to_staff_that_waits_has_no_invitation(make_store: MakeStore) -> None:
    store = make_store()
    store.setting("staff_notice_address", "ada@example.com")
    put(store, "late@example.com", due_at=ago(minutes=31))
    with store.session() as db:
        alarms.ring(db)
        db.commit()
    answer = store.staff().get(f"{DELIVERY}?place=due")
    assert "Notice to staff" in answer.text
    assert "ada@" not in answer.text
