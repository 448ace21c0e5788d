"""Add Invitations: staff invite many people at once, after a look at what becomes of each."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, request, url_for

from ..adding import add, look
from ..database import atomically
from ..digits import whole_number
from ..events import announce
from ..forms import MESSAGE_MAX, MOST_PASTED, AddForm
from ..i18n import format_number
from ..inviting import AlreadyInvited, Made, Submission
from ..pasted import distinct
from ..protection import is_stale
from ..rendering import notify, redirect_to
from ..signals import invitation_created
from ..state import store_view
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
    review = look(_asked(form), form.pasted)
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
    wanted = look(asked, form.pasted).wanted(asked.key)
    return add(replace(asked, addresses=wanted)) if wanted else None
