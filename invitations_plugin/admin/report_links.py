"""The reports' addresses, and the ways from a number to its rows in the grid and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from flask import g, url_for

from ..digits import whole_number
from ..grid import INVITED_BY_STAFF, Bought
from ..i18n import gettext
from ..models import Status
from ..reports import PRESETS, SORTS, Asked, Interval, Period, preset, reachable, read_period
from ..state import may
from . import report_words as words

FOLDED: Final = "fold"
DIRECTIONS: Final = ("asc", "desc")
LONGEST: Final = 100
BIGGEST_PAGE: Final = 100_000
# What a number is of, as the grid's filters say it.
SENT: Final[Mapping[str, str]] = {}
ACCEPTED: Final = {"status": Status.ACCEPTED.value}
DISCARDED: Final = {"status": Status.DISCARDED.value}
PURCHASED: Final = {**ACCEPTED, "purchased": Bought.YES.value}
DEFAULTS: Final = {"by": "day", "sort": "interval", "dir": "desc", "page": "1"}


@dataclass(frozen=True, slots=True)
class Asking:
    """What the address of a report asks for: the period, and how it is shown."""

    report: str
    asked: Asked
    is_folded: bool = False
    sort: str = SORTS[0]
    direction: str = "desc"
    search: str = ""
    page: int = 1

    def as_arguments(self) -> dict[str, str]:
        """Return what the address needs to lead here; what is usual is left out."""
        shown = dict(self.asked.typed) | {"empty": FOLDED if self.is_folded else ""}
        if self.report == "customers":
            shown |= {
                "sort": self.sort,
                "dir": self.direction,
                "search": self.search,
                "page": str(self.page),
            }
        return {name: text for name, text in shown.items() if text != DEFAULTS.get(name, "")}

    def url(self, report: str = "", **changes: str) -> str:
        """Return the address of this report, or of another one of the same days, changed."""
        kept = self.as_arguments() | changes
        if report and report != self.report:
            kept = {name: kept[name] for name in ("store", "from", "to", "by") if name in kept}
        chosen: dict[str, Any] = {
            name: text for name, text in kept.items() if text != DEFAULTS.get(name, "")
        }
        return url_for(f"invitations_admin.{endpoint(report or self.report)}", **chosen)


def endpoint(report: str) -> str:
    """Return the endpoint of a report."""
    return f"report_{report}"


def read_asking(report: str, arguments: Mapping[str, str]) -> Asking:
    """Read what the address of a report asks for; what a list does not have is the usual."""
    sort, direction = arguments.get("sort", ""), arguments.get("dir", "")
    return Asking(
        report,
        read_period(arguments),
        arguments.get("empty") == FOLDED,
        sort if sort in SORTS else SORTS[0],
        direction if direction in DIRECTIONS else "desc",
        arguments.get("search", "").replace("\x00", "").strip()[:LONGEST],
        whole_number(arguments.get("page"), BIGGEST_PAGE) or 1,
    )


def presets(asking: Asking, period: Period) -> list[tuple[str, str, bool]]:
    """Return the ways to often used periods: label, address, and whether it is this one."""
    found = []
    for name in PRESETS:
        chosen = preset(name, period)
        arguments = chosen.as_arguments()
        is_current = arguments == period.as_arguments()
        url = asking.url(**arguments, page="1")
        found.append((gettext(words.PRESETS[name]), url, is_current))
    return found


class GridLinks:
    """Ways from a number of a report to the rows it counts; "" for who may not look at them."""

    def __init__(self, asking: Asking, period: Period) -> None:
        self._path = url_for("invitations_admin.grid") if may("view") else ""
        self._scope = _scope_filters(period.scope)
        query = urlencode(asking.as_arguments())
        self._ends = {"report": f"{asking.report}?{query}"}
        if period.timezone != g.inv_view.timezone:
            self._ends["zone"] = period.timezone

    def to(self, interval: Interval, what: Mapping[str, str], inviter: str | None = None) -> str:
        """Return the address of what was sent in an interval, by anybody or one inviter."""
        if not self._path:
            return ""
        days = {"sent_from": interval.first.isoformat(), "sent_to": interval.last.isoformat()}
        by = {"inviter_key": inviter or INVITED_BY_STAFF} if inviter is not None else {}
        return f"{self._path}?{urlencode(days | by | self._scope | dict(what) | self._ends)}"


def _scope_filters(scope: str) -> dict[str, str]:
    """Return the grid's filters for what a report is about."""
    kind, _, code = scope.partition(":")
    if kind == "website":
        return {"website": code}
    return {"store_view": code} if kind == "store" else {}


@dataclass(frozen=True, slots=True)
class Origin:
    """The report that the grid was opened from."""

    text: str
    url: str


def origin(text: str) -> Origin | None:
    """Return the report that a grid's address names, None for what is none of ours."""
    report, _, query = text.partition("?")
    if report not in words.REPORTS or not may("report"):
        return None
    asking = read_asking(report, dict(parse_qsl(query)))
    label = gettext(words.REPORTS[report])
    said = gettext("These invitations are behind a number of the report %(name)s.", name=label)
    return Origin(said, asking.url())


def last_days() -> str:
    """Return the address of what the small plots on the grid's page are of."""
    return url_for(f"invitations_admin.{endpoint('invitations')}")


def scope_name(scope: str) -> str:
    """Return what the store calls what a report is about."""
    named = [name for _, group in stores(scope) for _, name, is_chosen in group if is_chosen]
    return named[0]


def stores(period_scope: str) -> Sequence[tuple[str, Sequence[tuple[str, str, bool]]]]:
    """Return what a report may be about, by website: code, name and whether it is chosen."""
    options: list[tuple[str, Any]] = [("", [("", gettext("All websites"), period_scope == "")])]
    for website in reachable():
        views = [(f"store:{view.code}", view.name) for view in website.store_views]
        whole = (f"website:{website.code}", gettext("All of %(name)s", name=website.name))
        options.append(
            (website.name, [(key, name, key == period_scope) for key, name in (whole, *views)])
        )
    known = {key for _, group in options for key, _, _ in group}
    if period_scope not in known:  # kept as it was typed
        options.append(("", [(period_scope, period_scope, True)]))
    return options
