"""What has to fit: long words in every language, long names, a phone's menu, a printed page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, expect

from invitations_plugin.admin.words import STATUSES
from invitations_plugin.i18n import LANGUAGES, gettext, in_language
from sample_store.models import Customer

from ..support.rows import insert, one, row
from ..support.stores import SEND
from .conftest import DESK, LINES, PHONE, Live

ADMIN = "admin@example.com"
GRID = "/admin/invitations/"
REPORT = f"{GRID}reports/customers"
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 2

FADING = """[...document.querySelectorAll(':is(.inv, .inv-admin) *')]
  .filter((node) => getComputedStyle(node).transitionDuration !== '0s')
  .map((node) => node.outerHTML.slice(0, 120))"""


def inner_width(cell: Locator) -> float:
    """Return how much of a cell its text may take."""
    return float(
        cell.evaluate(
            "cell => cell.clientWidth - 2 * parseFloat(getComputedStyle(cell).paddingInlineStart)"
        )
    )


def box(found: Locator) -> dict[str, float]:
    """Return where something begins and how wide it is."""
    place = found.bounding_box()
    assert place is not None
    return {"x": place["x"], "width": place["width"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_status_is_wider_than_its_cell(
    live: Live, visit: Callable[..., Page], language: str
) -> None:
    insert(live.store, [row("anna@example.com")])
    with live.store.app.app_context(), in_language(language):
        labels = [gettext(each) for each in STATUSES.values()]
    page = visit(ADMIN)
    page.goto(GRID)
    cell = page.locator("tbody td:has(> b)")
    for label in labels:
        cell.locator("b").evaluate("(node, text) => { node.textContent = text; }", label)
        assert box(cell.locator("b"))["width"] <= inner_width(cell), label


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        ("anna@example.com", ["anna@example.com"]),
        (
            "bartholomew.archer73@orchard.example.com",
            ["bartholomew.archer73@", "orchard.example.com"],
        ),
    ],
    ids=["short", "long"],
)
def test_an_address_in_the_grid_breaks_behind_its_at(
    live: Live, visit: Callable[..., Page], address: str, lines: list[str]
) -> None:
    one(live.store, address, inviter_email=address)
    page = visit(ADMIN)
    page.goto(GRID)
    cells = page.locator("tbody td").filter(has_text="@")
    expect(cells).to_have_text([address, address])
    assert [cell.evaluate(LINES) for cell in cells.all()] == [lines, lines]


def test_a_long_name_covers_nothing_beside_it(live: Live, visit: Callable[..., Page]) -> None:
    with live.store.session() as db:
        db.execute(sa.update(Customer).values(name=LONG))
        db.commit()
    for friend in ("anna@example.com", "ben@example.com"):
        one(live.store, friend, inviter_name=LONG)
    for width in (DESK, PHONE):
        page = visit(ADMIN, width)
        page.goto(REPORT)
        cell = page.locator(".inv-figures tbody td", has_text=LONG)
        assert box(cell.locator("a").first)["width"] <= inner_width(cell)
        label, number = (page.locator(".inv-bars span").nth(place) for place in (0, 1))
        assert box(label)["x"] + box(label)["width"] <= box(number)["x"]
        expect(page.locator(".inv-bars > div").first).to_have_attribute(
            "title", f"{LONG}: 0 of 2 accepted"
        )


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
def test_a_phone_shows_where_one_is(live: Live, visit: Callable[..., Page], scripts: bool) -> None:
    page = visit(ADMIN, PHONE, java_script_enabled=scripts)
    for path in ("", "reports/invitations", "configuration", "templates/"):
        page.goto(f"{GRID}{path}")
        current = box(page.locator(".inv-nav [aria-current]"))
        assert 0 <= current["x"] <= PHONE - current["width"]


def test_filters_are_equally_wide_and_say_from_and_to(
    live: Live, visit: Callable[..., Page]
) -> None:
    page = visit(ADMIN)
    page.goto(f"{GRID}filters")
    fields = page.locator(".inv-fields > .inv-field")
    assert len({round(box(each)["width"]) for each in fields.all()}) == 1
    sent = page.get_by_role("group", name="Sent")
    for bound, name in (("From", "sent_from"), ("To", "sent_to")):
        expect(sent.get_by_text(bound, exact=True)).to_be_visible()
        expect(sent.get_by_label(f"Sent: {bound}")).to_have_attribute("name", name)


def test_a_printed_grid_has_its_rows_and_none_of_its_controls(
    live: Live, visit: Callable[..., Page]
) -> None:
    insert(live.store, [row("anna@example.com")])
    page = visit(ADMIN)
    page.emulate_media(media="print")
    for width in (DESK, 700):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{GRID}?status=sent")
        expect(page.locator("tbody")).to_contain_text("anna@example.com")
        expect(page.get_by_text("Status: Sent")).to_be_visible()
        expect(page.locator(".inv-main :is(button, select, input):visible")).to_have_count(0)
        expect(page.get_by_role("link", name="Filters")).to_be_hidden()
    page.goto(f"{GRID}1/")
    expect(page.get_by_role("heading", name="Invitation 1")).to_be_visible()
    expect(page.locator(".inv-main button:visible")).to_have_count(0)


def test_who_can_select_nothing_has_no_heading_for_it(
    live: Live, visit: Callable[..., Page]
) -> None:
    insert(live.store, [row("anna@example.com")])
    page = visit("clerk@example.com")
    page.goto(GRID)
    expect(page.get_by_role("columnheader")).to_have_count(8)
    expect(page.get_by_text("Select", exact=True)).to_have_count(0)


@pytest.mark.parametrize(
    ("reader", "path"), [(ADMIN, GRID), ("veronica@example.com", SEND)], ids=["staff", "customer"]
)
def test_nothing_fades_for_who_asks_for_less_motion(
    live: Live, visit: Callable[..., Page], reader: str, path: str
) -> None:
    page = visit(reader, reduced_motion="reduce")
    page.goto(path)
    expect(page.locator(":is(.inv, .inv-admin) .inv-button").first).to_be_visible()
    assert page.evaluate(FADING) == []
