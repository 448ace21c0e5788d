"""The pages of Reports > Private Sales: columns, sums, empty intervals, bad input, rights."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import cast

import pytest

from invitations_plugin.admin.report_page import money_facts
from invitations_plugin.database import TooSlow
from invitations_plugin.host import Host
from invitations_plugin.reports import Conversions, Money, Report
from invitations_plugin.state import host

from .support.pages import Page, statements
from .support.reports import REPORTS, SPRING, invited, spring, table
from .support.rows import insert, one, row
from .support.second_store import SecondStore
from .support.stores import Store, Visitor

GRID = "/admin/invitations/"
HTMX = {"HX-Request": "true"}
NAMES = ("invitations", "customers", "conversions")
DASH = "\u2013"
MARCH = "from=2026-02-27&to=2026-03-02"


@pytest.fixture
def database() -> str:
    """What a page shows is the same on both databases; the figures have tests of their own."""
    return "sqlite"


def test_invitations_have_their_columns_a_line_an_interval_and_sums(
    store: Store, admin: Visitor
) -> None:
    spring(store)
    assert table(Page(admin.get(f"{REPORTS}invitations?{MARCH}"))) == [
        ["Interval", "Sent", "Accepted", "Discarded", "Accept Rate", "Discard Rate"],
        ["Feb 27, 2026 No records", "0", "0", "0", DASH, DASH],
        ["Feb 28, 2026 No records", "0", "0", "0", DASH, DASH],
        ["Mar 1, 2026", "5", "2", "1", "40.0%", "20.0%"],
        ["Mar 2, 2026 No records", "0", "0", "0", DASH, DASH],
        ["Total", "5", "2", "1", "40.0%", "20.0%"],
    ]


def test_intervals_without_records_are_folded_where_that_is_wanted(
    store: Store, admin: Visitor
) -> None:
    spring(store)
    page = Page(admin.get(f"{REPORTS}invitations?{MARCH}&empty=fold"))
    assert [line[0] for line in table(page)][1:] == [
        f"Feb 27 {DASH} 28, 2026 2 days without records",
        "Mar 1, 2026",
        "Mar 2, 2026 No records",
        "Total",
    ]
    assert "checked" in page.all("input", name="empty")[0].attributes


def test_conversions_have_their_columns_and_what_was_bought(store: Store, admin: Visitor) -> None:
    spring(store)
    page = Page(admin.get(f"{REPORTS}conversions?from=2026-03-01&to=2026-03-31&by=month"))
    lines = table(page)
    assert lines[:3] == [
        [
            "Interval",
            "Invitations Sent",
            "Invitations Accepted",
            "Accepted and Purchased",
            "Conversion Rate",
        ],
        ["March 2026", "5", "2", "1", "20.0%"],
        ["Total", "5", "2", "1", "20.0%"],
    ]
    assert lines[3] == ["Interval", "Currency", "Orders", "Revenue", "Average Order"]
    assert lines[4][:3] == ["March 2026", "EUR", "2"]
    facts = dict(zip(page.text("dt"), page.text("dd"), strict=True))
    assert facts["Customers who invited"] == "2"
    assert facts["Invitations per inviter"] == "2.5"
    assert "2 orders" in facts["Revenue in EUR"]


def test_customers_have_their_columns_and_lead_to_the_store(store: Store, admin: Visitor) -> None:
    spring(store)
    page = Page(admin.get(f"{REPORTS}customers?{MARCH}"))
    lines = table(page)
    assert lines[0] == [
        "Interval",
        "ID",
        "Name",
        "Email",
        "Group",
        "Invitations Sent",
        "Invitations Accepted",
        "Accepted and Purchased",
        "Revenue",
    ]
    first = lines[1]
    assert first[0] == "Mar 1, 2026"
    assert first[2:8] == [
        "Veronica Costello Who they brought", "veronica@example.com", "General", "4", "2", "1",
    ]  # fmt: skip
    assert lines[2][2:8] == ["Marcus Lindqvist", "marcus@example.com", "VIP", "1", "0", "0"]
    assert lines[-1] == ["Total", "", "", "", "", "5", "2", "1", ""]
    assert admin.get(page.link("Veronica Costello") or "").status_code == 200


def order(page: Page) -> list[str]:
    """Return how the sorted columns are sorted."""
    return [
        each.attributes["aria-sort"] for each in page.all("th") if "aria-sort" in each.attributes
    ]


def test_customers_are_sorted_by_any_column_both_ways_and_searched(
    store: Store, admin: Visitor
) -> None:
    spring(store)
    path = f"{REPORTS}customers?{MARCH}"
    for head in table(Page(admin.get(path)))[0]:
        sorted_once = Page(admin.get(Page(admin.get(path)).link(head) or ""))
        turned = Page(admin.get(sorted_once.link(head) or ""))
        orders = [
            [
                each.attributes["aria-sort"]
                for each in page.all("th")
                if "aria-sort" in each.attributes
            ]
            for page in (sorted_once, turned)
        ]
        assert sorted(orders) == [["ascending"], ["descending"]], head
    by_name = Page(admin.get(f"{path}&sort=name&dir=asc"))
    assert [line[2][:6] for line in table(by_name)[1:3]] == ["Marcus", "Veroni"]
    found = Page(admin.get(f"{path}&search=marcus"))
    assert len(table(found)) == 3
    assert found.fields["search"] == "marcus"
    nobody = admin.get(f"{path}&search=nobody")
    assert "Nobody of this name invited in this time." in nobody.text


def test_customers_are_shown_page_by_page(store: Store, admin: Visitor) -> None:
    insert(store, [invited(store, f"{n}@example.com", inviter_key=f"k{n:03}") for n in range(120)])
    page = Page(admin.get(f"{REPORTS}customers?{MARCH}&sort=key&dir=asc"))
    shown = [line[1] for line in table(page)[1:-1]]
    while link := page.link("Next"):
        page = Page(admin.get(link))
        shown += [line[1] for line in table(page)[1:-1]]
    assert shown == [f"k{n:03}" for n in range(120)]
    assert "120 lines · Page 3 of 3" in page.text("p")


def test_a_customers_tree_shows_whom_they_brought_and_the_way_back(
    store: Store, admin: Visitor
) -> None:
    spring(store)
    report = Page(admin.get(f"{REPORTS}customers?{MARCH}"))
    page = Page(admin.get(report.link("Who they brought") or ""))
    assert page.text("h1") == ["Brought by Veronica Costello"]
    assert any("Registered Mar 1, 2026" in text for text in page.text("p"))
    back = Page(admin.get(page.link("Back to the report") or ""))
    assert table(back) == table(report)
    assert admin.get(f"{REPORTS}customer?key=nobody").status_code == 404


def test_the_address_holds_the_state_and_gives_page_or_fragment(
    store: Store, admin: Visitor
) -> None:
    spring(store)
    for name in NAMES:
        path = f"{REPORTS}{name}?{MARCH}&by=week&store=website:main"
        page, piece = admin.get(path), admin.get(path, headers=HTMX)
        assert "<html" in page.text
        assert "<html" not in piece.text
        assert piece.text.strip() in page.text
        shown = Page(page)
        assert (shown.fields["from"], shown.fields["to"]) == ("2026-02-27", "2026-03-02")
        chosen = [each.attributes["value"] for each in shown.all("option", selected="")]
        assert chosen == ["website:main", "week"]
        for other in NAMES:
            label = {"invitations": "Invitations", "customers": "Invited Customers"}
            link = shown.link(label.get(other, "Conversions")) or ""
            assert name == other or "by=week" in link or link == GRID


def test_presets_lead_to_the_last_days(store: Store, admin: Visitor) -> None:
    one(store)
    page = Page(admin.get(f"{REPORTS}invitations"))
    for name, lines in (("Last 7 days", 9), ("Last 30 days", 32)):
        shown = Page(admin.get(page.link(name) or f"{REPORTS}invitations"))
        assert len(table(shown)) == lines
        assert table(shown)[-1][1] == "1"
    assert table(Page(admin.get(page.link("This year") or "")))[-1][1] == "1"


BAD = (
    ("from=2026-02-30", "from", "Enter a date that exists, such as 2026-11-30."),
    ("to=soon", "to", "Enter a date that exists, such as 2026-11-30."),
    ("from=2026-03-02&to=2026-03-01", "to", "This day is before From."),
    ("from=1990-01-01&to=2026-01-01", "by", "more than 1,000 intervals"),
    ("store=nowhere", "store", "Choose one of the list."),
    ("by=hour", "by", "Choose one of the list."),
)


def test_bad_input_is_refused_at_its_field_and_kept(store: Store, admin: Visitor) -> None:
    for name in NAMES:
        for query, field, said in BAD:
            answer = admin.get(f"{REPORTS}{name}?{query}")
            page = Page(answer)
            assert answer.status_code == 422
            assert said in page.error(f"inv-{field}")
            marked = [
                each.attributes for each in page.elements if "aria-invalid" in each.attributes
            ]
            assert [each["name"] for each in marked] == [field]
            chosen = [each.attributes["value"] for each in page.all("option", selected="")]
            for typed in query.split("&"):
                argument, _, text = typed.partition("=")
                assert text in [page.fields.get(argument), *chosen]
        assert admin.get(f"{REPORTS}{name}?by=hour&format=csv").status_code == 422


def test_odd_arguments_are_no_fault(store: Store, admin: Visitor) -> None:
    spring(store)
    odd = "sort=nothing&dir=up&page=0&empty=x&search=%00%25'&page=99999999999999999999"
    for name in NAMES:
        assert admin.get(f"{REPORTS}{name}?{odd}").status_code == 200
        assert admin.get(f"{REPORTS}{name}?{MARCH}&page=77&sort=revenue").status_code == 200
        assert admin.get(f"{REPORTS}{name}?{MARCH}&format=pdf").status_code == 404


def test_an_empty_store_is_told_so(store: Store, admin: Visitor) -> None:
    for name in NAMES:
        answer = admin.get(REPORTS + name)
        assert answer.status_code == 200
        assert "No invitation was sent in this time." in answer.text
        assert "<table" not in answer.text


def test_a_store_without_purchases_is_told_how_to_connect_them(
    make_store: Callable[..., Store],
) -> None:
    second = make_store(SecondStore)
    one(second)
    page = second.staff().get(f"{REPORTS}conversions").text
    assert "This store does not tell of purchases yet." in page
    assert "From sent to first purchase" not in page
    assert "Revenue" not in second.staff().get(f"{REPORTS}customers").text


def test_a_store_with_purchases_is_not(store: Store, admin: Visitor) -> None:
    with store.app.app_context():
        assert type(host()).purchases is not Host.purchases
    assert "does not tell of purchases" not in admin.get(f"{REPORTS}conversions").text


def test_figures_are_written_as_the_store_view_does(store: Store, admin: Visitor) -> None:
    insert(store, [invited(store, f"{n}@example.com") for n in range(1000)])
    admin.get("/?store=fr")
    lines = table(Page(admin.get(f"{REPORTS}invitations?{MARCH}&by=month")))
    assert lines[-1][1] == "1 000"
    assert lines[-1][4] == "0,0 %"
    assert lines[2][0] == f"1{DASH}2 mars 2026"


@pytest.mark.parametrize(
    ("code", "sent", "drawn"),
    [
        ("en", ["Sent", "Accepted", "Discarded"], "Sent Registered Purchased"),
        ("fr", ["Envoyées", "Acceptées", "Retirées"], "Envoyées Inscrits Avec achat"),
        ("it", ["Inviati", "Accettati", "Revocati"], "Inviati Registrati Con acquisto"),
    ],
)
def test_a_sum_is_called_in_the_plural_where_a_status_is_not(
    store: Store, admin: Visitor, code: str, sent: list[str], drawn: str
) -> None:
    insert(store, [invited(store, f"{n}@example.com") for n in range(2)])
    admin.get(f"/?store={code}")
    assert table(Page(admin.get(f"{REPORTS}invitations?{MARCH}")))[0][1:4] == sent
    assert Page(admin.get(f"{REPORTS}glance")).text("dt") == sent
    bars = Page(admin.get(f"{REPORTS}conversions?{MARCH}"))
    labels = [
        each.attributes["title"].partition(":")[0]
        for each in bars.all("div")
        if "title" in each.attributes
    ]
    assert " ".join(each.strip() for each in labels) == drawn


def test_one_order_is_one(store: Store, admin: Visitor) -> None:
    with store.app.test_request_context():
        for orders, said in ((1, "in 1 order,"), (2, "in 2 orders,")):
            totals = [Money("EUR", orders, Decimal("8.00"))]
            ((_, text),) = money_facts(Conversions(cast("Report", None), {}, totals, None, True))
            assert said in text


def test_who_lacks_the_right_sees_no_report_and_no_entry(store: Store) -> None:
    clerk = store.staff("clerk@example.com")
    for name in (*NAMES, "customer?key=1", "glance"):
        assert clerk.get(REPORTS + name).status_code == 403
    page = clerk.get(GRID).text
    assert "reports/" not in page


def test_who_has_only_this_right_gets_the_reports_without_ways_to_the_grid(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring(store)
    visitor = store.staff()
    with store.app.app_context():
        monkeypatch.setattr(type(host()), "may", lambda self, right: right == "report")
    page = Page(visitor.get(f"{REPORTS}invitations?{MARCH}"))
    assert page.link("Reports") == f"{REPORTS}invitations"
    assert page.link("5") is None
    assert table(page)[-1][1] == "5"
    assert visitor.get(GRID).status_code == 403


def test_staff_of_some_websites_get_the_figures_of_theirs(store: Store) -> None:
    spring(store)
    mine = {"website": "private", "store_view": "it"}
    insert(store, [row("z@example.com", created_at=SPRING, **mine)])
    paola = store.staff("paola@example.com")
    page = Page(paola.get(f"{REPORTS}invitations?{MARCH}"))
    assert table(page)[-1][1] == "1"
    offered = {each.attributes["value"] for each in page.all("option")}
    assert "website:private" in offered
    assert "website:main" not in offered
    assert paola.get(f"{REPORTS}invitations?{MARCH}&store=website:main").status_code == 422


def test_the_grid_gets_small_plots_without_a_statement_more(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(store, [row(f"{n}@example.com") for n in range(3)])
    with statements(store) as seen:
        page = Page(admin.get(GRID))
    (place,) = [each for each in page.all("div") if each.attributes.get("id") == "inv-glance"]
    assert place.attributes["data-hx-get"] == "reports/glance"
    with store.app.app_context():
        monkeypatch.setattr(type(host()), "may", lambda self, right: right != "report")
    with statements(store) as without:
        assert "inv-glance" not in admin.get(GRID).text
    assert len(seen) == len(without)


def test_small_plots_are_a_fragment_or_a_small_page(store: Store, admin: Visitor) -> None:
    insert(store, [row("a@example.com"), row("b@example.com", "accepted")])
    piece = admin.get(f"{REPORTS}glance", headers=HTMX)
    assert "<html" not in piece.text
    shown = Page(piece)
    assert shown.text("dt") == ["Sent", "Accepted", "Discarded"]
    assert shown.text("dd") == ["2", "1", "0"]
    assert [each.attributes["d"] != "" for each in shown.all("path")] == [True, True, False]
    assert Page(admin.get(f"{REPORTS}glance")).text("h1") == ["The last 30 days"]


TOO_LONG = "This search takes too long; narrow it down."


@pytest.mark.parametrize("name", NAMES)
def test_a_report_that_takes_too_long_says_so(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    spring(store)
    monkeypatch.setattr("invitations_plugin.database.STEPS", 1)
    monkeypatch.setattr("invitations_plugin.admin.reports.SECONDS", 0)
    answer = admin.get(f"{REPORTS}{name}?{MARCH}")
    assert answer.status_code == 503
    assert TOO_LONG in answer.text
    assert Page(answer).all("input", name="from")[0].attributes["value"] == "2026-02-27"


def test_conversions_are_shown_where_what_stands_beside_them_takes_too_long(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring(store)
    left_out = "How people behave is left out: reading it took too long."
    assert left_out not in admin.get(f"{REPORTS}conversions?{MARCH}").text

    def stopped(*_: object) -> None:
        raise TooSlow

    monkeypatch.setattr("invitations_plugin.admin.reports.behaviour", stopped)
    answer = admin.get(f"{REPORTS}conversions?{MARCH}")
    assert answer.status_code == 200
    assert left_out in answer.text
    assert TOO_LONG not in answer.text
    assert ["Mar 1, 2026", "5", "2", "1", "20.0%"] in table(Page(answer))
    assert "Revenue in EUR" in answer.text
