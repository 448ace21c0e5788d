"""The grid's queries: what each filter matches, and pages that lose and double nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from invitations_plugin.grid import (
    COLUMNS,
    Query,
    Selection,
    Total,
    next_ids,
    read_page,
    read_query,
)
from invitations_plugin.models import Invitation, Status

from .support.grids import ROME, found, in_order, names, random_rows, walk
from .support.rows import STATUSES, insert, row
from .support.stores import Store


def test_ids_are_a_range_with_both_ends(store: Store) -> None:
    ids = insert(store, names("a", "b", "c", "d"))
    assert found(store, id_from=str(ids[1])) == ["b", "c", "d"]
    assert found(store, id_to=str(ids[1])) == ["a", "b"]
    assert found(store, id_from=str(ids[1]), id_to=str(ids[2])) == ["b", "c"]
    assert found(store, id_from=str(ids[2]), id_to=str(ids[1])) == []
    assert found(store, id_from=str(2**63 - 1)) == []


@pytest.mark.parametrize("column", ["email", "invitee"])
def test_an_address_is_found_by_any_part_of_it_in_any_case(store: Store, column: str) -> None:
    key = "inviter_email" if column == "email" else "email"
    for number, text in enumerate(("Anna@example.com", "ben@example.com", "joanna@x.example")):
        insert(store, [row(f"{number}@example.com") | {key: text}])
    with store.session() as db:
        query = read_query({column: " ANNA ", "dir": "asc"}, ROME)
        rows = read_page(db, query).rows
    texts = [getattr(each, column) for each in rows]
    assert texts == ["Anna@example.com", "joanna@x.example"]


def test_wildcards_are_letters_like_others(store: Store) -> None:
    texts = ("a_b@", "50%", "a/b", "a\\b", "'", '"', "[ab]", "5%_", "\\%")
    insert(store, names("aXb@example.com", "plain@example.com", "50 percent", "5xy"))
    insert(store, names(*(f"({text})" for text in texts)))
    for text in texts:
        assert found(store, invitee=f"({text}") == [f"({text})"]
    assert found(store, invitee="a_b@") == ["(a_b@)"]


@pytest.mark.parametrize("column", ["sent", "registered"])
def test_days_are_those_of_the_store_view(store: Store, column: str) -> None:
    midnight = datetime(2026, 3, 14, tzinfo=ZoneInfo(ROME)).astimezone(UTC).replace(tzinfo=None)
    second, day = timedelta(seconds=1), timedelta(days=1)
    moments = {
        "before": midnight - second,
        "first": midnight,
        "last": midnight + day - second,
        "after": midnight + day,
    }
    for name, moment in moments.items():
        insert(store, [row(name, "accepted", **{f"{column}_at": moment})])
    today = {f"{column}_from": "2026-03-14", f"{column}_to": "2026-03-14"}
    assert found(store, **today) == ["first", "last"]
    assert found(store, **{f"{column}_from": "2026-03-15"}) == ["after"]
    assert found(store, **{f"{column}_to": "2026-03-13"}) == ["before"]


def test_lists_choose_one_value(store: Store) -> None:
    insert(store, [row(each, each) for each in STATUSES])
    insert(store, [row("it", website="private"), row("vip", group_code="vip")])
    for status in Status:
        assert status.value in found(store, status=status.value)
    assert found(store, status="accepted") == ["accepted"]
    assert found(store, website="private") == ["it"]
    assert found(store, group="vip") == ["vip"]
    assert found(store, website="nowhere") == found(store, group="' OR 1=1 --") == []


def test_filters_narrow_each_other(store: Store) -> None:
    insert(store, [row("anna", "sent"), row("anna2", "expired"), row("ben", "expired")])
    assert found(store, invitee="anna", status="expired") == ["anna2"]


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("id_from", "abc", "number"),
        ("id_to", "-1", "number"),
        ("id_from", "1.5", "number"),
        ("id_from", str(2**63), "number"),
        ("id_to", "9" * 5000, "number"),
        ("id_from", "\u0661", "number"),
        ("id_from", "1\x00", "number"),
        ("sent_from", "14.3.2026", "date"),
        ("sent_to", "2026-02-30", "date"),
        ("registered_from", "0001-01-01", "date"),
        ("registered_to", "9999-12-31", "date"),
        ("registered_to", "soon", "date"),
        ("status", "lost", "choice"),
    ],
)
def test_a_filter_that_cannot_be_read_is_named_and_kept(name: str, text: str, error: str) -> None:
    query = read_query({name: text, "invitee": "anna"}, ROME)
    assert query.errors == {name: error}
    assert query.filters[name] == text[:320]
    assert len(query.conditions) == 1


def test_days_at_the_edges_are_days_too(store: Store) -> None:
    for day in ("1970-01-01", "9998-12-31", "2026-03-29", "2026-10-25"):
        assert found(store, sent_from=day, sent_to=day, registered_to=day) == []


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_every_sort_walks_every_row_once_forward_and_backward(store: Store, direction: str) -> None:
    ids = insert(store, random_rows(7, 131))
    for sort in COLUMNS:
        arguments = {"sort": sort, "dir": direction}
        forward = [each for page in walk(store, arguments, backwards=False) for each in page]
        backward = walk(store, arguments, backwards=True)
        assert sorted(forward) == ids, sort
        assert [each for page in reversed(backward) for each in page] == forward, sort
        assert forward == in_order(store, sort, direction), sort


def test_pages_of_a_filter_walk_what_it_matches_once(store: Store) -> None:
    insert(store, random_rows(11, 131))
    query = {"status": "sent", "sort": "invitee", "dir": "asc"}
    expected = set(ids_of(store, lambda each: each.status == "sent"))
    forward = [each for page in walk(store, query, backwards=False, size=20) for each in page]
    assert len(forward) == len(expected)
    assert set(forward) == expected


@pytest.mark.parametrize("sort", ["sent", "id"])
def test_a_total_is_exact_up_to_a_few_and_the_same_on_each_page(
    store: Store, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    for module in ("pages", "narrowing"):
        monkeypatch.setattr(f"invitations_plugin.grid.{module}.FEW", 6)
    made = {"sent": 5, "expired": 7}
    for status, number in made.items():
        insert(store, [row(f"{n}@{status}.example", status) for n in range(number)])
    expected = {"sent": Total(5), "expired": Total(6, True), "declined": Total(0)}
    with store.session() as db:
        for status, total in expected.items():
            query = {"status": status, "sort": sort}
            page = read_page(db, read_query(query, ROME))
            assert (len(page.rows), page.total) == (made.get(status, 0), total)
            for key in ("1", "1:2020-01-01T00:00:00"):  # behind the last one
                page = read_page(db, read_query(query | {"after": key}, ROME))
                assert page.rows == []
                assert page.total == total


def ids_of(store: Store, matches: Callable[[Invitation], bool]) -> list[int]:
    return [each.id for each in store.invitations() if matches(each)]


def test_what_is_written_meanwhile_moves_no_row_to_another_page(store: Store) -> None:
    ids = insert(store, names(*(f"{n}" for n in range(25))))
    with store.session() as db:
        first = read_page(db, read_query({}, ROME))
    insert(store, names("new"))
    with store.session() as db:
        second = read_page(db, read_query({"after": first.next or ""}, ROME))
    assert [each.id for each in (*first.rows, *second.rows)] == ids[::-1]


NO_KEYS = ("abc", ":", "1:", ":1", "-1:a", "9" * 5000, f"{2**63}:x", "1:\x00", "5:soon", "\x00")


def test_a_page_that_cannot_be_still_answers(store: Store) -> None:
    insert(store, names("a", "b"))
    with store.session() as db:
        for key in NO_KEYS:
            for step in ("after", "before"):
                for sort in COLUMNS:
                    page = read_page(db, read_query({"sort": sort, step: key}, ROME))
                    assert len(page.rows) <= 2


@pytest.mark.parametrize(
    ("asked", "got"),
    [("30", 30), ("200", 200), ("7", 20), ("0", 20), ("-1", 20), ("1000000", 20), ("abc", 20)],
)
def test_only_offered_page_sizes_are_given(asked: str, got: int) -> None:
    assert read_query({"size": asked}, ROME).size == got


@pytest.mark.parametrize("sort", ["email_hash", "public_id", "id; DROP TABLE x", "", "ID"])
def test_only_known_columns_sort(sort: str) -> None:
    assert read_query({"sort": sort}, ROME).sort == "id"


def test_an_address_leads_back_to_the_same_query() -> None:
    arguments = {"invitee": "a&b", "status": "sent", "sort": "sent", "dir": "asc", "size": "50"}
    query = read_query(arguments | {"page": "3", "id_from": ""}, ROME)
    assert query.as_arguments() == arguments
    assert read_query({}, ROME).as_arguments() == {}


def test_all_means_what_was_there_when_it_was_said(store: Store) -> None:
    ids = insert(store, [row(f"{n}", "sent" if n % 2 else "expired") for n in range(9)])
    with store.session() as db:
        query: Query = read_query({"status": "sent"}, ROME)
        chosen = Selection(query=query, upto=ids[6], exclude=[ids[3]])
        assert next_ids(db, chosen, 0, 9) == [ids[1], ids[5]]
        assert next_ids(db, chosen, 0, 1) == [ids[1]]
        assert next_ids(db, chosen, ids[1], 9) == [ids[5]]


def test_rows_that_leave_the_filter_hide_none_behind_them(store: Store) -> None:
    insert(store, [row(f"{n}") for n in range(5)])
    with store.session() as db:
        chosen = Selection(query=read_query({"status": "sent"}, ROME), upto=2**62)
        seen: list[int] = []
        while ids := next_ids(db, chosen, max(seen, default=0), 2):
            seen += ids
            changed = sa.update(Invitation).where(Invitation.id.in_(ids))
            db.execute(changed.values(status="expired"))
    assert len(seen) == len(set(seen)) == 5
