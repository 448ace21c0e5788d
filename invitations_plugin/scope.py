"""Which websites somebody works for: the one place that limits what staff read and change.

A request of the back office says whose it is before anything is read, and a selection keeps
the websites it was made within, so a job or an export that ends later stays there too.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from flask import g, has_app_context

from .models import Invitation
from .state import host

Websites = Collection[str] | None  # None: all of them


def limit_to_own() -> None:
    """Let this request see nothing but the websites that the signed-in member of staff works for.

    Of those the ones that the store has: of any other there is no store view to choose.

    :raises TypeError: when the host names them by a string, which would be its letters.
    """
    own = host().staff_websites()
    if isinstance(own, str):
        raise TypeError(
            f"The host's staff_websites() returned {own!r}: return a collection of codes, such as"
            f" [{own!r}], or None for all websites."
        )
    known = {each.code for each in host().websites()} if own is not None else set()
    limit_to(own if own is None else known.intersection(own))


def limit_to(websites: Websites) -> None:
    """Let this request see nothing but some websites."""
    g.invitations_websites = websites if websites is None else sorted(set(websites))


def websites() -> Websites:
    """Return the websites that this request is limited to, None without a limit."""
    return g.get("invitations_websites") if has_app_context() else None


def within(websites: Websites) -> list[sa.ColumnElement[bool]]:
    """Return as SQL that an invitation is one of some websites."""
    if websites is None:
        return []
    if len(websites) == 1:  # which an index answers in its own order
        return [Invitation.website == next(iter(websites))]
    return [Invitation.website.in_(websites)]


def includes(website: str) -> bool:
    """Return whether this request may know of a website's invitations."""
    allowed = websites()
    return allowed is None or website in allowed


def is_somewhere() -> bool:
    """Return whether there is any website that this request may know of."""
    allowed = websites()
    return allowed is None or bool(allowed)


def covers(others: Websites) -> bool:
    """Return whether what somebody did within other websites lies within this request's."""
    allowed = websites()
    return allowed is None or (others is not None and set(others) <= set(allowed))
