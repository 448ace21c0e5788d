"""Dead links: whoever tries many of them from one address waits, and nobody else does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
import time_machine
from werkzeug.test import TestResponse

from invitations_plugin.database import atomically, session
from invitations_plugin.models import Quota
from invitations_plugin.throttle import GUESSES, Window, WindowFull, count, forget, network
from invitations_plugin.workers import Clock

from .support.outbox import in_threads
from .support.stores import Store

HERE, THERE = "203.0.113.9", "203.0.113.10"
MINUTE = 60
HOURLY = Window("mail", timedelta(hours=1), 10)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still five seconds into an hour."""
    start = time.time() // 3600 * 3600 + 5
    with time_machine.travel(start, tick=False) as traveller:
        yield traveller


def follow(store: Store, path: str = "/invitations/no.such", address: str = HERE) -> TestResponse:
    return store.visitor().get(path, environ_base={"REMOTE_ADDR": address})


def guess(store: Store, times: int, address: str = HERE) -> list[int]:
    return [follow(store, address=address).status_code for _ in range(times)]


def counts(store: Store) -> list[int]:
    with store.session() as db:
        return sorted(db.scalars(sa.select(Quota.taken).where(Quota.ends_at.is_not(None))))


def take(store: Store, *amounts: int, subject: str = "somebody") -> list[int]:
    """Take amounts out of an hour's ten, one after the other; return what had to wait."""
    waits = []
    with store.session() as db:
        for amount in amounts:
            try:
                count(db, HOURLY, subject, amount)
            except WindowFull as full:
                waits.append(full.wait)
        db.commit()
    return waits


def test_thirty_dead_links_a_minute_are_answered_and_the_next_must_wait(any_store: Store) -> None:
    assert GUESSES.most == 30
    assert guess(any_store, 31) == [404] * 30 + [429]
    answer = follow(any_store)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= MINUTE
    assert "Please try again in a minute." in answer.text


def test_dead_links_to_the_sign_in_count_as_well(any_store: Store) -> None:
    guess(any_store, 30)
    assert follow(any_store, "/invitations/no.such/sign-in").status_code == 429


def test_another_address_is_not_kept_waiting(any_store: Store) -> None:
    guess(any_store, 31)
    assert follow(any_store, address=THERE).status_code == 404


def test_a_forged_forward_makes_no_other_address(any_store: Store) -> None:
    answers = [
        any_store.visitor().get(
            "/invitations/no.such",
            environ_base={"REMOTE_ADDR": HERE},
            headers={"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": f"10.0.0.{number}"},
        )
        for number in range(31)
    ]
    assert [each.status_code for each in answers] == [404] * 30 + [429]


def test_a_valid_link_opens_from_an_address_that_must_wait(
    any_store: Store, link_for: Callable[..., str]
) -> None:
    link = link_for()
    guess(any_store, 31)
    assert follow(any_store, link).location == "/invitations/welcome"


def test_valid_links_are_not_counted(any_store: Store, link_for: Callable[..., str]) -> None:
    link = link_for()
    answers = {follow(any_store, link).status_code for _ in range(GUESSES.most + 5)}
    assert answers == {302}
    assert counts(any_store) == []


def test_after_the_wait_that_was_told_links_are_answered_again(
    any_store: Store, clock: time_machine.Traveller
) -> None:
    guess(any_store, 31)
    clock.shift(timedelta(seconds=int(follow(any_store).headers["Retry-After"])))
    assert follow(any_store).status_code == 404


def test_another_process_goes_on_counting(store: Store) -> None:
    guess(store, 30)
    names = ("INVITATIONS_BASE_URL", "MAIL_PORT", "MAIL_SERVER", "TESTING")
    config = {name: store.app.config[name] for name in names}
    another = Store(
        **config,
        DATABASE_URL=store.app.config["SQLALCHEMY_DATABASE_URI"],
        INSTANCE_PATH=store.app.instance_path,
        INVITATIONS_DELIVERY="none",
    )
    assert follow(another).status_code == 429
    another.close()


def test_guesses_at_one_moment_are_all_counted(store: Store) -> None:
    answers: list[int] = []
    in_threads(lambda: answers.extend(guess(store, 10)), 4)
    assert sorted(answers) == [404] * 30 + [429] * 10


def test_no_ip_address_is_kept(any_store: Store) -> None:
    guess(any_store, 1)
    with any_store.session() as db:
        (subject,) = db.scalars(sa.select(Quota.subject))
    assert HERE not in subject


def test_counts_of_windows_that_are_over_are_removed_and_the_running_one_stays(
    any_store: Store, clock: time_machine.Traveller
) -> None:
    guess(any_store, 2)
    clock.shift(timedelta(minutes=3))
    guess(any_store, 1)
    with any_store.app.app_context():
        atomically(lambda: forget(session()))
    assert counts(any_store) == [1]


def test_the_count_of_a_sender_is_no_window(
    any_store: Store, clock: time_machine.Traveller
) -> None:
    any_store.customer().send("anna@example.com")
    clock.shift(timedelta(minutes=3))
    with any_store.session() as db:
        before = list(db.scalars(sa.select(Quota.subject)))
        forget(db)
        db.commit()
        assert list(db.scalars(sa.select(Quota.subject))) == before != []


def test_the_worker_removes_old_windows(any_store: Store, clock: time_machine.Traveller) -> None:
    guess(any_store, 1)
    clock.shift(timedelta(minutes=3))
    with any_store.app.app_context():
        Clock(any_store.app)._look()
    assert counts(any_store) == []


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("2001:DB8::1", "2001:0db8:0:0::2", True),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
        ("::ffff:203.0.113.9", "::ffff:203.0.113.10", False),
        ("203.0.113.9", "203.0.113.10", False),
        ("unix:", "", False),
        ("not an address", "not an address", True),
    ],
)
def test_a_visitor_counts_by_the_network_of_the_address(one: str, other: str, alike: bool) -> None:
    assert (network(one) == network(other)) is alike


def test_one_visitor_s_ipv6_addresses_are_counted_together(any_store: Store) -> None:
    answers = [
        follow(any_store, address=f"2001:db8::{number:x}").status_code for number in range(31)
    ]
    assert answers == [404] * 30 + [429]
    assert follow(any_store, address="2001:db8:0:1::1").status_code == 404


def test_beyond_the_limit_nothing_is_written(any_store: Store) -> None:
    guess(any_store, 35)
    assert counts(any_store) == [30]


def test_an_amount_is_taken_whole_or_not_at_all(any_store: Store) -> None:
    assert take(any_store, 4, 4) == []
    assert take(any_store, 3) == [3595]
    assert counts(any_store) == [8]
    assert take(any_store, 2) == []
    assert counts(any_store) == [10]


def test_more_than_a_whole_window_is_never_taken(any_store: Store) -> None:
    assert take(any_store, 11) == [3595]
    assert counts(any_store) == []


def test_each_subject_has_a_window_of_its_own(any_store: Store) -> None:
    assert take(any_store, 10) == take(any_store, 10, subject="somebody else") == []


def test_a_window_opens_anew_when_it_is_over(
    any_store: Store, clock: time_machine.Traveller
) -> None:
    take(any_store, 10)
    [wait] = take(any_store, 1)
    clock.shift(timedelta(seconds=wait - 1))
    assert take(any_store, 1) == [1]
    clock.shift(timedelta(seconds=1))
    assert take(any_store, 10) == []


def test_a_long_window_outlives_the_short_ones(
    any_store: Store, clock: time_machine.Traveller
) -> None:
    take(any_store, 7)
    guess(any_store, 1)
    clock.shift(timedelta(minutes=30))
    with any_store.app.app_context():
        atomically(lambda: forget(session()))
    assert counts(any_store) == [7]


def test_amounts_taken_at_one_moment_never_exceed_the_window(store: Store) -> None:
    waits: list[int] = []

    def once() -> None:
        with store.app.app_context():
            try:
                atomically(lambda: count(session(), HOURLY, "somebody", 3))
            except WindowFull as full:
                waits.append(full.wait)

    in_threads(once, 12)
    assert counts(store) == [9]
    assert len(waits) == 9
