"""The store's own registration form: the invited address in it, and errors at its fields."""

from __future__ import annotations

from typing import Any

from flask import current_app, has_request_context
from wtforms.form import BaseForm

from .admission import captcha_error, current_settings, is_door, is_invited, may_go_without
from .held import held, is_unsafe
from .refusals import mismatch_text
from .settings import INVITED_ADDRESS_ONLY
from .state import host


def teach(form_class: type[Any]) -> None:
    """Let the store's own form fill in the invited address and refuse another one.

    The class is taught once a process, and acts only on the current app's registration.

    :raises RuntimeError: for what is no form of WTForms.
    """
    if not isinstance(form_class, type) or not issubclass(form_class, BaseForm):
        raise RuntimeError(
            f"The host's registration_form is {form_class!r}, but must be a form class of WTForms,"
            " or None."
        )
    if getattr(form_class, "_invitations_taught", False):
        return
    process, validate = form_class.process, form_class.validate

    def taught_process(self: Any, *args: Any, **kwargs: Any) -> None:
        process(self, *args, **kwargs)
        row = held() if _is_registration_form(self) and not is_unsafe() else None
        if row is not None and not self[host().email_field].data:
            self[host().email_field].data = row.email

    def taught_validate(self: Any, *args: Any, **kwargs: Any) -> bool:
        valid = bool(validate(self, *args, **kwargs))
        if not _is_registration_form(self):
            return valid
        return all([valid, _passes_captcha(self), _has_invited_address(self)])

    form_class.process, form_class.validate = taught_process, taught_validate
    form_class._invitations_taught = True


def _is_registration_form(form: Any) -> bool:
    """Return whether a form stands on one of the store's doors and asks for an address."""
    if not has_request_context() or "invitations" not in current_app.extensions:
        return False
    return is_door() and host().email_field in form


def _passes_captcha(form: Any) -> bool:
    """Show at its field why the CAPTCHA does not pass."""
    reason = captcha_error()
    if reason is None:
        return True
    name = host().captcha_field
    _add_error(form[name if name in form else host().email_field], reason)
    return False


def _has_invited_address(form: Any) -> bool:
    """Show at the address that the invitation is for another one."""
    row, field = held(), form[host().email_field]
    if row is None or current_settings().registered_address != INVITED_ADDRESS_ONLY:
        return True
    if is_invited(row, field.data or ""):
        return True
    if not field.errors:
        _add_error(field, mismatch_text(row.email or "", may_go_without()))
    return False


def _add_error(field: Any, text: str) -> None:
    field.errors = [*field.errors, text]
