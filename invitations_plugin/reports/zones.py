"""The time zones in which days are counted: those of a store view, and of a report's scope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..state import host

Zones = Mapping[str, Sequence[str]]
# Without it figures were counted by a version that kept less, as one may do that still runs.
IN_FULL: Final = "with names, times, days of staff, peaks and their money"


def needed() -> dict[str, list[str]]:
    """Return the zones in which each store view's invitations are shown, by its code.

    Its own, that of its website's reports, and that of the reports of all websites. By a
    report's scope (``""``, ``website:CODE``, ``store:CODE``) it has the one zone of that.
    :data:`IN_FULL` has none.
    """
    websites = host().websites()
    everywhere = websites[0].store_views[0].timezone
    found: dict[str, list[str]] = {IN_FULL: [], "": [everywhere]}
    for website in websites:
        own = website.store_views[0].timezone
        found[f"website:{website.code}"] = [own]
        for view in website.store_views:
            found[f"store:{view.code}"] = [view.timezone]
            found[view.code] = sorted({view.timezone, own, everywhere})
    return found


def zones_of(view: str, zones: Zones) -> Sequence[str]:
    """Return the zones that a store view is counted in; one that is gone is in all of them."""
    return zones.get(view) or sorted({zone for each in zones.values() for zone in each})


def scopes_of(website: str, view: str, zones: Zones) -> list[tuple[str, str]]:
    """Return the scopes whose reports have a store view's invitations, each with its zone."""
    scopes = ("", f"website:{website}", f"store:{view}")
    return [(each, zones[each][0]) for each in scopes if each in zones]
