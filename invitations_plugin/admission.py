"""Who may create an account here, and which invitation they come by."""

from __future__ import annotations

from typing import Any

from flask import g, request
from flask_babel import LazyString

from .addresses import BadAddress, parse_address
from .database import session
from .held import find_unlinked, held, is_unsafe
from .i18n import gettext
from .models import Invitation
from .refusals import AddressMismatch, CaptchaFailed, InvitationRequired
from .settings import BY_INVITATION_ONLY, IGNORE, INVITED_ADDRESS_ONLY, Settings
from .state import host, is_ready, settings_of


def is_door() -> bool:
    """Return whether this request is to where the store registers people."""
    return request.endpoint in host().registration_endpoints


def current_settings() -> Settings:
    """Return the settings in force for this visitor."""
    return settings_of(host().current_store_view())


def require_invitation() -> None:
    """Refuse a visitor without a valid link where the store registers by invitation only.

    :raises InvitationRequired: which answers 403 with a page that explains.
    """
    if _by_invitation_only(current_settings()) and not host().is_staff() and held() is None:
        raise InvitationRequired


def _by_invitation_only(settings: Settings) -> bool:
    return settings.enabled and settings.registration == BY_INVITATION_ONLY


def may_go_without() -> bool:
    """Return whether who holds a link may register here without it, with another address."""
    settings = current_settings()
    is_bound = settings.registered_address == INVITED_ADDRESS_ONLY
    return is_bound and not _by_invitation_only(settings)


def check(customer: Any, *, is_registration: bool) -> Invitation | None:
    """Return the invitation a new customer comes by, None for one who comes without."""
    with session().no_autoflush:
        settings, row = current_settings(), held()
    if row is None or _is_made_by_another(customer):
        check_uninvited()
        return None
    anything_goes = settings.registered_address != INVITED_ADDRESS_ONLY
    if anything_goes or is_invited(row, host().email(customer)):
        return row
    if is_registration:
        raise AddressMismatch(row.email or "", may_go_without())
    check_uninvited()  # a guest's order, say: no registration, and no acceptance either
    return None


def find_by_address(customer: Any) -> Invitation | None:
    """Return the invitation of a new customer who came without its link.

    Only where a link would count, too, and this visitor holds none.
    """
    with session().no_autoflush:
        settings = current_settings()
        is_off = not (is_ready() and settings.enabled) or settings.unlinked_registration == IGNORE
        if is_off or held() is not None or _is_made_by_another(customer):
            return None
        return find_unlinked(host().email(customer))


def check_captcha() -> None:
    """Refuse a registration whose CAPTCHA does not pass, whichever way it came."""
    if is_door() and (reason := captcha_error()) is not None:
        raise CaptchaFailed(reason)


def captcha_error() -> str | None:
    """Ask the store's CAPTCHA, once for a form that is sent: most can be read only once."""
    if "invitations_captcha" not in g:
        is_asked = is_unsafe() and not host().is_staff()
        g.invitations_captcha = _reason(host().captcha()) if is_asked else None
    reason: str | None = g.invitations_captcha
    return reason


def _reason(told: object) -> str | None:
    """Return why a CAPTCHA does not pass, in words of ours where the store has none.

    Whoever hands on what a CAPTCHA's library returns says True where it passes.

    :raises TypeError: for what is no answer.
    """
    if told is None or told is True:
        return None
    if told is False or isinstance(told, (str, LazyString)):
        return (told and str(told).strip()) or gettext("No account was created yet")
    raise TypeError(
        f"Host.captcha() must return None or True where it passes, or a text that says why not,"
        f" but returned {told!r}"
    )


def check_uninvited() -> None:
    """Let an account be made without an invitation, by staff or in an open store."""
    if _by_invitation_only(current_settings()) and not host().is_staff():
        raise InvitationRequired


def _is_made_by_another(customer: Any) -> bool:
    """Return whether somebody signed in creates this account: that accepts nothing."""
    current = host().current_customer()
    return host().is_staff() or (current is not None and current is not customer)


def is_invited(row: Invitation, email: str) -> bool:
    """Return whether an address is the invited one, however it is written."""
    try:
        return parse_address(email).identity == parse_address(row.email or "").identity
    except BadAddress:
        return False
