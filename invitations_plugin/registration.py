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
from sqlalchemy.orm import ORMExecuteState, Session
from werkzeug.exceptions import HTTPException

from .addresses import BadAddress, hint, parse_address
from .database import session as host_session
from .events import announce
from .held import held, is_unsafe, keep, release, remember
from .host import Host
from .i18n import gettext, speaking
from .lifecycle import LifecycleError, forget_customer
from .lifecycle import accept as accept_row
from .models import Invitation
from .rendering import render
from .settings import BY_INVITATION_ONLY, INVITED_ADDRESS_ONLY, Settings
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
    for refusal in (InvitationRequired, InvitationGone, AddressMismatch):
        app.register_error_handler(refusal, answer_refusal)
    if store.registration_form is not None:
        _teach_form(store.registration_form)


def gate() -> None:
    """Keep this request's link; close the store's doors where only the invited may enter."""
    is_door = request.endpoint in host().registration_endpoints
    if is_door or is_unsafe():
        remember()
    if is_door:
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
    row = _check(customer, is_registration=True)
    if row is None:
        return False
    _assign_group(customer, row)
    host_session().flush()
    _accept(host_session(), customer, row)
    return True


@sa.event.listens_for(Session, "before_flush")
def _before_flush(session: Session, context: Any, instances: Any) -> None:
    """Refuse a customer who may not be created; put the invited one into the group."""
    for key in _deleted_keys(session):
        forget_customer(session, key)
    customers = _customers_in(session.new)
    if not customers:
        return
    customer, *others = customers
    is_door = request.endpoint in host().registration_endpoints
    row = _check(customer, is_registration=is_door)
    if others:
        _check_uninvited()
    if row is not None and current_app.extensions["invitations"].acceptance == "insert":
        _assign_group(customer, row)
        g.invitations_pending = (customer, row)


@sa.event.listens_for(Session, "after_flush")
def _after_flush(session: Session, context: Any) -> None:
    """Tie the invitation to the customer who was inserted in this flush."""
    if not has_request_context() or g.get("invitations_pending") is None:
        return
    customer, row = g.invitations_pending
    if customer not in session.new:
        return
    g.invitations_pending = None
    _accept(session, customer, row)


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
        _check_uninvited()


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
    if row is None or not settings.enabled or _is_made_by_another(customer):
        _check_uninvited()
        return None
    anything_goes = settings.registered_address != INVITED_ADDRESS_ONLY
    if anything_goes or _is_invited(row, host().email(customer)):
        return row
    if is_registration:
        raise AddressMismatch(row.email or "")
    _check_uninvited()  # a guest's order, say: no registration, and no acceptance either
    return None


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


def _accept(session: Session, customer: Any, row: Invitation) -> None:
    key = host().key(customer)
    try:
        accept_row(session, row, key)
    except LifecycleError as error:
        raise InvitationGone from error
    g.invitations_accepted = (row.id, key, customer)


def finish(response: Response) -> Response:
    """After a registration that stands forget the link and tell whoever listens; after one
    that failed keep the link for the next try.
    """
    row = _accepted_row()
    if row is not None:
        release()
        announce(invitation_accepted, [row], customer=g.invitations_accepted[-1])
    elif request.endpoint in host().registration_endpoints:
        keep()
    return response


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
        row = _row_for_form(self)
        field = self[host().email_field] if row is not None else None
        if row is not None and field is not None and not field.data and not is_unsafe():
            field.data = row.email

    def taught_validate(self: Any, *args: Any, **kwargs: Any) -> bool:
        valid = bool(validate(self, *args, **kwargs))
        row = _row_for_form(self)
        if row is None or _settings().registered_address != INVITED_ADDRESS_ONLY:
            return valid
        field = self[host().email_field]
        if field.errors or _is_invited(row, field.data or ""):
            return valid
        field.errors = [*field.errors, mismatch_text(row.email or "")]
        return False

    form_class.process, form_class.validate = taught_process, taught_validate
    form_class._invitations_taught = True


def _row_for_form(form: Any) -> Invitation | None:
    """Return the invitation that a form on one of the store's doors is filled for."""
    if not has_request_context() or "invitations" not in current_app.extensions:
        return None
    if request.endpoint not in host().registration_endpoints or host().email_field not in form:
        return None
    return held()
