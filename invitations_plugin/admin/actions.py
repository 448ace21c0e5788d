"""The Actions menu: a question first, then some hundred at once or a job in the background."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, g, request, url_for
from werkzeug.datastructures import MultiDict

from .. import bulk, jobs
from ..bulk import ACTIONS, Outcome
from ..database import atomically, session
from ..digits import whole_number
from ..events import wake_delivery
from ..grid import FILTERS, SIZES, Selection, next_ids, read_query
from ..i18n import format_number, gettext
from ..rendering import notify, redirect_to
from . import exports, pages, words
from .blueprint import actor, admin, need, show

AT_ONCE = 500
MOST_IDS = 10_000
MOST_TICKED = max(SIZES)  # that the way back carries: no page of the grid has more boxes


class _Unusable(Exception):
    """A selection that an action cannot be about; the text tells why."""


@admin.post("/actions")
def actions() -> Response:
    """Ask before a mass action or an export; with ``confirm=1`` do it."""
    if any(request.args.get(name) for name in FILTERS):
        abort(400)  # they would not count: what is chosen stands in the form alone
    action = request.form.get("action", "")
    right = _right(action)
    if not right:
        return _refuse(gettext("Choose an action first."))
    need(right)
    try:
        selection = _selection(request.form)
    except _Unusable as error:
        return _refuse(str(error))
    if request.form.get("confirm") != "1":
        return _ask(action, selection)
    if action not in ACTIONS:
        return exports.begin(_kind(action), selection)
    ids = next_ids(session(), selection, 0, AT_ONCE + 1)
    return _do(action, ids) if len(ids) <= AT_ONCE else _begin(action, selection)


def _right(action: str) -> str:
    """Return the right that an action needs, "" where there is no such action."""
    if action in ACTIONS:
        return ACTIONS[action].right
    return "export" if exports.is_offered(_kind(action)) else ""


def _kind(action: str) -> str:
    """Return the format that an export is asked in, "" where it is none."""
    prefix, found, kind = action.partition(pages.EXPORT)
    return kind if found and not prefix else ""


def _refuse(why: str) -> Response:
    notify("error", why)
    return redirect_to(_back_url(request.form, **_chosen(request.form)))


def _selection(form: MultiDict[str, str]) -> Selection:
    """Read what was selected: ids, or everything that the grid's query matches.

    :raises _Unusable: when that is nothing, or more than anybody picks by hand.
    """
    if form.get("select") == "all":
        query = read_query(form, g.inv_view.timezone)
        if query.errors:
            raise _Unusable(gettext("Correct the filters first."))
        if upto := _ids([form.get("upto", "")]):
            return Selection(query=query, upto=upto[0], exclude=_ids(form.getlist("exclude")))
    elif ids := _ids(form.getlist("ids")):
        return Selection(ids=ids)
    raise _Unusable(gettext("Select the invitations first."))


def _ids(texts: list[str]) -> list[int]:
    """Return the ids among texts, each once; what is none is passed over.

    :raises _Unusable: when there are too many: a part of them would be another selection.
    """
    found = {number for text in texts if (number := whole_number(text))}
    if len(found) > MOST_IDS:
        raise _Unusable(
            gettext("These are too many to pick one by one: use a filter and Select All.")
        )
    return sorted(found)


def _ask(action: str, selection: Selection) -> Response:
    is_change = action in ACTIONS
    asked = _change(action, selection) if is_change else exports.question(_kind(action), selection)
    return show(
        "admin/confirm.html",
        action=action,
        fields=_fields(selection, request.form),
        back_url=_back_url(request.form, **_chosen(request.form)),
        **asked,
    )


def _change(action: str, selection: Selection) -> dict[str, Any]:
    """Return what the confirmation of a mass action says."""
    counted = bulk.count(session(), selection, ACTIONS[action])
    able, unable, is_whole = counted.able, counted.unable, counted.is_whole
    return {
        "heading": words.question(action, able.total(), is_whole),
        "effect": gettext(words.EFFECTS[action]),
        "can_go": able.total() > 0 or not is_whole,
        "is_long": counted.number > AT_ONCE,
        "looked_at": "" if is_whole else format_number(counted.number),
        "total": "" if is_whole else format_number(bulk.size(session(), selection)),
        "changing": [pages.tally(status, amount) for status, amount in words.in_order(able)],
        "staying": [
            words.skipped_text(amount, reason) for reason, amount in words.in_order(unable)
        ],
    }


def _fields(selection: Selection, form: MultiDict[str, str]) -> list[tuple[str, str]]:
    """Return the selection as the hidden fields of the confirmation."""
    query = list(read_query(form, g.inv_view.timezone).as_fields().items())
    if selection.query is None:
        return [("ids", str(each)) for each in selection.ids] + query
    excluded = [("exclude", str(each)) for each in selection.exclude]
    return [("select", "all"), ("upto", str(selection.upto)), *excluded, *query]


def _back_url(form: MultiDict[str, str], **chosen: Any) -> str:
    """Return the grid as it was left."""
    left: dict[str, Any] = read_query(form, g.inv_view.timezone).as_fields()
    return url_for("invitations_admin.grid", **left, **chosen)


def _chosen(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return what was chosen and is not done, as the grid's address takes it.

    A script keeps the boxes by itself; without one they come back ticked by this.
    """
    ids = [each for each in form.getlist("ids") if each.isascii() and each.isdecimal()]
    is_theirs = form.get("select") != "all" and len(ids) <= MOST_TICKED
    return {"action": form.get("action"), "ids": ids if is_theirs else None}


def _do(action: str, ids: list[int]) -> Response:
    """Do an action in this request, and say what became of each invitation."""
    todo, done = ACTIONS[action], Outcome()
    for start in range(0, len(ids), todo.chunk):
        done += bulk.do(todo, ids[start : start + todo.chunk], actor())
    wake_delivery()
    notify("success", words.done_text(action, len(done.changed)))
    for reason, number in words.in_order(done.skipped):
        notify("info", words.skipped_text(number, reason))
    if done.failed:
        notify("error", words.failed_text(done.failed))
    return redirect_to(_back_url(request.form))


def _begin(action: str, selection: Selection) -> Response:
    """Leave an action to a worker, and show how far it is."""
    total = bulk.size(session(), selection)
    timezone, asking = g.inv_view.timezone, actor()
    job_id = atomically(
        lambda: jobs.create(session(), action, selection, timezone, asking, total).id
    )
    wake_delivery()
    return redirect_to(url_for("invitations_admin.job", job_id=job_id))
