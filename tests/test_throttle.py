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
from invitations_plugin.throttle import MOST, forget_guesses
from invitations_plugin.workers import Clock

from .support.outbox import in_threads
from .support.stores import Store

HERE, THERE = "203.0.113.9", "203.0.113.10"
MINUTE = 60


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still five seconds into a minute."""
    start = time.time() // MINUTE * MINUTE + 5
    with time_machine.travel(start, tick=False) as traveller:
        yield traveller


def follow(store: Store, path: str = "/invitations/no.such", address: str = HERE) -> TestResponse:
    return store.visitor().get(path, environ_base={"REMOTE_ADDR": address})


def guess(store: Store, times: int, address: str = HERE) -> list[int]:
    return [follow(store, address=address).status_code for _ in range(times)]


def counts(store: Store) -> list[int]:
    with store.session() as db:
        query = sa.select(Quota.taken).where(Quota.subject.startswith("guess:"))
        return sorted(db.scalars(query))


def test_thirty_dead_links_a_minute_are_answered_and_the_next_must_wait(any_store: Store) -> None:
    assert MOST == 30
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
    answers = {follow(any_store, link).status_code for _ in range(MOST + 5)}
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
        atomically(lambda: forget_guesses(session()))
    assert counts(any_store) == [1]


def test_the_count_of_a_sender_is_no_window(
    any_store: Store, clock: time_machine.Traveller
) -> None:
    any_store.customer().send("anna@example.com")
    clock.shift(timedelta(minutes=3))
    with any_store.session() as db:
        before = list(db.scalars(sa.select(Quota.subject)))
        forget_guesses(db)
        db.commit()
        assert list(db.scalars(sa.select(Quota.subject))) == before != []


def test_the_worker_removes_old_windows(any_store: Store, clock: time_machine.Traveller) -> None:
    guess(any_store, 1)
    clock.shift(timedelta(minutes=3))
    with any_store.app.app_context():
        Clock(any_store.app)._look()
    assert counts(any_store) == []
