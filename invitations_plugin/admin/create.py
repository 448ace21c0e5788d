"""Add Invitations: staff invite many people at once, after a look at what becomes of each."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, request, url_for

from ..addresses import Address
from ..database import atomically, session
from ..events import announce
from ..forms import MESSAGE_MAX, AddForm
from ..host import StoreView
from ..inviting import AlreadyInvited, Made, Submission, invite
from ..looking_over import look_over
from ..pasted import distinct
from ..protection import is_stale
from ..rendering import notify, redirect_to
from ..settings import SKIP, Settings
from ..signals import invitation_created
from ..state import host, mail_domain, settings_of, state, store_view
from . import pages, words
from .blueprint import actor, admin, show

FORM_BYTES = 2 * 1024 * 1024  # ten thousand addresses, and the rest of the form
SHOWN = 1000  # lines of a review; the others are counted


@admin.route("/new", methods=["GET", "POST"])
def new() -> Response:
    """Show the form, then what it would do; with ``confirm=1`` do it."""
    request.max_form_memory_size = FORM_BYTES
    form = _form()
    if request.method != "POST":
        return _form_page(form)
    if is_stale():
        return _form_page(form, 400, words.stale_text())
    if not form.validate():
        return _form_page(form, 422)
    if "edit" in request.form:
        return _form_page(form)
    return _save(form) if request.form.get("confirm") == "1" else _review_page(form)


def _form() -> AddForm:
    called = pages.names()
    return AddForm(list(pages.store_view_choices()), list(called.groups.items()))


def _form_page(form: AddForm, status: int = 200, error: str | None = None) -> Response:
    return show(
        "admin/new.html",
        status=status,
        form=form,
        form_error=error,
        message_max=MESSAGE_MAX,
        back_url=url_for("invitations_admin.grid"),
    )


def _review_page(form: AddForm) -> Response:
    view, settings = _view(form)
    review = look_over(session(), form.pasted, _asked(form, view, settings), settings, _key())
    return show("admin/review.html", form=form, **pages.review_context(review, SHOWN))


def _view(form: AddForm) -> tuple[StoreView, Settings]:
    view = store_view(form.store_view.data)
    return view, settings_of(view)


def _key() -> bytes:
    return state().hash_key


def _asked(form: AddForm, view: StoreView, settings: Settings) -> Submission:
    """Return the submission of all addresses; the review tells which of them are wanted."""

    def is_customer(address: Address) -> bool:
        return host().customer_by_email(address.delivery, view.website) is not None

    return Submission(
        view=view,
        addresses=distinct(form.pasted),
        group=form.group.data,
        actor=actor(),
        message=form.message.data or None,
        key=form.submission.data,
        is_customer=is_customer if settings.existing_customers == SKIP else None,
    )


def _save(form: AddForm) -> Response:
    """Invite whom the review called new; who was invited meanwhile is shown again."""
    try:
        made = atomically(lambda: _invite(form))
    except AlreadyInvited:
        return _review_page(form)
    if made is None:
        return _review_page(form)
    if made.is_new:
        announce(invitation_created, made.rows)
    notify("success", words.added_text(len(made.rows)))
    return redirect_to(url_for("invitations_admin.grid"))


def _invite(form: AddForm) -> Made | None:
    view, settings = _view(form)
    asked = _asked(form, view, settings)
    review = look_over(session(), form.pasted, asked, settings, _key())
    wanted = review.wanted(asked.key)
    if not wanted:
        return None
    asked = replace(asked, addresses=wanted, is_customer=None)
    return invite(session(), asked, settings, _key(), mail_domain(view))
