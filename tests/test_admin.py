"""The back office: the grid as staff see it, its mass actions, one invitation."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from invitations_plugin.models import Status

from .support.pages import Page, statements
from .support.rows import STATUSES, ago, by, insert, one, row
from .support.stores import Store, Visitor

GRID = "/admin/invitations/"
ACTIONS = f"{GRID}actions"
HTMX = {"HX-Request": "true"}
LABELS = [
    "Select",
    "ID",
    "Email",
    "Invitee",
    "Sent",
    "Registered",
    "Status",
    "Valid Website",
    "Invitee Group",
]


def cells(page: Page) -> list[list[str]]:
    """Return what the rows of the grid show."""
    texts = [
        " ".join(each.text.split())
        for each in page.elements
        if each.tag == "td" or (each.tag == "th" and each.attributes.get("scope") == "row")
    ][len(LABELS) :]  # the row of filters
    return [texts[start : start + len(LABELS)] for start in range(0, len(texts), len(LABELS))]


def test_the_grid_has_the_nine_columns_of_the_model(store: Store, admin: Visitor) -> None:
    at = datetime(2026, 3, 14, 12)
    one(store, "anna@example.com", "accepted", created_at=at, group_code="vip")
    insert(store, [row("ben@example.com", "not_sent")])
    page = Page(admin.get(GRID))
    heads = page.all("th", scope="col")
    assert [
        " ".join(each.text.split())[: len(label)] for each, label in zip(heads, LABELS, strict=True)
    ] == LABELS
    second, first = cells(page)
    assert first[2:4] == [store.inviter, "anna@example.com"]
    assert "2026" in first[4]
    assert first[4] == first[5]
    assert first[6:] == ["Accepted", "Main Website", "VIP"]
    assert second[2:] == ["Store", "ben@example.com", "", "", "Not Sent", "Main Website", "General"]


def test_statuses_are_called_as_in_the_model(store: Store, admin: Visitor) -> None:
    ids = insert(store, [row(f"{each}@example.com", each) for each in STATUSES])
    page = Page(admin.get(f"{GRID}?dir=asc"))
    assert page.statuses == dict(zip(ids, STATUSES, strict=True))
    assert [each[6] for each in cells(page)] == [
        "Not Sent",
        "Sent",
        "Accepted",
        "Discarded",
        "Declined",
        "Expired",
    ]


def test_each_filter_narrows_the_grid_and_stays_filled_in(store: Store, admin: Visitor) -> None:
    wanted = one(
        store, "anna@example.com", "accepted", website="private", group_code="vip",
        created_at=datetime(2026, 3, 14, 12),
    )  # fmt: skip
    insert(store, [row("ben@example.com")])
    filters = {
        "id_to": str(wanted), "email": "VERONICA", "invitee": "anna", "sent_to": "2026-03-14",
        "registered_from": "2026-03-14", "status": "accepted", "website": "private", "group": "vip",
    }  # fmt: skip
    for name, value in filters.items():
        page = Page(admin.get(GRID, query_string={name: value}))
        assert list(page.statuses) == [wanted], name
        selected = [
            each.attributes["value"] for each in page.elements if "selected" in each.attributes
        ]
        assert page.fields.get(name, "") == value or selected == [value], name


def test_a_bad_filter_is_said_at_its_field_with_what_was_typed(
    store: Store, admin: Visitor
) -> None:
    one(store)
    given = {"id_from": "abc", "sent_to": "2026-02-30", "status": "lost", "invitee": "anna"}
    answer = admin.get(GRID, query_string=given)
    page = Page(answer)
    assert answer.status_code == 422
    assert page.fields["id_from"] == "abc"
    assert page.fields["sent_to"] == "2026-02-30"
    assert page.fields["invitee"] == "anna"
    assert page.error("inv-filter-id_from") == "Enter a whole number."
    assert page.error("inv-filter-sent_to") == "Enter a date such as 2026-11-30."
    assert page.all("input", name="id_from", aria_invalid="true")
    piece = admin.get(GRID, query_string=given, headers=HTMX)
    assert (piece.status_code, piece.headers["X-Invitations-Fragment"]) == (422, "1")


def test_a_chip_names_its_filter_and_removes_it(store: Store, admin: Visitor) -> None:
    one(store)
    path = f"{GRID}?status=sent&invitee=anna&sort=sent&dir=asc"
    page = Page(admin.get(path))
    chips = [" ".join(each.text.split())[:-2] for each in page.all("li", class_="inv-chip")]
    assert chips == ["Invitee: anna", "Status: Sent"]
    [remove] = page.all("a", aria_label="Remove the filter Status: Sent")
    left = Page(admin.get(remove.attributes["href"]))
    assert left.fields["invitee"] == "anna"
    [column] = left.all("th", aria_sort="ascending")
    assert column.text.strip() == "Sent"
    assert page.link("Clear all") == f"{GRID}?sort=sent&dir=asc"


def test_a_filter_that_matches_nothing_says_so(store: Store, admin: Visitor) -> None:
    assert "No invitation has been sent yet." in Page(admin.get(GRID)).text("p")
    one(store)
    page = Page(admin.get(f"{GRID}?invitee=nobody"))
    assert "Nothing matches these filters." in page.text("p")
    assert "0 found" in page.text("p")


def test_a_head_sorts_and_turns_round(store: Store, admin: Visitor) -> None:
    ids = insert(store, [row(each) for each in ("b@example.com", "a@example.com", "c@example.com")])
    path = Page(admin.get(GRID)).link("Invitee")
    assert path is not None
    up = Page(admin.get(path))
    assert list(up.statuses) == [ids[1], ids[0], ids[2]]
    [sorted_by] = up.all("th", aria_sort="ascending")
    assert sorted_by.text == "Invitee"
    down = Page(admin.get(up.link("Invitee") or ""))
    assert list(down.statuses) == [ids[2], ids[0], ids[1]]
    assert len([each for each in down.elements if "aria-sort" in each.attributes]) == 1


def test_the_pager_leads_to_every_page_and_to_both_ends(store: Store, admin: Visitor) -> None:
    ids = insert(store, [row(f"{n}@example.com", group_code="vip") for n in range(65)])[::-1]
    path: str | None = f"{GRID}?group=vip&size=30"
    for start in (0, 30, 60):
        assert path is not None
        page = Page(admin.get(path))
        assert list(page.statuses) == ids[start : start + 30]
        assert "65 found" in page.text("p")
        path = page.link("Next")
    assert path is None
    back = Page(admin.get(page.link("Previous") or ""))
    assert list(back.statuses) == ids[30:60]
    assert list(Page(admin.get(back.link("First") or "")).statuses) == ids[:30]
    assert list(Page(admin.get(back.link("Last") or "")).statuses) == ids[35:]


def test_page_sizes_are_offered_and_kept(store: Store, admin: Visitor) -> None:
    insert(store, [row(f"{n}@example.com") for n in range(55)])
    page = Page(admin.get(GRID))
    assert len(page.statuses) == 20
    [fifty] = page.all("a", id="inv-size-50")
    page = Page(admin.get(GRID + fifty.attributes["href"]))
    assert len(page.statuses) == 50
    assert "size=50" in (page.link("Next") or "")
    assert [each.text for each in page.all("b", aria_current="true")] == ["50"]


def test_there_is_no_such_invitation(store: Store, admin: Visitor) -> None:
    one(store)
    admin.get(GRID)
    for number in (99999, 2**63 - 1, 2**63, "9" * 400, "abc", -1):
        assert admin.get(f"{GRID}{number}/").status_code == 404
        for action in ("", "discard", "send", "reopen", "expire", "extend"):
            assert admin.post(f"{GRID}{number}/{action}").status_code == 404


def test_what_is_missing_is_called_an_invitation_only_at_an_invitation_s_address(
    store: Store, admin: Visitor
) -> None:
    assert "There is no such invitation" in admin.get(f"{GRID}99999/").text
    for path in ("exports/99", "jobs/99", "templates/nope/", "configuration?scope=store:nope"):
        answer = admin.get(f"{GRID}{path}")
        assert answer.status_code == 404
        assert "This page does not exist, or what it showed was removed." in answer.text


def test_who_may_only_look_is_offered_nothing_and_refused(store: Store) -> None:
    clerk = store.staff("clerk@example.com")
    number = one(store)
    for path in (GRID, f"{GRID}{number}/"):
        page = Page(clerk.get(path))
        assert not [each for each in page.actions() if each.startswith(GRID)]
        assert not page.all("select", name="action")
        assert not page.all("input", type="checkbox")
    clerk.get("/")
    for action in ("discard", "send"):
        for path, given in (
            (ACTIONS, {"action": action, "ids": number, "confirm": "1"}),
            (f"{GRID}{number}/{action}", {}),
        ):
            assert clerk.post(path, given).status_code == 403
    assert store.invitation("anna@example.com").version == 1


PLACES = [("get", GRID), ("get", f"{GRID}1/"), ("post", ACTIONS)]
PLACES += [("post", f"{GRID}1/discard"), ("post", f"{GRID}1/send")]


@pytest.mark.parametrize(("method", "path"), PLACES)
def test_customers_and_strangers_stay_outside(
    store: Store, veronica: Visitor, method: str, path: str
) -> None:
    number = one(store)
    path = path.replace("/1/", f"/{number}/")
    veronica.get("/account/invitations/")
    given = {"action": "discard", "ids": number, "confirm": "1"}
    do = veronica.post if method == "post" else veronica.get
    assert do(path, data=given).status_code == 403
    stranger = store.visitor()
    do = stranger.post if method == "post" else stranger.get
    answer = do(path, data=given)
    assert (answer.status_code, "/login" in answer.location) == (302, True)
    assert "HX-Redirect" in do(path, data=given, headers=HTMX).headers
    assert store.invitation("anna@example.com").version == 1


def test_staff_change_nothing_without_the_token(store: Store, admin: Visitor) -> None:
    number = one(store)
    given = {"action": "discard", "ids": number, "confirm": "1", "csrf_token": "old"}
    admin.get(GRID)
    for path in (ACTIONS, f"{GRID}{number}/discard", f"{GRID}{number}/send"):
        assert admin.post(path, given).status_code == 400
        assert admin.get(path).status_code == 405
        admin.get(GRID)
    assert store.invitation("anna@example.com").version == 1


CODE = '<img src=x onerror=alert(1)>" hx-get="/x" {{77*77}}'
EVIL = '<img src=x onerror=alert(1)>" onfocus=alert(1) hx-get="/x" data-hx-get="/y" {{ 77*77 }}'


def test_no_text_of_anybody_becomes_markup(store: Store, admin: Visitor) -> None:
    number = one(store, EVIL, inviter_name=EVIL, message=EVIL, mail_error=EVIL, group_code=CODE)
    store.change(EVIL, inviter_email=EVIL, website=CODE, store_view=CODE)
    pages = [
        admin.get(GRID),
        admin.get(GRID, query_string={"email": EVIL, "group": CODE, "status": EVIL}),
        admin.get(GRID, query_string={"id_from": EVIL, "sort": EVIL, "after": EVIL}, headers=HTMX),
        admin.get(f"{GRID}{number}/?discard=1"),
        admin.post(ACTIONS, {"action": "discard", "ids": number, "invitee": EVIL, "sort": EVIL}),
    ]
    for answer in pages:
        page = Page(answer)
        names = {name for each in page.elements for name in each.attributes}
        assert not page.all("img")
        assert not {name for name in names if name.startswith(("on", "hx-"))}
        assert not [each for each in page.elements if each.attributes.get("data-hx-get") == "/y"]
        assert "5929" not in re.findall(r"\b5929\b", " ".join(page.text("td") + page.text("dd")))


def test_the_number_of_queries_does_not_grow_with_the_rows(store: Store, admin: Visitor) -> None:
    counts = []
    for number in (1, 19, 150):
        made = [row(f"{number}.{n}@example.com", **by(store)) for n in range(number)]
        insert(store, made)
        with statements(store) as seen:
            assert admin.get(f"{GRID}?size=200").status_code == 200
        counts.append(len(seen))
    assert len(set(counts)) == 1, counts
    assert counts[0] <= 8


def test_the_grid_comes_to_htmx_without_its_frame(store: Store, admin: Visitor) -> None:
    one(store)
    page, piece = admin.get(GRID), admin.get(GRID, headers=HTMX)
    assert "<html" in page.text
    assert "<html" not in piece.text
    assert Page(page).statuses == Page(piece).statuses
    assert {"HX-Request", "Cookie"} <= set(page.vary)
    for answer in (page, piece):
        assert answer.headers["Cache-Control"] == "no-store, private"
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_rows_whose_people_are_erased_still_show(store: Store, admin: Visitor) -> None:
    [number] = insert(
        store,
        [
            row(
                None,
                "accepted",
                inviter_key="77",
                website="gone",
                store_view="gone",
                group_code="old",
            )
        ],
    )
    [cell] = cells(Page(admin.get(GRID)))
    assert cell[2:4] == ["Address removed", "Address removed"]
    assert cell[7:] == ["gone", "old"]
    assert admin.get(f"{GRID}{number}/").status_code == 200


def test_staff_still_see_the_grid_where_invitations_are_off(store: Store, admin: Visitor) -> None:
    one(store, last_sent_at=ago(days=1))
    store.setting("enabled", False)
    assert len(Page(admin.get(GRID)).statuses) == 1
    assert Status.SENT in Page(admin.get(GRID)).statuses.values()
