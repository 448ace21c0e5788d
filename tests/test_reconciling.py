"""``flask invitations reconcile``: quiet where all is well, exact where something is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from invitations_plugin import reconciling
from invitations_plugin.clock import now
from invitations_plugin.database import engine, session
from invitations_plugin.lifecycle import THE_SYSTEM, note_values
from invitations_plugin.models import History, Invitation, Outbox
from invitations_plugin.opt_outs import opt_out
from invitations_plugin.reports import keeping
from invitations_plugin.reports.models import Figure

from .support.outbox import many, queue
from .support.rows import ago, by, here, insert, one, row
from .support.stores import MakeFriend, Store

ANNA, BEN = "anna@example.com", "ben@example.com"
Breaks = Callable[[Store], int]


def run(store: Store) -> Result:
    return store.app.test_cli_runner().invoke(args=["invitations", "reconcile"])


def broken(store: Store) -> dict[str, list[Any]]:
    """Return the rules that are broken, each with its examples."""
    with store.app.app_context():
        found = [each for each in reconciling.reconcile() if each.count]
    return {each.check.rule: each.examples for each in found}


def add_history(store: Store, number: int, *steps: tuple[str, str | None, str | None, Any]) -> int:
    """Write what happened to an invitation; return the id of the last entry."""
    with store.session() as db:
        for action, before, after, at in steps:
            values = note_values(number, THE_SYSTEM, action, before, after) | {"at": at}
            db.execute(sa.insert(History).values(values))
        db.commit()
        return int(db.scalars(sa.select(sa.func.max(History.id))).one())


def change(store: Store, number: int, **values: Any) -> int:
    with store.session() as db:
        db.execute(sa.update(Invitation).where(Invitation.id == number).values(**values))
        db.commit()
    return number


def outbox_id(store: Store) -> int:
    return store.outbox()[-1].id


def waiting(store: Store, **values: Any) -> int:
    """Put a mail into the outbox whose row is as no worker leaves one."""
    queue(store, ANNA)
    number = outbox_id(store)
    with store.session() as db:
        db.execute(sa.update(Outbox).where(Outbox.id == number).values(**values))
        db.commit()
    return number


def waits_without_mail(store: Store) -> int:
    return one(store, ANNA, "not_sent")


def has_two_mails(store: Store) -> int:
    (number,) = queue(store, ANNA)
    with store.session() as db:
        db.add(Outbox(invitation_id=number, message_id="<another@example.com>"))
        db.commit()
    return outbox_id(store)


def waits_after_its_end(store: Store) -> int:
    (number,) = queue(store, ANNA)
    return change(store, number, mail_state="delivered")


def was_sent_without_a_try(store: Store) -> int:
    number = one(store, ANNA)
    add_history(store, number, ("create", None, "sent", ago(days=1)))
    return number


def sends_in_name_only(store: Store) -> int:
    (number,) = queue(store, ANNA)
    return change(store, number, mail_state="sending")


def is_overdue(store: Store) -> int:
    return waiting(store, due_at=ago(days=2))


def is_held_by_nobody(store: Store) -> int:
    return waiting(store, state="claimed")


def was_left_behind(store: Store) -> int:
    return waiting(store, state="claimed", claim="a dead worker's", lease_until=ago(hours=1))


def left_after_its_close(store: Store) -> int:
    number = one(store, ANNA, "discarded")
    return add_history(
        store,
        number,
        ("discard", "not_sent", "discarded", ago(hours=3)),
        ("send", "discarded", "discarded", ago(hours=1)),
    )


def left_after_the_opt_out(store: Store) -> int:
    number = one(store, ANNA, recipient_hash="anna")
    with store.session() as db:
        opt_out(db, "anna")
        db.commit()
    later = now().replace(year=now().year + 1)
    return add_history(store, number, ("send", "not_sent", "sent", later))


def is_accepted_by_halves(store: Store) -> int:
    return one(store, ANNA, customer_key="7")


def accepted_without_account(store: Store) -> int:
    return one(store, ANNA, "accepted", customer_key="404")


def made_no_legal_move(store: Store) -> int:
    number = one(store, ANNA, "discarded")
    return add_history(store, number, ("discard", "accepted", "discarded", ago(days=1)))


def stands_elsewhere(store: Store) -> int:
    number = one(store, ANNA, "declined")
    add_history(store, number, ("send", "not_sent", "sent", ago(days=1)))
    return number


def keeps_what_was_purged(store: Store) -> int:
    purged = row(None, "expired", purged_at=ago(), message="Come!", **here(store))
    return insert(store, [purged])[0]


def left_a_mass_action(store: Store) -> int:
    store.add_job(state="running", claim="a dead worker's", lease_until=ago(hours=1))
    return 1


def is_open_after_its_end(store: Store) -> int:
    return one(store, ANNA, expires_at=ago(days=2))


BREAKS: dict[str, Breaks] = {
    "What waits has its mail in the outbox": waits_without_mail,
    "An invitation has one mail at a time in the outbox": has_two_mails,
    "What waits no more has no mail in the outbox": waits_after_its_end,
    "What was sent has a try in its history": was_sent_without_a_try,
    "What is being sent is so in the outbox, too": sends_in_name_only,
    "A mail that is due waits less than a day": is_overdue,
    "Exactly what is claimed or sent has a holder": is_held_by_nobody,
    "What a dead worker held is taken back": was_left_behind,
    "Nothing leaves once it is closed": left_after_its_close,
    "Nothing leaves to who opted out": left_after_the_opt_out,
    "Exactly what is accepted has a day and an account": is_accepted_by_halves,
    "Who accepted has an account in the store": accepted_without_account,
    "Each move is a legal one": made_no_legal_move,
    "The history ends where the invitation stands": stands_elsewhere,
    "What was purged keeps neither address nor message": keeps_what_was_purged,
    "A mass action that was left goes on": left_a_mass_action,
    "What has ended is expired within a day": is_open_after_its_end,
}
# What a constraint of the database keeps from happening; each has a test of its own.
BY_CONSTRAINT = {
    "An inviter invites an address once a website",
    "An account accepts one invitation",
    "An outbox row belongs to an invitation",
    "The history belongs to invitations",
    "The database finds no damage in its tables",
}
FIGURES = "The figures of the reports are those of the rows"


def test_each_rule_has_a_test() -> None:
    assert {each.rule for each in reconciling.CHECKS} == BREAKS.keys() | BY_CONSTRAINT | {FIGURES}


@pytest.mark.parametrize("rule", BREAKS)
def test_a_broken_rule_is_told_with_the_row_that_breaks_it(store: Store, rule: str) -> None:
    queue(store, BEN)
    number = BREAKS[rule](store)
    assert broken(store) == {rule: [number]}


def test_a_figure_that_is_not_what_the_rows_say_is_told(store: Store) -> None:
    one(store, ANNA)
    with store.app.app_context():
        keeping.keep()
    assert broken(store) == {}
    with store.session() as db:
        db.execute(sa.update(Figure).values(sent=Figure.sent + 1))
        db.commit()
    found = broken(store)
    assert list(found) == [FIGURES]
    assert "main" in str(found[FIGURES])


def test_all_holds_after_every_way_an_invitation_can_go(
    any_store: Store, friend: MakeFriend
) -> None:
    any_store.register(friend(ANNA), ANNA)
    visitor = any_store.customer()
    visitor.send(*many(4))
    any_store.deliver(limit=2)
    for address, way in zip(many(4)[1:], ("cancel", "cancel", "resend"), strict=True):
        number = any_store.invitation(address).id
        visitor.post(f"/account/invitations/{number}/{way}")
    any_store.deliver()
    assert any_store.invitation(ANNA).status == "accepted"
    assert {each.status for each in any_store.invitations()} == {"accepted", "discarded", "sent"}
    answer = run(any_store)
    assert (answer.exit_code, answer.stdout.count(": yes")) == (0, len(reconciling.CHECKS))
    assert answer.stdout.endswith(f"All {len(reconciling.CHECKS)} rules hold.\n")


def test_the_command_tells_how_many_and_some_by_id_but_no_address(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "CHUNK", 3)
    ids = queue(store, *many(10))
    with store.session() as db:
        db.execute(sa.delete(Outbox))
        db.commit()
    answer = run(store)
    shown = ", ".join(str(each) for each in ids[:5])
    expected = (
        f"I1  What waits has its mail in the outbox: NO, 10 found (invitation, such as {shown})"
    )
    assert expected in answer.stdout.splitlines()
    assert f"1 of {len(reconciling.CHECKS)} rules are broken.\n" in answer.stdout
    assert (answer.exit_code, "@" in answer.output) == (1, False)


def test_a_mail_in_flight_when_its_invitation_was_closed_breaks_nothing(store: Store) -> None:
    number = one(store, ANNA, "discarded")
    add_history(
        store,
        number,
        ("discard", "not_sent", "discarded", ago(days=3)),
        ("reopen", "discarded", "not_sent", ago(days=2)),
        ("discard", "not_sent", "discarded", ago(minutes=2)),
        ("send", "discarded", "discarded", ago(minutes=1)),
    )
    assert broken(store) == {}


def test_what_waits_while_invitations_are_off_is_not_overdue(store: Store) -> None:
    is_overdue(store)
    store.setting("enabled", False)
    assert broken(store) == {}


def without_foreign_keys(store: Store, statement: sa.Delete) -> None:
    """Do what the database would refuse, as a restored half of a backup may have done."""
    with store.app.app_context(), engine().connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        off, on = (
            ("PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON")
            if is_sqlite
            else ("SET session_replication_role = replica", "RESET session_replication_role")
        )
        connection.exec_driver_sql(off)
        connection.execute(statement)
        connection.commit()
        connection.exec_driver_sql(on)
        connection.commit()


def test_rows_without_their_invitation_are_found(store: Store, database: str) -> None:
    (number,) = queue(store, ANNA)
    entry = add_history(store, number, ("create", None, "not_sent", ago()))
    mail = outbox_id(store)
    without_foreign_keys(store, sa.delete(Invitation).where(Invitation.id == number))
    found = broken(store)
    damage = found.pop("The database finds no damage in its tables", [])
    assert found == {
        "An outbox row belongs to an invitation": [mail],
        "The history belongs to invitations": [entry],
    }
    if database == "sqlite":
        assert damage == [
            f"invitations_history: row {entry} names one that is not there",
            f"invitations_outbox: row {mail} names one that is not there",
        ]


UNIQUE = {
    "An inviter invites an address once a website": (
        "uq_invitations_invitation_website_inviter_key_email_hash",
        {"email_hash": "anna"},
    ),
    "An account accepts one invitation": (
        "uq_invitations_invitation_customer_key",
        {"customer_key": "1"},
    ),
}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # SQLite drops no constraint
@pytest.mark.parametrize("rule", UNIQUE)
def test_twins_are_found_where_a_constraint_was_lost(store: Store, rule: str) -> None:
    constraint, twin = UNIQUE[rule]
    (check,) = [each for each in reconciling.CHECKS if each.rule == rule]
    with store.app.app_context():
        table = "ALTER TABLE invitations_invitation DROP CONSTRAINT"
        session().execute(sa.text(f"{table} {constraint}"))
        known = here(store) | by(store) | twin
        made = [
            row(each, "accepted" if "customer_key" in twin else "sent", **known)
            for each in (ANNA, BEN)
        ]
        query = sa.insert(Invitation).returning(Invitation.id, sort_by_parameter_order=True)
        ids = list(session().scalars(query, made))
        assert check.find(session(), ids[0], ids[-1]) == [ids[-1]]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_constraint_that_was_never_checked_is_found(store: Store) -> None:
    (check,) = [each for each in reconciling.CHECKS if "no damage" in each.rule]
    with store.app.app_context():
        table = "ALTER TABLE invitations_outbox ADD CONSTRAINT made_in_haste"
        session().execute(sa.text(f"{table} CHECK (tries < 3) NOT VALID"))
        found = check.find(session(), 0, 0)
    assert found == ["constraint made_in_haste of invitations_outbox was never checked"]
