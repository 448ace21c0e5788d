"""What some invitations come to, counted in SQL from their own rows."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from ..models import Invitation, Status
from .models import InvitationPurchase

I = Invitation  # noqa: E741  # named once, used on every line below
COUNTS: Final = ("sent", "accepted", "discarded", "purchased")
STAFF: Final = ""  # their key; they may send by the hundred, and are counted in days as well


def row_sums() -> list[sa.ColumnElement[int]]:
    """Return as SQL the counts of some invitations that were sent."""
    bought = sa.exists().where(InvitationPurchase.invitation_id == I.id)
    flags = [I.status == Status.ACCEPTED, I.status == Status.DISCARDED, bought]
    summed = [sa.func.sum(sa.case((each, 1), else_=0)) for each in flags]
    return [
        value.label(name) for name, value in zip(COUNTS, [sa.func.count(), *summed], strict=True)
    ]
