"""The way back from an invitation to the grid as it was left."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import request, url_for

from ..grid import FILTERS, LONGEST

# What the grid's own address has; anything else is dropped, so nothing leads elsewhere.
ARGUMENTS = {*FILTERS, "sort", "dir", "size", "after", "before", "columns", "density", "view"}
ARGUMENTS |= {"zone", "report"}


def grid_query() -> str:
    """Return the query of the grid that the reader came from, "" where that is unknown.

    Our pages carry it along as ``back``; from the grid itself the browser tells it.
    """
    given = request.args.get("back")
    return _cleaned(_query_of_referrer() if given is None else given)


def _query_of_referrer() -> str:
    """Return the query of the page whose link was followed, where that was the grid."""
    parts = urlsplit(request.referrer or "")
    is_grid = (parts.netloc, parts.path) == (request.host, url_for("invitations_admin.grid"))
    return parts.query if is_grid else ""


def _cleaned(query: str) -> str:
    pairs = parse_qsl(query[: LONGEST * len(ARGUMENTS)])
    return urlencode([(name, text[:LONGEST]) for name, text in pairs if name in ARGUMENTS])


def grid_url() -> str:
    """Return the address of the grid as it was left."""
    query = grid_query()
    return url_for("invitations_admin.grid") + (f"?{query}" if query else "")


def url_of(endpoint: str, invitation_id: int) -> str:
    """Return an address of one invitation that keeps the way back."""
    back = grid_query() or None
    return url_for(f"invitations_admin.{endpoint}", invitation_id=invitation_id, back=back)
