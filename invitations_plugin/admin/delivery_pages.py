"""What the page of the delivery shows, made from its figures."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from flask import url_for

from .. import backlog, heartbeat, scope, tries, watch
from ..backlog import Backlog, Place
from ..database import session
from ..i18n import format_number, gettext
from ..state import may
from ..watch import Sight
from ..watch_models import Worker
from . import delivery_words as words

PAGE = "invitations_admin.delivery"


def figures() -> dict[str, Any]:
    """Return what is refreshed: the state in words, the figures and the workers."""
    held = backlog.read(session())
    sight = _sight()
    return {
        "states": [{"kind": kind, "text": text} for kind, text in words.states(sight, held)],
        "seen_at": sight.at,
        "refresh_url": url_for(PAGE),
        "places": [_place(held, each) for each in words.PLACES],
        "tries": _tries(),
        "reasons": [
            {"label": words.reason_text(text), "numbers": [format_number(number)]}
            for text, number in tries.reasons(session())
        ],
        "workers": [_worker(each) for each in heartbeat.workers(session())],
    }


def _sight() -> Sight:
    """Return the delivery as the reader may see it: of some websites their oldest mail."""
    found = watch.look(session())
    if scope.websites() is None:
        return found
    return replace(found, oldest=backlog.oldest_of_mine(session()))


def _place(held: Backlog, place: Place) -> dict[str, Any]:
    return {
        "code": place.value,
        "label": gettext(words.PLACES[place]),
        "numbers": [words.count_text(held, place)],
        "url": _url(place) if held.at(place) else None,
    }


def _url(place: Place, after: int | None = None) -> str:
    return url_for(PAGE, place=place.value, after=after, _anchor="inv-mails")


def _tries() -> list[dict[str, Any]]:
    found = [asdict(each) for each in tries.rates(session())]
    return [
        {"label": gettext(label), "numbers": [format_number(each[name]) for each in found]}
        for name, label in words.OUTCOMES.items()
    ]


def _worker(worker: Worker) -> dict[str, Any]:
    """Return a worker; what it did tells of all websites, so not to staff of some."""
    is_alive = heartbeat.is_alive(worker)
    ended = words.ENDED if worker.ended_at is not None else words.SILENT
    return {
        "state": "done" if is_alive else "stopped" if worker.ended_at else "failed",
        "state_label": gettext(words.ALIVE if is_alive else ended),
        "kind": gettext(words.KINDS.get(worker.kind, worker.kind)),
        "host": worker.host,
        "pid": worker.pid,
        "started_at": worker.started_at,
        "seen_at": worker.seen_at,
        "did": words.did_text(worker.did) if scope.websites() is None else "",
        "did_at": worker.did_at,
    }


def mails(place: Place, after: int) -> dict[str, Any]:
    """Return a page of the mails in one place."""
    found = backlog.listed(session(), place, after)
    is_parked = place == Place.PARKED
    return {
        "place": place.value,
        "place_label": gettext(words.PLACES[place]),
        "place_hint": gettext(words.HINTS[place]) if place in words.HINTS else "",
        "place_empty": gettext(words.EMPTY[place]),
        "tabs": _tabs(place),
        "mails": [_mail(each) for each in found.rows],
        "next_url": _url(place, found.after) if found.after is not None else None,
        "first_url": _url(place) if after else None,
        "decisions": _decisions() if is_parked else [],
        "upto": backlog.newest_parked(session()) if is_parked else 0,
        "has_more": found.after is not None or bool(after),
    }


def _tabs(current: Place) -> list[dict[str, Any]]:
    return [
        {
            "label": gettext(label),
            "url": _url(place),
            "is_current": place == current,
        }
        for place, label in words.PLACES.items()
    ]


def _decisions() -> list[tuple[str, str]]:
    return [(code, gettext(label)) for code, label in words.DECISIONS.items()]


def _mail(row: Any) -> dict[str, Any]:
    number = row.invitation_id
    is_linked = number is not None and may("view")
    return {
        "id": row.id,
        "number": number,
        "url": url_for("invitations_admin.detail", invitation_id=number) if is_linked else None,
        "to": row.email or gettext("Address removed") if number else gettext("Notice to staff"),
        "tries": format_number(row.tries + row.ambiguous),
        "due_at": row.due_at,
        "reason": words.reason_text(row.reason) if row.reason else "",
    }
