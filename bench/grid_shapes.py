"""What is asked of the grid: the requests, as each contender spells them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from invitations_plugin.clock import now
from invitations_plugin.models import Invitation

FIRST, LONG, DEEP, MONTH = "first page", "200 rows", "deep page", "status, a month, by date"
DEEP_SORTED = "deep page, by date"
RARE, COMMON = "search, one hit", "search, 42 % hit"
RARE_FILTERED, COMMON_FILTERED = f"{RARE}, and status", f"{COMMON}, and status"
SEARCHES, FILTERED = (RARE, COMMON, "search, no hit"), (RARE_FILTERED, COMMON_FILTERED)
INVITER = "inviter"


@dataclass(frozen=True, slots=True)
class Shape:
    """A request as each of them spells it: ours and the limit's alike, but for the dates."""

    ours: dict[str, Any]
    flask_admin: dict[str, Any]
    django: dict[str, Any]
    limit: dict[str, Any] | None = None


def shapes_of(connection: sa.Connection) -> dict[str, Shape]:
    """Return the requests, with keys and words that this database has."""
    I = Invitation  # noqa: E741
    total = connection.scalar(sa.select(sa.func.count()).select_from(I)) or 0
    page = total // 40
    first_day, last_day = (now().date() - timedelta(days=days) for days in (60, 31))
    by_id = sa.select(I.id, I.sent_at, I.email)
    deep = connection.execute(by_id.order_by(I.id.desc()).offset(page * 20 - 21)).first()
    dated = by_id.where(I.sent_at.is_not(None)).order_by(I.sent_at.desc(), I.id.desc())
    sent = connection.execute(dated.offset(page * 20 - 21)).first()
    inviters = sa.select(I.inviter_email).where(I.inviter_key != "").group_by(I.inviter_email)
    inviter = connection.scalar(inviters.order_by(sa.func.count().desc(), I.inviter_email))
    if deep is None or sent is None:
        raise RuntimeError("There are too few invitations for a deep page.")
    rare = deep.email.rpartition(".example.")[0]
    month = {"sent_from": str(first_day), "sent_to": str(last_day)}
    begin, end = f"{first_day} 00:00:00", f"{last_day + timedelta(days=1)} 00:00:00"
    instants = {"sent_from": begin, "sent_to": end, "between": f"{begin} to {end}"}

    def same(**chosen: str) -> Shape:
        return _shape(chosen, chosen, {})

    def dates(**chosen: str) -> Shape:
        return _shape(chosen | month, chosen, instants)

    shapes = {
        FIRST: same(),
        LONG: Shape({"size": 200}, {"page_size": 200}, {"long": True}),
        DEEP: Shape({"after": deep.id}, {"page": page - 1}, {"p": page}),
    }
    ours = ("email", "invitee", "sent", "registered", "status", "website", "group")
    for place, code in enumerate(ours, 1):
        for order in ("desc", "asc"):
            shapes[f"sort by {code}, {order}"] = Shape(
                {"sort": code, "dir": order},
                {"sort": place, "desc": int(order == "desc")},
                {"o": f"{'-' if order == 'desc' else ''}{place + 1}"},
            )
    key = f"{sent.id}:{sent.sent_at.isoformat()}"
    shapes[DEEP_SORTED] = Shape(
        {"sort": "sent", "after": key},
        {"sort": 3, "desc": 1, "page": page - 1},
        {"o": "-4", "p": page},
        {"sort": "sent", "after": f"{sent.id}:{_stored(sent.sent_at)}"},
    )
    return shapes | {
        MONTH: dates(status="discarded", sort="sent"),
        "website and group": same(website="private", group="vip"),
        INVITER: replace(
            _shape({"email": f"={inviter}"}, {"email": str(inviter)}, {}),
            limit={"email": str(inviter)},
        ),
        "three filters, many hits": same(status="expired", website="main", group="general"),
        "three filters, few hits": same(status="declined", website="private", group="wholesale"),
        "three filters, no hit": dates(status="not_sent", website="main", sort="sent"),
        RARE: _search(rare),
        COMMON: _search(".com"),
        SEARCHES[2]: _search("zzqqzz"),
        RARE_FILTERED: _search(rare, status="sent"),
        COMMON_FILTERED: _search(".com", status="expired"),
    }


def _stored(moment: datetime) -> str:
    """Return a moment as SQLite keeps it; PostgreSQL reads that as well."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


# What ours calls a filter, then Flask-Admin and Django.
PEER_FILTERS = {
    "status": ("status_equals", "status__exact"),
    "website": ("website_equals", "website__exact"),
    "group": ("group_code_equals", "group_code__exact"),
    "email": ("inviter_email_equals", "inviter_email__exact"),
}


def _shape(ours: dict[str, str], chosen: dict[str, str], dates: dict[str, str]) -> Shape:
    """Return filters as each of them has it; ``dates`` sorts by them, too."""
    filters = {name: value for name, value in chosen.items() if name in PEER_FILTERS}
    flask_admin = {
        f"flt{place}_{PEER_FILTERS[name][0]}": value
        for place, (name, value) in enumerate(filters.items())
    }
    django = {PEER_FILTERS[name][1]: value for name, value in filters.items()}
    if not dates:
        return Shape(dict(ours), dict(flask_admin), dict(django))
    flask_admin[f"flt{len(filters)}_sent_at_between"] = dates["between"]
    django |= {"sent__gte": dates["sent_from"], "sent__lt": dates["sent_to"]}
    limit = ours | {name: dates[name] for name in ("sent_from", "sent_to")}
    return Shape(
        dict(ours), {**flask_admin, "sort": 3, "desc": 1}, {**django, "o": "-4"}, dict(limit)
    )


def _search(text: str, **filters: str) -> Shape:
    plain = _shape(filters, filters, {})
    return Shape(
        plain.ours | {"invitee": text},
        plain.flask_admin | {"search": text},
        plain.django | {"q": text},
    )
