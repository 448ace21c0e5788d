"""Saved views: the grid as each member of staff likes it, under a name."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from invitations_plugin import saved_views
from invitations_plugin.models import VIEW_NAME, SavedView

from .support.pages import Page
from .support.rows import insert, one, row
from .support.stores import Store, Visitor

GRID = "/admin/invitations/"
VIEWS = f"{GRID}views"
LATE = {"status": "expired", "sort": "sent", "dir": "asc", "columns": "id,invitee", "size": "50"}


@pytest.fixture
def clerk(store: Store) -> Visitor:
    """Somebody else, who may only look."""
    return store.staff("clerk@example.com")


def keep(visitor: Visitor, name: str, **more: str) -> str:
    """Save the grid as it is under a name; return the address that this leads to."""
    visitor.get(VIEWS)
    answer = visitor.post(VIEWS, {"name": name} | more)
    assert answer.status_code == 302, answer.text
    return str(answer.location)


def kept(store: Store) -> list[SavedView]:
    with store.session() as db:
        found = list(db.scalars(sa.select(SavedView).order_by(SavedView.id)))
        db.expunge_all()
        return found


def line(page: Page) -> str:
    """Return what the grid says of the view that is on."""
    [nav] = page.all("nav", aria_label="View")
    return " ".join(nav.text.split()).removesuffix("FiltersColumns").strip()


def test_a_view_keeps_the_whole_state_and_is_opened_by_its_number(
    store: Store, admin: Visitor
) -> None:
    wanted = one(store, status="expired")
    one(store, "ben@example.com")
    path = keep(admin, "  Late   ones ", after="3", **LATE)
    [view] = kept(store)
    assert (view.name, view.arguments) == ("Late ones", LATE)
    answer = admin.get(f"{GRID}?view={view.id}")
    assert (answer.status_code, answer.location) == (302, path)
    page = Page(admin.get(path))
    assert page.notices == ["The view Late ones was saved."]
    assert list(page.statuses) == [wanted]
    assert line(page) == "Late ones"
    assert f"view={view.id}" in path
    assert page.link("Late ones") == path.replace(GRID, VIEWS)


def test_the_page_says_that_a_view_was_changed_since(store: Store, admin: Visitor) -> None:
    one(store, status="expired")
    page = Page(admin.get(keep(admin, "Late", **LATE)))
    [chip] = page.all("a", aria_label="Remove the filter Status: Expired")
    changed = Page(admin.get(chip.attributes["href"]))
    assert line(changed) == "Late changed"
    view = kept(store)[0]
    given = {key: text for key, text in LATE.items() if key != "status"} | {"view": str(view.id)}
    answer = admin.post(f"{VIEWS}/{view.id}", given | {"do": "update"})
    assert line(Page(admin.get(answer.location))) == "Late"
    assert "status" not in kept(store)[0].arguments


def test_the_bare_address_opens_the_view_to_start_with(store: Store, admin: Visitor) -> None:
    insert(store, [row("a@example.com"), row("b@example.com", "expired")])
    path = keep(admin, "Late", is_default="1", **LATE)
    assert admin.get(GRID).location == path
    everything = admin.get(f"{GRID}?view=0")
    assert len(Page(everything).statuses) == 2
    assert line(Page(everything)) == "All invitations"
    page = Page(admin.get(path))
    assert "view=" in (page.link("Clear all") or "")
    cleared = Page(admin.get(page.link("Clear all") or ""))
    assert len(cleared.statuses) == 2


def test_clearing_the_only_filter_of_the_first_view_does_not_open_it_again(
    store: Store, admin: Visitor
) -> None:
    insert(store, [row("a@example.com"), row("b@example.com", "expired")])
    page = Page(admin.get(keep(admin, "Late", is_default="1", status="expired")))
    assert page.link("Clear all") == f"{GRID}?view=0"
    assert len(Page(admin.get(f"{GRID}?view=0")).statuses) == 2
    answer = admin.get(GRID, query_string={"status": "", "invitee": "", "view": "0"})
    assert answer.status_code == 200


def test_a_view_of_everything_may_be_the_first(store: Store, admin: Visitor) -> None:
    one(store)
    keep(admin, "Everything", is_default="1")
    page = Page(admin.get(GRID))
    assert line(page) == "Everything"
    assert len(page.statuses) == 1


def test_only_one_view_is_the_first(store: Store, admin: Visitor) -> None:
    keep(admin, "One", is_default="1", status="sent")
    keep(admin, "Two", is_default="1", status="expired")
    one_, two = kept(store)
    assert (one_.is_default, two.is_default) == (False, True)
    admin.post(f"{VIEWS}/{one_.id}", {"do": "start"})
    assert [view.is_default for view in kept(store)] == [True, False]
    admin.post(f"{VIEWS}/{one_.id}", {"do": "stop"})
    assert admin.get(GRID).status_code == 200


def test_views_are_renamed_and_deleted(store: Store, admin: Visitor) -> None:
    keep(admin, "Late", **LATE)
    view = kept(store)[0]
    answer = admin.post(f"{VIEWS}/{view.id}", {"do": "rename", "name": "Later"})
    assert "The view is called Later now." in Page(admin.get(answer.location)).notices
    given = {"do": "delete", "view": str(view.id), "status": "expired"}
    answer = admin.post(f"{VIEWS}/{view.id}", given)
    assert answer.location == f"{GRID}?status=expired"
    assert Page(admin.get(answer.location)).notices == ["The view Later was deleted."]
    assert kept(store) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * (VIEW_NAME + 1), "\u200b", "\x00"])
def test_a_name_that_cannot_be_is_refused_at_its_field_with_the_state_kept(
    store: Store, admin: Visitor, name: str
) -> None:
    admin.get(VIEWS)
    answer = admin.post(VIEWS, {"name": name, "status": "sent"})
    page = Page(answer)
    assert answer.status_code == 422
    assert page.error("inv-view-name") == "Enter a name of at most 60 characters."
    assert page.fields["status"] == "sent"
    assert kept(store) == []


def test_a_name_is_used_once_by_a_person(store: Store, admin: Visitor, clerk: Visitor) -> None:
    keep(admin, "Late", **LATE)
    keep(admin, "Sent", status="sent")
    keep(clerk, "Late", **LATE)
    answer = admin.post(VIEWS, {"name": "Late"})
    page = Page(answer)
    assert answer.status_code == 422
    assert page.error("inv-view-name") == "You have a view of this name already."
    assert page.all("input", id="inv-view-name", value="Late", aria_invalid="true")
    second = kept(store)[1]
    answer = admin.post(f"{VIEWS}/{second.id}", {"do": "rename", "name": "Late"})
    assert answer.status_code == 422
    assert Page(answer).error(f"inv-view-{second.id}") == "You have a view of this name already."
    assert [view.name for view in kept(store)] == ["Late", "Sent", "Late"]


def test_nobody_has_too_many(
    store: Store, admin: Visitor, clerk: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_views, "MOST", 2)
    keep(admin, "One")
    keep(admin, "Two")
    answer = admin.post(VIEWS, {"name": "Three"})
    assert answer.status_code == 422
    assert "as many views as there may be" in Page(answer).error("inv-view-name")
    keep(clerk, "One")


def test_somebody_else_s_view_is_passed_over_with_a_word(
    store: Store, admin: Visitor, clerk: Visitor
) -> None:
    insert(store, [row("a@example.com"), row("b@example.com", "expired")])
    path = keep(admin, "Late", is_default="1", **LATE)
    view = kept(store)[0]
    for address, number in ((f"{GRID}?view={view.id}", 2), (path, 1)):
        page = Page(clerk.get(address))
        assert page.notices == ["The saved view in this address is not one of yours."]
        assert line(page) == "All invitations"
        assert len(page.statuses) == number
    assert Page(clerk.get(GRID)).notices == []
    clerk.get(VIEWS)
    for do in ("rename", "delete", "update", "start"):
        answer = clerk.post(f"{VIEWS}/{view.id}", {"do": do, "name": "Mine"})
        assert answer.status_code == 404
    assert "Late" not in clerk.get(VIEWS).text
    assert kept(store)[0].name == "Late"


def test_numbers_that_are_none_are_passed_over(store: Store, admin: Visitor) -> None:
    one(store)
    for bad in ("abc", "-1", str(2**63), "9" * 400, "\u0661", ""):
        assert len(Page(admin.get(GRID, query_string={"view": bad})).statuses) == 1


def test_what_the_grid_has_no_more_is_left_out_of_a_view(store: Store, admin: Visitor) -> None:
    one(store, status="expired")
    keep(admin, "Old", **LATE)
    old = {"columns": "id,shoe_size,invitee", "shoe_size": "43", "sort": "shoe_size"}
    with store.session() as db:
        db.execute(sa.update(SavedView).values(arguments=old))
        db.commit()
    view = kept(store)[0]
    path = admin.get(f"{GRID}?view={view.id}").location
    assert path == f"{GRID}?columns=id%2Cinvitee&view={view.id}"
    assert line(Page(admin.get(path))) == "Old"
