"""Names of inviters beside their figures: gone at once with the inviter, and checked."""

from __future__ import annotations

from datetime import datetime
from threading import Thread
from time import sleep
from typing import Any

import pytest
import sqlalchemy as sa

from invitations_plugin import figures_afterwards
from invitations_plugin.erasing import forget_customer
from invitations_plugin.models import Invitation
from invitations_plugin.reports import check_figures, customers, folding, names
from invitations_plugin.reports.models import FigureState, InviterName

from .support.figures import keep, period_of, steps, unfolded
from .support.rows import insert, row
from .support.stores import Store

DAY = datetime(2028, 3, 2, 12)
MONTH = {"start": "2028-03-01", "to": "2028-03-31", "by": "month"}
ANN, BEN = ("1", "Ann Lee", "ann@example.com"), ("2", "Ben", "ben@example.com")


def invite(store: Store, *inviters: tuple[str, str, str]) -> None:
    """Write an invitation of each inviter, who is known by key, name and address."""
    insert(
        store,
        [
            row(f"{key}.{name[:3]}@friends.example", created_at=DAY, **who(key, name, email))
            for key, name, email in inviters
        ],
    )


def who(key: str, name: str, email: str) -> dict[str, Any]:
    return {"inviter_key": key, "inviter_name": name, "inviter_email": email}


def kept(store: Store) -> set[tuple[str, ...]]:
    """Return the names that are kept."""
    query = sa.select(InviterName.inviter_key, InviterName.name, InviterName.email)
    with store.session() as db:
        return {tuple(each) for each in db.execute(query)}


def erase(store: Store, key: str) -> None:
    with store.session() as db:
        forget_customer(db, key)
        db.commit()


def found(store: Store, search: str) -> list[str]:
    period = period_of(store, **MONTH)
    with store.session() as db:
        return [each.key for each in customers(db, period, search=search).rows]


def test_names_are_those_of_the_latest_invitation_that_was_sent(store: Store) -> None:
    invite(store, ANN, BEN)
    keep(store)
    assert kept(store) == {ANN, BEN}
    invite(store, ("1", "Zoe Lee", "zoe@example.com"))
    assert (found(store, "zOE"), found(store, "ann")) == (["1"], [])
    keep(store)
    assert (found(store, "zOE"), found(store, "ann")) == (["1"], [])
    insert(store, [row("x@y.example", "not_sent", created_at=DAY, **who("1", "Not Sent", "n@s"))])
    keep(store)
    assert kept(store) == {("1", "Zoe Lee", "zoe@example.com"), BEN}


def test_an_erased_inviters_name_is_gone_at_once(store: Store) -> None:
    invite(store, ANN, BEN)
    keep(store)
    erase(store, "1")
    assert unfolded(store) > 0
    assert kept(store) == {BEN}
    assert found(store, "ann") == []
    keep(store)
    [nameless] = kept(store) - {BEN}
    assert nameless[1:] == ("", "")


def test_a_name_taken_out_by_hand_is_gone_at_once(store: Store) -> None:
    invite(store, ANN, BEN)
    keep(store)
    with store.session() as db:
        own = sa.update(Invitation).where(Invitation.inviter_key == "1")
        db.execute(own.values(inviter_name="", inviter_email=None))
        db.commit()
    assert kept(store) == {BEN}
    assert found(store, "ann") == []
    keep(store)
    assert kept(store) == {("1", "", ""), BEN}


def test_an_inviter_erased_while_the_triggers_are_off_leaves_no_name(store: Store) -> None:
    invite(store, ANN, BEN)
    keep(store)
    with store.session(), figures_afterwards():
        erase(store, "1")
        assert kept(store) == {BEN}


def test_a_name_is_not_written_again_by_who_read_it_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store)
    invite(store, ANN)
    thread, write = Thread(target=erase, args=(store, "1")), names.write

    def late(db: Any, rows: Any) -> None:
        thread.start()
        sleep(0.3)
        write(db, rows)

    monkeypatch.setattr(names, "write", late)
    steps(store, 1)
    thread.join()
    assert kept(store) == set()


def test_names_that_are_not_those_of_the_rows_are_told_without_them(store: Store) -> None:
    invite(store, ANN, BEN)
    keep(store)
    for change in (
        sa.update(InviterName).where(InviterName.inviter_key == "1").values(name="Eve"),
        sa.delete(InviterName).where(InviterName.inviter_key == "1"),
        sa.insert(InviterName).values(inviter_key="3", name="Eve", email=""),
    ):
        with store.session() as db:
            assert check_figures(db) == []
            db.execute(change)
            assert [each[:15] for each in check_figures(db)] == ["name of inviter"]
            assert "Eve" not in " ".join(check_figures(db))


def test_figures_that_another_version_counted_without_names_do_not_count(store: Store) -> None:
    invite(store, ANN)
    keep(store)
    with store.session() as db:
        db.execute(sa.delete(InviterName))
        state = db.get_one(FigureState, folding.STATE)
        state.timezones = {key: each for key, each in state.timezones.items() if each}
        db.commit()
    assert found(store, "ann") == ["1"]
    keep(store)
    assert kept(store) == {ANN}


def test_counting_anew_writes_the_names_again(store: Store) -> None:
    invite(store, ANN, BEN)
    keep(store)
    with store.session() as db:
        folding.begin(db)
        db.commit()
    assert kept(store) == set()
    assert found(store, "ann") == ["1"]
    keep(store)
    assert kept(store) == {ANN, BEN}
