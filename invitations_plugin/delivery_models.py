"""The table of what all who deliver must know of each other."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from .models import Base

ONLY = 1  # the id of its one row


class DeliveryState(Base):
    """How the mail server behaves: one row, made when there is something to say.

    ``suspects`` are the last mails that the server would not have, none taken since;
    ``shut_at`` is since when it is left alone for ``reason``, ``probe_at`` when one mail may
    try it, and ``probes`` how many did.
    """

    __tablename__ = "invitations_delivery"

    id: Mapped[int] = mapped_column(sa.Integer(), primary_key=True, default=ONLY)
    suspects: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON(), default=list)
    shut_at: Mapped[datetime | None]
    probe_at: Mapped[datetime | None]
    probes: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None] = mapped_column(sa.String(255))
