"""What an exported file calls things: the grid's words in the reader's language."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from ..cells import COLUMNS, Texts
from ..host import StoreView
from ..i18n import gettext
from . import words
from .pages import names


def file_texts(view: StoreView) -> Texts:
    """Return the words of a file; its moments are in the zone of a store view."""
    called = names()
    return Texts(
        title=gettext("Invitations"),
        headings=[gettext(words.EXPORT_COLUMNS[code]) for code in COLUMNS],
        statuses={code.value: gettext(text) for code, text in words.STATUSES.items()},
        mail_states={code.value: gettext(text) for code, text in words.MAIL_STATES.items()},
        websites=called.websites,
        store_views=called.store_views,
        groups=called.groups,
        store=gettext("Store"),
        zone=ZoneInfo(view.timezone),
    )
