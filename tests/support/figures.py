"""What reports say beside what the rows say, counted in the plainest way."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from invitations_plugin.database import atomically, session
from invitations_plugin.models import Invitation
from invitations_plugin.reports import (
    Asked,
    Counts,
    Money,
    Period,
    folding,
    keeping,
    read_period,
)
from invitations_plugin.reports.models import PARTS, FigureDelta, InvitationPurchase

from .stores import Store


def period_of(store: Store, /, **asked: str) -> Period:
    """Return a period by the arguments of a report's address; ``start`` stands for from."""
    given = {"from" if name == "start" else name: text for name, text in asked.items()}
    with store.session():
        found: Asked = read_period(given)
    assert found.period is not None, found.errors
    return found.period


def keep(store: Store) -> None:
    """Do what the worker does for the reports."""
    with store.session():
        assert keeping.keep()


def steps(store: Store, number: int) -> None:
    """Do some steps of it, and no more."""
    with store.session():
        for _ in range(number):
            atomically(lambda: folding.step(session()))


def unfolded(store: Store) -> int:
    """Return how many deltas wait."""
    with store.session() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(FigureDelta)) or 0


def plainly(store: Store, period: Period, inviter: str | None = None) -> list[Counts]:
    """Count the rows of each interval one by one, by the day that a clock on the wall showed."""
    with store.session() as db:
        rows = db.scalars(sa.select(Invitation)).all()
        buyers = set(db.scalars(sa.select(InvitationPurchase.invitation_id)))
        lines = []
        for each in period.intervals:
            here = [
                row
                for row in rows
                if row.sent_at is not None
                and each.first <= wall_day(row.sent_at, period.timezone) <= each.last
                and is_asked_for(row, period)
                and inviter in (None, row.inviter_key)
            ]
            statuses = [row.status for row in here]
            purchased = sum(row.id in buyers for row in here)
            accepted, discarded = statuses.count("accepted"), statuses.count("discarded")
            lines.append(Counts(len(here), accepted, discarded, purchased))
        return lines


def names_plainly(store: Store) -> dict[str, tuple[str, str]]:
    """Return each inviter's name and address in the latest invitation that was sent."""
    sent = sa.select(Invitation).where(Invitation.sent_at.is_not(None)).order_by(Invitation.id)
    with store.session() as db:
        return {
            row.inviter_key: (row.inviter_name, row.inviter_email or "") for row in db.scalars(sent)
        }


def money_plainly(
    store: Store, period: Period, inviter: str | None = None
) -> list[dict[str, tuple[int, int]]]:
    """Add up orders and amounts of each interval by currency, purchase by purchase."""
    row = InvitationPurchase
    query = sa.select(row, Invitation.inviter_key).join(
        Invitation, Invitation.id == row.invitation_id
    )
    with store.session() as db:
        rows = db.execute(query).all()
        lines = []
        for each in period.intervals:
            sums: dict[str, tuple[int, int]] = {}
            for bought, key in rows:
                day = wall_day(bought.sent_at, period.timezone)
                if not each.first <= day <= each.last or inviter not in (None, key):
                    continue
                if is_asked_for(bought, period):
                    orders, amount = sums.get(bought.currency, (0, 0))
                    sums[bought.currency] = (orders + bought.orders, amount + bought.amount)
            lines.append(sums)
        return lines


def behaviour_plainly(store: Store, period: Period) -> dict[str, int | list[float]]:
    """Return how people behave, row by row; what takes time as all the seconds it took."""
    with store.session() as db:
        rows = db.scalars(sa.select(Invitation).where(Invitation.sent_at.is_not(None))).all()
        firsts: dict[int, datetime] = {}
        for each in db.scalars(sa.select(InvitationPurchase)):
            firsts[each.invitation_id] = min(
                each.first_at, firsts.get(each.invitation_id, datetime.max)
            )
    inviters = {row.inviter_key for row in rows}
    here = [
        row
        for row in rows
        if row.sent_at is not None
        and period.first <= wall_day(row.sent_at, period.timezone) <= period.last
        and is_asked_for(row, period)
    ]
    accepted = [row for row in here if row.status == "accepted"]
    return {
        "inviters": len({row.inviter_key for row in here} - {""}),
        "invitations": sum(row.inviter_key != "" for row in here),
        "accepted": len(accepted),
        "inviting": sum(row.customer_key in inviters for row in accepted),
        "to_accepted": [taken(row.sent_at, row.registered_at) for row in accepted],
        "to_purchase": [taken(row.sent_at, firsts[row.id]) for row in here if row.id in firsts],
    }


def taken(earlier: datetime | None, later: datetime | None) -> float:
    """Return the seconds between two moments, none where they are not in order."""
    assert earlier is not None
    assert later is not None
    return max(0, (later - earlier).total_seconds())


def told(money: Iterable[Money]) -> dict[str, tuple[int, int]]:
    """Return what a report says was bought, as :func:`money_plainly` has it."""
    return {each.currency: (each.orders, int(each.revenue * PARTS)) for each in money}


def wall_day(moment: datetime, timezone: str) -> date:
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date()


def is_asked_for(row: Invitation | InvitationPurchase, period: Period) -> bool:
    names = ("", f"website:{row.website}", f"store:{row.store_view}")
    return period.scope in names and (period.websites is None or row.website in period.websites)
