"""What the tables must hold at any moment, and the rows that break it.

A rule is one statement over a stretch of ids, in a transaction of its own: it sees one moment,
memory stays small, and nobody waits for it, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from . import broken_rules as rules
from .broken_rules import Broken
from .database import session
from .models import History, Invitation, Job, Outbox
from .reports import check_figures

CHUNK = 10_000  # ids that one statement looks at
SHOWN = 5  # examples of what breaks a rule

Find = Callable[[Session, int, int], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Check:
    """One rule: the invariant that it belongs to, and how to find what breaks it.

    ``find`` gets the first and the last id of a stretch of ``model``'s table; without a
    model it is asked once, about the whole database. Its docstring opens with the rule.
    """

    promise: str
    model: type[Any] | None
    find: Find

    @property
    def rule(self) -> str:
        """What holds, in words."""
        return str(self.find.__doc__).partition(".")[0]


@dataclass(slots=True)
class Finding:
    """How many rows break a rule, and some of them by id."""

    check: Check
    count: int = 0
    examples: list[Any] = field(default_factory=list)

    def add(self, broken: Sequence[Any]) -> None:
        """Count some more, and keep the first few."""
        self.count += len(broken)
        self.examples += broken[: SHOWN - len(self.examples)]


def steps() -> int:
    """Return how many stretches there are to look at, for a progress bar."""
    return sum(len(_stretches(check)) for check in CHECKS)


def reconcile(tick: Callable[[int], object] = lambda done: None) -> Iterator[Finding]:
    """Look through the tables and yield for each rule what breaks it; nothing is changed.

    :param tick: called with 1 after each stretch of ids.
    """
    for check in CHECKS:
        finding = Finding(check)
        for first, last in _stretches(check):
            finding.add(check.find(session(), first, last))
            session().rollback()
            tick(1)
        yield finding


def _stretches(check: Check) -> list[tuple[int, int]]:
    if check.model is None:
        return [(0, 0)]
    column = check.model.id
    first, last = session().execute(sa.select(sa.func.min(column), sa.func.max(column))).one()
    session().rollback()
    starts = range(first, last + 1, CHUNK) if first is not None else ()
    return [(start, start + CHUNK - 1) for start in starts]


def _rows(promise: str, model: type[Any], broken: Broken) -> Check:
    """Return a check whose rule is a condition on one row of a table."""

    @wraps(broken)
    def find(db: Session, first: int, last: int) -> Sequence[int]:
        query = sa.select(model.id).where(model.id.between(first, last), broken())
        return db.scalars(query.order_by(model.id)).all()

    return Check(promise, model, find)


# Every rule there is: a new one is one line more here.
CHECKS: Final[tuple[Check, ...]] = (
    _rows("I1", Invitation, rules.waits_without_mail),
    _rows("I1", Outbox, rules.outbox_without_invitation),
    _rows("I1", Outbox, rules.has_two_mails),
    _rows("I2", Invitation, rules.is_invited_before),
    _rows("I3", Invitation, rules.waits_after_its_end),
    _rows("I3", Invitation, rules.is_sent_without_a_try),
    _rows("I3", Invitation, rules.is_sending_in_name_only),
    _rows("I3", Outbox, rules.is_overdue),
    _rows("I4", Outbox, rules.is_held_by_nobody),
    Check("I5", History, rules.left_after_the_close),
    Check("I5", History, rules.left_after_the_opt_out),
    _rows("I6", Invitation, rules.is_accepted_by_halves),
    _rows("I6", Invitation, rules.shares_an_account),
    Check("I6", Invitation, rules.without_account),
    _rows("I7", History, rules.is_no_legal_move),
    _rows("I7", Invitation, rules.ends_elsewhere),
    _rows("I9", Invitation, rules.keeps_what_was_purged),
    _rows("I13", Outbox, rules.is_left_behind),
    _rows("I13", Job, rules.is_left_job),
    _rows("I13", Invitation, rules.is_open_after_its_end),
    _rows("I14", History, rules.history_without_invitation),
    Check("I14", None, rules.damage),
    Check("I14", None, check_figures),
)
