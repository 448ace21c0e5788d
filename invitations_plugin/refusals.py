"""Registrations that must not happen: why, and the answer that says so."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from werkzeug.exceptions import HTTPException

from .addresses import hint
from .database import session
from .i18n import gettext, speaking
from .rendering import render
from .state import host


class RegistrationRefused(HTTPException):
    """A registration that must not happen; its handler rolls back before it renders."""

    code = 403
    template = "storefront/closed.html"
    error = "invitation_required"

    def context(self) -> dict[str, Any]:
        """Return what the template shows."""
        return {}

    def text(self) -> str:
        """Return the reason in the reader's language."""
        return gettext("Accounts are created by invitation only.")


class InvitationRequired(RegistrationRefused):
    """The store registers by invitation only, and this visitor holds no valid link."""

    def context(self) -> dict[str, Any]:
        """Return the ways on from here."""
        home = host().home_url()
        login = None if host().is_signed_in() else host().login_url(home)
        return {"login_url": login, "home_url": home}


class InvitationGone(RegistrationRefused):
    """The link was used or closed while the account was being created."""

    code = 404
    template = "storefront/gone.html"
    error = "invitation_gone"

    def context(self) -> dict[str, Any]:
        """Return the ways on."""
        home = host().home_url()
        return {"ask_here": False, "home_url": home, "login_url": host().login_url(home)}

    def text(self) -> str:
        """Return the neutral text."""
        return gettext("This invitation is no longer valid.")


class AddressMismatch(RegistrationRefused):
    """The account's address is not the invited one."""

    code = 422
    template = "storefront/mismatch.html"
    error = "address_mismatch"

    def __init__(self, invited: str, can_release: bool) -> None:
        super().__init__()
        self.invited, self.can_release = invited, can_release

    def context(self) -> dict[str, Any]:
        """Return a hint at the invited address, and whether there is a way without it."""
        return {"address_hint": hint(self.invited), "can_release": self.can_release}

    def text(self) -> str:
        """Return which address is expected."""
        return mismatch_text(self.invited, self.can_release)


class CaptchaFailed(RegistrationRefused):
    """The store's CAPTCHA did not pass at a door that shows no form of ours."""

    code = 422
    template = "storefront/captcha.html"
    error = "captcha_failed"

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def context(self) -> dict[str, Any]:
        """Return the store's words, and where to try again."""
        return {"reason": self.reason, "register_url": host().registration_url()}

    def text(self) -> str:
        """Return what the store said."""
        return self.reason


def mismatch_text(invited: str, can_release: bool) -> str:
    """Say which address an account made through this link has, and what else can be done."""
    if not can_release:
        return gettext(
            "Your invitation was sent to %(address)s. Use that address.", address=hint(invited)
        )
    return gettext(
        "Your invitation was sent to %(address)s. Use that address, or open the link in its"
        " e-mail again and choose to continue without the invitation.",
        address=hint(invited),
    )


def answer_refusal(refusal: RegistrationRefused) -> Response:
    """Undo what the request began, then say why: JSON to who speaks JSON, a page to others."""
    session().rollback()
    status, view = refusal.code or 403, host().current_store_view()
    with speaking(view):
        if request.is_json or request.accept_mimetypes.best == "application/json":
            response = jsonify(error=refusal.error, message=refusal.text())
            response.status_code = status
            return response
        return render(refusal.template, view=view, status=status, **refusal.context())
