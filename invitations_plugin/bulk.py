"""What staff do with many invitations: each action, a chunk at a time, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from blinker import NamedSignal
from sqlalchemy.orm import Session

from .events import announce
from .grid import Selection
from .lifecycle import (
    Actor,
    Changed,
    can_send,
    discard_many,
    expire_many,
    extend_many,
    is_discardable,
    is_expirable,
    is_extendable,
    is_sendable,
    may_resend,
    reopen,
    resend,
)
from .models import Invitation
from .signals import invitation_discarded
from .state import mail_domain, settings_of, store_view

I = Invitation  # noqa: E741  # named once, used on every line below


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of the Actions menu: the right it needs, and what it does to a chunk."""

    right: str
    able: Callable[[], sa.ColumnElement[bool]]
    change: Callable[[Session, Sequence[int], Actor], list[int]]
    chunk: int
    signal: NamedSignal | None = None


@dataclass(slots=True)
class Outcome:
    """What became of some invitations; ``skipped`` by the status they have."""

    changed: list[int] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def apply(session: Session, action: Action, ids: Sequence[int], actor: Actor) -> Outcome:
    """Do an action to a chunk, in the running transaction."""
    changed = action.change(session, ids, actor)
    left = set(ids) - set(changed)
    query = sa.select(I.status, sa.func.count()).where(I.id.in_(left)).group_by(I.status)
    skipped = {status: number for status, number in session.execute(query)} if left else {}  # noqa: C416
    return Outcome(changed, Counter(skipped))


def tell(session: Session, action: Action, changed: Sequence[int]) -> None:
    """Announce what was changed, after the commit, where somebody listens."""
    if action.signal is not None and action.signal.receivers:
        announce(action.signal, session.scalars(sa.select(I).where(I.id.in_(changed))).all())


def send_again(session: Session, row: Invitation, actor: Actor) -> None:
    """Send an invitation again, opening it where it was closed.

    :raises LifecycleError: when it cannot be.
    """
    view = store_view(row.store_view)
    step = resend if may_resend(row, actor) else reopen
    step(session, row, actor, settings_of(view), mail_domain(view))


def _send_many(session: Session, ids: Sequence[int], actor: Actor) -> list[int]:
    done = []
    for row in session.scalars(sa.select(I).where(I.id.in_(ids)).order_by(I.id)).all():
        with suppress(Changed):  # somebody else was faster
            if can_send(row, actor):
                number = row.id
                send_again(session, row, actor)
                done.append(number)
    return done


def _extend_many(session: Session, ids: Sequence[int], actor: Actor) -> list[int]:
    """Give links a new life of as many days as their store views say."""
    codes = session.scalars(sa.select(I.store_view).where(I.id.in_(ids)).distinct()).all()
    days = {code: settings_of(store_view(code)).link_days for code in codes}
    return extend_many(session, ids, actor, days)


ACTIONS: Final[Mapping[str, Action]] = {
    "discard": Action("discard", is_discardable, discard_many, 2000, invitation_discarded),
    "send": Action("create", is_sendable, _send_many, 200),
    "expire": Action("discard", is_expirable, expire_many, 2000),
    "extend": Action("create", is_extendable, _extend_many, 2000),
}


def count_by_ability(
    session: Session, selection: Selection, action: Action
) -> tuple[dict[str, int], dict[str, int]]:
    """Return by status how many of a selection an action can change, and how many not."""
    able = sa.case((action.able(), 1), else_=0)
    query = sa.select(I.status, able, sa.func.count()).where(*selection.conditions())
    found: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for status, is_able, number in session.execute(query.group_by(I.status, able)):
        found[0 if is_able else 1][status] = number
    return found
