"""Names and addresses of inviters, to sort and to search by.

An inviter's are those of the latest invitation that was sent, "" where it has none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from ..database import insert_many
from ..grid.query import FOLDED
from ..models import Invitation
from ..turns import take_turn
from .models import FigureDelta, InviterName

I = Invitation  # noqa: E741  # named once, used on every line below
N = InviterName
TURN: Final = "figures"  # of whoever folds
FEW: Final = 500  # inviters that are looked up one by one
NAMED: Final = ("name", "email")

Found = Callable[[Any], sa.ColumnElement[bool]]  # says as SQL whether a key is one of some


@dataclass(frozen=True, slots=True)
class Searched:
    """Whose keys a search means. ``few`` has them where these are few, ``others`` those of
    everybody else where there are few of these.
    """

    means: Found
    few: Sequence[str] | None = None
    others: Sequence[str] | None = None

    def __call__(self, key: Any) -> sa.ColumnElement[bool]:
        """Return as SQL whether a key is one of them."""
        return self.means(key)


def row_names() -> sa.Subquery:
    """Return key, name and email of all inviters, as the invitations have them."""
    return _latest(sa.select(I.inviter_key).distinct().subquery("who")).subquery("named")


def kept_names() -> sa.Subquery:
    """Return the same as it is kept, and of those with a change that is not folded from the rows.

    One statement reads both, so they are of one moment.
    """
    told = told_keys(FigureDelta)
    is_told = N.inviter_key.in_(sa.select(told.c.inviter_key))
    folded = sa.select(N.inviter_key, N.name, N.email).where(~is_told)
    return sa.union_all(folded, _latest(told)).subquery("named")


def told_keys(*deltas: type[Any]) -> sa.CTE:
    """Return the keys that deltas tell something of."""
    keys = [sa.select(each.inviter_key) for each in deltas]
    return sa.union(*keys).cte() if len(keys) > 1 else keys[0].distinct().cte()


def _latest(who: sa.FromClause) -> sa.Select[Any]:
    """Return key, name and email of the inviters whose keys are given, those who have sent."""
    own = aliased(I)
    is_theirs = own.inviter_key == who.c.inviter_key
    newest = sa.select(own.id).where(is_theirs, own.sent_at.is_not(None)).order_by(own.id.desc())
    number = newest.limit(1).correlate(who).scalar_subquery()
    email = sa.func.coalesce(I.inviter_email, "").label("email")
    columns = (who.c.inviter_key, I.inviter_name.label("name"), email)
    return sa.select(*columns).select_from(who.join(I, I.id == number))


def searched(db: Session, names: sa.Subquery, search: str) -> Searched | None:
    """Return who is meant by a part of name or address in any case, or by a whole key.

    None where nothing is searched for.
    """
    if not search:
        return None
    text = search.translate(FOLDED)
    part = [sa.func.lower(names.c[name]).contains(text, autoescape=True) for name in NAMED]
    keys = sa.select(names.c.inviter_key).where(sa.or_(*part))
    few = db.scalars(keys.limit(FEW + 1)).all()
    if len(few) <= FEW:
        theirs = sorted({*few, search})
        return Searched(lambda key: key.in_(theirs), few=theirs)
    others = sa.select(names.c.inviter_key).where(~sa.or_(*part), names.c.inviter_key != search)
    few = db.scalars(others.limit(FEW + 1)).all()
    if len(few) <= FEW:
        return Searched(lambda key: key.not_in(few), others=few)
    meant = sa.select(keys.cte().c.inviter_key)  # looked for once, however often it is asked
    # No index of keys is of use then.
    return Searched(lambda key: sa.or_(key.concat("").in_(meant), key.concat("") == search))


def look_up(db: Session, keys: Set[str]) -> None:
    """Keep the names of some inviters as the rows have them now. The caller commits."""
    if not keys:
        return
    rows = db.execute(_latest(listed(db, sorted(keys)))).all()
    write(db, rows)
    gone = keys - {row.inviter_key for row in rows}
    if gone:
        db.execute(sa.delete(N).where(N.inviter_key.in_(gone)))


def listed(db: Session, keys: Sequence[str]) -> sa.FromClause:
    """Return keys as a table, however many they are."""
    document = sa.literal(json.dumps(keys), sa.Text())
    if db.get_bind(I).dialect.name == "postgresql":
        given = sa.func.json_array_elements_text(sa.cast(document, sa.JSON()))
        return sa.select(given.column_valued("key").label("inviter_key")).subquery("who")
    each = sa.func.json_each(document).table_valued("value").c.value
    return sa.select(each.label("inviter_key")).subquery("who")


def write(db: Session, rows: Iterable[Any]) -> None:
    """Keep names as they are given, each with its key; of a key's the last one counts."""
    latest = {key: {"name": name, "email": email} for key, name, email in rows}

    def replacing(insert: Any) -> Any:
        fresh = {name: insert.excluded[name] for name in NAMED}
        differs = sa.or_(*(getattr(N, name) != each for name, each in fresh.items()))
        return insert.on_conflict_do_update(
            index_elements=["inviter_key"], set_=fresh, where=differs
        )

    if latest:
        table = cast(sa.Table, N.__table__)
        values = [{"inviter_key": key, **latest[key]} for key in sorted(latest)]
        insert_many(db.connection(bind_arguments={"mapper": N}), table, values, replacing)


def forget_name(db: Session, key: str) -> None:
    """Remove an inviter's name at once; nobody writes it again from what was read before.

    Call it before the rows change. Who folds names waits until the caller commits.
    """
    take_turn(db, TURN)
    db.execute(sa.delete(N).where(N.inviter_key == key))
