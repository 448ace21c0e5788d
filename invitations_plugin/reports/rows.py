"""What some invitations come to, counted in SQL from their own rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

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


def counts_of_line(
    key: Any, among: Any, conditions: Iterable[sa.ColumnElement[bool]], *outer: Any
) -> Mapping[str, sa.ScalarSelect[Any]]:
    """Return as SQL the counts (and ``amount``) of a line, sought by its inviter's moments.

    :param key: the inviter's.
    :param among: the columns ``begins`` and ``ends`` of the line's interval.
    :param outer: the tables that these are of.
    """
    own = [I.inviter_key == key, I.sent_at >= among.begins, I.sent_at < among.ends, *conditions]
    sums: dict[str, sa.Select[Any]] = {each.name: sa.select(each) for each in row_sums()}
    paid = sa.select(sa.func.sum(InvitationPurchase.amount).label("amount"))
    sums["amount"] = paid.join(I, I.id == InvitationPurchase.invitation_id)
    return {
        name: each.where(*own).correlate(*outer).scalar_subquery() for name, each in sums.items()
    }
