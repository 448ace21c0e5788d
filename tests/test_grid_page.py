"""The grid's page: columns, filters of hidden ones, totals, what takes too long, its weight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from flask import Flask, template_rendered
from jinja2 import ChoiceLoader, DictLoader

from invitations_plugin.admin import grid as grid_page
from invitations_plugin.database import TooSlow, engine, session, time_limit
from invitations_plugin.grid import COLUMNS, DEFAULT_COLUMNS
from invitations_plugin.models import Invitation
from sample_store.models import Customer

from .support.pages import Page, statements
from .support.rows import by, insert, one, row
from .support.stores import Store, Visitor

GRID = "/admin/invitations/"
HTMX = {"HX-Request": "true"}
ALL = ",".join(COLUMNS)
MOST_BYTES = 15 * 1024


def heads(page: Page) -> list[str]:
    """Return what the columns are called, the boxes apart."""
    return [each.text for each in page.all("th", scope="col")][1:]


def cells(page: Page) -> list[str]:
    """Return what the first row shows behind its ID."""
    start = next(i for i, each in enumerate(page.elements) if "data-status" in each.attributes)
    rest = [each for each in page.elements[start:] if each.tag == "td"]
    return [each.text for each in rest[1 : len(heads(page))]]


def test_every_column_can_be_shown_with_a_filter_below_it(store: Store, admin: Visitor) -> None:
    one(store, inviter_name="Veronica", message="See you", mail_state="failed")
    page = Page(admin.get(f"{GRID}?columns={ALL}"))
    assert heads(page) == [
        "ID", "Inviter", "Email", "Invitee", "Message", "Sent", "Registered", "Valid Until",
        "Status", "Mail", "Valid Website", "Invitee Group",
    ]  # fmt: skip
    shown = cells(page)
    assert shown[0] == "Veronica"
    assert shown[3] == "See you"
    assert shown[8] == "Failed"
    named = {each.attributes.get("name") for each in page.elements}
    assert {name for column in COLUMNS.values() for name in column.filters} <= named


def test_columns_stand_in_the_order_of_the_address_and_stay(store: Store, admin: Visitor) -> None:
    one(store)
    page = Page(admin.get(f"{GRID}?columns=status,invitee,nonsense,id,status"))
    assert heads(page) == ["Status", "Invitee", "ID"]
    again = Page(admin.get(page.link("Invitee") or ""))
    assert heads(again) == ["Status", "Invitee", "ID"]


def test_a_column_that_is_hidden_still_filters(store: Store, admin: Visitor) -> None:
    wanted = one(store, mail_state="failed")
    one(store, "ben@example.com")
    page = Page(admin.get(f"{GRID}?mail=failed"))
    assert list(page.statuses) == [wanted]
    assert page.fields["mail"] == "failed"  # carried along by the form of the others
    assert page.all("a", aria_label="Remove the filter Mail: Failed")
    panel = Page(admin.get(page.link("Filters") or ""))
    selected = [
        each.attributes["value"] for each in panel.elements if "selected" in each.attributes
    ]
    assert selected == ["failed", "id", "desc"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("anna", ["anna@", "joanna@"]), ("anna*", ["anna@"]), ("=joanna@example.com", ["joanna@"])],
)
def test_a_text_contains_begins_or_is(
    store: Store, admin: Visitor, text: str, found: list[str]
) -> None:
    insert(store, [row(f"{name}@example.com") for name in ("anna", "joanna", "ben")])
    answer = admin.get(GRID, query_string={"invitee": text, "dir": "asc"})
    page = Page(answer)
    assert len(page.statuses) == len(found)
    assert all(each in answer.text for each in found)
    assert page.fields["invitee"] == text


def test_errors_of_hidden_filters_are_said_where_they_can_be_mended(
    store: Store, admin: Visitor
) -> None:
    one(store)
    given = "?expires_from=soon&mail=lost&invitee=anna"
    page = Page(admin.get(f"{GRID}{given}"))
    assert page.fields["expires_from"] == "soon"
    answer = admin.get(page.link("Filters") or "")
    panel = Page(answer)
    assert answer.status_code == 422
    assert panel.error("inv-panel-expires_from") == "Enter a date such as 2026-11-30."
    assert panel.error("inv-panel-mail") == "Choose one from the list."
    assert panel.fields["invitee"] == "anna"


def test_columns_are_chosen_and_moved_without_a_script(store: Store, admin: Visitor) -> None:
    one(store)
    path = f"{GRID}columns"
    page = Page(admin.get(f"{path}?columns=id,email,invitee&status=sent"))
    order = [each.attributes["value"] for each in page.all("input", name="order")]
    shown = [
        each.attributes["value"]
        for each in page.all("input", name="show")
        if "checked" in each.attributes
    ]
    assert order[:3] == shown == ["id", "email", "invitee"]
    assert set(order) == set(COLUMNS)
    asked = {"order": order, "show": [*shown, "message"], "status": "sent"}
    moved = Page(admin.get(path, query_string=asked | {"up": "invitee"}))
    order = [each.attributes["value"] for each in moved.all("input", name="order")]
    assert order[:3] == ["id", "invitee", "email"]
    answer = admin.get(path, query_string=asked | {"order": order, "apply": "1"})
    assert answer.location == f"{GRID}?status=sent&columns=id%2Cinvitee%2Cemail%2Cmessage"
    first = Page(admin.get(path, query_string={"order": order, "show": "id", "up": order[0]}))
    assert first.all("input", name="order")[0].attributes["value"] == order[0]


def test_no_column_at_all_is_refused(store: Store, admin: Visitor) -> None:
    answer = admin.get(f"{GRID}columns", query_string={"order": list(COLUMNS), "apply": "1"})
    assert answer.status_code == 422
    assert "Choose at least one column." in Page(answer).text("p")


def test_the_usual_columns_leave_the_address(store: Store, admin: Visitor) -> None:
    asked = {"order": list(DEFAULT_COLUMNS), "show": list(DEFAULT_COLUMNS), "apply": "1"}
    assert admin.get(f"{GRID}columns", query_string=asked).location == f"{GRID}?view=0"


def test_rows_can_stand_apart(store: Store, admin: Visitor) -> None:
    one(store)
    page = Page(admin.get(Page(admin.get(GRID)).link("Comfortable") or ""))
    [grid] = page.all("div", id="inv-grid")
    assert "inv-comfortable" in grid.attributes["class"]
    assert "density=comfortable" in (page.link("Invitee") or "")
    assert page.link("Dense") == f"{GRID}?view=0"


def test_a_total_that_is_not_exact_is_counted_afterwards(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invitations_plugin.grid.pages.COUNTED", 10)
    insert(store, [row(f"{n}@example.com") for n in range(25)])
    page = Page(admin.get(GRID))
    assert "10+ found" in page.text("p")
    [link] = page.all("a", data_hx_trigger="load")
    piece = admin.get(link.attributes["data-hx-get"], headers=HTMX)
    assert Page(piece).text("p") == ["25 found"]
    assert Page(piece).all("div", id="inv-total", data_inv_total="25")
    assert "<table" not in piece.text
    plain = Page(admin.get(page.link("Count all") or ""))
    assert "25 found" in plain.text("p")
    assert len(plain.statuses) == 20
    assert plain.link("Count all") is None


ENDLESS = (
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 1000000000)"
    " SELECT count(*) FROM t"
)


def test_what_reads_for_too_long_is_stopped_and_the_session_goes_on(store: Store) -> None:
    with store.session() as db:
        with pytest.raises(TooSlow), time_limit(0.05):
            db.execute(sa.text(ENDLESS))
        assert db.scalar(sa.select(sa.func.count(Invitation.id))) == 0
        with time_limit(30):
            assert db.scalar(sa.text("SELECT 1")) == 1


@contextmanager
def out_of_time(store: Store, monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    """Let a limit be over at once, and the database be slower than that."""
    monkeypatch.setattr(grid_page, name, 0.0)
    monkeypatch.setattr("invitations_plugin.database.STEPS", 1)
    with store.app.app_context(), engine().connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(
                sa.text("LOCK TABLE invitations_invitation IN ACCESS EXCLUSIVE MODE")
            )
        yield
        connection.rollback()
    monkeypatch.undo()


def test_a_search_that_takes_too_long_is_answered_calmly_with_its_filters(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    one(store)
    for headers in ({}, HTMX):
        with out_of_time(store, monkeypatch, "PAGE_SECONDS"):
            answer = admin.get(f"{GRID}?invitee=anna&columns=id,invitee", headers=headers)
        page = Page(answer)
        assert answer.status_code == 503
        assert "This search takes too long; narrow it down." in page.text("p")
        assert page.fields["invitee"] == "anna"
        assert heads(page) == ["ID", "Invitee"]
    assert admin.get(f"{GRID}?invitee=anna").status_code == 200


def test_pages_that_were_looked_through_in_part_say_so_and_go_on(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in (("GLANCED_AT", 3), ("LOOKED_THROUGH", 5), ("FEW", 0)):
        monkeypatch.setattr(f"invitations_plugin.grid.pages.{name}", number)
    monkeypatch.setattr("invitations_plugin.grid.narrowing.FEW", 0)
    monkeypatch.setattr("invitations_plugin.grid.narrowing.can_search", lambda session: False)
    ids = insert(
        store, [row(f"{n}@example.com", message="red" if n < 2 else "blue") for n in range(20)]
    )
    path, found, texts = f"{GRID}?message=red", [], 0
    while path:
        page = Page(admin.get(path))
        found += list(page.statuses)
        path = page.link("Search on") or ""
        texts += any("Looked through" in text for text in page.text("p"))
    assert found == [ids[1], ids[0]]
    assert texts > 1


def test_a_page_of_twenty_rows_weighs_at_most_fifteen_kilobytes(
    store: Store, admin: Visitor
) -> None:
    made = [
        row(f"perret.bastien{n:02}@harbour.example.com", "accepted" if n % 3 == 0 else "sent")
        | by(store)
        | {"inviter_email": f"raphael_gauthier{n:02}@studio.example.org", "id": 10**6 + n}
        for n in range(30)
    ]
    insert(store, made)
    answer = admin.get(GRID)
    assert len(Page(answer).statuses) == 20
    assert len(answer.data) <= MOST_BYTES


@pytest.mark.parametrize("query", ["", f"?columns={ALL}", "?invitee=example&status=sent"])
def test_the_number_of_queries_does_not_grow_with_rows_columns_or_views(
    store: Store, admin: Visitor, query: str
) -> None:
    counts = set()
    admin.get(f"{GRID}{query}")  # once an app it is asked what the database can search
    for number in (1, 50):
        insert(store, [row(f"{number}.{n}@example.com", **by(store)) for n in range(number)])
        admin.get(f"{GRID}views")
        admin.post(f"{GRID}views", {"name": f"View {number}"})
        with statements(store) as seen:
            assert admin.get(f"{GRID}{query or '?view=0'}").status_code == 200
        counts.add(len(seen))
    assert len(counts) == 1
    assert counts.pop() <= 6
    with statements(store) as bare:
        admin.get(GRID)
    assert sum("invitations_view" in each for each in bare) == 1


def test_a_grid_that_was_read_keeps_what_postgresql_has_prepared(
    store: Store, admin: Visitor, database: str
) -> None:
    """Its transaction ends by COMMIT: psycopg forgets all at a ROLLBACK."""
    with statements(store) as seen:
        admin.get(GRID)
    assert seen.count("COMMIT") == (database == "postgresql")
    for query in ("", "?status=sent&sent_from=2026-01-01"):
        for _ in range(8):
            assert admin.get(f"{GRID}{query}").status_code == 200
    if database == "postgresql":
        with store.app.app_context(), engine().connect() as connection:
            kept = sa.text("select statement, generic_plans from pg_prepared_statements")
            found = connection.execute(kept).all()
        assert any("invitations_alarm" in each.statement for each in found)
        by_dates = [each for each in found if "sent_at >=" in each.statement]
        assert by_dates
        assert not any(each.generic_plans for each in by_dates)


@pytest.mark.parametrize("is_flushed", [False, True])
def test_what_the_store_left_unsaved_while_the_grid_was_shown_stays_unsaved(
    store: Store, admin: Visitor, is_flushed: bool
) -> None:
    def change(app: Flask, **more: object) -> None:
        customer = session().scalars(sa.select(Customer)).first()
        assert customer is not None
        customer.name = "Changed"
        if is_flushed:
            session().flush()

    with template_rendered.connected_to(change, store.app):
        assert admin.get(GRID).status_code == 200
    with store.session() as db:
        assert "Changed" not in db.scalars(sa.select(Customer.name)).all()


def test_an_empty_grid_invites_to_add_and_who_may_not_is_not_asked(store: Store) -> None:
    page = Page(store.staff().get(GRID))
    assert "No invitation has been sent yet." in page.text("p")
    assert len([each for each in page.all("a") if each.text == "Add Invitations"]) == 2
    assert Page(store.staff("clerk@example.com").get(GRID)).link("Add Invitations") is None


def test_a_store_may_replace_a_cell(store: Store, admin: Visitor) -> None:
    own = "{# Ours. #}<td>{{ website | upper }}</td>"
    loader = DictLoader({"invitations/admin/_cell_website.html": own})
    store.app.jinja_env.loader = ChoiceLoader([loader, store.app.jinja_env.loader])  # type: ignore[list-item]
    one(store)
    assert "MAIN" in Page(admin.get(GRID)).text("td")
