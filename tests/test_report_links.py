"""From a number to its rows: the grid shows exactly what a report counted, and the way back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from invitations_plugin.grid import Selection, read_query
from invitations_plugin.selections import read, written

from .support.figures import keep
from .support.pages import Page
from .support.reports import REPORTS, invited, numbers, spring, table
from .support.rows import STATUSES, by, insert, key_of, row
from .support.stores import Store, Visitor

GRID = "/admin/invitations/"
FALL_BACK = datetime(2026, 10, 24, 20)  # the clocks go back in the night of the 25th


@pytest.fixture
def filled(store: Store) -> Store:
    """Invitations round the night that has an hour twice, in two zones, of three senders."""
    chance = random.Random(5)
    inviters: Sequence[dict[str, Any]] = [by(store), by(store, store.other_inviter), {}]
    views = [("main", "en"), ("main", "fr"), ("private", "it")]
    made = []
    for number in range(150):
        website, view = chance.choice(views)
        at = FALL_BACK + timedelta(minutes=chance.randrange(60 * 40))
        status = chance.choice(STATUSES)
        more = {"website": website, "store_view": view, "created_at": at}
        made.append(row(f"{number}@example.com", status, **chance.choice(inviters) | more))
    insert(store, made)
    spring(store)
    keep(store)
    return store


def test_each_number_leads_to_as_many_rows(filled: Store) -> None:
    admin = filled.staff()
    for name, asked in (
        ("invitations", "from=2026-10-24&to=2026-10-26"),
        ("invitations", "from=2026-10-24&to=2026-10-26&store=store:it"),
        ("conversions", "from=2026-02-01&to=2026-10-31&by=month&store=website:main"),
        ("customers", "from=2026-02-01&to=2026-10-31&by=year"),
    ):
        links = numbers(Page(admin.get(f"{REPORTS}{name}?{asked}")))
        assert len(links) > 3
        for link in links:
            path = link.attributes["href"]
            assert total(Page(admin.get(path))) == link.text.strip(), path


def total(page: Page) -> str:
    """Return how many rows the grid says to have found."""
    (place,) = [each for each in page.all("div") if each.attributes.get("id") == "inv-total"]
    return place.text.split()[0]


def test_the_grid_says_that_it_came_from_a_report_and_leads_back(
    filled: Store, admin: Visitor
) -> None:
    report = admin.get(f"{REPORTS}customers?from=2026-03-01&to=2026-03-02&sort=sent")
    link = numbers(Page(report))[0].attributes["href"]
    shown = Page(admin.get(link))
    again = Page(admin.get(shown.link("Email") or ""))  # sorted, it still knows
    for page in (shown, again):
        assert "behind a number of the report Invited Customers" in " ".join(page.text("div"))
        back = admin.get(page.link("Back to the report") or "")
        assert table(Page(back)) == table(Page(report))
    assert any(text.startswith("Inviter: Veronica Costello") for text in page.text("li"))


def test_a_report_that_is_none_of_ours_leads_nowhere(store: Store, admin: Visitor) -> None:
    for text in ("nothing?from=1", "//evil.example.com", "invitations//x", "%0d%0a"):
        page = Page(admin.get(f"{GRID}?status=sent&report={text}"))
        assert page.link("Back to the report") is None
        assert not [a for a in page.all("a") if a.attributes["href"].startswith("//")]


def test_days_are_those_of_the_zone_that_the_address_names(store: Store, admin: Visitor) -> None:
    late = datetime(2026, 7, 1, 22, 30)  # the 2nd in Rome, the 1st in London
    insert(store, [row("late@example.com", created_at=late)])
    day = f"{GRID}?sent_from=2026-07-02&sent_to=2026-07-02"
    assert len(Page(admin.get(f"{day}&zone=Europe/Rome")).statuses) == 1
    assert len(Page(admin.get(f"{day}&zone=nowhere")).statuses) == 0
    shown = admin.get(f"{day}&zone=Europe/Rome").text
    assert "Days are those of Europe/Rome." in shown
    assert "Jul 2, 2026</td>" in shown
    for folder in ("Europe", "../x", "%00", "/etc/passwd"):
        assert admin.get(f"{day}&zone={folder}").status_code == 200


def test_a_selection_keeps_the_zone_of_its_days(store: Store) -> None:
    with store.session():
        asked = {"sent_from": "2026-07-02", "zone": "Europe/Rome"}
        query = read_query(asked, "Europe/London")
        kept = written(Selection(query=query, upto=9), "Europe/London")
        again = read(kept).query
    assert kept["timezone"] == "Europe/Rome"
    assert again is not None
    assert again.given == query.given


def test_the_grid_filters_by_store_view_inviter_and_purchase(filled: Store) -> None:
    admin = filled.staff()
    march = f"{GRID}?sent_from=2026-03-01&sent_to=2026-03-01"
    veronica = key_of(filled, filled.inviter)
    assert len(Page(admin.get(f"{march}&inviter_key={veronica}")).statuses) == 4
    assert len(Page(admin.get(f"{march}&inviter_key=-")).statuses) == 0
    assert len(Page(admin.get(f"{march}&purchased=yes")).statuses) == 1
    assert len(Page(admin.get(f"{march}&purchased=no")).statuses) == 4
    assert len(Page(admin.get(f"{march}&store_view=it")).statuses) == 0
    assert len(Page(admin.get(f"{march}&store_view=en&sort=email")).statuses) == 5
    assert admin.get(f"{march}&purchased=perhaps").status_code == 422


def test_the_filters_panel_offers_them_and_keeps_an_inviter(store: Store, admin: Visitor) -> None:
    page = Page(admin.get(f"{GRID}filters?inviter_key=7&store_view=fr&purchased=no"))
    names = {each.attributes.get("name") for each in page.all("select")}
    assert {"store_view", "purchased"} <= names
    assert page.fields["inviter_key"] == "7"
    chosen = {each.attributes["value"] for each in page.all("option", selected="")}
    assert {"fr", "no"} <= chosen
    sorts = [each.text for each in page.all("option", value="store_view")]
    assert sorts == []


def test_an_invitation_of_a_removed_account_still_leads_to_its_rows(
    store: Store, admin: Visitor
) -> None:
    insert(store, [invited(store, "a@example.com", inviter_key="gone:1", inviter_name="")])
    page = Page(admin.get(f"{REPORTS}customers?from=2026-03-01&to=2026-03-02"))
    assert table(page)[1][1:4] == ["", "Account removed", "veronica@example.com"]
    shown = Page(admin.get(page.link("1") or ""))
    assert len(shown.statuses) == 1
