"""The gate before the store's registration, and acceptance inside its transaction.

Listeners hang on SQLAlchemy's ``Session`` once a process and dispatch through the current
app, so that two apps in one process do not both act.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from flask import Flask, Response, current_app, g, has_request_context, jsonify, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import ORMExecuteState, Session
from werkzeug.exceptions import HTTPException

from .accounts import gone_accounts
from .addresses import BadAddress, hint, parse_address
from .database import engine
from .database import session as host_session
from .erasing import forget_customer
from .events import announce
from .held import (
    await_no_sign_in,
    find_unlinked,
    held,
    is_unsafe,
    keep,
    may_hold,
    read,
    release,
    remember,
    signed_in_with,
)
from .host import Host
from .i18n import gettext, speaking
from .lifecycle import THE_INVITEE, LifecycleError, note
from .lifecycle import accept as accept_row
from .models import Invitation
from .rendering import render
from .settings import BY_INVITATION_ONLY, CREDIT_AND_GROUP, IGNORE, INVITED_ADDRESS_ONLY, Settings
from .signals import invitation_accepted
from .state import host, settings_of

P = ParamSpec("P")
R = TypeVar("R")


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

    def __init__(self, invited: str) -> None:
        super().__init__()
        self.invited = invited

    def context(self) -> dict[str, Any]:
        """Return a hint at the invited address."""
        return {"address_hint": hint(self.invited)}

    def text(self) -> str:
        """Return which address is expected."""
        return mismatch_text(self.invited)


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


def mismatch_text(invited: str) -> str:
    """Say which address an account made through this link has."""
    return gettext(
        "Your invitation was sent to %(address)s. Use that address, or open the link again and"
        " go on without the invitation.",
        address=hint(invited),
    )


def init_registration(app: Flask, store: Host) -> None:
    """Put the gate before every view of an app, CSRF's check included."""
    app.before_request_funcs.setdefault(None, []).insert(0, gate)
    app.after_request(finish)
    for refusal in (InvitationRequired, InvitationGone, AddressMismatch, CaptchaFailed):
        app.register_error_handler(refusal, answer_refusal)
    if store.registration_form is not None:
        _teach_form(store.registration_form)


def gate() -> None:
    """Keep this request's link; close the store's doors where only the invited may enter."""
    if _is_door() or is_unsafe() or may_hold():
        remember()
    if _is_door():
        require_invitation()


def require_invitation() -> None:
    """Refuse a visitor without a valid link where the store registers by invitation only.

    :raises InvitationRequired: which answers 403 with a page that explains.
    """
    if _by_invitation_only(_settings()) and not host().is_staff() and held() is None:
        raise InvitationRequired


def invitation_required(view: Callable[P, R]) -> Callable[P, R]:
    """Close any other view of the store in the same way, wherever it registers people."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        require_invitation()
        return view(*args, **kwargs)

    return guarded


def answer_refusal(refusal: RegistrationRefused) -> Response:
    """Undo what the request began, then say why: JSON to who speaks JSON, a page to others."""
    host_session().rollback()
    status, view = refusal.code or 403, host().current_store_view()
    with speaking(view):
        if request.is_json or request.accept_mimetypes.best == "application/json":
            response = jsonify(error=refusal.error, message=refusal.text())
            response.status_code = status
            return response
        return render(refusal.template, view=view, status=status, **refusal.context())


def accept(customer: Any) -> bool:
    """Accept the held invitation for a new customer, in the caller's transaction.

    For stores that set ``acceptance="call"`` because they insert customers in a way that
    the session does not see. Returns whether there was an invitation to accept.

    :raises RegistrationRefused: when the account must not be created.
    """
    _check_captcha()
    g.invitations_created = True
    row = _check(customer, is_registration=True)
    if row is None:
        return _recognise(customer)
    _assign_group(customer, row)
    host_session().flush()
    _accept(host_session(), customer, row)
    return True


def _recognise(customer: Any) -> bool:
    """Accept what a new customer was invited by, without its link; return whether it was."""
    row = _find_unlinked(customer)
    host_session().flush()
    if row is None or not _accept_unlinked(host_session(), customer, row):
        return False
    _assign_group_unlinked(customer, row)
    return True


@sa.event.listens_for(Session, "before_flush")
def _before_flush(session: Session, context: Any, instances: Any) -> None:
    """Refuse a customer who may not be created; put the invited one into the group."""
    for key in _deleted_keys(session):
        forget_customer(session, key)
    customers = _customers_in(session.new)
    if not customers:
        return
    _check_captcha()
    g.invitations_created = True
    customer, *others = customers
    row = _check(customer, is_registration=_is_door())
    if others:
        _check_uninvited()
    if current_app.extensions["invitations"].acceptance != "insert":
        return
    if row is not None:
        _assign_group(customer, row)
        g.invitations_pending = (customer, row, True)
    elif (unlinked := _find_unlinked(customer)) is not None:
        g.invitations_pending = (customer, unlinked, False)


@sa.event.listens_for(Session, "after_flush")
def _after_flush(session: Session, context: Any) -> None:
    """Tie the invitation to the customer who was inserted in this flush."""
    if not has_request_context() or g.get("invitations_pending") is None:
        return
    customer, row, has_link = g.invitations_pending
    if customer not in session.new:
        return
    g.invitations_pending = None
    if has_link:
        _accept(session, customer, row)
    elif _accept_unlinked(session, customer, row):
        g.invitations_grouped = (customer, row)


@sa.event.listens_for(Session, "after_flush_postexec")
def _after_flush_postexec(session: Session, context: Any) -> None:
    """Give the group of an invitation accepted without its link; the commit writes it.

    Only once it is accepted: the account goes on as a plain one where that fails.
    """
    if has_request_context() and g.get("invitations_grouped") is not None:
        customer, row = g.pop("invitations_grouped")
        _assign_group_unlinked(customer, row)


@sa.event.listens_for(Session, "after_commit")
def _after_commit(session: Session) -> None:
    """Remember that an acceptance stands; a released savepoint is no commit yet."""
    if has_request_context() and "invitations_accepted" in g:
        g.invitations_committed = session.get_nested_transaction() is None


@sa.event.listens_for(Session, "do_orm_execute")
def _before_statement(statement: ORMExecuteState) -> None:
    """Shut the door that inserts customers by a statement, past the session's objects."""
    if not statement.is_insert or not has_request_context():
        return
    if "invitations" not in current_app.extensions:
        return
    mapper, model = statement.bind_mapper, host().customer_model
    if mapper is not None:
        is_customer = issubclass(mapper.class_, model)
    else:  # the statement names the table, not the class
        table = statement.statement.table  # type: ignore[attr-defined]
        is_customer = table is sa.inspect(model).local_table
    if is_customer:
        _check_captcha()
        g.invitations_created = True
        _check_uninvited()


def _is_door() -> bool:
    return request.endpoint in host().registration_endpoints


def _customers_in(objects: Iterable[Any]) -> list[Any]:
    if not has_request_context() or "invitations" not in current_app.extensions:
        return []
    model = host().customer_model
    return [each for each in objects if isinstance(each, model)]


def _deleted_keys(session: Session) -> list[str]:
    """Return the keys of customers who are about to be deleted, in a request or not."""
    if not session.deleted or not current_app or "invitations" not in current_app.extensions:
        return []
    store = host()
    return [store.key(each) for each in session.deleted if isinstance(each, store.customer_model)]


def _settings() -> Settings:
    return settings_of(host().current_store_view())


def _by_invitation_only(settings: Settings) -> bool:
    return settings.enabled and settings.registration == BY_INVITATION_ONLY


def _check(customer: Any, *, is_registration: bool) -> Invitation | None:
    """Return the invitation a new customer comes by, None for one who comes without."""
    with host_session().no_autoflush:
        settings, row = _settings(), held()
    if row is None or _is_made_by_another(customer):
        _check_uninvited()
        return None
    anything_goes = settings.registered_address != INVITED_ADDRESS_ONLY
    if anything_goes or _is_invited(row, host().email(customer)):
        return row
    if is_registration:
        raise AddressMismatch(row.email or "")
    _check_uninvited()  # a guest's order, say: no registration, and no acceptance either
    return None


def _find_unlinked(customer: Any) -> Invitation | None:
    """Return the invitation of a new customer who came without its link.

    Only where a link would count, too, and this visitor holds none.
    """
    with host_session().no_autoflush:
        settings = _settings()
        is_off = not settings.enabled or settings.unlinked_registration == IGNORE
        if is_off or held() is not None or _is_made_by_another(customer):
            return None
        return find_unlinked(host().email(customer))


def _check_captcha() -> None:
    """Refuse a registration whose CAPTCHA does not pass, whichever way it came."""
    if _is_door() and (reason := _captcha_error()) is not None:
        raise CaptchaFailed(reason)


def _captcha_error() -> str | None:
    """Ask the store's CAPTCHA, once for a form that is sent: most can be read only once."""
    if "invitations_captcha" not in g:
        is_asked = is_unsafe() and not host().is_staff()
        g.invitations_captcha = host().captcha() if is_asked else None
    reason: str | None = g.invitations_captcha
    return reason


def _check_uninvited() -> None:
    """Let an account be made without an invitation, by staff or in an open store."""
    if _by_invitation_only(_settings()) and not host().is_staff():
        raise InvitationRequired


def _is_made_by_another(customer: Any) -> bool:
    """Return whether somebody signed in creates this account: that accepts nothing."""
    current = host().current_customer()
    return host().is_staff() or (current is not None and current is not customer)


def _is_invited(row: Invitation, email: str) -> bool:
    try:
        return parse_address(email).identity == parse_address(row.email or "").identity
    except BadAddress:
        return False


def _assign_group(customer: Any, row: Invitation) -> None:
    codes = [group.code for group in host().groups()]
    host().assign_group(customer, row.group_code if row.group_code in codes else codes[0])


def _assign_group_unlinked(customer: Any, row: Invitation) -> None:
    """Give the group only where the store says that it verifies addresses."""
    if _settings().unlinked_registration == CREDIT_AND_GROUP:
        _assign_group(customer, row)


def _accept(session: Session, customer: Any, row: Invitation, *, reason: str | None = None) -> None:
    number, key = row.id, host().key(customer)
    try:
        accept_row(session, row, key, gone=gone_accounts(row), reason=reason)
    except LifecycleError as error:
        raise InvitationGone from error
    g.invitations_accepted = (number, key, customer)


def _accept_unlinked(session: Session, customer: Any, row: Invitation) -> bool:
    """Accept an invitation without its link, unless it was closed in this very moment:
    nobody promised this person anything, so the account goes on without it.
    """
    try:
        _accept(session, customer, row, reason="without the link")
    except InvitationGone:
        return False
    return True


def finish(response: Response) -> Response:
    """After a registration that stands forget the link and tell whoever listens; after one
    that failed keep the link for the next try.
    """
    row = _accepted_row()
    if row is not None:
        release()
        announce(invitation_accepted, [row], customer=g.invitations_accepted[-1])
    elif _is_door():
        keep()
    link = signed_in_with() if response.status_code < 500 else None  # else nobody may know
    if link is not None:
        _note_sign_in(link)
    return response


def _note_sign_in(link: str) -> None:
    """Note once that somebody with an account signed in through a link, and let it go.

    Whoever creates the account in this very request does not sign in to one they had. The
    note has a transaction of its own: what the store left uncommitted is the store's.
    """
    if _is_door() or g.get("invitations_created"):
        await_no_sign_in()
        return
    row = read(link)
    release()
    if row is None:
        return
    try:
        with Session(engine()) as own, own.begin():
            note(own, row.id, THE_INVITEE, "sign_in")
    except SQLAlchemyError:
        current_app.logger.exception("The sign-in through a link could not be noted")


def _accepted_row() -> Invitation | None:
    """Return what a commit of this request accepted.

    The row is asked: the store may have rolled the account back and committed something else.
    """
    if not g.pop("invitations_committed", False):
        return None
    invitation_id, key, _ = g.invitations_accepted
    row = host_session().get(Invitation, invitation_id, populate_existing=True)
    return row if row is not None and row.customer_key == key else None


def _teach_form(form_class: type[Any]) -> None:
    """Let the store's own form fill in the invited address and refuse another one.

    The class is taught once a process, and acts only on the current app's registration.
    """
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
    return _is_door() and host().email_field in form


def _passes_captcha(form: Any) -> bool:
    """Show at its field why the CAPTCHA does not pass."""
    reason = _captcha_error()
    if reason is None:
        return True
    name = host().captcha_field
    _add_error(form[name if name in form else host().email_field], reason)
    return False


def _has_invited_address(form: Any) -> bool:
    """Show at the address that the invitation is for another one."""
    row, field = held(), form[host().email_field]
    if row is None or _settings().registered_address != INVITED_ADDRESS_ONLY:
        return True
    if _is_invited(row, field.data or ""):
        return True
    if not field.errors:
        _add_error(field, mismatch_text(row.email or ""))
    return False


def _add_error(field: Any, text: str) -> None:
    field.errors = [*field.errors, text]
