"""The gate before the store's registration, and acceptance inside its transaction.

Listeners hang on SQLAlchemy's ``Session`` once a process and dispatch through the current
app, so that two apps in one process do not both act.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from flask import Flask, Response, current_app, g, has_request_context
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import ORMExecuteState, Session

from .accounts import gone_accounts, key_of
from .admission import (
    check,
    check_captcha,
    check_uninvited,
    current_settings,
    find_by_address,
    is_door,
    require_invitation,
)
from .database import engine
from .database import session as host_session
from .ended_links import tell_after, tell_before
from .erasing import forget_customer
from .events import announce
from .held import (
    await_no_sign_in,
    is_unsafe,
    keep,
    may_hold,
    read,
    release,
    remember,
    signed_in_with,
)
from .host import Host
from .lifecycle import THE_INVITEE, LifecycleError, note
from .lifecycle import accept as accept_row
from .models import Invitation
from .refusals import (
    AddressMismatch,
    CaptchaFailed,
    InvitationGone,
    InvitationRequired,
    answer_refusal,
)
from .registration_form import teach
from .settings import CREDIT_AND_GROUP
from .signals import invitation_accepted
from .state import host, is_ready

P = ParamSpec("P")
R = TypeVar("R")


def init_registration(app: Flask, store: Host) -> None:
    """Put the gate before every view of an app, CSRF's check included."""
    app.before_request_funcs.setdefault(None, []).insert(0, gate)
    app.after_request(finish)
    for refusal in (InvitationRequired, InvitationGone, AddressMismatch, CaptchaFailed):
        app.register_error_handler(refusal, answer_refusal)
    if store.registration_form is not None:
        teach(store.registration_form)


def gate() -> None:
    """Keep this request's link; close the store's doors where only the invited may enter."""
    if is_door() or is_unsafe() or may_hold():
        remember()
    if is_door():
        require_invitation()
        tell_before()


def invitation_required(view: Callable[P, R]) -> Callable[P, R]:
    """Close any other view of the store in the same way, wherever it registers people."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        require_invitation()
        return view(*args, **kwargs)

    return guarded


def accept(customer: Any) -> bool:
    """Accept the held invitation for a new customer, in the caller's transaction.

    For stores that set ``acceptance="call"`` because they insert customers in a way that
    the session does not see. Returns whether there was an invitation to accept.

    :raises RegistrationRefused: when the account must not be created.
    """
    check_captcha()
    g.invitations_created = True
    row = check(customer, is_registration=True)
    if row is None:
        return _recognise(customer)
    _assign_group(customer, row)
    host_session().flush()
    _accept(host_session(), customer, row)
    return True


def _recognise(customer: Any) -> bool:
    """Accept what a new customer was invited by, without its link; return whether it was."""
    row = find_by_address(customer)
    host_session().flush()
    if row is None or not _accept_unlinked(host_session(), customer, row):
        return False
    _assign_group_unlinked(customer, row)
    return True


@sa.event.listens_for(Session, "before_flush")
def _before_flush(session: Session, context: Any, instances: Any) -> None:
    """Refuse a customer who may not be created; put the invited one into the group."""
    for each in _deleted_customers(session):
        store = host()
        forget_customer(session, key_of(each), (store.email(each), store.name(each)))
    customers = _customers_in(session.new)
    if not customers:
        return
    check_captcha()
    g.invitations_created = True
    customer, *others = customers
    row = check(customer, is_registration=is_door())
    if others:
        check_uninvited()
    if current_app.extensions["invitations"].acceptance != "insert":
        return
    if row is not None:
        _assign_group(customer, row)
        g.invitations_pending = (customer, row, True)
    elif (unlinked := find_by_address(customer)) is not None:
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
        check_captcha()
        g.invitations_created = True
        check_uninvited()


def _customers_in(objects: Iterable[Any]) -> list[Any]:
    if not has_request_context() or "invitations" not in current_app.extensions:
        return []
    model = host().customer_model
    return [each for each in objects if isinstance(each, model)]


def _deleted_customers(session: Session) -> list[Any]:
    """Return the customers who are about to be deleted, in a request or not."""
    if not session.deleted or not current_app or "invitations" not in current_app.extensions:
        return []
    model = host().customer_model
    deleted = [each for each in session.deleted if isinstance(each, model)]
    return deleted if deleted and is_ready() else []


def _assign_group(customer: Any, row: Invitation) -> None:
    codes = [group.code for group in host().groups()]
    host().assign_group(customer, row.group_code if row.group_code in codes else codes[0])


def _assign_group_unlinked(customer: Any, row: Invitation) -> None:
    """Give the group only where the store says that it verifies addresses."""
    if current_settings().unlinked_registration == CREDIT_AND_GROUP:
        _assign_group(customer, row)


def _accept(session: Session, customer: Any, row: Invitation, *, reason: str | None = None) -> None:
    number, key = row.id, key_of(customer)
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
    elif is_door():
        keep()
        tell_after(response)
    link = signed_in_with() if response.status_code < 500 else None  # else nobody may know
    if link is not None and is_ready():
        _note_sign_in(link)
    return response


def _note_sign_in(link: str) -> None:
    """Note once that somebody with an account signed in through a link, and let it go.

    Whoever creates the account in this very request does not sign in to one they had. The
    note has a transaction of its own: what the store left uncommitted is the store's.
    """
    if is_door() or g.get("invitations_created"):
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
