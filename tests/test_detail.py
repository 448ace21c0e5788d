"""One invitation in the back office: what its page tells, what it offers, where it leads."""

from __future__ import annotations

from datetime import datetime

import pytest
import sqlalchemy as sa

from invitations_plugin.lifecycle import SENDER, STAFF, Actor, enqueue, note
from invitations_plugin.models import History
from invitations_plugin.story import MOST_ENTRIES, MOST_RELATED
from sample_store.models import Customer, Order, Staff

from .support.outbox import change_outbox
from .support.pages import Element, Page, statements
from .support.rows import ago, by, insert, key_of, one, row
from .support.second_store import SecondStore
from .support.sink import Sink
from .support.stores import MakeStore, Store, Visitor

GRID = "/admin/invitations/"
ANNA = "anna@example.com"


def path_of(number: int) -> str:
    return f"{GRID}{number}/"


def facts(page: Page) -> dict[str, str]:
    return dict(zip(page.text("dt"), page.text("dd"), strict=True))


def told(page: Page, name: str = "inv-history") -> str:
    """Return what a list of events says, newest first."""
    return " ".join(" ".join(each.text.split()) for each in page.all("ol", class_=name))


def related(page: Page, key: str) -> dict[int, str]:
    """Return the statuses of a table of relatives by their ids."""
    sections = [each for each in page.elements if each.attributes.get("aria-labelledby") == key]
    rows = page.all("tr") if sections else []
    return {
        int(each.attributes["data-invitation-id"]): each.attributes["data-status"]
        for each in rows
        if "data-invitation-id" in each.attributes and each.text in sections[0].text
    }


def buttons(page: Page) -> list[Element]:
    return [each for each in page.all("button") if each.text.strip() != "Save"]


def offered(page: Page) -> list[str]:
    """Return what can be done with the invitation, by the buttons' words."""
    return [" ".join(each.text.split()) for each in buttons(page)]


def log(store: Store, number: int, *entries: tuple[str, str | None]) -> None:
    """Write lines of history with what they say of it."""
    with store.session() as session:
        for action, reason in entries:
            note(session, number, Actor("system"), action, reason=reason)
        session.commit()


def test_it_shows_its_facts_and_what_happened(
    store: Store, veronica: Visitor, admin: Visitor
) -> None:
    veronica.send(ANNA, message="See you")
    store.deliver()
    number = store.invitation(ANNA).id
    answer = admin.get(path_of(number))
    page = Page(answer)
    shown = facts(page)
    assert shown["Invitee"] == ANNA
    assert shown["Email"] == f"{store.inviter_name} <{store.inviter}>"
    assert shown["Invitee Group"] == "General"
    assert shown["Send From"] == "English"
    assert [each.text.strip() for each in page.all("textarea", name="message")] == ["See you"]
    history = told(page)
    assert history.index("Mail handed to the mail server") < history.index("Invitation created")
    assert "Not Sent → Sent" in history
    assert f"· {store.inviter_name}" in history
    assert store.invitation(ANNA).public_id not in answer.text


def test_each_try_of_the_mail_is_told_with_the_server_s_answer(
    store: Store, veronica: Visitor, admin: Visitor, sink: Sink
) -> None:
    sink.replies["RCPT"].append("451 4.2.1 greylisted")
    veronica.send(ANNA)
    store.deliver()
    number, [waiting] = store.invitation(ANNA).id, store.outbox()
    page = Page(admin.get(path_of(number)))
    shown = facts(page)
    assert shown["State"] == "Waiting in the outbox 451 4.2.1 greylisted"
    assert shown["Tries"] == "1"
    assert shown["Message-ID"] == waiting.message_id
    due = [each.attributes["datetime"] for each in page.all("time")]
    assert f"{waiting.due_at.isoformat(timespec='seconds')}Z" in due
    assert "Put off by the mail server 451 4.2.1 greylisted" in told(page, "inv-history inv-tries")
    assert "greylisted" not in told(page)
    change_outbox(store, due_at=ago(seconds=1))
    store.deliver()
    page = Page(admin.get(path_of(number)))
    tries = told(page, "inv-history inv-tries")
    assert tries.index("Taken by the mail server 250") < tries.index("Put off")
    assert facts(page)["Message-ID"] == waiting.message_id
    assert "Next try" not in facts(page)


def test_a_mail_of_unknown_end_says_so(store: Store, admin: Visitor) -> None:
    number = one(store, ANNA, "not_sent")
    with store.session() as session:
        enqueue(session, number, "invitation", "example.com")
        session.commit()
    change_outbox(store, ambiguous=1)
    log(store, number, ("unknown", "SMTPServerDisconnected: gone"))
    page = Page(admin.get(path_of(number)))
    assert facts(page)["Tries"] == "0 · 1 of unknown end"
    assert "Unclear whether the mail arrived SMTPServerDisconnected: gone" in told(
        page, "inv-history inv-tries"
    )


def test_mails_of_one_invitation_are_told_apart_by_their_message_ids(
    store: Store, veronica: Visitor, admin: Visitor
) -> None:
    store.setting("mailbox_per_day", 0)
    veronica.send(ANNA)
    store.deliver()
    number = store.invitation(ANNA).id
    admin.get(path_of(number))
    admin.post(f"{path_of(number)}send")
    store.deliver()
    with store.session() as session:
        query = sa.select(History.message_id).where(History.message_id.is_not(None))
        first, second = map(str, session.scalars(query.order_by(History.id)))
    page = Page(admin.get(path_of(number)))
    assert facts(page)["Message-ID"] == second
    assert first in told(page, "inv-history inv-tries")


OFFERED = {
    "sent": ["Discard Invitation", "Expire Now", "Resend Invitation"],
    "accepted": [],
    "discarded": ["Reopen Invitation"],
    "declined": ["Reopen Invitation"],
    "expired": ["Discard Invitation", "Extend until", "Reopen Invitation"],
    "not_sent": ["Discard Invitation", "Expire Now"],
}


@pytest.mark.parametrize("status", OFFERED)
def test_it_offers_what_is_possible(store: Store, admin: Visitor, status: str) -> None:
    page = Page(admin.get(path_of(one(store, status=status))))
    found = [each if each[:6] != "Extend" else "Extend until" for each in offered(page)]
    assert found == OFFERED[status]


def test_a_mail_that_failed_is_sent_and_not_sent_again(store: Store, admin: Visitor) -> None:
    number = one(store, ANNA, "not_sent", mail_state="failed")
    assert "Send Invitation" in offered(Page(admin.get(path_of(number))))


def test_who_may_only_discard_is_offered_no_more(store: Store) -> None:
    admin = store.staff()
    with store.session() as session:
        session.execute(sa.update(Staff).values(rights="view discard"))
        session.commit()
    page = Page(admin.get(path_of(one(store))))
    assert offered(page) == ["Discard Invitation", "Expire Now"]
    assert not page.all("form", id="inv-edit")


def test_it_is_discarded_after_a_question(store: Store, admin: Visitor) -> None:
    path = path_of(one(store))
    page = Page(admin.get(f"{path}?discard=1"))
    assert "Discard this invitation?" in page.text("h2")
    assert offered(page) == ["OK"]
    assert store.invitation(ANNA).status == "sent"
    done = Page(admin.post(f"{path}discard", follow_redirects=True))
    assert done.notices == ["1 invitation was discarded."]
    assert f"{path}discard" not in done.actions()
    again = Page(admin.post(f"{path}discard", follow_redirects=True))
    assert "changed in the meantime" in again.notices[0]
    assert len(store.history(ANNA)) == 1


def test_a_question_that_is_not_possible_is_not_asked(store: Store, admin: Visitor) -> None:
    path = path_of(one(store, status="accepted"))
    for name in ("discard", "expire"):
        assert not Page(admin.get(f"{path}?{name}=1")).all("h2", id="inv-question")


def test_reopening_changes_the_link_and_says_so_before(store: Store, admin: Visitor) -> None:
    path = path_of(one(store, status="discarded"))
    before = store.invitation(ANNA).public_id
    page = Page(admin.get(path))
    assert "The link in the older mail never works again." in " ".join(page.text("p"))
    done = Page(admin.post(f"{path}reopen", follow_redirects=True))
    assert "new link" in done.notices[0]
    after = store.invitation(ANNA)
    assert (after.status, after.public_id == before) == ("not_sent", False)
    assert store.history(ANNA) == [("reopen", "discarded", "not_sent", STAFF)]


def test_what_is_open_cannot_be_reopened(store: Store, admin: Visitor) -> None:
    path = path_of(one(store))
    before = store.invitation(ANNA).public_id
    admin.get(path)
    done = Page(admin.post(f"{path}reopen", follow_redirects=True))
    assert "changed in the meantime" in done.notices[0]
    assert store.invitation(ANNA).public_id == before


def test_its_link_is_ended_now_and_lives_again(
    store: Store, veronica: Visitor, admin: Visitor, sink: Sink
) -> None:
    veronica.send(ANNA)
    store.deliver()
    path, link = path_of(store.invitation(ANNA).id), sink.to(ANNA)[0].link
    admin.get(path)
    done = Page(admin.post(f"{path}expire", follow_redirects=True))
    assert done.notices == ["1 invitation has expired."]
    assert store.visitor().get(link, follow_redirects=True).status_code == 404
    done = Page(admin.post(f"{path}extend", follow_redirects=True))
    assert done.notices[0] == "1 invitation was extended."
    assert "Its link works again until" in done.text("div")[0] + " ".join(done.text("div"))
    assert store.invitation(ANNA).status == "expired"
    friend = store.visitor()
    friend.get(link)
    assert store.register(friend, ANNA).status_code == 302
    assert store.invitation(ANNA).status == "accepted"


def test_what_was_done_names_who_did_it(store: Store, admin: Visitor) -> None:
    path = path_of(one(store))
    admin.get(path)
    for action in ("expire", "extend", "reopen", "discard"):
        admin.post(f"{path}{action}")
    assert [each[0] for each in store.history(ANNA)] == ["expire", "extend", "reopen", "discard"]
    with store.session() as session:
        keys = set(session.scalars(sa.select(History.actor_key)))
        who = session.scalars(sa.select(Staff.id).where(Staff.email == "admin@example.com")).one()
    assert keys == {f"staff:{who}"}


def test_a_button_of_an_old_page_changes_nothing(store: Store, admin: Visitor) -> None:
    path = path_of(one(store))
    version = Page(admin.get(path)).fields["version"]
    admin.post(f"{path}extend", follow_redirects=True)
    for action in ("discard", "send", "expire", "extend", "reopen"):
        done = Page(admin.post(f"{path}{action}", {"version": version}, follow_redirects=True))
        assert "changed in the meantime" in done.notices[0], action
    assert store.invitation(ANNA).status == "sent"


def test_the_inviter_and_the_new_customer_lead_to_the_store_s_own_pages(
    store: Store, admin: Visitor
) -> None:
    marcus = key_of(store, store.other_inviter)
    number = one(store, ANNA, "accepted", customer_key=marcus, inviter_name="Veronica")
    page = Page(admin.get(path_of(number)))
    assert page.link(f"Veronica <{store.inviter}>") == (
        f"/staff/customers/{key_of(store, store.inviter)}"
    )
    found = page.link(store.other_inviter)
    assert found == f"/staff/customers/{marcus}"
    assert store.other_inviter in admin.get(found).text


def test_people_who_are_gone_have_a_placeholder_and_no_link(store: Store, admin: Visitor) -> None:
    number = one(store, ANNA, "accepted")
    with store.session() as session:
        session.execute(sa.delete(Order))
        for customer in session.scalars(sa.select(Customer)):
            session.delete(customer)
        session.commit()
    page = Page(admin.get(path_of(number)))
    assert facts(page)["Email"] == "Address removed"
    assert facts(page)["Customer"] == "Account deleted"
    assert not [each for each in page.all("a") if "/staff/customers/" in each.attributes["href"]]


def test_customers_removed_past_the_session_have_no_link_either(
    store: Store, admin: Visitor
) -> None:
    number = one(store, ANNA, "accepted", customer_key="4711")
    with store.session() as session:
        session.execute(sa.delete(Order))
        session.execute(sa.delete(Customer))
        session.commit()
    page = Page(admin.get(path_of(number)))
    assert facts(page)["Email"] == store.inviter
    assert facts(page)["Customer"] == "Account deleted"
    assert not [each for each in page.all("a") if "/staff/customers/" in each.attributes["href"]]


def test_a_store_without_a_page_of_a_customer_shows_no_link(make_store: MakeStore) -> None:
    store = make_store(SecondStore)
    store.customer().send(ANNA)
    page = Page(store.staff().get(path_of(store.invitation(ANNA).id)))
    assert facts(page)["Email"] == f"veronica <{store.inviter}>"
    assert page.link(f"veronica <{store.inviter}>") is None


def test_invitations_of_the_same_address_and_inviter_stand_below(
    store: Store, admin: Visitor
) -> None:
    number = one(store)
    other = insert(store, [row(ANNA, "accepted", **by(store, store.other_inviter))])[0]
    elsewhere = insert(store, [row(ANNA, "expired", website="private", **by(store))])[0]
    another = one(store, "ben@example.com", "discarded")
    insert(store, [row("cleo@example.com")])
    page = Page(admin.get(path_of(number)))
    assert related(page, "inv-same-address") == {elsewhere: "expired", other: "accepted"}
    assert related(page, "inv-same-inviter") == {another: "discarded", elsewhere: "expired"}
    assert page.link(str(other)) == path_of(other)
    assert page.link("All invitations of this address") is None


def test_the_rest_of_the_relatives_is_in_the_grid(store: Store, admin: Visitor) -> None:
    number = one(store)
    insert(store, [row(ANNA, website=f"w{n}", inviter_key=f"k{n}") for n in range(9)])
    insert(store, [row(f"{n}@example.com", **by(store)) for n in range(9)])
    page = Page(admin.get(path_of(number)))
    assert len(related(page, "inv-same-address")) == MOST_RELATED
    same_address = Page(admin.get(page.link("All invitations of this address") or ""))
    assert len(same_address.statuses) == 10
    same_inviter = Page(admin.get(page.link("All invitations of this inviter") or ""))
    assert len(same_inviter.statuses) == 10


def test_what_the_store_invited_itself_has_no_table_of_its_inviter(
    store: Store, admin: Visitor
) -> None:
    first, *_ = insert(store, [row(ANNA), row("ben@example.com")])
    assert not related(Page(admin.get(path_of(first))), "inv-same-inviter")


def test_the_number_of_queries_does_not_grow(store: Store, admin: Visitor) -> None:
    number = one(store)
    admin.get(path_of(number))
    counts = []
    for size in (1, 2, 30):
        insert(store, [row(ANNA, inviter_key=f"{size}.{n}") for n in range(size)])
        insert(store, [row(f"{size}.{n}@example.com", **by(store)) for n in range(size)])
        log(store, number, *[("ask", None), ("defer", "451 later")] * size)
        with statements(store) as seen:
            assert admin.get(path_of(number)).status_code == 200
        counts.append(len([each for each in seen if each != "COMMIT"]))
    assert len(set(counts)) == 1, counts
    assert counts[0] <= 10  # of which one asks for alarms


def test_a_long_history_is_cut(store: Store, admin: Visitor) -> None:
    number = one(store)
    log(store, number, *[("ask", None)] * MOST_ENTRIES)
    assert "Older entries are not shown." not in Page(admin.get(path_of(number))).text("p")
    log(store, number, ("ask", None))
    page = Page(admin.get(path_of(number)))
    assert told(page).count("Asked for a fresh link") == MOST_ENTRIES
    assert "Older entries are not shown." in page.text("p")


LEFT = f"{GRID}?invitee=anna&status=sent&sort=invitee&dir=asc&size=50"


def test_back_leads_to_the_grid_as_it_was_left(store: Store, admin: Visitor) -> None:
    number = one(store)
    path = Page(admin.get(LEFT)).link(str(number))
    assert path is not None
    came = admin.get(path, headers={"Referer": f"http://localhost{LEFT}"})
    assert Page(came).link("Back to the invitations") == LEFT
    asked = next(each for each in Page(came).all("form", method="get"))
    assert asked.attributes["action"].startswith(path)
    back = Page(came).fields["back"]
    question = Page(admin.get(path, query_string={"discard": "1", "back": back}))
    done = admin.post(question.actions()[0])
    assert Page(admin.get(done.location)).link("Back to the invitations") == LEFT


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example?sort=id",
        "_external=1&_scheme=javascript&_anchor=x",
        "next=https://evil.example",
        "\x00=1&=&&",
    ],
)
def test_the_way_back_never_leads_elsewhere(store: Store, admin: Visitor, back: str) -> None:
    number = one(store)
    page = Page(admin.get(path_of(number), query_string={"back": back}))
    assert page.link("Back to the invitations") == GRID
    headers = {"Referer": f"https://evil.example{LEFT}"}
    assert Page(admin.get(path_of(number), headers=headers)).link("Back to the invitations") == GRID


EVIL = '<img src=x onerror=alert(1)>" data-hx-get="/y" {{ 7*7 }}'


def test_nothing_that_anybody_said_becomes_markup(store: Store, admin: Visitor) -> None:
    number = one(store, inviter_name=EVIL, message=EVIL, mail_error=EVIL, group_code=EVIL)
    insert(store, [row(EVIL, **by(store)), row(ANNA, inviter_key="7", inviter_email=EVIL)])
    with store.session() as session:
        evil = f"group_code: {EVIL} -> {EVIL}; message; {EVIL}; expires_at: {EVIL} -> x"
        note(session, number, Actor(SENDER, "1", EVIL), "edit", EVIL[:12], EVIL[:12], evil)
        note(session, number, Actor(STAFF, "1", EVIL), EVIL[:24], "sent", EVIL[:12], EVIL)
        note(session, number, Actor("system"), "defer", reason=EVIL, message_id=EVIL)
        session.commit()
    given = {"message": EVIL, "group": EVIL, "expires": EVIL, "version": EVIL, "seen": EVIL}
    for answer in (
        admin.get(path_of(number), query_string={"back": f"invitee={EVIL}"}),
        admin.post(path_of(number), given),
        admin.post(path_of(number), {"message": EVIL, "was_message": "", "version": "0"}),
    ):
        page = Page(answer)
        assert not page.all("img")
        assert not [each for each in page.elements if "data-hx-get" in each.attributes]
        assert " 49" not in answer.text


def test_times_are_those_of_the_store_view(store: Store, admin: Visitor) -> None:
    ends = datetime(2031, 7, 1, 22, 30)
    number = one(store, expires_at=ends, website="private", store_view="it")
    page = Page(admin.get(path_of(number)))
    assert facts(page)["Valid until"].startswith("Jul 2, 2031")
    assert facts(page)["Valid until"].endswith("Europe/Rome")
    assert page.fields["expires"] == "2031-07-02"
