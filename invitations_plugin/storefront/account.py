"""The customer's pages: My Invitations and the form that sends more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, g, request, url_for

from ..accounts import as_inviter, group_of
from ..addresses import Address
from ..database import Busy, atomically, session
from ..digits import whole_number
from ..events import announce
from ..forms import MESSAGE_MAX, SendForm
from ..host import StoreView
from ..i18n import format_datetime, gettext, n_
from ..inviting import (
    AlreadyInvited,
    Blocked,
    Made,
    Objection,
    OwnAddress,
    Submission,
    TooMany,
    actor_of,
    invite,
    objections,
)
from ..lifecycle import Changed, IllegalMove, TooSoon, discard, resend, seems_open
from ..limits import Inviter, LimitReached, check_limits, check_pending, take_sender_turn
from ..models import Invitation, MailState, Status
from ..protection import is_stale, protect
from ..rendering import draft_mark, notify, redirect_to, render, sign_in_first, wants_fragment
from ..settings import SAME_AS_INVITER, SKIP, Settings
from ..signals import invitation_created, invitation_discarded
from ..state import host, mail_domain, settings_of, state
from . import words
from .listing import ASKED, LABELS, Page, count_asking, read_page, summary

account = Blueprint(
    "invitations", __name__, static_folder="../static", template_folder="../templates"
)

FORM, FORM_PIECE = "storefront/send.html", "storefront/_send_form.html"


def admit() -> Response | None:
    """Let customers in, where the settings have invitations on; load what views need."""
    settings = settings_of(_view())
    if not (settings.enabled and settings.storefront_enabled):
        abort(404)
    customer = host().current_customer()
    if customer is None:
        return abort(403) if host().is_signed_in() else sign_in_first(host(), "invitations.index")
    g.inv_group = group_of(customer)
    g.inv_settings = settings.of_group(g.inv_group)
    g.inv_inviter = as_inviter(customer)
    may = host().may_invite(customer)
    g.inv_refusal = None if may is True else words.may_not_invite(may)
    return None


protect(account, "storefront", admit, own=("invitations.send", "invitations.send_rows"))


@account.get("/")
def index() -> Response:
    """Show the customer's invitations, twenty a page."""
    status = request.args.get("status", "")
    page = _page(status)
    sent, accepted = summary(session(), _inviter().key)
    asking = count_asking(session(), _inviter().key)
    filters = LABELS | ({ASKED: n_("Asks for a link")} if asking or status == ASKED else {})
    return _render(
        "storefront/index.html",
        "storefront/_list.html",
        rows=page.lines,
        summary={"sent": sent, "accepted": accepted},
        page={
            "newer_url": _page_url(status, after=page.newer),
            "older_url": _page_url(status, before=page.older),
        },
        can_send=g.inv_refusal is None,
        refusal=g.inv_refusal,
        here=_here(),
        status_filter=status if status in filters else "",
        status_options=[(code, gettext(label)) for code, label in filters.items()],
        asking=asking,
    )


@account.route("/send", methods=["GET", "POST"])
def send() -> Response:
    """Show the form; send what it holds, all of it or nothing."""
    if request.method == "GET" and g.inv_refusal is not None:
        return _render("storefront/not_now.html", status=403, reason=g.inv_refusal)
    form = SendForm(allow_message=_settings().allow_message)
    if request.method != "POST":
        return _form_page(form, focus="emails-0")
    if is_stale():
        text = gettext("This page was open for too long. Nothing was sent; send it once more.")
        return _form_page(form, 400, text)
    if g.inv_refusal is not None:
        return _form_page(form, 403, g.inv_refusal)
    if not form.validate():
        return _refused(form)
    return _send(form)


@account.post("/send/rows")
def send_rows() -> Response:
    """Show the form with one row more, or one less; nothing is sent."""
    typed = SendForm(allow_message=_settings().allow_message)
    rows = [entry.data or "" for entry in typed.emails]
    removed = request.form.get("remove_row", type=int)
    if removed is None:
        rows = [*rows, ""] if len(rows) < _settings().max_per_send else rows
        focus = len(rows) - 1
    else:
        rows = [row for index, row in enumerate(rows) if index != removed] or [""]
        focus = max(0, min(removed, len(rows)) - 1)
    data = {"emails": rows, "submission": typed.submission.data}
    if "message" in typed:
        data["message"] = typed.message.data
    form = SendForm(allow_message=_settings().allow_message, formdata=None, data=data)
    return _form_page(form, focus=f"emails-{focus}")


@account.get("/send/rows")
def form_again() -> Response:
    """Lead to the form: without JavaScript this address stays in the bar after "+"."""
    return redirect_to(url_for("invitations.send"))


@account.get("/<int:invitation_id>/resend")
@account.get("/<int:invitation_id>/cancel")
def list_again(invitation_id: int) -> Response:
    """Lead to the list: a link does nothing of what a button does."""
    return redirect_to(url_for("invitations.index", **_here()))


@account.post("/<int:invitation_id>/resend", endpoint="resend")
def send_again(invitation_id: int) -> Response:
    """Send one of the customer's invitations again."""
    if g.inv_refusal is not None:
        _own(invitation_id)
        notify("error", g.inv_refusal)
        return _list_with(403)
    return _act(invitation_id, _resend, n_("You sent the invitation for %(address)s again."))


@account.post("/<int:invitation_id>/cancel")
def cancel(invitation_id: int) -> Response:
    """Cancel one of the customer's invitations."""
    return _act(invitation_id, _cancel, n_("You canceled the invitation for %(address)s."))


def _inviter() -> Inviter:
    inviter: Inviter = g.inv_inviter
    return inviter


def _settings() -> Settings:
    settings: Settings = g.inv_settings
    return settings


def _view() -> StoreView:
    view: StoreView = g.inv_view
    return view


def _render(name: str, fragment: str | None = None, status: int = 200, **context: Any) -> Response:
    return render(name, fragment, view=_view(), status=status, **context)


def _here() -> dict[str, Any]:
    """Return the arguments of the page of the list that this request is about."""
    wanted = ("status", "before", "after")
    return {name: request.args[name] for name in wanted if request.args.get(name)}


def _number(name: str) -> int | None:
    return whole_number(request.args.get(name)) or None


def _page(status: str) -> Page:
    """Return the page that was asked for; where nothing stands on it, the first one."""
    ask = partial(read_page, session(), actor_of(_inviter()), _settings(), status=status)
    before, after = _number("before"), _number("after")
    page = ask(before=before, after=after)
    is_past_the_end = not page.lines and (before or after)
    return ask() if is_past_the_end else page


def _page_url(status: str, **key: Any) -> str | None:
    if None in key.values():
        return None
    return url_for("invitations.index", status=status or None, **key)


def _form_page(
    form: SendForm,
    status: int = 200,
    error: str | None = None,
    *,
    focus: str | None = None,
    retry_after: int | None = None,
) -> Response:
    most = _settings().max_per_send
    response = _render(
        FORM,
        FORM_PIECE,
        status,
        form=form,
        max_rows=most,
        can_add=len(form.emails.entries) < most,
        focus=focus,
        form_error=error,
        message_max=MESSAGE_MAX,
        draft=draft_mark(_inviter().key),
    )
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _first_error(form: SendForm) -> str | None:
    fields = [*form.emails, *([form.message] if "message" in form else [])]
    return next((field.id for field in fields if field.errors), None)


def _invite(form: SendForm) -> Made:
    asked, domain = _submission(form), mail_domain(_view())
    return invite(session(), asked, _settings(), state().hash_key, domain)


def _submission(form: SendForm) -> Submission:
    settings, inviter = _settings(), _inviter()
    same = settings.referred_group == SAME_AS_INVITER
    return Submission(
        view=_view(),
        addresses=form.addresses(),
        group=g.inv_group if same else host().groups()[0].code,
        actor=actor_of(inviter),
        inviter=inviter,
        message=(form.message.data or None) if "message" in form else None,
        key=form.submission.data,
        is_customer=_is_customer if settings.existing_customers == SKIP else None,
    )


def _is_customer(address: Address) -> bool:
    found = host().customer_by_email(address.delivery, _view().website)
    return found is not None


def _send(form: SendForm) -> Response:
    """Carry a valid form out, or show it again with what stands against it."""
    try:
        made = atomically(lambda: _invite(form))
    except Objection as refusal:
        return _refused(form, refusal)
    except LimitReached as limit:
        return _limited(form, limit)
    except Busy:
        text = gettext("The store cannot answer just now. Nothing was sent; try again in a moment.")
        return _form_page(form, 503, text, retry_after=5)
    if made.is_new:
        announce(invitation_created, made.rows)
    _tell_sent(made, form.repeated())
    return redirect_to(url_for("invitations.index"))


def _refused(form: SendForm, refusal: Objection | None = None) -> Response:
    """Show the form with all that stands against it: no field waits until another is right.

    ``refusal`` is why nothing was sent, where no field was wrong before.
    """
    found = [*objections(session(), _submission(form), _settings(), state().hash_key)]
    if refusal is not None:
        found.append(refusal)  # where another request took the others away meanwhile
    for each in found:
        form.mark(_error_texts(form, each))
    return _form_page(form, 422, focus=_first_error(form))


def _error_texts(form: SendForm, refusal: Objection) -> list[tuple[Address, str]]:
    match refusal:
        case Blocked(addresses):
            return [(each, words.blocked()) for each in addresses]
        case OwnAddress(address):
            return [(address, gettext("This is your own address."))]
        case TooMany(limit):
            return [(each, words.too_many(limit)) for each in form.addresses()[limit:]]
        case AlreadyInvited(found):
            known = actor_of(_inviter()), _settings(), _view()
            return [(each, words.already_invited(row, *known)) for each, row in found.items()]
    return []


def _limited(form: SendForm, limit: LimitReached) -> Response:
    wait = words.retry_after(limit.opens_at)
    return _form_page(form, 429, words.limit_reached(limit, _view()), retry_after=wait)


def _tell_sent(made: Made, repeated: Sequence[str]) -> None:
    # Not from the rows, which would be read anew after the commit, one by one.
    for sent in made.addresses:
        text = gettext("You sent the invitation for %(address)s.", address=sent.delivery)
        notify("success", text)
    if made.skipped:
        notify("info", words.skipped(made.skipped))
    for address in repeated:
        notify(
            "info",
            gettext(
                "You entered %(address)s more than once; we sent one invitation.", address=address
            ),
        )


def _own(invitation_id: int) -> Invitation:
    """Load one of the customer's own invitations; anybody else's does not exist."""
    if invitation_id >= 2**63:
        abort(404)
    row = session().get(Invitation, invitation_id, populate_existing=True)
    if row is None or row.inviter_key != _inviter().key:
        abort(404)
    return row


def _resend(row: Invitation) -> None:
    if row.mail_state == MailState.FAILED:  # it did not count so far
        take_sender_turn(session(), row.inviter_key)
        check_limits(session(), _inviter(), 1, _settings())
    elif not seems_open(row):
        take_sender_turn(session(), row.inviter_key)
        check_pending(session(), row.inviter_key, 1, _settings())
    resend(session(), row, actor_of(_inviter()), _settings(), mail_domain(_view()))


def _cancel(row: Invitation) -> None:
    discard(session(), row, actor_of(_inviter()))


def _list_with(status: int) -> Response:
    """Show the list with what was said."""
    response = index()
    response.status_code = status
    return response


def _wait_page(seconds: int) -> Response:
    """Show the list with what was said, and tell a program when to come back."""
    response = _list_with(429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _change(invitation_id: int, change: Any) -> None:
    """Change one own invitation; once more where its mail left in this very moment."""
    try:
        atomically(lambda: change(_own(invitation_id)))
    except Changed:
        atomically(lambda: change(_own(invitation_id)))


def _act(invitation_id: int, change: Any, done: str) -> Response:
    """Change one own invitation by a button's POST, and say what came of it."""
    address = _own(invitation_id).email or ""
    try:
        _change(invitation_id, change)
    except TooSoon as refusal:
        when = format_datetime(refusal.possible_at, _view())
        notify("error", gettext("You can send this invitation again after %(when)s.", when=when))
        return _wait_page(words.retry_after(refusal.possible_at))
    except LimitReached as limit:
        notify("error", words.limit_reached(limit, _view()))
        return _wait_page(words.retry_after(limit.opens_at))
    except (IllegalMove, Changed):
        notify("error", gettext("This invitation changed in the meantime; please check it again."))
    else:
        row = _own(invitation_id)
        if row.status == Status.DISCARDED:
            announce(invitation_discarded, [row])
        notify("success", gettext(done, address=address))
    if wants_fragment():
        return index()
    return redirect_to(url_for("invitations.index", **_here()))
