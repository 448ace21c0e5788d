"""The one clock: UTC without a zone, as the database keeps it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment in UTC, naive, as every column stores it."""
    return datetime.now(UTC).replace(tzinfo=None)


def as_kept(moment: datetime) -> datetime:
    """Return a moment as the database keeps it, in UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
