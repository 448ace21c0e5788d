"""Why can I not invite? Every rule in the way, with the setting and the way to it."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request, url_for

from ..addresses import BadAddress, parse_address
from ..configuring import places
from ..database import session
from ..explaining import Finding, Question, explain
from ..host import StoreView
from ..i18n import gettext
from ..settings import DEFAULT, STORE_VIEW
from ..state import host, may
from ..text import clean_line
from . import setting_words, words
from .blueprint import admin, show


@admin.get("/why")
def why() -> Response:
    """Say whether a customer, or any, can invite in a store view, and what stops it."""
    view = _view(request.args.get("store"))
    typed = {name: clean_line(request.args.get(name, "")) for name in ("customer", "invitee")}
    question, errors = _question(view, typed)
    found = explain(session(), question) if not errors else []
    return show(
        "admin/why.html",
        status=422 if errors else 200,
        store=view.code,
        store_views=[(each.code, each.name) for each in _views()],
        typed=typed,
        errors=errors,
        stops=[_line(each) for each in found if each.is_stop],
        others=[_line(each) for each in found if not each.is_stop],
        back_url=url_for("invitations_admin.grid"),
    )


def _view(code: str | None) -> StoreView:
    """Return the store view that was named, the first one without a name."""
    views = _views()
    if not code:
        return views[0]
    return next((each for each in views if each.code == code), None) or abort(404)


def _views() -> list[StoreView]:
    return [each.views[0] for each in places() if each.scope.kind == STORE_VIEW]


def _question(view: StoreView, typed: dict[str, str]) -> tuple[Question, dict[str, str]]:
    """Read whom it is about; say at the field where that is nobody."""
    errors: dict[str, str] = {}
    customer, invitee = None, None
    if typed["customer"]:
        customer = host().customer_by_email(typed["customer"], view.website)
        if customer is None:
            errors["customer"] = gettext("This website has no customer with this address.")
    if typed["invitee"]:
        try:
            invitee = parse_address(typed["invitee"])
        except BadAddress:
            errors["invitee"] = words.bad_address_text(typed["invitee"])
    return Question(view, customer, invitee), errors


def _line(finding: Finding) -> dict[str, Any]:
    """Return a finding as the page shows it, with a link for those who may change it."""
    found, name = finding.found, finding.setting
    if found is None:
        return {"text": finding.text, "setting": "", "origin": "", "url": ""}
    scope = found.scope or DEFAULT
    url = url_for("invitations_admin.configuration", scope=scope.key, _anchor=name)
    return {
        "text": finding.text,
        "setting": setting_words.label(name),
        "origin": setting_words.set_text(found, places()),
        "url": url if may("configure") else "",
    }
