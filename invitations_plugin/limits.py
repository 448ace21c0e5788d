"""What a sender may send, counted from the rows themselves, which nothing gives back.

A count and what it allows are one transaction: the caller holds the sender's turn, so that
two submissions of one sender count one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from .clock import now
from .lifecycle import is_seemingly_open
from .models import Invitation, MailState
from .settings import Settings
from .throttle import Window, WindowFull, look
from .throttle import count as take
from .turns import take_turn

HOUR, DAY, PENDING, LIFETIME, NEW, ALL = "hour", "day", "pending", "lifetime", "new", "all"
SKIPPED = "skipped"
LENGTHS: Final = {HOUR: timedelta(hours=1), DAY: timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Inviter:
    """A customer as the plugin keeps one: the store's key, and what was true then.

    ``since`` is when the account was made, in UTC, None where the store does not say.
    """

    key: str
    email: str
    name: str
    since: datetime | None = None


class Refused(Exception):
    """A submission that is not carried out, no part of it."""


@dataclass(frozen=True, slots=True)
class LimitReached(Refused):
    """A limit of this sender: which, how many, and when it opens (UTC, None for never)."""

    window: str
    limit: int
    opens_at: datetime | None


def take_sender_turn(session: Session, inviter_key: str) -> None:
    """Count after whatever else this sender is about to do."""
    take_turn(session, f"sender:{inviter_key}")


def check_limits(session: Session, inviter: Inviter, count: int, settings: Settings) -> None:
    """Compare what the sender made with what ``count`` more would make of it.

    :raises LimitReached: when that is too many.
    """
    for check in _checks(session, inviter, count, settings):
        check()


def _checks(
    session: Session, inviter: Inviter, count: int, settings: Settings
) -> Iterator[Callable[[], None]]:
    """Yield a check for each limit of a sender that is counted from the rows."""
    for window, limit in ((HOUR, settings.max_per_hour), (DAY, settings.max_per_day)):
        if limit:
            yield partial(_check_window, session, inviter.key, window, limit, count)
    if settings.max_lifetime:
        most = settings.max_lifetime
        yield partial(_check_all, session, inviter.key, LIFETIME, most, count, None)
    yield partial(_check_new, session, inviter, count, settings)
    yield partial(check_pending, session, inviter.key, count, settings)


def reached(
    session: Session, website: str, inviter: Inviter | None, settings: Settings
) -> list[LimitReached]:
    """Return every limit that stops one invitation more just now; nothing is taken.

    Without an inviter those of all customers of the website together.
    """
    most = settings.max_of_all_per_day
    checks: list[Callable[[], None]] = [partial(_take, session, ALL, website, most, 1, look)]
    if inviter is not None:
        own = settings.max_per_day
        checks += _checks(session, inviter, 1, settings)
        checks.append(partial(_take, session, SKIPPED, inviter.key, own, 1, look))
    found = []
    for check in checks:
        try:
            check()
        except LimitReached as limit:
            found.append(limit)
    return found


def take_shares(
    session: Session, website: str, inviter: Inviter, made: int, skipped: int, settings: Settings
) -> None:
    """Take a submission out of what is counted apart from the rows, and by the day.

    That is what all customers of a website make, and how many customers of the store a
    sender was told of: they leave no row.

    :raises LimitReached: when it does not fit; nothing was taken then.
    """
    _take(session, SKIPPED, inviter.key, settings.max_per_day, skipped)
    _take(session, ALL, website, settings.max_of_all_per_day, made)  # last: all wait for it


def _take(
    session: Session,
    window: str,
    subject: str,
    limit: int,
    amount: int,
    how: Callable[[Session, Window, str, int], None] = take,
) -> None:
    if not limit or not amount:
        return
    try:
        how(session, Window(window, LENGTHS[DAY], limit), subject, amount)
    except WindowFull as full:
        shown = ALL if window == ALL else DAY
        raise LimitReached(shown, limit, now() + timedelta(seconds=full.wait)) from full


def check_pending(session: Session, key: str, count: int, settings: Settings) -> None:
    """Compare what waits for an answer, as far as the sender may know, with the limit.

    :raises LimitReached: when ``count`` more would be too many.
    """
    limit = settings.max_pending
    if not limit:
        return
    waiting = [*_made_by(key), is_seemingly_open()]
    over = _count(session, waiting) + count - limit
    if over > 0:
        raise LimitReached(PENDING, limit, _nth(session, Invitation.expires_at, over, waiting))


def _made_by(key: str) -> list[sa.ColumnElement[bool]]:
    """Choose what counts against a sender: a mail that failed for good does not."""
    return [Invitation.inviter_key == key, Invitation.mail_state != MailState.FAILED]


def _check_window(session: Session, key: str, window: str, limit: int, count: int) -> None:
    length = LENGTHS[window]
    made = [*_made_by(key), Invitation.created_at > now() - length]
    over = _count(session, made) + count - limit
    if over > 0:
        leaves = _nth(session, Invitation.created_at, over, made)
        raise LimitReached(window, limit, leaves + length if leaves is not None else None)


def _check_all(
    session: Session, key: str, window: str, limit: int, count: int, opens_at: datetime | None
) -> None:
    if _count(session, _made_by(key)) + count > limit:
        raise LimitReached(window, limit, opens_at)


def _check_new(session: Session, inviter: Inviter, count: int, settings: Settings) -> None:
    if inviter.since is None or not settings.new_customer_hours:
        return
    until = inviter.since + timedelta(hours=settings.new_customer_hours)
    if until > now():
        _check_all(session, inviter.key, NEW, settings.max_of_new_customer, count, until)


def _count(session: Session, where: Sequence[sa.ColumnElement[bool]]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(Invitation).where(*where)) or 0


def _nth(
    session: Session,
    column: InstrumentedAttribute[datetime],
    number: int,
    where: Sequence[sa.ColumnElement[bool]],
) -> datetime | None:
    """Return the ``number``-th moment from below: then there is room again."""
    query = sa.select(column).where(*where).order_by(column).offset(number - 1).limit(1)
    return session.scalar(query)
