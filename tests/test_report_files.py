"""Reports as files: what is shown, with what was asked for, and nothing that runs."""

from __future__ import annotations

import csv
import io
import sys
from itertools import count
from typing import Any

import pytest

from invitations_plugin.admin import reports
from invitations_plugin.reports import customers

from .support.reports import REPORTS, invited, spring
from .support.rows import insert
from .support.stores import Store, Visitor
from .support.workbooks import sheets

MARCH = "from=2026-02-28&to=2026-03-01"


@pytest.fixture
def database() -> str:
    """A file is the same on both databases."""
    return "sqlite"


def lines(visitor: Visitor, name: str, more: str = "") -> list[list[str]]:
    answer = visitor.get(f"{REPORTS}{name}?{MARCH}&format=csv{more}")
    assert answer.status_code == 200
    assert answer.content_type == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))


def test_a_csv_file_says_what_was_asked_for_and_has_every_figure(
    store: Store, admin: Visitor
) -> None:
    spring(store)
    assert lines(admin, "invitations", "&store=store:en") == [
        ["Report", "Invitations"],
        ["Store view", "English"],
        ["From", "2026-02-28"],
        ["To", "2026-03-01"],
        ["Show By", "Day"],
        ["Time zone", "Europe/London"],
        [],
        ["Interval", "Sent", "Accepted", "Discarded", "Accept Rate", "Discard Rate"],
        ["2026-02-28", "0", "0", "0", "", ""],
        ["2026-03-01", "5", "2", "1", "0.4", "0.2"],
        ["Total", "5", "2", "1", "0.4", "0.2"],
    ]


def test_a_workbook_has_a_sheet_for_each_table(store: Store, admin: Visitor) -> None:
    spring(store)
    answer = admin.get(f"{REPORTS}conversions?{MARCH}&format=xlsx")
    assert "conversions-2026-02-28-2026-03-01.xlsx" in answer.headers["Content-Disposition"]
    found = sheets(answer.data)
    assert list(found) == ["Conversions", "Orders and revenue"]
    totals = [(cell.kind, cell.text) for cell in found["Conversions"][-1]]
    assert totals[1:] == [("n", "5"), ("n", "2"), ("n", "1"), ("n", "0.2")]
    money = [cell.text for cell in found["Orders and revenue"][-1]]
    assert money[:3] == ["Total", "EUR", "2"]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_no_cell_is_run_by_a_spreadsheet(store: Store, admin: Visitor, kind: str) -> None:
    hostile = {
        "inviter_key": "=1+1",
        "inviter_email": "=cmd@example.com",
        "inviter_name": "@SUM(1)",
    }
    insert(store, [invited(store, "a@example.com", **hostile)])
    answer = admin.get(f"{REPORTS}customers?{MARCH}&search=%3Dcmd&format={kind}")
    if kind == "xlsx":
        found = [[cell.text for cell in line] for line in next(iter(sheets(answer.data).values()))]
    else:
        found = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    texts = {text for line in found for text in line}
    assert {"'=1+1", "'=cmd@example.com", "'@SUM(1)", "'=cmd"} <= texts
    assert not [text for text in texts if text.startswith(("=", "@"))]


def test_a_file_of_customers_has_every_page_and_says_what_it_leaves_out(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(store, [invited(store, f"{n}@example.com", inviter_key=f"k{n:03}") for n in range(70)])
    monkeypatch.setattr(sys.modules[customers.__module__], "ASKED", 20)
    found = lines(admin, "customers", "&sort=key&dir=asc")
    assert [line[1] for line in found if line[:1] == ["2026-03-01"]] == [
        f"k{n:03}" for n in range(70)
    ]
    assert "Note" not in {line[0] for line in found if line}
    monkeypatch.setattr(reports, "MOST_LINES", 40)
    assert ["Note", "The first 40 of 70 lines"] in lines(admin, "customers")


def test_what_comes_while_a_file_is_made_is_no_line_twice(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(store, [invited(store, f"{n}@example.com", inviter_key=f"k{n:03}") for n in range(510)])
    later = count()

    def read_beside_others(*given: Any, **more: Any) -> Any:
        found = customers(*given, **more)
        friend = f"{next(later)}@example.org"
        insert(store, [invited(store, friend, inviter_key=f"a{n}") for n in range(3)])
        return found

    monkeypatch.setattr(reports, "customers", read_beside_others)
    found = lines(admin, "customers", "&sort=key&dir=asc")
    keys = [line[1] for line in found if line[:1] == ["2026-03-01"]]
    assert keys == [f"k{n:03}" for n in range(510)]


def test_the_page_offers_the_files_of_what_it_shows(store: Store, admin: Visitor) -> None:
    spring(store)
    page = admin.get(f"{REPORTS}invitations?{MARCH}&by=week")
    for kind in ("csv", "xlsx"):
        assert f"by=week&amp;format={kind}" in page.text
