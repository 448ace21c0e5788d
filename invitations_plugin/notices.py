"""Notices to staff: what needs a person is said by mail, once, and again after a day.

A notice is a row of the outbox like any other mail and leaves by the same delivery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import as_kept, now
from .database import insert_into
from .lifecycle import new_message_id
from .models import NOTICE, Outbox, Quota
from .settings import read_addresses
from .state import mail_domain, settings_of, store_view

DELIVERY: Final = "invitations_admin.delivery"  # the page of how mail leaves
QUIET: Final = timedelta(days=1)  # between two notices of the same thing
Fact = str | int | datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Something that staff are told of, by the templates in ``email/<event>/``.

    :param facts: what those templates may say of it: texts, whole numbers, moments in UTC.
    :param subject: the facts that make two of one event two things, each told by itself.
    :param page: the endpoint of the page where something can be done about it.
    :param arguments: the page's arguments, by the fact that has each.
    """

    facts: frozenset[str]
    subject: tuple[str, ...] = ()
    page: str = "invitations_admin.grid"
    arguments: Mapping[str, str] = field(default_factory=dict)


EVENTS: Final[dict[str, Event]] = {
    "template_failed": Event(
        facts=frozenset({"code", "number", "error"}),
        subject=("code", "number"),
        page="invitations_admin.template",
        arguments={"code": "code"},
    ),
    "everyone_refused": Event(facts=frozenset({"reason", "since"})),
    "delivery_late": Event(facts=frozenset({"number", "minutes", "since"}), page=DELIVERY),
    "delivery_late_over": Event(facts=frozenset({"since"}), subject=("since",), page=DELIVERY),
    "server_refuses": Event(facts=frozenset({"said", "since"}), page=DELIVERY),
    "server_refuses_over": Event(facts=frozenset({"since"}), subject=("since",), page=DELIVERY),
    # What staff ask for themselves, and nobody is told of.
    "delivery_tested": Event(facts=frozenset(), page=DELIVERY),
}


def notify(db: Session, event: str, **facts: Fact) -> int:
    """Tell staff of something, unless they were told of the same less than a day ago.

    The mails leave when the caller commits. Without a Staff Notice Address nothing is
    written, so that the first one that is set is told at once. Returns how many mails.

    :param event: one of :data:`EVENTS`.
    :param facts: that event's, all of them.
    :raises ValueError: for an unknown event, or for other facts.
    """
    if event not in EVENTS or set(facts) != EVENTS[event].facts:
        raise ValueError(f"There is no notice {event!r} of {sorted(facts)}.")
    view = store_view("")
    addresses = read_addresses(settings_of(view).staff_notice_address)
    if not addresses or not _is_news(db, event, facts):
        return 0
    payload = {"event": event, "facts": {name: _as_kept(fact) for name, fact in facts.items()}}
    domain = mail_domain(view)
    rows = [
        {
            "kind": NOTICE,
            "recipient": address,
            "payload": payload,
            "message_id": new_message_id(domain),
        }
        for address in addresses
    ]
    db.execute(sa.insert(Outbox), rows)
    return len(rows)


def _is_news(db: Session, event: str, facts: Mapping[str, Fact]) -> bool:
    """Take the day of an event and its subject; of several who try, one does."""
    values = {"taken": 1, "updated_at": now(), "ends_at": now() + QUIET}
    statement = insert_into(db, Quota).values(subject=_key(event, facts), **values)
    statement = statement.on_conflict_do_update(
        index_elements=[Quota.subject], set_=values, where=Quota.ends_at <= now()
    )
    return db.scalar(statement.returning(Quota.subject)) is not None


def was_told(db: Session, event: str, **facts: Fact) -> bool:
    """Return whether staff were told of something less than a day ago."""
    ends_at = db.scalar(sa.select(Quota.ends_at).where(Quota.subject == _key(event, facts)))
    return ends_at is not None and ends_at > now()


def _key(event: str, facts: Mapping[str, Fact]) -> str:
    """Return what the day of an event and its subject is kept under."""
    about = "\n".join(str(facts[name]) for name in EVENTS[event].subject)
    return f"{NOTICE}:{event}:{hashlib.sha256(about.encode()).hexdigest()}"


def _as_kept(fact: Fact) -> str | int | dict[str, str]:
    """Return a fact as JSON can hold it; a moment stays one."""
    return {"at": as_kept(fact).isoformat()} if isinstance(fact, datetime) else fact


def is_wanted(recipient: str | None) -> bool:
    """Return whether staff at an address still want to be told: a setting may have changed."""
    settings = settings_of(store_view(""))
    return recipient in read_addresses(settings.staff_notice_address)
