"""An address whose owner asks to be forgotten, whoever invited it and whatever became of that.

The keyed hashes stay, so that it is invited once by each and an opt-out holds. Each step is a
transaction of its own and finds what is left by itself: what was killed is run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .addresses import Address, keyed_hash
from .beginning import ERASED
from .clock import now
from .database import among, atomically, session, writers_of
from .delivery_models import ONLY, DeliveryState
from .erased_filters import forget_filters
from .erasing import forget_customer
from .lifecycle import COMMAND_LINE, MOVES, NOT_LEAVING, new_stand_in, note_all
from .mail_models import MailTemplateFault
from .models import Base, History, Invitation, MailState, Outbox, Status
from .purging import forget_answers
from .spellings import Spellings
from .state import host, state
from .turns import take_turn
from .watch_models import Worker
from .workers import settle_search

PATIENCE = 30.0  # seconds that a mail in the middle of being handed over is waited for
PAUSE = 0.2  # seconds between two looks at it
OPEN: Final = MOVES["expire"].sources
WAITING: Final = (MailState.QUEUED, MailState.PARKED)
# What customers wrote to others and servers said of others may name it as well.
TEXTS: Final[tuple[Any, ...]] = (
    Invitation.message,
    Invitation.mail_error,
    History.reason,
    Outbox.last_error,
    DeliveryState.reason,
    MailTemplateFault.error,
    Worker.refused,
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What is to be forgotten: every spelling of one mailbox, and its keyed hash."""

    spellings: Spellings
    recipient_hash: str


@dataclass(slots=True)
class Forgotten:
    """What was removed: of how many invitations, how many of them were open, how many filters,
    texts and inviters named it elsewhere. Unless it ``is_sure``, somebody who had begun to write
    may still have it.
    """

    invitations: int = 0
    were_open: int = 0
    filters: int = 0
    texts: int = 0
    inviters: int = 0
    is_sure: bool = False

    @property
    def is_something(self) -> bool:
        """Whether anything was removed."""
        return bool(self.invitations or self.filters or self.texts or self.inviters)


def mailbox_of(address: Address) -> Mailbox:
    """Return what is known of an address's mailbox."""
    return Mailbox(Spellings(address), keyed_hash(address.mailbox, state().hash_key))


def forget(mailbox: Mailbox) -> Forgotten:
    """Forget a mailbox wherever the plugin may; :func:`named` tells what is left."""
    done = Forgotten()
    _forget_invitations(mailbox, done)
    named_by, gone = mailbox.spellings.are_meant_by, new_stand_in()
    done.filters = atomically(lambda: forget_filters(session(), "", named_by, gone))
    for column in TEXTS:
        done.texts += atomically(lambda text=column: _forget_in(session(), text, mailbox))  # type: ignore[misc]
    done.texts += atomically(lambda: _forget_in_notices(session(), mailbox.spellings))
    done.texts += atomically(lambda: _forget_suspects(session(), mailbox.recipient_hash))
    done.inviters = atomically(lambda: _forget_inviters(session(), mailbox.spellings))
    settle_search()
    return done


def _forget_invitations(mailbox: Mailbox, done: Forgotten) -> None:
    """Forget all invitations of a mailbox, also those that others are just writing."""
    others, end = atomically(_writers), time.monotonic() + PATIENCE
    while True:
        others &= atomically(_writers)  # who begins later invites after the erasure
        done.is_sure = not others
        forgotten, were_open = atomically(lambda: _forget_free(session(), mailbox.recipient_hash))
        done.invitations += forgotten
        done.were_open += were_open
        if (done.is_sure and not left(mailbox)) or time.monotonic() > end:
            return
        time.sleep(PAUSE)


def _writers() -> frozenset[str]:
    return writers_of(session(), Invitation.__tablename__)


def left(mailbox: Mailbox) -> int:
    """Return how many invitations of a mailbox have something to forget."""
    count = sa.select(sa.func.count()).where(_has_something(mailbox.recipient_hash))
    return atomically(lambda: session().scalar(count)) or 0


def _has_something(recipient_hash: str) -> sa.ColumnElement[bool]:
    row = Invitation
    kept = sa.or_(row.email.is_not(None), row.message.is_not(None))
    return sa.and_(row.recipient_hash == recipient_hash, kept)


def _forget_free(db: Session, recipient_hash: str) -> tuple[int, int]:
    """Forget the invitations that nobody holds; return how many, and how many were open.

    Whoever holds one is not waited for, so that no registration ends in a deadlock.
    """
    take_turn(db, f"erase:{recipient_hash}")  # by a statement that writes: SQLite has one writer
    row = Invitation
    query = sa.select(row.id, row.status).where(_has_something(recipient_hash), NOT_LEAVING)
    free = query.order_by(row.id).with_for_update(skip_locked=True, key_share=True)
    found = db.execute(free).all()
    if not found:
        return 0, 0
    ids = [each.id for each in found]
    for status in Status:
        theirs = [each.id for each in found if each.status == status]
        moved = (status, Status.EXPIRED) if status in OPEN else (None, None)
        note_all(db, theirs, COMMAND_LINE, "erase", *moved)
    forget_answers(db, ids)
    db.execute(sa.delete(Outbox).where(among(Outbox.invitation_id, ids)))
    changed = sa.update(row).where(among(row.id, ids)).values(_forgotten())
    db.execute(changed, execution_options={"synchronize_session": False})
    return len(ids), sum(each.status in OPEN for each in found)


def _forgotten() -> dict[str, Any]:
    """Return what becomes of an invitation: its link ends, so that nobody has one of a stranger.

    What is open expires, as it would by itself: its sender sees nothing else, nor do reports.
    """
    row, at = Invitation.__table__.c, now()
    is_over = sa.or_(row.status == Status.ACCEPTED, row.expires_at < at)
    waits = row.mail_state.in_(WAITING)
    return {
        "status": sa.case((row.status.in_(OPEN), Status.EXPIRED.value), else_=row.status),
        "expires_at": sa.case((is_over, row.expires_at), else_=at),
        "mail_state": sa.case((waits, MailState.SKIPPED.value), else_=row.mail_state),
        "mail_error": sa.case((waits, ERASED), else_=sa.null()),
        "email": None,
        "message": None,
        "purged_at": at,
        "version": row.version + 1,
    }


def _forget_in(db: Session, column: Any, mailbox: Mailbox) -> int:
    """Take a mailbox out of a text of whichever rows; return of how many."""
    table = cast(sa.Table, column.property.columns[0].table)
    text = column.property.columns[0]
    [key] = table.primary_key.columns
    found = db.execute(sa.select(key, text).where(mailbox.spellings.may_be_in(text))).all()
    changed = [(number, said) for number, said in found if mailbox.spellings.are_in(said)]
    for number, said in changed:
        values: dict[str, Any] = {text.name: mailbox.spellings.out_of(said)}
        if "version" in table.c:  # a mail that was made with it is made anew
            values["version"] = table.c.version + 1
        db.execute(sa.update(table).where(key == number, text == said).values(values))
    return len(changed)


def _forget_in_notices(db: Session, spellings: Spellings) -> int:
    """Take a mailbox out of what staff are about to be told; return of how many mails."""
    row = Outbox
    query = sa.select(row.id, row.payload).where(row.payload.is_not(None))
    changed = 0
    for number, payload in db.execute(query.where(spellings.may_be_in(row.payload))).all():
        facts = {name: _without(fact, spellings) for name, fact in payload["facts"].items()}
        if facts != payload["facts"]:
            values = {"payload": {**payload, "facts": facts}}
            db.execute(sa.update(row).where(row.id == number).values(values))
            changed += 1
    return changed


def _without(fact: Any, spellings: Spellings) -> Any:
    return spellings.out_of(fact) if isinstance(fact, str) else fact


def _forget_suspects(db: Session, recipient_hash: str) -> int:
    """Take its mails, and the domain with them, from those that a server would not have."""
    row = db.get(DeliveryState, ONLY, populate_existing=True, with_for_update=True)
    if row is None or not row.suspects:
        return 0
    numbers = [each["row"]["invitation_id"] for each in row.suspects]
    its_own = sa.select(Invitation.id).where(
        Invitation.id.in_(numbers), Invitation.recipient_hash == recipient_hash
    )
    erased = set(db.scalars(its_own))
    kept = [each for each in row.suspects if each["row"]["invitation_id"] not in erased]
    number = len(row.suspects) - len(kept)
    if number:
        row.suspects = kept
    return number


def _forget_inviters(db: Session, spellings: Spellings) -> int:
    """Forget whoever invited by this address and has it no more; return how many that were.

    Without an account all of their data goes; with another address, that takes its place.
    """
    row = Invitation
    pairs = sa.select(row.inviter_key, row.inviter_email).distinct()
    found = db.execute(pairs.where(spellings.may_be_in(row.inviter_email))).all()
    theirs = [(key, email) for key, email in found if email and spellings.are_in(email)]
    accounts = host().customers({key for key, _ in theirs}) if theirs else {}
    return sum(_forget_inviter(db, key, email, accounts, spellings) for key, email in theirs)


def _forget_inviter(
    db: Session, key: str, email: str, accounts: Mapping[str, Any], spellings: Spellings
) -> bool:
    if key not in accounts:
        forget_customer(db, key, (email,))
        return True
    current = host().email(accounts[key])
    if spellings.are_in(current):
        return False
    row = Invitation
    own = sa.and_(row.inviter_key == key, row.inviter_email == email)
    changed = {"inviter_email": current, "version": row.version + 1}
    statement = sa.update(row).where(own).values(changed)
    db.execute(statement, execution_options={"synchronize_session": False})
    return True


def has_account(address: Address) -> bool:
    """Return whether a customer of any website has an address."""
    store = host()
    websites = [each.code for each in store.websites()]
    return any(store.customer_by_email(address.delivery, each) is not None for each in websites)


def tables() -> list[sa.Table]:
    """Return the tables that :func:`named` looks through."""
    return list(Base.metadata.sorted_tables)


def named(
    spellings: Spellings, tick: Callable[[int], object] = lambda done: None
) -> dict[str, int]:
    """Return in how many rows each column of all our tables names a mailbox, by its name.

    :param tick: called with 1 after each table.
    """
    found: dict[str, int] = {}
    for table in tables():
        found |= atomically(lambda each=table: _named_in(session(), each, spellings))  # type: ignore[misc]
        tick(1)
    return found


def _named_in(db: Session, table: sa.Table, spellings: Spellings) -> dict[str, int]:
    found: dict[str, int] = {}
    columns = [each for each in table.c if isinstance(each.type, (sa.String, sa.JSON))]
    if not columns:
        return found
    as_text = [sa.cast(each, sa.Text()) for each in columns]
    query = sa.select(*as_text).where(sa.or_(*map(spellings.may_be_in, columns)))
    for row in db.execute(query.execution_options(yield_per=1000)):
        for column, text in zip(columns, row, strict=True):
            if text is not None and spellings.are_in(text):
                name = f"{table.name}.{column.name}"
                found[name] = found.get(name, 0) + 1
    return found
