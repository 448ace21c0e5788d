"""The one clock: UTC without a zone, as the database keeps it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment in UTC, naive, as every column stores it."""
    return datetime.now(UTC).replace(tzinfo=None)
