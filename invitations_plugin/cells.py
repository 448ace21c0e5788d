"""What a row of an exported file says: its columns, in words, and nothing a program would run.

No column holds what a link is made from, nor the hash of an address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from .models import Invitation

I = Invitation  # noqa: E741  # named once, used on every line below
Cell = int | str | datetime | None
COLUMNS: Final = (
    "id",
    "inviter",
    "email",
    "invitee",
    "message",
    "created",
    "sent",
    "registered",
    "expires",
    "status",
    "mail",
    "website",
    "store_view",
    "group",
)
# What they are made of, in the same order.
SOURCES: Final[tuple[InstrumentedAttribute[Any], ...]] = (
    I.id,
    I.inviter_name,
    I.inviter_email,
    I.email,
    I.message,
    I.created_at,
    I.sent_at,
    I.registered_at,
    I.expires_at,
    I.status,
    I.mail_state,
    I.website,
    I.store_view,
    I.group_code,
    I.inviter_key,
)
Row = sa.Row[Any]

# Where a cell begins, and where one would for a program that takes other separators than
# ours. There a spreadsheet runs a text that starts like this, behind spaces and quotes, too.
_RUNNING = re.compile(r"(^|[;\t\r\n])(?=[\s'\"]*[=+\-@\t\r\uff0b\uff0d\uff1d\uff20])")


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    An apostrophe is put before what would start one: ``=cmd@x.test`` is an address, too.
    """
    return _RUNNING.sub(r"\1'", text)


@dataclass(frozen=True, slots=True)
class Texts:
    """What a file calls its columns and the codes in them, and the zone of its moments.

    ``store`` stands for the inviter where staff invited.
    """

    title: str
    headings: Sequence[str]
    statuses: Mapping[str, str]
    mail_states: Mapping[str, str]
    websites: Mapping[str, str]
    store_views: Mapping[str, str]
    groups: Mapping[str, str]
    store: str
    zone: ZoneInfo


def cells(row: Row, texts: Texts) -> list[Cell]:
    """Return what a row says; what was removed is empty, a code without a name stays one."""
    inviter = texts.store if row.inviter_key == "" else row.inviter_name
    return [
        row.id,
        guarded(inviter),
        guarded(row.inviter_email or ""),
        guarded(row.email or ""),
        guarded(row.message or ""),
        _local(row.created_at, texts.zone),
        _local(row.sent_at, texts.zone),
        _local(row.registered_at, texts.zone),
        _local(row.expires_at, texts.zone),
        texts.statuses.get(row.status, row.status),
        texts.mail_states.get(row.mail_state, row.mail_state),
        guarded(texts.websites.get(row.website, row.website)),
        guarded(texts.store_views.get(row.store_view, row.store_view)),
        guarded(texts.groups.get(row.group_code, row.group_code)),
    ]


def _local(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    return moment.replace(tzinfo=UTC).astimezone(zone) if moment is not None else None
