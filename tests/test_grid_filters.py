"""The grid's filters, alone and together: by an index or without one, the same is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from invitations_plugin import searchable
from invitations_plugin.database import engine
from invitations_plugin.grid import (
    COLUMNS,
    DEFAULT_COLUMNS,
    Condition,
    Kind,
    Total,
    count_all,
    read_page,
    read_query,
)
from invitations_plugin.grid.narrowing import can_search
from invitations_plugin.grid.query import FOLDED, SIGNS
from invitations_plugin.models import Invitation
from invitations_plugin.workers import settle_search

from .support.grids import DAY, ROME, found, in_order, names, random_rows, walk
from .support.rows import insert, row
from .support.stores import Store


def test_a_text_is_found_by_how_it_begins_or_by_all_of_it(store: Store) -> None:
    insert(store, names("Anna@x.example", "joanna@x.example", "anna@x.example.com"))
    assert found(store, invitee="ANNA*") == ["Anna@x.example", "anna@x.example.com"]
    assert found(store, invitee="=anna@X.example") == ["Anna@x.example"]
    assert found(store, invitee="jo") == ["joanna@x.example"]
    assert found(store, invitee="an") == ["Anna@x.example", "anna@x.example.com"]
    assert len(found(store, invitee="nna@x")) == 3
    assert found(store, invitee="=") == []
    assert len(found(store, invitee="*")) == 3


def test_hidden_columns_filter_as_well(store: Store) -> None:
    insert(store, [row("a", message="See you: 100%"), row("b", inviter_name="Vera Ek")])
    insert(store, [row("c", mail_state="failed", expires_at=DAY)])
    assert found(store, message="you: 100%") == ["a"]
    assert found(store, inviter="vera") == ["b"]
    assert found(store, mail="failed") == ["c"]
    assert found(store, expires_from="2026-03-14", expires_to="2026-03-14") == ["c"]


def test_only_known_columns_are_shown_each_once_and_in_their_order(store: Store) -> None:
    insert(store, [row("anna", message="x" * 99)])
    query = read_query({"columns": "mail,invitee,nothing,mail,message"}, ROME)
    assert query.columns == ("mail", "invitee", "message")
    assert query.as_arguments() == {"columns": "mail,invitee,message"}
    with store.session() as db:
        [shown] = read_page(db, query).rows
    assert (shown.mail, shown.invitee, shown.message) == ("delivered", "anna", "x" * 99)
    assert read_query({"columns": "nothing"}, ROME).columns == DEFAULT_COLUMNS


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the grid's pages take few rows for many, so that every way to find them is gone."""
    monkeypatch.setattr("invitations_plugin.grid.narrowing.FEW", 6)
    for name, number in {"FEW": 6, "GLANCED_AT": 9, "LOOKED_THROUGH": 25, "COUNTED": 30}.items():
        monkeypatch.setattr(f"invitations_plugin.grid.pages.{name}", number)


# Filters that few and many rows pass, with and without an index, alone and together.
FILTERED: tuple[dict[str, str], ...] = (
    {"status": "sent"},
    {"website": "private", "group": "vip"},
    {"status": "expired", "website": "main", "group": "general"},
    {"status": "sent", "sent_from": "2026-03-15"},
    {"sent_from": "2026-03-14", "sent_to": "2026-03-15", "registered_from": "2026-03-15"},
    {"expires_to": "2026-03-20"},
    {"invitee": "zoe"},
    {"invitee": "example.com", "status": "sent"},
    {"invitee": "a*", "mail": "failed"},
    {"inviter": "era", "message": "x"},
    {"email": "veronica", "group": "general"},
    {"email": "=veronica", "status": "accepted"},
    {"id_from": "30", "id_to": "90", "mail": "skipped"},
)


@pytest.fixture(params=[True, False], ids=["searchable", "not searchable"])
def maybe_searchable(request: pytest.FixtureRequest, store: Store) -> Iterator[Store]:
    """A store whose database has an index of every three letters, and one without."""
    if request.param:
        yield store
        return
    with store.app.app_context(), engine().begin() as connection:
        searchable.drop(connection)
    yield store
    with store.app.app_context(), engine().begin() as connection:
        searchable.create(connection)


def test_every_filter_with_every_sort_finds_each_row_once(
    maybe_searchable: Store, impatient: None
) -> None:
    store = maybe_searchable
    made = random_rows(13, 131)
    for each in made[::3]:
        each["email"] = f"{each['email_hash']}@example.com"
    insert(store, made)
    kept = store.invitations()
    ordered = {sort: in_order(store, sort, "asc") for sort in COLUMNS}
    for place, filters in enumerate(FILTERED):
        given = read_query(filters, ROME).given
        expected = {each.id for each in kept if passes(each, given)}
        for sort in ("id", "sent", *list(COLUMNS)[place % 3 :: 3]):
            arguments = {"sort": sort, "dir": "asc", **filters}
            forward = [n for page in walk(store, arguments, backwards=False) for n in page]
            assert forward == [n for n in ordered[sort] if n in expected], arguments
            backward = walk(store, arguments | {"dir": "desc"}, backwards=True)
            assert sorted(n for page in backward for n in page) == sorted(expected), arguments


def passes(each: Invitation, given: Sequence[Condition]) -> bool:
    """Return whether an invitation passes filters, as Python has it."""
    return all(_passes(getattr(each, one.column.attribute), one) for one in given)


def _passes(value: Any, one: Condition) -> bool:
    if value is None:
        return False
    text = value.translate(FOLDED) if one.column.kind == Kind.TEXT else value
    tests: dict[str, Callable[[], bool]] = {
        "begins": lambda: str(text).startswith(one.value),
        "contains": lambda: one.value in text,
    }
    return tests[one.sign]() if one.sign in tests else bool(SIGNS[one.sign](text, one.value))


def test_a_total_is_exact_or_says_that_there_are_more(store: Store, impatient: None) -> None:
    insert(store, [row(f"{n}@example.com", message="hello") for n in range(40)])
    insert(store, [row("last@example.com", "expired", message="good bye")])

    def total(**filters: str) -> Total:
        with store.session() as db:
            return read_page(db, read_query(filters, ROME)).total

    assert total() == Total(30, is_more=True)
    assert total(status="sent") == Total(6, is_more=True)
    assert total(status="expired") == Total(1)
    assert total(invitee="last@") == Total(1)
    assert total(message="good", status="expired") == Total(1)
    assert total(message="hello") == Total(20, is_more=True)  # as many as the page shows


@pytest.mark.parametrize("name", ["invitee", "message", "status", "sent_from", "id_to"])
def test_filters_that_differ_in_their_value_alone_find_each_their_own(
    store: Store, name: str
) -> None:
    march, april = ({"sent_at": datetime(2026, month, 1)} for month in (3, 4))
    anna = row("anna@example.com", "accepted", message="100%") | march
    ids = insert(store, [anna, row("bert@example.com", message="100_") | april])
    values = {
        "invitee": ("anna", "bert"),
        "message": ("0%", "0_"),
        "status": ("accepted", "sent"),
        "sent_from": ("2026-02-28", "2026-03-31"),
        "id_to": (str(ids[1]), str(ids[0])),
    }
    both, second = ["anna@example.com", "bert@example.com"], {"id_to": ["anna@example.com"]}
    first = {"sent_from": both, "id_to": both}.get(name, ["anna@example.com"])
    assert found(store, **{name: values[name][0]}) == first
    assert found(store, **{name: values[name][1]}) == second.get(name, ["bert@example.com"])


def change(store: Store, number: int, address: str | None) -> None:
    with store.session() as db:
        db.execute(sa.update(Invitation).where(Invitation.id == number).values(email=address))
        db.commit()


def test_the_search_knows_what_was_written_changed_and_erased(store: Store) -> None:
    ids = insert(store, names("first@example.com", "second@example.com"))
    change(store, ids[0], "third@example.com")
    change(store, ids[1], None)
    assert found(store, invitee="first") == found(store, invitee="second") == []
    assert found(store, invitee="third@") == ["third@example.com"]
    with store.session() as db:
        db.execute(sa.delete(Invitation).where(Invitation.id == ids[0]))
        db.commit()
        if db.get_bind().dialect.name == "sqlite":  # it compares its index with the texts
            for column in searchable.COLUMNS:
                table = f"{searchable.PREFIX}{column}"
                check = f"INSERT INTO {table} ({table}) VALUES ('integrity-check')"  # noqa: S608
                db.execute(sa.text(check))
    assert found(store, invitee="third@") == []


def test_an_index_that_comes_later_is_used_without_a_restart(store: Store) -> None:
    def is_used() -> bool:
        with store.app.app_context(), engine().connect() as connection:
            return can_search(connection)

    with store.app.app_context(), engine().begin() as connection:
        searchable.drop(connection)
    assert not is_used()
    with store.app.app_context(), engine().begin() as connection:
        searchable.create(connection)
    assert is_used()


def test_all_that_match_are_counted_when_somebody_asks(store: Store, impatient: None) -> None:
    insert(store, [row(f"{n}@example.com", message="hello" if n % 2 else None) for n in range(80)])
    for filters, number in (({}, 80), ({"message": "ell"}, 40), ({"invitee": "7@e"}, 8)):
        with store.session() as db:
            assert count_all(db, read_query(filters, ROME)) == number


def test_erased_addresses_leave_the_search_s_own_tables_too(store: Store, database: str) -> None:
    if database != "sqlite":
        return  # PostgreSQL's vacuum does so
    ids = insert(store, names(*(f"{n}@example.com" for n in range(50)), "qxz@example.com"))
    assert kept_of(store, b"qxz")
    change(store, ids[-1], None)
    with store.app.app_context():
        settle_search()
    assert not kept_of(store, b"qxz")
    assert len(found(store, invitee="@example.com")) == 50


def kept_of(store: Store, letters: bytes) -> bool:
    """Return whether the index of the addresses has letters anywhere in its pages."""
    with store.session() as db:
        query = sa.text(f"SELECT block FROM {searchable.PREFIX}email_data")  # noqa: S608
        return any(letters in bytes(block) for block in db.scalars(query))
