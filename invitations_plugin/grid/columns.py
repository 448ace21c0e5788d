"""The grid's columns, each declared once: what it shows, sorts by and is filtered by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from ..models import MESSAGE_START, Invitation, MailState, Status

# Of the table and not of the class: what is asked of it needs no ORM to be made or read.
TABLE: Final = Invitation.__table__.c


class Kind(StrEnum):
    """How a column is filtered: from and to, by a part of its text, by one value, or a key."""

    NUMBER = "number"
    DAY = "day"
    TEXT = "text"
    CHOICE = "choice"
    KEY = "key"


class Bought(StrEnum):
    """Whether the customer that an invitation brought has bought anything."""

    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the grid: the invitation's attribute that it shows.

    ``values`` are those a filter may name where there are no others; ``has_search`` says
    that its texts have an index of every three letters.
    """

    code: str
    kind: Kind
    attribute: str
    is_default: bool = True
    values: type[StrEnum] | None = None
    has_search: bool = False

    @property
    def filters(self) -> tuple[str, ...]:
        """The names of its filters in an address."""
        if self.kind in (Kind.NUMBER, Kind.DAY):
            return f"{self.code}_from", f"{self.code}_to"
        return (self.code,)

    @property
    def is_nullable(self) -> bool:
        """Whether a row may have nothing there."""
        return bool(TABLE[self.attribute].nullable)

    def value(self, source: Any = TABLE) -> Any:
        """Return what it shows, of the invitations or the columns of a subquery."""
        return getattr(source, self.attribute)

    def order(self, source: Any = TABLE) -> Any:
        """Return what it sorts by, as its index has it: a text in any case, a long one's start."""
        value = self.value(source)
        if self.code == "message":
            first: Any = sa.literal_column("1")
            length: Any = sa.literal_column(str(MESSAGE_START))
            return sa.func.substr(value, first, length, type_=sa.Text())
        return sa.func.lower(value) if self.kind == Kind.TEXT else value


_ALL: Final = (
    Column("id", Kind.NUMBER, "id"),
    Column("inviter", Kind.TEXT, "inviter_name", is_default=False),
    Column("email", Kind.TEXT, "inviter_email", has_search=True),
    Column("invitee", Kind.TEXT, "email", has_search=True),
    Column("message", Kind.TEXT, "message", is_default=False),
    Column("sent", Kind.DAY, "sent_at"),
    Column("registered", Kind.DAY, "registered_at"),
    Column("expires", Kind.DAY, "expires_at", is_default=False),
    Column("status", Kind.CHOICE, "status", values=Status),
    Column("mail", Kind.CHOICE, "mail_state", is_default=False, values=MailState),
    Column("website", Kind.CHOICE, "website"),
    Column("group", Kind.CHOICE, "group_code"),
)
# What is filtered by and has no column: an inviter is exactly who has this key.
_FILTERS_ALONE: Final = (
    Column("store_view", Kind.CHOICE, "store_view"),
    Column("inviter_key", Kind.KEY, "inviter_key"),
    Column("purchased", Kind.CHOICE, "id", values=Bought),
)
COLUMNS: Final[Mapping[str, Column]] = {column.code: column for column in _ALL}
FILTERS_ALONE: Final[Mapping[str, Column]] = {column.code: column for column in _FILTERS_ALONE}
DEFAULT_COLUMNS: Final = tuple(column.code for column in _ALL if column.is_default)
COLUMN_OF: Final[Mapping[str, Column]] = {
    name: column for column in (*_ALL, *_FILTERS_ALONE) for name in column.filters
}
FILTERS: Final = tuple(COLUMN_OF)
