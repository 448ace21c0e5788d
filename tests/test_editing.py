"""Editing one invitation: what may be changed and when, and that nobody's change is lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
import sqlalchemy as sa

from invitations_plugin.clock import now
from invitations_plugin.database import engine
from invitations_plugin.editing import MOST_DAYS, end_of
from invitations_plugin.models import History

from .support.outbox import change_outbox, queue
from .support.pages import Page, at_once, twins
from .support.rows import STATUSES, ago, insert, one, row
from .support.sink import Sink
from .support.stores import Store, Visitor

GRID = "/admin/invitations/"
ANNA = "anna@example.com"
FIELDS = ("version", "seen", "was_message", "was_group", "was_expires")


class Editor:
    """A member of staff with the page of one invitation open."""

    def __init__(self, visitor: Visitor, number: int) -> None:
        self.visitor, self.path = visitor, f"{GRID}{number}/"
        self.shown: dict[str, str] = {}
        visitor.get("/logout")  # a page with a token, whatever becomes of the invitation
        self.look(Page(visitor.get(self.path)))

    def look(self, page: Page) -> None:
        """Take the form as a page shows it."""
        areas = page.all("textarea", name="message")
        if not areas:
            return
        chosen = [each for each in page.all("option") if "selected" in each.attributes]
        self.shown = {name: page.fields[name] for name in FIELDS} | {
            "message": areas[0].text.removeprefix("\n"),
            "group": chosen[0].attributes["value"],
            "expires": page.fields["expires"],
        }

    def form(self, **typed: str) -> dict[str, str]:
        return self.shown | {"csrf_token": self.visitor.token} | typed

    def save(self, **typed: str) -> tuple[int, Page]:
        """Type over some fields and press Save; the form is then as the answer shows it."""
        answer = self.visitor.post(self.path, self.form(**typed))
        status = answer.status_code
        if status == 302:
            answer = self.visitor.get(answer.location)
        page = Page(answer)
        self.look(page)
        return status, page


@pytest.fixture
def edit(store: Store) -> Callable[..., Editor]:
    """Return a function that opens an invitation in a browser of its own."""

    def open_page(number: int, visitor: Visitor | None = None) -> Editor:
        return Editor(visitor or store.staff(), number)

    return open_page


def last_entry(store: Store) -> Any:
    with store.session() as session:
        entry = session.query(History).order_by(History.id.desc()).first()
        session.expunge(entry)
        return entry


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


MakeEditor = Callable[..., Editor]


def test_message_group_and_end_are_saved_with_who_changed_them(
    store: Store, edit: MakeEditor
) -> None:
    editor = edit(one(store, message="Old words"))
    status, page = editor.save(message="New words", group="vip", expires=day(50))
    assert (status, page.notices) == (302, ["The invitation was saved."])
    found = store.invitation(ANNA)
    assert (found.message, found.group_code, found.version) == ("New words", "vip", 2)
    assert found.expires_at == end_of(date.fromisoformat(day(50)), "Europe/London")
    entry = last_entry(store)
    assert (entry.action, entry.from_status, entry.to_status) == ("edit", "sent", "sent")
    assert entry.actor_key.startswith("staff:")
    assert "words" not in entry.reason
    [history] = page.all("ol", class_="inv-history")
    assert "Invitee Group: from General to VIP" in " ".join(history.text.split())


def test_what_nobody_touched_stays_to_the_second(store: Store, edit: MakeEditor) -> None:
    ends = now() + timedelta(days=3)
    editor = edit(one(store, group_code="gone", expires_at=ends))
    assert editor.shown["group"] == "gone"
    assert editor.save(message="Hello")[0] == 302
    found = store.invitation(ANNA)
    assert (found.message, found.group_code, found.expires_at) == ("Hello", "gone", ends)


def test_saving_without_a_change_changes_nothing(store: Store, edit: MakeEditor) -> None:
    _, page = edit(one(store, message="One\ntwo")).save()
    assert page.notices == ["Nothing was changed."]
    assert (store.invitation(ANNA).version, store.history(ANNA)) == (1, [])


def test_a_message_is_removed(store: Store, edit: MakeEditor) -> None:
    assert edit(one(store, message="Hello")).save(message="  ")[0] == 302
    assert store.invitation(ANNA).message is None


@pytest.mark.parametrize("status", STATUSES)
def test_only_what_may_still_be_accepted_is_edited(
    store: Store, edit: MakeEditor, status: str
) -> None:
    editor = edit(one(store, status=status))
    may_be_edited = status in ("not_sent", "sent", "expired")
    assert bool(editor.shown) == may_be_edited
    answer, page = editor.save(message="Typed", version="1")
    assert answer == (302 if may_be_edited else 409)
    assert store.invitation(ANNA).message == ("Typed" if may_be_edited else None)
    assert may_be_edited or "Typed" in page.text("dd")


def test_an_invitation_without_its_address_is_not_edited(store: Store, edit: MakeEditor) -> None:
    editor = edit(insert(store, [row(None)])[0])
    assert not editor.shown
    assert editor.save(message="Typed", version="1")[0] == 409


WRONG = [
    ("message", "x" * 1001, "1001 characters"),
    ("group", "nobody", "Choose one from the list."),
    ("group", "general\x00", "Choose one from the list."),
    ("group", "", "Choose one from the list."),
    ("expires", "", "Enter a date"),
    ("expires", "soon", "Enter a date"),
    ("expires", "2026-02-30", "Enter a date"),
    ("expires", "9999-12-31", "3,650 days"),
    ("expires", "0001-01-01", "This day is over"),
]


@pytest.mark.parametrize(("name", "typed", "said"), WRONG)
def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(
    store: Store, edit: MakeEditor, name: str, typed: str, said: str
) -> None:
    editor = edit(one(store))
    others = {"message": "Kept words", "group": "vip", "expires": day(9)}
    status, page = editor.save(**others | {name: typed})
    assert status == 422
    assert said in page.error(name)
    kept = {each: editor.shown[each] for each in others if each != name}
    assert kept == {each: text for each, text in others.items() if each != name}
    assert store.invitation(ANNA).version == 1
    assert editor.save(**{name: others[name]})[0] == 302


def test_a_link_may_end_today_or_as_late_as_any_link(store: Store, edit: MakeEditor) -> None:
    editor = edit(one(store))
    assert editor.save(expires=day(-1))[0] == 422
    assert editor.save(expires=day(MOST_DAYS + 1))[0] == 422
    assert editor.save(expires=day(MOST_DAYS))[0] == 302
    assert editor.save(expires=day(0))[0] == 302
    assert store.invitation(ANNA).expires_at > now()


def test_days_are_those_of_the_invitation_s_store_view(store: Store, edit: MakeEditor) -> None:
    editor = edit(one(store, store_view="it", website="private"))
    editor.save(expires="2030-07-01")
    assert store.invitation(ANNA).expires_at == datetime(2030, 7, 1, 21, 59, 59)
    assert editor.shown["expires"] == "2030-07-01"


def test_invisible_characters_of_a_message_are_dropped(store: Store, edit: MakeEditor) -> None:
    edit(one(store)).save(message="a\x00b\u202ec\r\nd\x0be")
    assert store.invitation(ANNA).message == "abc\nd\ne"


def test_a_form_that_was_open_for_too_long_keeps_what_was_typed(
    store: Store, edit: MakeEditor
) -> None:
    editor = edit(one(store))
    answer = editor.visitor.post(editor.path, editor.form(message="Typed", csrf_token="old"))
    assert answer.status_code == 400
    editor.look(Page(answer))
    assert editor.shown["message"] == "Typed"
    assert editor.save()[0] == 302
    assert store.invitation(ANNA).message == "Typed"


def test_a_mail_that_waits_goes_with_the_new_message(
    store: Store, edit: MakeEditor, sink: Sink
) -> None:
    [number] = queue(store, ANNA, message="Old words")
    page = Page(store.staff().get(f"{GRID}{number}/"))
    assert "It goes with the mail that waits in the outbox." in page.text("p")
    edit(number).save(message="New words")
    store.deliver()
    assert "New words" in sink.to(ANNA)[0].text


def test_a_mail_that_was_sent_stays_and_a_resend_carries_the_new_message(
    store: Store, edit: MakeEditor, sink: Sink
) -> None:
    store.setting("mailbox_per_day", 0)
    [number] = queue(store, ANNA, message="Old words")
    store.deliver()
    editor = edit(number)
    _, page = editor.save(message="New words")
    assert any("only a resend carries the new text" in each for each in page.text("p"))
    store.deliver()
    assert len(sink.to(ANNA)) == 1
    editor.visitor.post(f"{editor.path}send")
    store.deliver()
    assert "Old words" in sink.to(ANNA)[0].text
    assert "New words" in sink.to(ANNA)[1].text


def test_a_message_is_not_changed_while_its_mail_is_handed_over(
    store: Store, edit: MakeEditor
) -> None:
    [number] = queue(store, ANNA, mail_state="sending")
    editor = edit(number)
    status, page = editor.save(message="Too late", group="vip")
    assert status == 409
    assert "being handed to the mail server" in page.notices[0]
    assert store.invitation(ANNA).version == 1
    assert editor.save(message="")[0] == 302
    assert store.invitation(ANNA).group_code == "vip"
    store.change(ANNA, mail_state="delivered")
    assert editor.save(message="In time")[0] == 302


def test_an_edit_while_the_mail_leaves_does_not_hide_that_it_left(
    store: Store, edit: MakeEditor, sink: Sink
) -> None:
    [number] = queue(store, ANNA)
    editor = edit(number)
    sink.while_taking = lambda mail: editor.save(group="vip") and None
    store.deliver()
    found = store.invitation(ANNA)
    assert (found.status, found.mail_state, found.group_code) == ("sent", "delivered", "vip")


def test_a_mail_that_is_being_made_says_what_was_saved_in_that_moment_or_nothing_is_saved(
    store: Store, edit: MakeEditor, sink: Sink
) -> None:
    [number] = queue(store, ANNA, message="Old words")
    editor = edit(number)
    saved: list[int] = []
    saving = Thread(target=lambda: saved.append(editor.save(message="New words")[0]))

    def save_once(*given: Any) -> None:
        """Save when the worker has just read the invitation; it may hold the row for a moment."""
        if "invitations_invitation.message" in given[2] and not saving.ident:
            saving.start()
            saving.join(1)

    with store.app.app_context():
        target = engine()
    sa.event.listen(target, "after_cursor_execute", save_once)
    store.deliver()
    sa.event.remove(target, "after_cursor_execute", save_once)
    saving.join()
    assert saved in ([302], [409])
    if not sink.mails:
        change_outbox(store, lease_until=ago(seconds=1))
        store.deliver()
    [mail] = sink.mails
    assert ("New words" in mail.text) == (saved == [302])


def test_a_new_end_makes_an_expired_link_work_again(
    store: Store, edit: MakeEditor, veronica: Visitor, sink: Sink
) -> None:
    veronica.send(ANNA)
    store.deliver()
    link = sink.to(ANNA)[0].link
    store.change(ANNA, status="expired", expires_at=ago(days=2))
    assert store.visitor().get(link, follow_redirects=True).status_code == 404
    editor = edit(store.invitation(ANNA).id)
    _, page = editor.save(group="vip")
    assert not [each for each in page.text("div") if each.startswith("Its link works again")]
    _, page = editor.save(expires=day(5))
    assert [each for each in page.text("div") if each.startswith("Its link works again until")]
    assert store.invitation(ANNA).status == "expired"
    friend = store.visitor()
    friend.get(link)
    assert store.register(friend, ANNA).status_code == 302
    assert store.invitation(ANNA).status == "accepted"
    assert store.group_of(ANNA) == "vip"


def test_the_second_of_two_sees_what_the_first_changed_and_loses_nothing(
    store: Store, edit: MakeEditor
) -> None:
    number = one(store, message="Old words")
    first, second = edit(number), edit(number)
    first.save(message="First words", group="vip")
    status, page = second.save(message="Second words", expires=day(9))
    assert status == 409
    assert store.invitation(ANNA).message == "First words"
    assert "has changed since you opened it" in page.notices[0]
    assert "Edited The message was changed. Invitee Group: from General to VIP" in page.notices[0]
    assert "Ada Admin" in page.notices[0]
    assert page.text("p").count("First words") == 1
    typed = {"message": "Second words", "group": "vip", "expires": day(9)}
    assert {name: second.shown[name] for name in typed} == typed
    assert second.save()[0] == 302
    found = store.invitation(ANNA)
    assert (found.message, found.group_code, found.version) == ("Second words", "vip", 3)
    assert [each[0] for each in store.history(ANNA)] == ["edit", "edit"]


def test_a_third_change_in_between_is_told_once_more(store: Store, edit: MakeEditor) -> None:
    number = one(store)
    first, second = edit(number), edit(number)
    first.save(message="First")
    assert second.save(message="Second")[0] == 409
    first.save(group="vip")
    status, page = second.save()
    assert status == 409
    assert "Invitee Group: from General to VIP" in page.notices[0]
    assert "message was changed" not in page.notices[0]
    assert second.save()[0] == 302
    assert store.invitation(ANNA).group_code == "vip"


def test_what_was_closed_meanwhile_keeps_what_was_typed_in_sight(
    store: Store, edit: MakeEditor
) -> None:
    editor = edit(one(store))
    other = edit(store.invitation(ANNA).id)
    other.visitor.post(f"{other.path}discard")
    status, page = editor.save(message="My long text", group="vip")
    assert status == 409
    assert "status is Discarded" in page.notices[0]
    assert "Sent → Discarded" in page.notices[0]
    assert {"My long text", "VIP"} <= set(page.text("dd"))
    assert not page.all("form", id="inv-edit")


def test_a_mail_that_left_meanwhile_is_told_before_a_message_is_changed(
    store: Store, edit: MakeEditor
) -> None:
    [number] = queue(store, ANNA)
    editor = edit(number)
    store.deliver()
    status, page = editor.save(message="Too late for the first mail")
    assert status == 409
    assert "Mail handed to the mail server" in page.notices[0]
    assert "Not Sent → Sent" in page.notices[0]


@pytest.mark.parametrize("version", [None, "", "0", "abc", "9" * 400, "-1"])
def test_a_form_that_saw_no_version_is_not_saved_blindly(
    store: Store, edit: MakeEditor, version: str | None
) -> None:
    editor = edit(one(store))
    given = {"message": "Blind"} | ({} if version is None else {"version": version})
    answer = editor.visitor.post(editor.path, given)
    assert answer.status_code == 409
    assert store.invitation(ANNA).message is None
    editor.look(Page(answer))
    assert editor.save()[0] == 302
    assert store.invitation(ANNA).message == "Blind"


def test_of_edits_at_one_moment_exactly_one_is_saved(store: Store, edit: MakeEditor) -> None:
    editor = edit(one(store))
    forms = [editor.form(message=f"Words {number}") for number in range(6)]
    answers = at_once(store, editor.visitor, forms, editor.path)
    assert sorted(each.status_code for each in answers) == [302] + [409] * 5
    found = store.invitation(ANNA)
    [winner] = [n for n, each in enumerate(answers) if each.status_code == 302]
    assert (found.message, found.version) == (f"Words {winner}", 2)
    assert [each[0] for each in store.history(ANNA)] == ["edit"]


@pytest.mark.parametrize("action", ["discard", "expire", "extend", "send"])
def test_of_an_edit_and_an_action_at_one_moment_one_is_told_of_the_other(
    store: Store, edit: MakeEditor, action: str
) -> None:
    for place in range(3):
        email = f"friend{place}@example.com"
        editor = edit(one(store, email))
        browsers, start = twins(store, editor.visitor, 2), Barrier(2)
        form = editor.form(message="Edited")

        def post(browser: Visitor, path: str, start: Barrier = start, form: Any = form) -> Any:
            start.wait()
            return browser.post(path, form)

        with ThreadPoolExecutor(2) as pool:
            answers = pool.map(post, browsers, (editor.path, f"{editor.path}{action}"))
        edited, acted = (each.status_code for each in answers)
        found, said = store.invitation(email), Page(browsers[1].get(editor.path)).notices
        assert (found.version, len(store.history(email)), acted) == (2, 1, 302)
        if edited == 302:
            assert (found.message, "changed in the meantime" in said[0]) == ("Edited", True)
        else:
            assert (found.message, edited) == (None, 409)
            assert store.history(email)[0][0] in (action, "resend")
