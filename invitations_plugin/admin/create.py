"""Add Invitations: staff invite many people at once, after a look at what becomes of each."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, request, url_for

from ..database import atomically, session
from ..digits import whole_number
from ..events import announce
from ..forms import MESSAGE_MAX, MOST_PASTED, AddForm
from ..i18n import format_number
from ..inviting import AlreadyInvited, Made, Submission, invite
from ..looking_over import Review, look_over
from ..pasted import distinct
from ..protection import is_stale
from ..rendering import notify, redirect_to
from ..signals import invitation_created
from ..state import host, mail_domain, settings_of, state, store_view
from . import pages, words
from .blueprint import actor, admin, show
from .review import review_context


@admin.route("/new", methods=["GET", "POST"])
def new() -> Response:
    """Show the form, then what it would do; with ``confirm=1`` do it."""
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
        most=format_number(MOST_PASTED),
        message_max=MESSAGE_MAX,
        back_url=url_for("invitations_admin.grid"),
    )


def _review_page(form: AddForm) -> Response:
    review = _look_over(form, _asked(form))
    return show("admin/review.html", **review_context(form, review, request.form.get("show", "")))


def _asked(form: AddForm) -> Submission:
    """Return the submission of all addresses; the review tells which of them are wanted."""
    return Submission(
        view=store_view(form.store_view.data),
        addresses=distinct(form.pasted),
        group=form.group.data,
        actor=actor(),
        message=form.message.data or None,
        key=form.submission.data,
    )


def _look_over(form: AddForm, asked: Submission) -> Review:
    customers = host().customers_among(
        [each.delivery for each in asked.addresses], asked.view.website
    )
    settings, key = settings_of(asked.view), state().hash_key
    return look_over(session(), form.pasted, asked, settings, key, customers)


def _save(form: AddForm) -> Response:
    """Invite whom the review called new, and say where there were fewer by now."""
    try:
        made = atomically(lambda: _invite(form))
    except AlreadyInvited:  # between this look and the insert: whoever saves it looks again
        notify("error", words.overtaken_text())
        return _review_page(form)
    if made is None:
        return _review_page(form)
    if made.is_new:
        announce(invitation_created, made.rows)
    notify("success", words.added_text(len(made.rows)))
    left = (whole_number(request.form.get("reviewed")) or 0) - len(made.rows)
    if left > 0:
        notify("info", words.left_out_text(left))
    return redirect_to(url_for("invitations_admin.grid"))


def _invite(form: AddForm) -> Made | None:
    asked = _asked(form)
    wanted = _look_over(form, asked).wanted(asked.key)
    if not wanted:
        return None
    settings = settings_of(asked.view)
    asked = replace(asked, addresses=wanted)
    return invite(session(), asked, settings, state().hash_key, mail_domain(asked.view))
