"""What nobody types but programs send: no address of the back office breaks on it."""

from __future__ import annotations

import pytest

from invitations_plugin import FlaskLoginHost
from invitations_plugin.digits import BIGGEST_ID, whole_number
from invitations_plugin.grid import FILTERS
from sample_store.models import Customer

from .support.rows import one
from .support.stores import Store, Visitor
from .test_protection import ADMIN, CHANGING, SHOWING

GRID = "/admin/invitations/"
HUGE = "9" * 5000  # more digits than Python reads
TYPED = {
    "huge": HUGE,
    "beyond every column": str(2**63),
    "beyond most columns": "3000000000",
    "digits that are none": "\u00b2",
    "digits of another script": "\u0663",
    "nul": "a\x00b",
    "nothing": "",
}
# What addresses of the back office read, the filters of the grid aside.
NAMES = (
    *(
        "after",
        "all",
        "back",
        "before",
        "by",
        "columns",
        "confirm",
        "customer",
        "dir",
        "do",
        "down",
    ),
    *("edit", "emails", "exclude", "expires", "format", "from", "group", "ids", "is_default"),
    *("invitee", "key", "message", "name", "number", "order", "page", "place", "replace", "report"),
    *("reviewed", "scope", "search", "seen", "select", "show", "size", "sort", "source", "store"),
    *("store_view", "text", "to", "up", "upto", "version", "view", "zone", "was_group"),
)
OURS = {name: path for name, path in SHOWING.items() if name.startswith(ADMIN)}
CHANGES = {name: each for name, each in CHANGING.items() if name.startswith(ADMIN)}


def number_of(store: Store) -> int:
    """Return the number of an invitation, a job and an export alike."""
    number = one(store, "anna@example.com")
    store.add_job(id=number)
    store.add_export(id=number)
    return number


@pytest.mark.parametrize("typed", TYPED.values(), ids=TYPED)
def test_what_an_address_is_asked_breaks_nothing(store: Store, admin: Visitor, typed: str) -> None:
    number = number_of(store)
    for path in OURS.values():
        bare = path.format(id=number).partition("?")[0]
        for asked in ({name: [typed, typed] for name in (*FILTERS, *NAMES)}, {"after": typed}):
            assert admin.get(bare, query_string=asked).status_code < 500, bare


@pytest.mark.parametrize("typed", TYPED.values(), ids=TYPED)
def test_what_a_form_is_sent_breaks_nothing(store: Store, admin: Visitor, typed: str) -> None:
    number = number_of(store)
    for path, sent in CHANGES.values():
        filled = {name: text.format(id=number, view="en", version=1) for name, text in sent.items()}
        for more in (filled, {}, dict.fromkeys(filled, typed)):
            admin.get(f"{GRID}views")
            given = {name: [typed, typed] for name in (*FILTERS, *NAMES)} | more
            assert admin.post(path.format(id=number), given).status_code < 500, path


@pytest.mark.parametrize("number", [HUGE, str(2**63), "3000000000", "0", "\u0663"])
def test_no_number_in_an_address_breaks_it(store: Store, admin: Visitor, number: str) -> None:
    admin.get(f"{GRID}views")
    paths = [*OURS.values(), *(path for path, _ in CHANGES.values())]
    for path in [each.format(id=number) for each in paths if "{id}" in each]:
        assert admin.get(path).status_code in (404, 405), path
        assert admin.post(path).status_code in (404, 405), path


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        (f"{GRID}?view={HUGE}", None),
        (f"{GRID}views?view={HUGE}", None),
        (f"{GRID}delivery/?place=parked&after={HUGE}", None),
        (f"{GRID}delivery/parked", {"action": "release", "ids": HUGE}),
        (f"{GRID}?inviter_key={'9' * 20}", None),
        (f"{GRID}?inviter_key=3000000000", None),
        (f"{GRID}reports/customer?key={'9' * 20}", None),
        (f"{GRID}reports/customer?key=3000000000", None),
    ],
)  # fmt: skip
def test_a_number_alone_breaks_nothing(
    store: Store, admin: Visitor, path: str, sent: dict[str, str] | None
) -> None:
    admin.get(f"{GRID}views")
    answer = admin.get(path) if sent is None else admin.post(path, sent)
    assert answer.status_code in (200, 302, 404)


def test_customers_are_found_by_keys_that_can_be_theirs(store: Store) -> None:
    host = FlaskLoginHost(Customer, register="auth.register")
    with store.app.test_request_context():
        keys = [str(number) for number in (1, 2, 3_000_000_000, 2**63, -(2**70))]
        assert set(host.customers([*keys, HUGE, "x", ""])) == {"1", "2"}


def test_a_whole_number_is_written_in_plain_digits() -> None:
    assert [whole_number(text) for text in ("0", "7", "007", str(BIGGEST_ID))] == [
        0,
        7,
        7,
        BIGGEST_ID,
    ]
    for bad in (None, "", "-1", "+1", " 1", "1_0", "1.0", "\u00b2", "\u0663", str(2**63), HUGE):
        assert whole_number(bad) is None
    assert (whole_number("100", 100), whole_number("101", 100)) == (100, None)
