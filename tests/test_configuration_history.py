"""Who changed which setting, and how a change is taken back."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from invitations_plugin.models import SettingChange

from .support.pages import Page, at_once
from .support.stores import Store, Visitor
from .test_configuration import DEFAULT, FRENCH, HISTORY, change, in_force, overrides, tick

CHANGE = re.compile(r'data-change-id="(\d+)"')


def changes(store: Store) -> list[tuple[str, str, str, object, object]]:
    """Return who, scope, setting, from and to of each change, in order."""
    with store.session() as db:
        return [
            (
                row.actor_name,
                f"{row.scope}:{row.scope_code}",
                row.name,
                row.old_value,
                row.new_value,
            )
            for row in db.scalars(sa.select(SettingChange).order_by(SettingChange.id))
        ]


def undo(visitor: Visitor, number: int, **more: str) -> TestResponse:
    visitor.get(HISTORY)
    return visitor.post(f"{HISTORY}/{number}/undo", more)


def test_each_change_is_kept_with_who_when_where_from_and_to(store: Store, admin: Visitor) -> None:
    change(admin, max_per_send="7", allow_message="0")
    change(admin, FRENCH, max_per_send="8")
    tick(admin, "max_per_send", FRENCH)
    assert changes(store) == [
        ("Ada Admin", "default:", "allow_message", None, False),
        ("Ada Admin", "default:", "max_per_send", None, 7),
        ("Ada Admin", "store:fr", "max_per_send", None, 8),
        ("Ada Admin", "store:fr", "max_per_send", 8, None),
    ]
    with store.session() as db:
        assert set(db.scalars(sa.select(SettingChange.actor_key))) == {"staff:1"}


def test_what_was_refused_leaves_no_trace(store: Store, admin: Visitor) -> None:
    change(admin, max_per_send="0", link_days="9")
    assert changes(store) == []


def test_the_page_shows_the_last_change_first_in_words(store: Store, admin: Visitor) -> None:
    change(admin, registration="invitation")
    change(admin, FRENCH, email_sender="sales")
    rows = [text for text in Page(admin.get(HISTORY)).text("tr") if "Undo" in text][1:]
    said = "Customer Invitation Email Sender Français not set Sales Representative Undo"
    assert f"Ada Admin {said}" in rows[0]
    assert "New Accounts Registration Default not set By Invitation Only" in rows[1]


def test_without_a_change_the_page_says_so(store: Store, admin: Visitor) -> None:
    assert "No setting has been changed yet." in Page(admin.get(HISTORY)).text("p")


def test_a_long_history_comes_in_pages_each_change_once(store: Store, admin: Visitor) -> None:
    for number in range(1, 121):
        store.setting("link_days", number)
    found, url = [], HISTORY
    while url:
        page = admin.get(url)
        found += [int(each) for each in CHANGE.findall(page.text)]
        url = Page(page).link("Older") or ""
    assert found == list(range(120, 0, -1))


@pytest.mark.parametrize("before", ["abc", "-1", "0", str(2**63), ""])
def test_a_page_that_cannot_be_is_the_first(store: Store, admin: Visitor, before: str) -> None:
    store.setting("link_days", 9)
    assert CHANGE.findall(admin.get(f"{HISTORY}?before={before}").text) == ["1"]


def test_undo_gives_the_old_value_back_as_a_change_of_its_own(store: Store, admin: Visitor) -> None:
    change(admin, FRENCH, link_days="9")
    change(admin, FRENCH, link_days="10")
    assert undo(admin, 2).status_code == 302
    assert in_force(store, "link_days") == 9
    assert changes(store)[-1] == ("Ada Admin", "store:fr", "link_days", 10, 9)
    page = Page(admin.get(HISTORY))
    assert page.notices == ["Lifetime of a Link in Days is back (Français): 9"]
    assert "took a change back" in page.text("p")


def test_undo_of_a_first_change_gives_the_wider_scope_s_value_back(
    store: Store, admin: Visitor
) -> None:
    change(admin, FRENCH, link_days="9")
    undo(admin, 1)
    assert (in_force(store, "link_days"), overrides(store)) == (30, [])


def test_an_undo_can_be_undone(store: Store, admin: Visitor) -> None:
    change(admin, link_days="9")
    undo(admin, 1)
    undo(admin, 2)
    assert in_force(store, "link_days") == 9


def test_what_was_changed_again_since_is_asked_about_first(store: Store, admin: Visitor) -> None:
    change(admin, link_days="9")
    change(admin, link_days="10")
    answer = undo(admin, 1)
    assert (answer.status_code, in_force(store, "link_days")) == (409, 10)
    assert "was changed again since (Ada Admin)" in " ".join(Page(answer).text("p"))
    assert undo(admin, 1, confirm="1").status_code == 302
    assert in_force(store, "link_days") == 30


def test_an_undo_that_changes_nothing_says_so(store: Store, admin: Visitor) -> None:
    change(admin, link_days="9")
    undo(admin, 1)
    undo(admin, 1, confirm="1")
    assert Page(admin.get(HISTORY)).notices == [
        "Lifetime of a Link in Days has that value already."
    ]
    assert len(changes(store)) == 2


def test_a_value_that_the_store_cannot_have_any_more_is_not_brought_back(
    store: Store, admin: Visitor
) -> None:
    store.setting("email_sender", "long-gone")
    change(admin, DEFAULT, email_sender="sales")
    undo(admin, 2)
    assert "cannot be taken back: Choose one from the list." in Page(admin.get(HISTORY)).notices[0]
    assert in_force(store, "email_sender") == "sales"


def test_a_change_of_a_scope_that_is_gone_is_shown_and_not_taken_back(
    store: Store, admin: Visitor
) -> None:
    store.setting("link_days", 9, "store", "gone")
    assert "store:gone" in admin.get(HISTORY).text
    undo(admin, 1)
    assert "The store has this scope no more." in Page(admin.get(HISTORY)).notices[0]


def test_a_change_of_a_setting_that_is_gone_is_shown_and_not_taken_back(
    store: Store, admin: Visitor
) -> None:
    with store.session() as db:
        db.add(SettingChange(scope="default", name="of_old", old_value=1, new_value=2))
        db.commit()
    assert "of_old" in admin.get(HISTORY).text
    undo(admin, 1)
    assert "There is no such setting." in Page(admin.get(HISTORY)).notices[0]


def test_two_who_undo_one_change_at_one_moment_undo_it_once(store: Store, admin: Visitor) -> None:
    change(admin, link_days="9")
    admin.get(HISTORY)
    answers = at_once(store, admin, [{}, {}], f"{HISTORY}/1/undo")
    assert sorted(each.status_code for each in answers) == [302, 409]
    assert len(changes(store)) == 2


def test_a_long_value_does_not_fill_the_page(store: Store, admin: Visitor) -> None:
    store.setting("blocked_domains", "\n".join(f"d{number}.example" for number in range(5000)))
    assert len(admin.get(HISTORY).text) < 20_000
