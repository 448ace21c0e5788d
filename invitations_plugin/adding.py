"""Inviting as the store: what Add Invitations and the import of a file have in common."""

from __future__ import annotations

from collections.abc import Sequence

from .database import session
from .inviting import Made, Submission, invite
from .looking_over import Review, look_over
from .pasted import Pasted
from .state import host, mail_domain, settings_of, state


def look(asked: Submission, pasted: Sequence[Pasted]) -> Review:
    """Say of each address what becomes of it; ``asked`` has them all."""
    emails = [each.delivery for each in asked.addresses]
    customers = host().customers_among(emails, asked.view.website)
    settings = settings_of(asked.view)
    return look_over(session(), pasted, asked, settings, state().hash_key, customers)


def add(asked: Submission) -> Made:
    """Invite those that are wanted. The caller commits.

    :raises Refused: when somebody else was faster, or a rule changed since the look.
    """
    key, domain = state().hash_key, mail_domain(asked.view)
    return invite(session(), asked, settings_of(asked.view), key, domain)
