"""The customer's pages: My Invitations and the form that sends more."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, g, request, url_for

from ..addresses import Address
from ..database import Busy, atomically, session
from ..events import announce
from ..forms import MESSAGE_MAX, SendForm
from ..host import StoreView
from ..i18n import format_datetime, gettext, n_
from ..inviting import (
    AlreadyInvited,
    Inviter,
    LimitReached,
    OwnAddress,
    Submission,
    TooMany,
    actor_of,
    check_pending,
    invite,
    take_turn,
)
from ..lifecycle import Changed, IllegalMove, TooSoon, discard, resend, seems_open
from ..models import Invitation, Status
from ..protection import is_stale, protect
from ..rendering import notify, redirect_to, render, sign_in_first, wants_fragment
from ..settings import SAME_AS_INVITER, Settings
from ..signals import invitation_created, invitation_discarded
from ..state import host, mail_domain, settings_of, state
from ..text import clean_line
from . import words
from .listing import LABELS, read_page, summary

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
    g.inv_settings = settings
    g.inv_inviter = Inviter(
        host().key(customer), host().email(customer), clean_line(host().name(customer))
    )
    g.inv_group = host().group(customer)
    return None


protect(account, "storefront", admit, own=("invitations.send", "invitations.send_rows"))


@account.get("/")
def index() -> Response:
    """Show the customer's invitations, twenty a page."""
    status = request.args.get("status", "")
    page = read_page(
        session(),
        actor_of(_inviter()),
        _settings(),
        status=status,
        before=_number("before"),
        after=_number("after"),
    )
    sent, accepted = summary(session(), _inviter().key)
    return _render(
        "storefront/index.html",
        "storefront/_list.html",
        rows=page.lines,
        summary={"sent": sent, "accepted": accepted},
        page={
            "newer_url": _page_url(status, after=page.newer),
            "older_url": _page_url(status, before=page.older),
        },
        can_send=True,
        here=_here(),
        status_filter=status if status in LABELS else "",
        status_options=[(code, gettext(label)) for code, label in LABELS.items()],
    )


@account.route("/send", methods=["GET", "POST"])
def send() -> Response:
    """Show the form; send what it holds, all of it or nothing."""
    form = SendForm(allow_message=_settings().allow_message)
    if request.method != "POST":
        return _form_page(form, focus="emails-0")
    if is_stale():
        text = gettext("This page was open for too long. Nothing was sent; send it once more.")
        return _form_page(form, 400, text)
    if not form.validate():
        return _form_page(form, 422, focus=_first_error(form))
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


@account.post("/<int:invitation_id>/resend", endpoint="resend")
def send_again(invitation_id: int) -> Response:
    """Send one of the customer's invitations again."""
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
    value = request.args.get(name, type=int)
    return value if value is not None and 0 < value < 2**63 else None


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
    )
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _first_error(form: SendForm) -> str | None:
    fields = [*form.emails, *([form.message] if "message" in form else [])]
    return next((field.id for field in fields if field.errors), None)


def _invite(form: SendForm) -> list[Invitation]:
    settings, inviter = _settings(), _inviter()
    same = settings.referred_group == SAME_AS_INVITER
    asked = Submission(
        view=_view(),
        addresses=form.addresses(),
        group=g.inv_group if same else host().groups()[0].code,
        actor=actor_of(inviter),
        inviter=inviter,
        message=(form.message.data or None) if "message" in form else None,
        key=form.submission.data,
    )
    return invite(session(), asked, settings, state().hash_key, mail_domain(_view()))


def _send(form: SendForm) -> Response:
    """Carry a valid form out, or show it again with what stands against it."""
    try:
        made = atomically(lambda: _invite(form))
    except (AlreadyInvited, OwnAddress, TooMany) as refusal:
        return _refused(form, refusal)
    except LimitReached as limit:
        return _limited(form, limit)
    except Busy:
        text = gettext("The store cannot answer just now. Nothing was sent; try again in a moment.")
        return _form_page(form, 503, text, retry_after=5)
    announce(invitation_created, made)
    _tell_sent(form)
    return redirect_to(url_for("invitations.index"))


def _refused(form: SendForm, refusal: AlreadyInvited | OwnAddress | TooMany) -> Response:
    form.mark(_error_texts(form, refusal))
    return _form_page(form, 422, focus=_first_error(form))


def _error_texts(
    form: SendForm, refusal: AlreadyInvited | OwnAddress | TooMany
) -> list[tuple[Address, str]]:
    if isinstance(refusal, OwnAddress):
        return [(refusal.address, gettext("This is your own address."))]
    if isinstance(refusal, TooMany):
        return [(each, words.too_many(refusal.limit)) for each in form.addresses()[refusal.limit :]]
    actor, settings, view = actor_of(_inviter()), _settings(), _view()
    return [
        (address, words.already_invited(row, actor, settings, view))
        for address, row in refusal.found.items()
    ]


def _limited(form: SendForm, limit: LimitReached) -> Response:
    wait = words.retry_after(limit.opens_at)
    return _form_page(form, 429, words.limit_reached(limit, _view()), retry_after=wait)


def _tell_sent(form: SendForm) -> None:
    # From the form: the rows would be read anew after the commit, one by one.
    for sent in form.addresses():
        text = gettext("You sent the invitation for %(address)s.", address=sent.delivery)
        notify("success", text)
    for address in form.repeated():
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
    if not seems_open(row):
        take_turn(session(), f"sender:{row.inviter_key}")
        check_pending(session(), row.inviter_key, 1, _settings())
    resend(session(), row, actor_of(_inviter()), _settings(), mail_domain(_view()))


def _cancel(row: Invitation) -> None:
    discard(session(), row, actor_of(_inviter()))


def _wait_page(seconds: int) -> Response:
    """Show the list with what was said, and tell a program when to come back."""
    response = index()
    response.status_code = 429
    response.headers["Retry-After"] = str(seconds)
    return response


def _act(invitation_id: int, change: Any, done: str) -> Response:
    """Change one own invitation by a button's POST, and say what came of it."""
    address = _own(invitation_id).email or ""
    try:
        atomically(lambda: change(_own(invitation_id)))
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
