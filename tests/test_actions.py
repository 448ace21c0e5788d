"""The Actions menu: what is asked, what is done at once, what is left alone and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from invitations_plugin import bulk, jobs
from invitations_plugin.admin import actions
from invitations_plugin.clock import now
from invitations_plugin.lifecycle import Actor
from invitations_plugin.state import host

from .support.pages import Page, statements
from .support.rows import STATUSES, ago, insert, one, row
from .support.sink import Sink
from .support.stores import Store, Visitor

GRID = "/admin/invitations/"
ACTIONS = f"{GRID}actions"
MENU = {
    "discard": "Discard Selected",
    "send": "Send Selected",
    "expire": "Expire Selected",
    "extend": "Extend Selected",
}
# What each action does, by status; what is not here stays as it is.
EFFECTS = {
    "discard": {"not_sent": "discarded", "sent": "discarded", "expired": "discarded"},
    "send": dict.fromkeys(("sent", "discarded", "declined", "expired"), "not_sent"),
    "expire": {"not_sent": "expired", "sent": "expired"},
    "extend": {"not_sent": "not_sent", "sent": "sent", "expired": "expired"},
}
ASKED = {
    "discard": "Discard 3 invitations?",
    "send": "Send 4 invitations?",
    "expire": "Expire 2 invitations?",
    "extend": "Extend 3 invitations?",
}
SAID = {
    "discard": "3 invitations were discarded.",
    "send": "4 invitations are on their way.",
    "expire": "2 invitations have expired.",
    "extend": "3 invitations were extended.",
}
NOTED = {"discard": "discard", "send": "reopen", "expire": "expire", "extend": "extend"}


def confirm(visitor: Visitor, question: Page) -> Page:
    """Press OK: post the fields of the confirmation as they stand there."""
    given: dict[str, list[str]] = {}
    for each in question.all("input", type="hidden"):
        given.setdefault(each.attributes["name"], []).append(each.attributes["value"])
    return Page(visitor.post(ACTIONS, given, follow_redirects=True))


def tally(question: Page) -> dict[str, int]:
    """Return what a confirmation says will change, by the label of the status."""
    return dict(zip(question.text("dt"), map(int, question.text("dd")), strict=True))


def one_of_each(store: Store) -> list[int]:
    return insert(store, [row(f"{each}@example.com", each) for each in STATUSES])


def statuses(store: Store) -> dict[str, str]:
    return {str(each.email).partition("@")[0]: each.status for each in store.invitations()}


def test_the_menu_offers_the_four_actions(store: Store, admin: Visitor) -> None:
    one(store)
    page = Page(admin.get(GRID))
    assert [each for each in page.text("option") if each in MENU.values()] == list(MENU.values())
    assert {"Select All", "Deselect All", "Select Visible", "Unselect Visible"} <= set(
        page.text("option")
    )


@pytest.mark.parametrize(
    ("right", "offered"),
    [("discard", ["discard", "expire"]), ("create", ["send", "extend"]), ("export", [])],
)
def test_the_menu_offers_what_the_reader_s_rights_allow_and_no_more(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch, right: str, offered: list[str]
) -> None:
    number = one(store)
    admin.get(GRID)
    with store.app.app_context():
        known = type(host())
    monkeypatch.setattr(known, "may", lambda self, asked: asked in ("view", right))
    page = Page(admin.get(GRID))
    menu = [each.attributes["value"] for each in page.all("option")]
    assert [each for each in MENU if each in menu] == offered
    for action in MENU:
        for more in ({}, {"confirm": "1"}):
            answer = admin.post(ACTIONS, {"action": action, "ids": number} | more)
            assert (answer.status_code == 403) == (action not in offered), action


@pytest.mark.parametrize("action", MENU)
def test_an_action_asks_first_with_the_numbers_of_what_then_happens(
    store: Store, admin: Visitor, action: str
) -> None:
    ids = one_of_each(store)
    admin.get(GRID)
    question = Page(admin.post(ACTIONS, {"action": action, "ids": ids}))
    assert statuses(store) == dict(zip(STATUSES, STATUSES, strict=True))
    assert question.text("h1") == [ASKED[action]]
    labels = {each.replace("_", " ").title() for each in EFFECTS[action]}
    assert tally(question) == dict.fromkeys(labels, 1)
    staying = [each for each in question.text("li") if "stays as it is" in each]
    assert len(staying) == len(STATUSES) - len(EFFECTS[action])
    assert "1 stays as it is: its status is Accepted." in staying
    back = question.link("Back") or ""
    assert back.startswith(f"{GRID}?action={action}&ids=")
    assert question.text("button") == ["OK"]

    done = confirm(admin, question)
    assert done.notices == [SAID[action], *staying]
    expected = dict(zip(STATUSES, STATUSES, strict=True)) | EFFECTS[action]
    assert statuses(store) == expected


def test_too_many_to_count_while_somebody_waits_are_asked_about_and_done_all_the_same(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = insert(
        store, [row(f"{n}@example.com", "accepted" if n < 2 else "sent") for n in range(9)]
    )
    page = Page(admin.get(GRID))
    given = {"action": "discard", "select": "all", "upto": page.fields["upto"]}
    monkeypatch.setattr(bulk, "COUNT_STRETCH", 3)
    assert Page(admin.post(ACTIONS, given)).text("h1") == ["Discard 7 invitations?"]
    for stretch, asked in ((2, "0 invitations"), (5, "3 invitations")):
        monkeypatch.setattr(bulk, "COUNT_STRETCH", stretch)
        monkeypatch.setattr(bulk, "COUNT_SECONDS", -1)
        question = Page(admin.post(ACTIONS, given))
        assert question.text("h1") == [f"Discard more than {asked}?"]
        told = f"These figures are of the first {stretch} of 9; the others are looked at"
        assert any(each.startswith(told) for each in question.text("p"))
        assert "2 stay as they are: their status is Accepted." in question.text("li")
    confirm(admin, question)
    assert [each.id for each in store.invitations() if each.status == "discarded"] == ids[2:]


@pytest.mark.parametrize("action", MENU)
def test_what_an_action_did_stands_in_the_history_with_its_actor(
    store: Store, admin: Visitor, action: str
) -> None:
    ids = one_of_each(store)
    admin.get(GRID)
    admin.post(ACTIONS, {"action": action, "ids": ids, "confirm": "1"})
    for status in STATUSES:
        is_changed = status in EFFECTS[action]
        told = store.history(f"{status}@example.com")
        assert len(told) == is_changed, status
        assert not told or told[0][3] == "staff"
    number = ids[STATUSES.index("expired" if action != "expire" else "sent")]
    [history] = Page(admin.get(f"{GRID}{number}/")).all("ol", class_="inv-history")
    said = {
        "discard": "Discarded",
        "send": "Opened again",
        "expire": "The link expired",
        "extend": "The link was extended",
    }[action]
    assert said in history.text
    assert "admin" in history.text.lower()


def test_each_change_of_status_is_told_from_where_it_came(store: Store, admin: Visitor) -> None:
    ids = one_of_each(store)
    admin.get(GRID)
    admin.post(ACTIONS, {"action": "expire", "ids": ids, "confirm": "1"})
    for status in ("not_sent", "sent"):
        assert store.history(f"{status}@example.com") == [("expire", status, "expired", "staff")]


def test_what_has_no_address_any_more_is_neither_sent_nor_extended(
    store: Store, admin: Visitor
) -> None:
    ids = insert(store, [row(None, "expired"), row(None, "accepted"), row("a@example.com")])
    admin.get(GRID)
    for action, number in (("extend", "Extend 1 invitation?"), ("send", "Send 1 invitation?")):
        question = Page(admin.post(ACTIONS, {"action": action, "ids": ids}))
        assert question.text("h1") == [number]
        skipped = [
            "1 stays as it is: its status is Accepted.",
            "1 stays as it is: its address was removed.",
        ]
        assert question.text("li")[-2:] == skipped
        assert confirm(admin, question).notices[1:] == skipped


def test_what_is_just_leaving_is_not_sent_beside_it(store: Store, admin: Visitor) -> None:
    ids = insert(
        store,
        [row(f"{each}@example.com", each, mail_state="sending") for each in ("sent", "declined")],
    )
    admin.get(GRID)
    question = Page(admin.post(ACTIONS, {"action": "send", "ids": ids}))
    assert question.text("h1") == ["None of these can be changed"]
    assert "2 stay as they are: their mail is on its way already." in question.text("li")
    assert question.text("button") == []
    done = admin.post(ACTIONS, {"action": "send", "ids": ids, "confirm": "1"})
    assert done.status_code == 302
    assert store.outbox() == []
    assert f"{GRID}{ids[1]}/send" not in Page(admin.get(f"{GRID}{ids[1]}/")).actions()


def ends(store: Store) -> dict[str | None, datetime]:
    return {each.email: each.expires_at for each in store.invitations()}


def test_an_extended_link_lives_as_long_as_a_new_one_and_never_shorter(
    store: Store, admin: Visitor
) -> None:
    far = now() + timedelta(days=300)
    ids = [
        one(store, "en@example.com", expires_at=ago(days=1)),
        one(store, "it@example.com", store_view="it", website="private"),
        one(store, "far@example.com", expires_at=far),
    ]
    store.setting("link_days", 90, "store", "it")
    admin.get(GRID)
    admin.post(ACTIONS, {"action": "extend", "ids": ids, "confirm": "1"})
    end = ends(store)
    assert timedelta(days=29) < end["en@example.com"] - now() < timedelta(days=30)
    assert timedelta(days=89) < end["it@example.com"] - now() < timedelta(days=90)
    assert end["far@example.com"] == far


def test_an_extended_link_works_again_and_an_ended_one_no_more(
    store: Store, veronica: Visitor, admin: Visitor, sink: Sink
) -> None:
    veronica.send("anna@example.com")
    store.deliver()
    number, link = store.invitation("anna@example.com").id, sink.mails[0].link
    admin.get(GRID)
    for action, status in (("expire", 404), ("extend", 200)):
        admin.post(ACTIONS, {"action": action, "ids": number, "confirm": "1"})
        assert store.visitor().get(link, follow_redirects=True).status_code == status
    friend = store.visitor()
    friend.get(link)
    store.register(friend, "anna@example.com")
    assert store.invitation("anna@example.com").status == "accepted"


@pytest.mark.parametrize("action", ["discard", "expire"])
def test_what_staff_closed_is_not_mailed(
    store: Store, veronica: Visitor, admin: Visitor, sink: Sink, action: str
) -> None:
    veronica.send("anna@example.com", "ben@example.com")
    admin.get(GRID)
    number = store.invitation("anna@example.com").id
    admin.post(ACTIONS, {"action": action, "ids": number, "confirm": "1"})
    store.deliver()
    assert [mail.recipients for mail in sink.mails] == [["ben@example.com"]]


def test_everything_means_the_filter_up_to_the_row_seen_less_the_excluded(
    store: Store, admin: Visitor
) -> None:
    ids = insert(store, [row(f"{n}@example.com", group_code="vip") for n in range(30)])
    insert(store, [row("general@example.com")])
    page = Page(admin.get(f"{GRID}?group=vip"))
    late = insert(store, [row("late@example.com", group_code="vip")])
    chosen = {
        "action": "discard", "select": "all", "group": "vip",
        "upto": page.fields["upto"], "exclude": [str(ids[3]), str(ids[4])],
    }  # fmt: skip
    question = Page(admin.post(ACTIONS, chosen))
    assert "Discard 28 invitations?" in question.text("h1")
    assert confirm(admin, question).notices == ["28 invitations were discarded."]
    kept = [each.id for each in store.invitations() if each.status == "sent"]
    assert kept == [ids[3], ids[4], ids[-1] + 1, *late]


def test_an_action_leads_back_to_the_grid_as_it_was_left(store: Store, admin: Visitor) -> None:
    number = one(store)
    admin.get(GRID)
    given = {"action": "discard", "ids": number, "confirm": "1", "invitee": "anna", "size": "50"}
    answer = admin.post(ACTIONS, given | {"sort": "sent", "dir": "asc"})
    assert (answer.status_code, answer.location) == (
        302,
        f"{GRID}?invitee=anna&sort=sent&dir=asc&size=50",
    )


@pytest.mark.parametrize("confirmed", [{}, {"confirm": "1"}])
def test_ids_that_are_none_are_passed_over(
    store: Store, admin: Visitor, confirmed: dict[str, str]
) -> None:
    number = one(store)
    admin.get(GRID)
    for bad in ("", "abc", "-1", "0", str(2**63), "9" * 400, "\x00", "\u0661", "1.0", " 1"):
        wrong = {"action": "discard", "ids": bad} | confirmed
        page = Page(admin.post(ACTIONS, wrong, follow_redirects=True))
        assert page.notices == ["Select the invitations first."], bad
    given = {"action": "discard", "ids": ["abc", number, str(number), 2**63 - 1]} | confirmed
    assert admin.post(ACTIONS, given).status_code in (200, 302)
    assert store.invitation("anna@example.com").status == ("discarded" if confirmed else "sent")


def test_everything_without_an_end_is_nothing(store: Store, admin: Visitor) -> None:
    one(store)
    admin.get(GRID)
    for upto in ("", "abc", "0", str(2**63)):
        given = {"action": "discard", "select": "all", "upto": upto, "confirm": "1"}
        assert admin.post(ACTIONS, given).status_code == 302
    assert store.invitation("anna@example.com").status == "sent"


def test_a_filter_that_cannot_be_read_never_means_everything(store: Store, admin: Visitor) -> None:
    number = one(store)
    admin.get(GRID)
    given = {"action": "discard", "select": "all", "upto": number, "confirm": "1"}
    for bad in ({"status": "lost"}, {"id_from": "abc"}, {"sent_to": "soon"}):
        page = Page(admin.post(ACTIONS, given | bad, follow_redirects=True))
        assert page.notices == ["Correct the filters first."]
        assert "selected" in page.all("option", value="discard")[0].attributes
    assert store.invitation("anna@example.com").status == "sent"


def test_a_filter_in_the_address_is_no_filter_of_the_form(store: Store, admin: Visitor) -> None:
    number = one(store)
    admin.get(GRID)
    given = {"action": "discard", "select": "all", "upto": number, "confirm": "1"}
    for bad in ("status=bogus", "status=accepted", "invitee=ben"):
        assert admin.post(f"{ACTIONS}?{bad}", given).status_code == 400
    assert store.invitation("anna@example.com").status == "sent"
    assert admin.post(f"{ACTIONS}?status=", given).status_code == 302


def test_back_from_the_question_brings_the_page_and_what_was_chosen(
    store: Store, admin: Visitor
) -> None:
    ids = insert(store, [row(f"{n:02}@example.com") for n in range(45)])
    second = Page(admin.get(Page(admin.get(GRID)).link("Next") or ""))
    fields = {
        each.attributes["name"]: each.attributes["value"]
        for each in second.all("input", type="hidden")
    }
    given = fields | {"action": "expire", "ids": [ids[20], ids[22]]}
    for more, expected in (({}, [str(ids[22]), str(ids[20])]), ({"select": "all"}, [])):
        question = Page(admin.post(ACTIONS, given | more))
        back = Page(admin.get(question.link("Back") or ""))
        assert "selected" in back.all("option", value="expire")[0].attributes
        boxes = back.all("input", name="ids")
        assert boxes[0].attributes["value"] == str(ids[24])
        ticked = [each.attributes["value"] for each in boxes if "checked" in each.attributes]
        assert ticked == expected
    done = admin.post(ACTIONS, given | {"confirm": "1"})
    assert "after=" in done.location
    assert "ids=" not in done.location


def test_what_is_too_much_for_an_address_is_left_to_the_script(
    store: Store, admin: Visitor
) -> None:
    ids = insert(store, [row(f"{n:03}@example.com") for n in range(201)])
    admin.get(GRID)
    back = Page(admin.post(ACTIONS, {"action": "discard", "ids": ids})).link("Back") or ""
    assert back == f"{GRID}?action=discard"


@pytest.mark.parametrize("action", ["", "delete", "discard "])
def test_an_unknown_action_does_nothing(store: Store, admin: Visitor, action: str) -> None:
    number = one(store)
    admin.get(GRID)
    given = {"action": action, "ids": number, "confirm": "1"}
    assert Page(admin.post(ACTIONS, given, follow_redirects=True)).notices == [
        "Choose an action first."
    ]
    assert store.invitation("anna@example.com").version == 1


def test_five_hundred_are_done_at_once_in_one_transaction(store: Store, admin: Visitor) -> None:
    ids = insert(store, [row(f"{n}@example.com") for n in range(500)])
    admin.get(GRID)
    with statements(store) as seen:
        answer = admin.post(ACTIONS, {"action": "discard", "ids": ids, "confirm": "1"})
    assert answer.location == GRID
    assert seen.count("COMMIT") == 1
    assert {each.status for each in store.invitations()} == {"discarded"}


def test_above_that_a_worker_does_it_and_the_browser_goes_to_its_page(
    store: Store, admin: Visitor
) -> None:
    ids = insert(store, [row(f"{n}@example.com") for n in range(501)])
    admin.get(GRID)
    question = Page(admin.post(ACTIONS, {"action": "discard", "ids": ids}))
    assert any("in the background" in each for each in question.text("p"))
    answer = admin.post(ACTIONS, {"action": "discard", "ids": ids, "confirm": "1"})
    assert answer.location == f"{GRID}jobs/1"
    assert "0 of 501" in Page(admin.get(answer.location)).text("label")
    assert {each.status for each in store.invitations()} == {"sent"}
    store.run_jobs()
    assert {each.status for each in store.invitations()} == {"discarded"}


def test_ten_thousand_picked_rows_are_asked_about_and_done_once_each(
    store: Store, admin: Visitor
) -> None:
    ids = insert(store, [row(f"{n}@example.com") for n in range(10_000)])
    insert(store, [row("one more@example.com")])
    assert "10,000+ found" in Page(admin.get(GRID)).text("p")
    question = Page(admin.post(ACTIONS, {"action": "discard", "ids": [*ids, *ids[:50]]}))
    assert question.text("h1") == ["Discard 10,000 invitations?"]
    confirm(admin, question)
    store.run_jobs()
    assert "1 found" in Page(admin.get(f"{GRID}?status=sent")).text("p")
    assert "10,000" in Page(admin.get(f"{GRID}jobs/1")).text("dd")


@pytest.mark.parametrize("confirmed", [{}, {"confirm": "1"}])
@pytest.mark.parametrize("field", ["ids", "exclude"])
def test_more_ids_than_anybody_picks_are_refused_not_cut_short(
    store: Store, admin: Visitor, field: str, confirmed: dict[str, str]
) -> None:
    number = one(store)
    admin.get(GRID)
    many = {field: list(range(number, number + 10_001))}
    whole = {"action": "discard", "upto": number + 20_000} | confirmed
    whole |= {"select": "all"} if field == "exclude" else {}
    page = Page(admin.post(ACTIONS, whole | many, follow_redirects=True))
    assert page.notices == ["These are too many to pick one by one: use a filter and Select All."]
    assert store.invitation("anna@example.com").status == "sent"


def break_at(monkeypatch: pytest.MonkeyPatch, action: str, number: int) -> None:
    """Let an action fail whenever one invitation is among its rows."""
    known = bulk.ACTIONS[action]

    def change(db: Session, ids: Sequence[int], actor: Actor) -> list[int]:
        done = known.change(db, ids, actor)
        assert number not in ids, "broken for this test"
        return done

    broken = dict(bulk.ACTIONS) | {action: replace(known, change=change)}
    monkeypatch.setattr(bulk, "ACTIONS", broken)
    for each in (actions, jobs):
        monkeypatch.setattr(each, "ACTIONS", broken)


@pytest.mark.parametrize("action", ["discard", "send"])
def test_one_that_cannot_be_changed_stays_alone_and_is_told(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    ids = insert(store, [row(f"{n}@example.com") for n in range(7)])
    break_at(monkeypatch, action, ids[4])
    admin.get(GRID)
    done = Page(
        admin.post(ACTIONS, {"action": action, "ids": ids, "confirm": "1"}, follow_redirects=True)
    )
    failed = "1 invitation could not be changed; the store's log says why."
    assert done.notices == [SAID[action].replace(SAID[action][0], "6"), failed]
    assert [each.id for each in store.invitations() if each.status == "sent"] == [ids[4]]
