"""The tables that reports are read from, so that no report has to count the invitations.

``store_view`` and ``website`` are an invitation's own; days are those of a time zone.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from ..models import Base, BigId, HostKey, sorted_text

PARTS = 10_000  # of one unit of a currency: amounts are kept as whole numbers of them


class _Delta:
    """What the deltas have in common: whose change it is, and when its invitation was sent."""

    __table_args__: ClassVar[Any] = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    invitation_id: Mapped[int] = mapped_column(BigId, index=True)
    inviter_key: Mapped[str] = mapped_column(HostKey)
    website: Mapped[str]
    store_view: Mapped[str]
    sent_at: Mapped[datetime]


class FigureDelta(_Delta, Base):
    """What one change of an invitation adds to the figures, until the worker folds it in.

    Triggers write it in the transaction of the change: see :mod:`.triggers`. Where it adds or
    takes an accepted one, ``accepted_at`` is when that was; ``bought_at`` tells the same of a
    purchased one's first purchase.
    """

    __tablename__ = "invitations_figure_delta"

    sent: Mapped[int]
    accepted: Mapped[int]
    discarded: Mapped[int]
    purchased: Mapped[int]
    accepted_at: Mapped[datetime | None]
    bought_at: Mapped[datetime | None]


class Figure(Base):
    """How many invitations of a store view were first sent on a day, and what became of them."""

    __tablename__ = "invitations_figure"

    timezone: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    website: Mapped[str] = mapped_column(primary_key=True)
    store_view: Mapped[str] = mapped_column(primary_key=True)
    sent: Mapped[int] = mapped_column(sa.BigInteger())
    accepted: Mapped[int] = mapped_column(sa.BigInteger())
    discarded: Mapped[int] = mapped_column(sa.BigInteger())
    purchased: Mapped[int] = mapped_column(sa.BigInteger())


class MoneyFigure(Base):
    """What was bought by those whom a store view invited on a day, in one currency.

    ``amount`` is in :data:`PARTS` of it, as everywhere.
    """

    __tablename__ = "invitations_money_figure"

    timezone: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    website: Mapped[str] = mapped_column(primary_key=True)
    store_view: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    orders: Mapped[int] = mapped_column(sa.BigInteger())
    amount: Mapped[int] = mapped_column(sa.BigInteger())


class TimeFigure(Base):
    """How many invitations of a day, month or year took about as long, each from its first mail.

    ``unit`` is what ``first`` is the first day of; ``what`` is ``accepted`` or ``purchased``,
    which is until the first purchase; for ``bucket`` see :mod:`.times`.
    """

    __tablename__ = "invitations_time_figure"
    __table_args__ = ({"sqlite_with_rowid": False},)

    timezone: Mapped[str] = mapped_column(primary_key=True)
    unit: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    first: Mapped[date] = mapped_column(primary_key=True)
    website: Mapped[str] = mapped_column(primary_key=True)
    store_view: Mapped[str] = mapped_column(primary_key=True)
    what: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    bucket: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(sa.BigInteger())


class _OfInviter:
    """An inviter's month or year (or day, of staff), for what a report may be about.

    ``scope`` is that of a :class:`~.periods.Period`, whose days are those of ``timezone``;
    ``unit`` is ``month`` or ``year`` (or ``day``), ``first`` its first day. No column that
    changes is in an index, so that PostgreSQL writes a row without touching one.
    """

    __table_args__: ClassVar[Any] = {"sqlite_with_rowid": False}

    timezone: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    unit: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    first: Mapped[date] = mapped_column(primary_key=True)
    inviter_key: Mapped[str] = mapped_column(HostKey, primary_key=True)


class InviterFigure(_OfInviter, Base):
    """How many invitations an inviter sent; ``amount`` is in any currency, to sort by."""

    __tablename__ = "invitations_inviter_figure"

    sent: Mapped[int]
    accepted: Mapped[int]
    discarded: Mapped[int]
    purchased: Mapped[int]
    amount: Mapped[int] = mapped_column(sa.BigInteger())


class InviterMoney(_OfInviter, Base):
    """What was bought by those whom an inviter invited, in one currency."""

    __tablename__ = "invitations_inviter_money"

    currency: Mapped[str] = mapped_column(sa.String(8), primary_key=True, sort_order=1)
    orders: Mapped[int] = mapped_column(sort_order=1)
    amount: Mapped[int] = mapped_column(sa.BigInteger(), sort_order=1)


class InviterPeak(Base):
    """The most that an inviter had in one day (or week) of those that begin in a month.

    It is of all store views that are counted in the zone, and never less than that; it may be
    more, as where something has gone since. Whoever has no row had one of each at most, and no
    ``amount``, which is in any currency. Staff have none: their days are kept.
    """

    __tablename__ = "invitations_inviter_peak"
    __table_args__ = ({"sqlite_with_rowid": False},)

    timezone: Mapped[str] = mapped_column(primary_key=True)
    unit: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    inviter_key: Mapped[str] = mapped_column(HostKey, primary_key=True)
    sent: Mapped[int]
    accepted: Mapped[int]
    purchased: Mapped[int]
    amount: Mapped[int] = mapped_column(sa.BigInteger(), server_default="0")


class InviterName(Base):
    """Name and address of whoever has sent an invitation, "" where there is none.

    They are those of the latest one that was sent. A trigger removes the row with any change
    of them, and the worker writes it anew.
    """

    __tablename__ = "invitations_inviter_name"
    __table_args__ = (
        *(
            sa.Index(f"ix_invitations_inviter_name_lower_{name}", sa.text(f"lower({name})"))
            for name in ("name", "email")
        ),
        {"sqlite_with_rowid": False},
    )

    inviter_key: Mapped[str] = mapped_column(HostKey, primary_key=True)
    name: Mapped[str] = mapped_column(sorted_text(255))
    email: Mapped[str] = mapped_column(sorted_text(320))


class MoneyDelta(_Delta, Base):
    """What one change of a purchase adds to the figures, as :class:`FigureDelta` does.

    Whoever writes a purchase writes it; a trigger does when an inviter is taken out.
    """

    __tablename__ = "invitations_money_delta"

    currency: Mapped[str] = mapped_column(sa.String(8))
    orders: Mapped[int]
    amount: Mapped[int] = mapped_column(sa.BigInteger())


class FigureState(Base):
    """How far something that the worker keeps is; no row is nothing done yet.

    ``position`` is the id of the last invitation dealt with. Of the figures, ``timezones``
    says by store view and by scope in which they are kept, ``generation`` counts how often
    they were built anew, and ``is_whole`` is whether every invitation is in. Of the purchases,
    ``done_at`` is when the last round ended, in UTC.
    """

    __tablename__ = "invitations_figure_state"

    name: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    position: Mapped[int] = mapped_column(sa.BigInteger(), default=0)
    generation: Mapped[int] = mapped_column(default=0)
    timezones: Mapped[dict[str, list[str]]] = mapped_column(sa.JSON(), default=dict)
    is_whole: Mapped[bool] = mapped_column(default=False)
    done_at: Mapped[datetime | None]


class InvitationPurchase(Base):
    """What the customer of an accepted invitation has bought since, in one currency.

    ``amount`` is in :data:`PARTS` of the currency; it stays when the account goes.
    """

    __tablename__ = "invitations_purchase"
    __table_args__ = (sa.Index(None, "sent_at", "invitation_id"),)

    invitation_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    currency: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    website: Mapped[str]
    store_view: Mapped[str]
    sent_at: Mapped[datetime]
    orders: Mapped[int]
    amount: Mapped[int] = mapped_column(sa.BigInteger())
    first_at: Mapped[datetime]
