"""What the store knows of the people of a batch of mails, asked for all of them together."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from .accounts import active_among, has_account, inviter_is_active, with_account
from .database import committed
from .models import Invitation

log = logging.getLogger(__name__)

FRESH = 2.0  # seconds that an answer holds: beyond them each mail asks for its own two


class People:
    """Inviters and invited people, as the store knew them a moment ago.

    Of whom it was not asked, or too long ago, it is asked then.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._asked: set[Any] = set()
        self._found: set[Any] = set()

    @property
    def were_asked_for(self) -> bool:
        """Whether the store was asked about several together."""
        return self._until > 0

    @property
    def hold_until(self) -> float:
        """Until when, by :func:`time.monotonic`, what is answered just now holds."""
        at = time.monotonic()
        return self._until if at < self._until else at + FRESH

    def ask(self, rows: Sequence[Invitation]) -> None:
        """Ask the store about the people of these invitations.

        A store that fails over one of them is asked for each mail by itself.
        """
        self._until = time.monotonic() + FRESH
        try:
            committed(lambda: self._ask([row for row in rows if row.email is not None]))
        except Exception:
            log.warning("The store could not tell of all people of a batch", exc_info=True)

    def _ask(self, rows: Sequence[Invitation]) -> None:
        inviters = {row.inviter_key for row in rows}
        found = {*active_among(inviters), *_invited(with_account(rows))}
        self._asked, self._found = {*inviters, *_invited(rows)}, found

    def is_active(self, row: Invitation) -> bool:
        """Return whether whoever invited may still do so."""
        if self._knows(row.inviter_key):
            return row.inviter_key in self._found
        return inviter_is_active(row)

    def has_account(self, row: Invitation) -> bool:
        """Return whether the invited person has an account."""
        known_as = _known_as(row)
        return known_as in self._found if self._knows(known_as) else has_account(row)

    def _knows(self, person: Any) -> bool:
        return person in self._asked and time.monotonic() < self._until


def _invited(rows: Sequence[Any]) -> set[Any]:
    return {_known_as(row) for row in rows}


def _known_as(row: Any) -> tuple[int, str, str]:
    """Return what an invited person is known by; another address is another person."""
    return row.id, row.website, row.email
