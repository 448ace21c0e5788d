"""The tables that operators watch the delivery by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from .clock import now
from .models import Base


class Worker(Base):
    """Somebody who drives the delivery: who it is, and when it was last seen.

    ``did`` counts what its last mails came to, at ``did_at``; ``refused`` is what kept it from
    the mail server at its last look, empty where nothing did. ``ended_at`` is when it ended
    as it should; one that was killed has none, and is seen no more.
    """

    __tablename__ = "invitations_worker"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    host: Mapped[str] = mapped_column(sa.String(255))
    pid: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now)
    did: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    did_at: Mapped[datetime | None]
    refused: Mapped[str | None] = mapped_column(sa.String(255))
    ended_at: Mapped[datetime | None]


class Alarm(Base):
    """Something that is wrong with the delivery, until it is over.

    ``told_at`` is when staff were told, empty while it may still pass by itself.
    """

    __tablename__ = "invitations_alarm"

    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    since: Mapped[datetime] = mapped_column(default=now)
    told_at: Mapped[datetime | None]
