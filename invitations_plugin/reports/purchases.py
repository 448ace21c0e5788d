"""What the customers who came by an invitation buy, asked of the store in rounds.

A round asks for some hundred customers at a time and begins anew a while after it ended. What
the store tells no more, as of a deleted account, stays as it was.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from time import monotonic
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..clock import as_kept, now
from ..database import Busy, atomically, insert_into, insert_many, session
from ..host import Host, Purchase
from ..models import Invitation, Status, connection_of
from ..state import host, state
from ..turns import take_turn
from .folding import COHORT, MONEY
from .models import PARTS, FigureDelta, FigureState, InvitationPurchase, MoneyDelta

log = logging.getLogger(__name__)

I = Invitation  # noqa: E741  # named once, used on every line below
STATE: Final = "purchases"
CHUNK: Final = 500
REST: Final = timedelta(seconds=60)  # between two rounds
PAUSE: Final = 60.0  # seconds until a store that failed is asked again
LONGEST_CURRENCY: Final = 8
BOUGHT: Final = ("orders", "amount", "first_at")


@dataclass(slots=True)
class _Bought:
    """What one customer bought in one currency."""

    orders: int = 0
    amount: int = 0
    first_at: datetime = datetime.max

    def add(self, order: Purchase) -> None:
        self.orders += 1
        amount = Decimal(str(order.amount))  # a float says what it means only as it is written
        self.amount += int((amount * PARTS).to_integral_value())
        self.first_at = min(self.first_at, as_kept(order.at))


def has_purchases() -> bool:
    """Return whether the store tells of purchases."""
    return type(host()).purchases is not Host.purchases


def as_of(db: Session) -> datetime | None:
    """Return when the last round ended, in UTC, None before the first one has."""
    return db.scalar(sa.select(FigureState.done_at).where(FigureState.name == STATE))


def ask_all(over: Callable[[], bool] = lambda: False) -> bool:
    """Go on with the round that is due; return whether there is nothing left to ask.

    A fault of the store's is logged, and it is asked again after a while.

    :param over: asked before each question; true ends the work.
    """
    if not has_purchases() or monotonic() < state().ask_after:
        return True
    try:
        while _is_due(session()):
            if over():
                return False
            atomically(lambda: ask_next(session()))
    except (Busy, DBAPIError):
        raise
    except Exception:
        log.exception("The store's purchases cannot be read; the figures stay as they are")
        state().ask_after = monotonic() + PAUSE
    return True


def _read_state(db: Session) -> Any | None:
    query = sa.select(FigureState.position, FigureState.done_at)
    return db.execute(query.where(FigureState.name == STATE)).first()


def _is_due(db: Session) -> bool:
    reached = _read_state(db)
    if reached is None or reached.done_at is None or reached.position:
        return True
    is_over: bool = reached.done_at + REST <= now()
    return is_over


def ask_next(db: Session) -> None:
    """Ask for the next customers and keep what they bought. The caller commits."""
    take_turn(db, STATE)
    if not _is_due(db):  # somebody else ended the round meanwhile
        return
    rows = _next(db)
    asked = _askable(rows)
    _keep(db, asked, _bought(asked))
    is_over = len(rows) < CHUNK
    values = {"position": 0, "done_at": now()} if is_over else {"position": rows[-1].id}
    row = insert_into(db, FigureState).values(
        name=STATE, generation=0, timezones={}, is_whole=True, **values
    )
    db.execute(row.on_conflict_do_update(index_elements=[FigureState.name], set_=values))


def try_next(db: Session) -> None:
    """Ask for those whom the round asks for next and keep nothing: where it failed, it fails."""
    if has_purchases():
        _bought(_askable(_next(db)))


def _next(db: Session) -> Sequence[Any]:
    """Return the accepted invitations whose turn it is."""
    reached = _read_state(db)
    position = reached.position if reached is not None else 0
    columns = (I.id, I.customer_key, I.sent_at, I.registered_at)
    query = sa.select(*columns).where(I.status == Status.ACCEPTED, I.id > position)
    return db.execute(query.order_by(I.id).limit(CHUNK)).all()


def _askable(rows: Sequence[Any]) -> Mapping[str, Any]:
    return {row.customer_key: row for row in rows if row.customer_key and row.sent_at}


def _bought(asked: Mapping[str, Any]) -> Mapping[tuple[int, str], _Bought]:
    """Return what customers bought since they registered, by invitation and currency."""
    found: dict[tuple[int, str], _Bought] = defaultdict(_Bought)
    for order in host().purchases(list(asked)) if asked else ():
        row = asked.get(str(order.customer_key))
        if row is not None and as_kept(order.at) >= row.registered_at:
            found[row.id, order.currency[:LONGEST_CURRENCY]].add(order)
    return found


def _keep(db: Session, asked: Mapping[str, Any], bought: Mapping[tuple[int, str], _Bought]) -> None:
    """Write what differs from what was known, and add the difference to the figures.

    The rows are kept from whoever takes an inviter out of them in this moment.
    """
    known = _known(db, [row.id for row in asked.values()])
    changed = {key: each for key, each in sorted(bought.items()) if _of(known.get(key)) != each}
    if not changed:
        return
    cohort = (I.id, *(getattr(I, name) for name in COHORT))
    chosen = sa.select(*cohort).where(I.id.in_({number for number, _ in changed}))
    rows = {row.id: row for row in db.execute(chosen.order_by(I.id).with_for_update())}
    _write(db, [_values(rows[key[0]], key[1], each) for key, each in changed.items()])
    before, after = _firsts(known), _firsts({**known, **changed})
    counted = (_counted(row, before.get(row.id), after[row.id]) for row in rows.values())
    _insert(db, FigureDelta, [each for some in counted for each in some])
    _insert(
        db,
        MoneyDelta,
        [_added(rows[key[0]], key[1], known.get(key), each) for key, each in changed.items()],
    )


def _known(db: Session, numbers: Sequence[int]) -> Mapping[tuple[int, str], Any]:
    """Return the purchases of some invitations as they are kept."""
    found = db.execute(
        sa.select(*InvitationPurchase.__table__.c).where(
            InvitationPurchase.invitation_id.in_(numbers)
        )
    )
    return {(each.invitation_id, each.currency): each for each in found}


def _of(kept: Any | None) -> _Bought | None:
    return None if kept is None else _Bought(kept.orders, kept.amount, kept.first_at)


def _insert(db: Session, model: type[Any], deltas: Sequence[dict[str, Any]]) -> None:
    if deltas:
        insert_many(connection_of(db), model.__table__, deltas, lambda insert: insert)


def _firsts(bought: Mapping[tuple[int, str], Any]) -> Mapping[int, datetime]:
    """Return when each invitation's customer bought for the first time."""
    found: dict[int, datetime] = {}
    for (number, _), each in bought.items():
        found[number] = min(found.get(number, datetime.max), each.first_at)
    return found


def _counted(row: Any, before: datetime | None, after: datetime) -> Iterator[dict[str, Any]]:
    """Yield what the first purchase of an invitation's customer adds to its counts.

    Where one became known that was earlier, it is the first instead.
    """
    nothing = {"sent": 0, "accepted": 0, "discarded": 0, "inviter_key": row.inviter_key}
    for number, at in ((-1, before), (1, after)) if before != after else ():
        if at is not None:
            yield {**_cohort(row), **nothing, "purchased": number, "bought_at": at}


def _added(row: Any, currency: str, kept: Any | None, bought: _Bought) -> dict[str, Any]:
    """Return what a purchase adds to the money, in the cohort that it is kept in."""
    before = _of(kept) or _Bought()
    numbers = {name: getattr(bought, name) - getattr(before, name) for name in MONEY}
    cohort = _cohort(row) | ({name: getattr(kept, name) for name in COHORT[1:]} if kept else {})
    return {**cohort, "inviter_key": row.inviter_key, "currency": currency, **numbers}


def _cohort(row: Any) -> dict[str, Any]:
    return {"invitation_id": row.id, **{name: getattr(row, name) for name in COHORT[1:]}}


def _values(row: Any, currency: str, bought: _Bought) -> dict[str, Any]:
    kept = {name: getattr(bought, name) for name in BOUGHT}
    return {**_cohort(row), "currency": currency, **kept}


def _write(db: Session, rows: Sequence[dict[str, Any]]) -> None:
    def replacing(insert: Any) -> Any:
        fresh = {name: insert.excluded[name] for name in BOUGHT}
        keys = ["invitation_id", "currency"]
        return insert.on_conflict_do_update(index_elements=keys, set_=fresh)

    table = cast(sa.Table, InvitationPurchase.__table__)
    insert_many(connection_of(db), table, rows, replacing)


def as_amount(parts: int) -> Decimal:
    """Return an amount as it is said: with two decimals, or as many as it has."""
    amount = Decimal(parts) / PARTS
    return amount.quantize(Decimal("0.01")) if amount == round(amount, 2) else amount
