"""``flask demo seed`` with numbers: made-up customers and their invitations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from invitations_plugin.addresses import keyed_hash, parse_address
from invitations_plugin.clock import now
from invitations_plugin.models import History, Invitation, Status
from invitations_plugin.state import state
from invitations_plugin.workers import expire_all
from sample_store import filling
from sample_store.models import Customer

from .support.pages import Page
from .support.stores import LIST, Store, Visitor

MANY = 1000
VIEWS = {"main": {"en", "fr"}, "private": {"it"}}


def seed(store: Store, invitations: int = MANY, customers: int = 12, random_state: int = 7) -> str:
    """Run the command and return what it says."""
    arguments = f"demo seed --customers {customers} --invitations {invitations}"
    ran = store.app.test_cli_runner().invoke(
        args=[*arguments.split(), "--random-state", str(random_state)]
    )
    assert ran.exit_code == 0, ran.output
    return ran.output


@pytest.fixture
def seeded(store: Store) -> Store:
    seed(store)
    return store


def rows_of(store: Store, model: type[Any], *left_out: str) -> list[dict[str, Any]]:
    with store.session() as db:
        return [
            {key: value for key, value in row.items() if key not in left_out}
            for row in db.execute(sa.select(model.__table__).order_by(model.id)).mappings()
        ]


def test_every_status_is_there_in_a_believable_share(seeded: Store) -> None:
    shares = Counter(row.status for row in seeded.invitations())
    assert set(shares) == set(Status)
    assert sum(shares.values()) == MANY
    assert MANY * 0.15 < shares["accepted"] < MANY * 0.35
    assert shares["expired"] > shares["sent"] > shares["declined"] > shares["not_sent"]


def test_each_row_holds_together(seeded: Store) -> None:
    at = now()
    for row in seeded.invitations():
        assert row.store_view in VIEWS[row.website]
        assert row.created_at <= at
        assert (row.expires_at <= at) if row.status == "expired" else True
        assert (row.expires_at > at) if row.status in ("sent", "not_sent") else True
        assert row.mail_state == "failed" if row.status == "not_sent" else True
        assert (row.customer_key is not None) == (row.status == "accepted")
        if row.registered_at is not None:
            assert row.sent_at is not None
            assert row.sent_at <= row.registered_at <= at
    discarders = {row.discarded_by for row in seeded.invitations()}
    assert discarders == {None, "sender", "staff"}


def test_history_ends_where_the_invitation_stands(seeded: Store) -> None:
    histories: dict[int, list[dict[str, Any]]] = {}
    for each in rows_of(seeded, History):
        histories.setdefault(each["invitation_id"], []).append(each)
    for row in seeded.invitations():
        events = histories[row.id]
        moves = [each for each in events if each["to_status"] is not None]
        assert [each["to_status"] for each in moves][-1] == row.status
        assert [each["from_status"] for each in moves][1:] == [e["to_status"] for e in moves][:-1]
        times = [each["at"] for each in events]
        assert times == sorted(times)
        assert times[0] == row.created_at
        assert times[-1] <= now()
    actions = {each["action"] for events in histories.values() for each in events}
    assert {"create", "send", "fail", "resend", "accept", "cancel", "discard", "decline"} < actions


def test_accepted_ones_belong_to_a_customer_of_that_address(seeded: Store) -> None:
    customers = {str(row["id"]): row for row in rows_of(seeded, Customer)}
    accepted = [row for row in seeded.invitations() if row.status == "accepted"]
    for row in accepted:
        friend = customers[str(row.customer_key)]
        assert (friend["email"], friend["website_code"]) == (row.email, row.website)
        assert friend["group_code"] == row.group_code
    assert len(customers) == 3 + 12 + len(accepted)


def test_inviters_are_customers_of_the_website_or_the_store(seeded: Store) -> None:
    customers = {str(row["id"]): row for row in rows_of(seeded, Customer)}
    invited = Counter(row.inviter_key for row in seeded.invitations())
    for row in seeded.invitations():
        if row.inviter_key:
            inviter = customers[row.inviter_key]
            assert (inviter["email"], inviter["name"]) == (row.inviter_email, row.inviter_name)
            assert inviter["website_code"] == row.website
    assert 0 < invited.pop("") < MANY * 0.1
    assert max(invited.values()) > 4 * min(invited.values())


def test_same_random_state_gives_the_same_data(make_store: Callable[..., Store]) -> None:
    def data(random_state: int) -> list[list[dict[str, Any]]]:
        store = make_store()
        seed(store, 200, random_state=random_state)
        rows = rows_of(store, Invitation, "public_id", "email_hash", "recipient_hash")
        told = [rows, rows_of(store, History), rows_of(store, Customer, "password_hash")]
        store.close()  # the next one takes its database's place
        return told

    with time_machine.travel("2026-11-02 10:00", tick=False):
        first, again, other = data(1), data(1), data(2)
    assert first == again
    assert {row["email"] for row in first[0]}.isdisjoint(row["email"] for row in other[0])


def test_seeding_again_adds_nothing_and_says_so(store: Store) -> None:
    assert seed(store, 80).splitlines()[-1].startswith("12 customers and 80 invitations added, ")
    before = rows_of(store, Invitation), rows_of(store, History), rows_of(store, Customer)
    assert seed(store, 80).splitlines()[-2:] == [
        "0 customers and 0 invitations added, 0 customers came by one.",
        "80 invitations were there before.",
    ]
    assert before == (rows_of(store, Invitation), rows_of(store, History), rows_of(store, Customer))


def test_what_was_interrupted_is_completed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "CHUNK", 50)
    chunks: list[int] = []

    def interrupt(size: int) -> None:
        chunks.append(size)
        if len(chunks) == 3:
            raise KeyboardInterrupt

    with store.session(), pytest.raises(KeyboardInterrupt):
        filling.fill(12, 200, 7, "none", interrupt)
    assert len(store.invitations()) == 100
    assert "100 invitations were there before." in seed(store, 200)
    assert len(store.invitations()) == 200


def test_invitations_need_somebody_who_invites(store: Store) -> None:
    ran = store.app.test_cli_runner().invoke(args=["demo", "seed", "--invitations", "5"])
    assert ran.exit_code == 2
    assert "--customers" in ran.output


def test_no_mail_leaves_and_nothing_is_left_to_expire(seeded: Store, sink: Any) -> None:
    report = seeded.deliver()
    assert report.handled == 0
    assert sink.mails == []
    assert seeded.outbox() == []
    with seeded.app.app_context():
        assert expire_all() == 0


def test_hashes_are_the_plugins_own(seeded: Store) -> None:
    with seeded.app.app_context():
        key = state().hash_key
    for row in seeded.invitations():
        address = parse_address(str(row.email))
        assert row.email_hash == keyed_hash(address.identity, key)
        assert row.recipient_hash == keyed_hash(address.mailbox, key)


def test_back_office_shows_them(seeded: Store, admin: Visitor) -> None:
    newest = [row.id for row in seeded.invitations()][:-21:-1]
    page = admin.get("/admin/invitations/")
    assert list(Page(page).statuses) == newest
    assert f"{MANY:,} found" in page.text
    detail = admin.get(f"/admin/invitations/{newest[0]}/")
    assert "Invitation created" in detail.text


def test_inviter_signs_in_and_sees_hers_only(seeded: Store) -> None:
    busy, number = Counter(row.inviter_email for row in seeded.invitations()).most_common(1)[0]
    page = Page(seeded.customer(busy).get(LIST))
    own = {row.id for row in seeded.invitations() if row.inviter_email == busy}
    assert page.statuses
    assert set(page.statuses) <= own
    assert len(own) == number
