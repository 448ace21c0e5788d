"""The link a visitor holds: followed once, kept in the session, used when registering."""

from __future__ import annotations

import sqlalchemy as sa
from flask import current_app, g, request
from flask import session as cookie

from .accounts import inviter_is_active
from .addresses import BadAddress, keyed_hash, parse_address
from .clock import now
from .database import session
from .lifecycle import MOVES
from .links import INVITATION, BadLink, unsign
from .models import Invitation
from .state import host, is_ready, settings_of, state

KEY = "invitations_link"
AWAITED = "invitations_sign_in"  # the visitor who followed the link was signed out
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
    return row if row is not None and _can_be_accepted(row) else None


def is_usable(row: Invitation) -> bool:
    """Return whether an invitation can be accepted now."""
    return row.status in MOVES["accept"].sources and row.expires_at > now()


def _can_be_accepted(row: Invitation) -> bool:
    """Return whether a link counts now: a disabled inviter's rests until the account is back."""
    return is_usable(row) and inviter_is_active(row)


def hold(link: str) -> None:
    """Keep a link for the rest of the visit."""
    cookie[KEY] = link
    cookie[AWAITED] = not host().is_signed_in()
    g.invitations_link = link


def remember() -> None:
    """Keep this request's link apart: a host may clear the session before it registers."""
    g.invitations_link = cookie.get(KEY)
    g.invitations_awaited = bool(g.invitations_link) and cookie.get(AWAITED, False)


def may_hold() -> bool:
    """Return whether this request may come with a link.

    Told by the cookie alone: reading the session would mark every answer as one of its own.
    """
    name = (request.endpoint or "").rpartition(".")[2]
    return name != "static" and current_app.config["SESSION_COOKIE_NAME"] in request.cookies


def signed_in_with() -> str | None:
    """Return the link of a visitor who was signed out until this request and is a customer
    now, None for anybody else.
    """
    if not g.get("invitations_awaited") or host().current_customer() is None:
        return None
    link: str = g.invitations_link
    return link


def keep() -> None:
    """Put this request's link back where the host cleared the session in vain."""
    link = g.get("invitations_link")
    if link is not None and KEY not in cookie:
        cookie[KEY] = link
        cookie[AWAITED] = g.get("invitations_awaited", False)


def await_no_sign_in() -> None:
    """Take the next sign-in for one of an account that was just made."""
    g.invitations_awaited = False
    cookie.pop(AWAITED, None)


def release() -> None:
    """Forget the link."""
    cookie.pop(KEY, None)
    cookie.pop(AWAITED, None)
    g.invitations_link = None


def held_link() -> str:
    """Return the link this visitor followed last, whatever became of it; "" without one."""
    if "invitations_link" not in g:
        remember()
    link = g.invitations_link
    return link if isinstance(link, str) else ""


def held() -> Invitation | None:
    """Return the invitation this visitor may accept here, None without one.

    None, too, while invitations are off; the link is kept for when they are on again.
    """
    link = held_link()
    row = find(link) if link and _is_on() else None
    # A link never gives what belongs to another website.
    return row if row is not None and row.website == host().current_store_view().website else None


def has_ended() -> bool:
    """Return whether this visitor followed a link that opens nothing any more."""
    link = held_link()
    return bool(link) and _is_on() and find(link) is None


def _is_on() -> bool:
    with session().no_autoflush:
        return is_ready() and settings_of(host().current_store_view()).enabled


def find_unlinked(email: str) -> Invitation | None:
    """Return the invitation of an address that could be accepted here by its link: of
    several inviters' the first one.
    """
    try:
        identity = parse_address(email).identity
    except BadAddress:
        return None
    row = Invitation
    query = sa.select(row).where(
        row.email_hash == keyed_hash(identity, state().hash_key),
        row.website == host().current_store_view().website,
        row.status.in_(MOVES["accept"].sources),
    )
    found = session().scalars(query.order_by(row.id).execution_options(populate_existing=True))
    return next((each for each in found.all() if _can_be_accepted(each)), None)


def held_elsewhere() -> Invitation | None:
    """Return the invitation this visitor holds, for whichever website it is."""
    link = g.get("invitations_link")
    return find(link) if isinstance(link, str) else None


def is_unsafe() -> bool:
    """Return whether this request may change something."""
    return request.method not in SAFE_METHODS
