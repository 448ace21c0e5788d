"""The delivery: how mail leaves, decisions on what nobody knows the end of, and a test mail."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request, url_for

from .. import backlog, parked, scope
from ..backlog import Place
from ..database import atomically, session
from ..digits import whole_number
from ..i18n import gettext
from ..lifecycle import new_message_id
from ..mail import delivery_test as test_mail
from ..protection import is_stale
from ..rendering import notify, redirect_to, wants_fragment
from ..state import host, mail_domain, settings_of, store_view
from ..template_form import TrialForm, choose
from ..throttle import WindowFull
from . import delivery_pages, delivery_words, pages, trial, words
from .blueprint import actor, admin, show

AT_ONCE = 1000  # parked mails that one decision is about at most


@admin.get("/delivery/")
def delivery() -> Response:
    """Show how mail leaves; htmx asks for the figures again."""
    if wants_fragment():
        return show("admin/delivery.html", "admin/_delivery.html", **delivery_pages.figures())
    return _page(_trial_form())


def _page(
    form: TrialForm, status: int = 200, error: str = "", answer: tuple[str, str] | None = None
) -> Response:
    figures = delivery_pages.figures()
    place, after = _place(figures), _after()
    return show(
        "admin/delivery.html",
        status=status,
        form=form,
        form_error=error,
        answer=answer,
        **figures,
        **delivery_pages.mails(place, after),
    )


def _place(figures: dict[str, Any]) -> Place:
    """Return which mails to list: those asked for, else the first that there are any of."""
    asked = request.args.get("place")
    if asked is not None:
        return Place(asked) if asked in set(Place) else abort(404)
    some = [each["code"] for each in figures["places"] if each["url"]]
    return Place(some[0]) if some else Place.DUE


def _after() -> int:
    after = whole_number(request.args.get("after", "0"))
    return after if after is not None else abort(404)


def _trial_form() -> TrialForm:
    form = TrialForm()
    views = pages.store_view_choices()
    choose(form.view, views, views[0][0])
    if request.method != "POST":
        form.to.data = host().staff_email()
    return form


@admin.post("/delivery/test")
def delivery_test() -> Response:
    """Send a test mail and show what the mail server answered."""
    form = _trial_form()
    if is_stale():
        return _page(form, 400, words.stale_text())
    to = form.recipient()
    if to is None:
        return _page(form, 422)
    view = store_view(form.view.data)
    message = test_mail(to, view, settings_of(view), new_message_id(mail_domain(view)))
    try:
        answer = trial.hand_over(message, to)
    except WindowFull as full:
        page = _page(form, 429, trial.too_many_text())
        page.headers["Retry-After"] = str(full.wait)
        return page
    return _page(form, answer=answer)


@admin.post("/delivery/parked")
def delivery_parked() -> Response:
    """Decide on mails of unknown end: after a question, send them once more or give them up."""
    action = request.form.get("action", "")
    ids = _chosen()
    if action not in delivery_words.DECISIONS or not ids:
        notify("error", gettext("Choose at least one mail, and what becomes of it."))
        return redirect_to(_back())
    if "confirm" not in request.form:
        return show("admin/delivery_confirm.html", **_question(action, ids))
    done = _decide(action, ids)
    notify("success" if done else "info", delivery_words.decided_text(action, done))
    if done < len(ids):
        notify("info", delivery_words.left_text(len(ids) - done))
    return redirect_to(_back())


def _chosen() -> list[int]:
    """Return the parked mails that were chosen and still are there, within the reader's reach."""
    upto = whole_number(request.form.get("all"))
    if upto is not None:
        return backlog.all_parked(session(), upto, AT_ONCE)
    given = map(whole_number, request.form.getlist("ids"))
    possible = [number for number in given if number is not None]
    return backlog.chosen(session(), possible[:AT_ONCE], AT_ONCE)


def _question(action: str, ids: list[int]) -> dict[str, Any]:
    return {
        "action": action,
        "heading": delivery_words.question(action, len(ids)),
        "effect": gettext(delivery_words.EFFECTS[action]),
        "ids": ids,
        "back_url": _back(),
    }


def _decide(action: str, ids: list[int]) -> int:
    decide = parked.release if action == delivery_words.RELEASE else parked.give_up
    who, websites = actor(), scope.websites()
    return len(atomically(lambda: decide(session(), ids, who, websites)))


def _back() -> str:
    return url_for(delivery_pages.PAGE, place=Place.PARKED.value, _anchor="inv-mails")
