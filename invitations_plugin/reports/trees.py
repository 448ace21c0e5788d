"""The tree of a customer: whom they brought, whom these brought, and so on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..models import Invitation, Status
from ..scope import websites, within
from ..state import host
from .conversions import Money, money_of, purchase_sums
from .customers import named
from .figures import Counts
from .models import InvitationPurchase
from .rows import row_sums

I = Invitation  # noqa: E741  # named once, used on every line below
DEEPEST: Final = 3
WIDEST: Final = 50
MOST_NODES: Final = 300


@dataclass(slots=True)
class Node:
    """Somebody in a customer's tree, with the invitees who became customers below.

    ``counts`` are of all that this customer ever sent, ``money`` is what those who accepted
    bought. ``sent_at`` and ``accepted_at`` are of the invitation that brought this customer,
    in UTC, None for the one whose tree it is.
    """

    key: str
    name: str = ""
    email: str = ""
    counts: Counts = field(default_factory=Counts)
    money: Sequence[Money] = ()
    sent_at: datetime | None = None
    accepted_at: datetime | None = None
    invitees: list[Node] = field(default_factory=list)

    @property
    def more(self) -> int:
        """How many of those who accepted are not shown."""
        return self.counts.accepted - len(self.invitees)


def tree(db: Session, key: str) -> Node | None:
    """Return whom a customer brought, whom they brought, and so on; None for nobody's key.

    At most :data:`DEEPEST` steps below the customer, :data:`WIDEST` invitees of each and
    :data:`MOST_NODES` in all; only what the reader's websites have. A customer who invited
    nobody there is nobody to a reader of some websites.
    """
    root = Node(key)
    known, level = {key: root}, {key: root}
    for depth in range(DEEPEST + 1):
        _tell(db, level)
        if depth == DEEPEST:
            break
        level = _below(db, level, known)
    # Who reads some websites alone learns nothing of a customer who invited on none of them.
    is_known = root.counts.sent or (websites() is None and host().customers([key]))
    return root if key and is_known else None


def _tell(db: Session, nodes: Mapping[str, Node]) -> None:
    """Give nodes their names and counts."""
    if not nodes:
        return
    sent = sa.select(I.inviter_key, *row_sums()).where(*_of(nodes), I.sent_at.is_not(None))
    rows: Iterable[Sequence[Any]] = db.execute(sent.group_by(I.inviter_key))
    counts = {key: Counts(*summed) for key, *summed in rows}
    for key, (name, email, _) in named(db, nodes.keys()).items():
        nodes[key].name, nodes[key].email = name, email
        nodes[key].counts = counts.get(key, Counts())
    for key, money in _money(db, nodes.keys()).items():
        nodes[key].money = money


def _money(db: Session, keys: Collection[str]) -> Mapping[str, Sequence[Money]]:
    """Return what the invitees of some customers bought."""
    row, found = InvitationPurchase, defaultdict[str, list[Money]](list)
    cell = [I.inviter_key, row.currency]
    query = sa.select(*cell, *purchase_sums()).join_from(row, I, I.id == row.invitation_id)
    for key, *bought in db.execute(query.where(*_of(keys)).group_by(*cell).order_by(*cell)):
        found[key].append(money_of(*bought))
    return found


def _below(db: Session, nodes: Mapping[str, Node], known: dict[str, Node]) -> dict[str, Node]:
    """Hang those who came by these nodes below them; return the new ones by their keys."""
    found: dict[str, Node] = {}
    for row in _accepted(db, nodes.keys(), MOST_NODES - len(known)) if nodes else ():
        if row.customer_key in known:  # a key that the store gave a second time
            continue
        node = Node(row.customer_key, sent_at=row.sent_at, accepted_at=row.registered_at)
        nodes[row.inviter_key].invitees.append(node)
        found[node.key] = known[node.key] = node
    return found


def _accepted(db: Session, keys: Collection[str], most: int) -> Sequence[Any]:
    """Return the invitations that brought customers, the first ones of each inviter."""
    place = sa.func.row_number().over(partition_by=I.inviter_key, order_by=(I.registered_at, I.id))
    columns = (I.id, I.inviter_key, I.customer_key, I.sent_at, I.registered_at)
    ranked = (
        sa.select(*columns, place.label("place"))
        .where(*_of(keys), I.status == Status.ACCEPTED, I.customer_key.is_not(None))
        .subquery()
    )
    chosen = sa.select(ranked).where(ranked.c.place <= WIDEST)
    return db.execute(chosen.order_by(ranked.c.place, ranked.c.id).limit(max(0, most))).all()


def _of(keys: Collection[str]) -> list[sa.ColumnElement[bool]]:
    return [I.inviter_key.in_(keys), *within(websites())]
