"""Who registers with a link that has ended is told so, where an account can be made without."""

from __future__ import annotations

from flask import Response, g, request
from flask import session as cookie

from .held import has_ended, held_link, release
from .i18n import gettext, n_, speaking
from .state import host

TOLD = "invitations_told"  # the link whose end this visitor knows of
BEFORE = n_("Your invitation is no longer valid. You can still create an account.")
AFTER = n_("Your invitation is no longer valid, so your account was made without it.")


def tell_before() -> None:
    """Say on the registration page that the link this visitor holds has ended."""
    g.invitations_told = cookie.get(TOLD)
    if request.method == "GET" and not host().is_signed_in() and has_ended():
        cookie[TOLD] = held_link()
        _tell(BEFORE)


def tell_after(response: Response) -> None:
    """Say that the link ended while the form was filled in, once the account is made."""
    if not g.get("invitations_created") or response.status_code >= 400 or response.is_json:
        return
    if g.get("invitations_told") != held_link() and has_ended():
        _tell(AFTER)
    cookie.pop(TOLD, None)
    release()


def _tell(text: str) -> None:
    with speaking(host().current_store_view()):
        host().tell(gettext(text))
