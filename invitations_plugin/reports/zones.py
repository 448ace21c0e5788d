"""The time zones in which the days of a store view are counted."""

from __future__ import annotations

from collections.abc import Mapping

from ..state import host


def needed() -> Mapping[str, list[str]]:
    """Return the zones in which each store view's invitations are shown, by its code.

    Its own, that of its website's reports, and that of the reports of all websites.
    """
    websites = host().websites()
    everywhere = websites[0].store_views[0].timezone
    return {
        view.code: sorted({view.timezone, website.store_views[0].timezone, everywhere})
        for website in websites
        for view in website.store_views
    }
