"""The link a visitor holds: followed once, kept in the session, used when registering."""

from __future__ import annotations

import sqlalchemy as sa
from flask import g, request
from flask import session as cookie

from .clock import now
from .database import session
from .lifecycle import MOVES
from .links import INVITATION, BadLink, unsign
from .models import Invitation
from .state import host

KEY = "invitations_link"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}


def read(link: str) -> Invitation | None:
    """Return the invitation of a link, whatever became of it; None for what is no link.

    The database is asked in either case: the time an answer takes tells nothing.
    """
    query = sa.select(Invitation).where(Invitation.public_id == public_id_of(link))
    with session().no_autoflush:
        return session().scalars(query.execution_options(populate_existing=True)).first()


def public_id_of(link: str) -> str:
    """Return what a link was signed for; "", which is no row's, for what is no link."""
    try:
        return unsign(link, INVITATION)
    except BadLink:
        return ""


def find(link: str) -> Invitation | None:
    """Return the invitation of a link that can be accepted now, None for any other."""
    row = read(link)
    return row if row is not None and is_usable(row) else None


def is_usable(row: Invitation) -> bool:
    """Return whether an invitation can be accepted now."""
    return row.status in MOVES["accept"].sources and row.expires_at > now()


def hold(link: str) -> None:
    """Keep a link for the rest of the visit."""
    cookie[KEY] = link
    g.invitations_link = link


def remember() -> None:
    """Keep this request's link apart: a host may clear the session before it registers."""
    g.invitations_link = cookie.get(KEY)


def keep() -> None:
    """Put this request's link back where the host cleared the session in vain."""
    link = g.get("invitations_link")
    if link is not None and KEY not in cookie:
        cookie[KEY] = link


def release() -> None:
    """Forget the link."""
    cookie.pop(KEY, None)
    g.invitations_link = None


def held_link() -> str:
    """Return the link this visitor followed last, whatever became of it; "" without one."""
    if "invitations_link" not in g:
        remember()
    link = g.invitations_link
    return link if isinstance(link, str) else ""


def held() -> Invitation | None:
    """Return the invitation this visitor may accept here, None without one."""
    link = held_link()
    row = find(link) if link else None
    # A link never gives what belongs to another website.
    return row if row is not None and row.website == host().current_store_view().website else None


def held_elsewhere() -> Invitation | None:
    """Return the invitation this visitor holds, for whichever website it is."""
    link = g.get("invitations_link")
    return find(link) if isinstance(link, str) else None


def is_unsafe() -> bool:
    """Return whether this request may change something."""
    return request.method not in SAFE_METHODS
