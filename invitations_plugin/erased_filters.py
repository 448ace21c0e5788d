"""What staff kept of the grid without somebody who was erased: views, mass actions, exports."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .grid import COLUMN_OF, Kind
from .models import Export, Job, SavedView

Named = Callable[[str], bool]


def forget_filters(session: Session, key: str, names: Named, gone: str) -> int:
    """Put what somebody who was erased is known by now into each filter that names them.

    Returns in how many views, mass actions and exports that was.

    A filter by the key finds the same invitations as before, one by a text finds none: so no
    mass action and no export is ever about more than was chosen.

    :param key: "" for whom the store has no account.
    :param names: tells whether a text has one of their addresses or names, as :func:`naming` does.
    :param gone: what stands in the rows in place of the key.
    """

    def fresh(filters: Mapping[str, str]) -> dict[str, str]:
        kinds = {name: column.kind for name, column in COLUMN_OF.items()}
        is_said = {
            name: bool(key) and text == key if kinds.get(name) == Kind.KEY else names(text)
            for name, text in filters.items()
            if kinds.get(name) in (Kind.KEY, Kind.TEXT)
        }
        return {name: gone if is_said.get(name) else text for name, text in filters.items()}

    changed = sum(
        _forget_in_selections(session, cast(sa.Table, model.__table__), fresh)
        for model in (Job, Export)
    )
    return changed + _forget_in_views(session, cast(sa.Table, SavedView.__table__), fresh, names)


def naming(called: Collection[str]) -> Named:
    """Return what tells whether a text has an address or a name in it, or begins an address."""
    known = {each.casefold() for each in called if each}
    if not known:
        return lambda text: False
    one = re.compile(rf"(?<![\w.+-])({'|'.join(map(re.escape, known))})(?![\w-]|\.\w)")

    def names(text: str) -> bool:
        folded = text.casefold().strip("=* ")
        is_begun = "@" in folded[1:] and any(each.startswith(folded) for each in known)
        return is_begun or one.search(folded) is not None

    return names


def _forget_in_selections(
    session: Session, table: sa.Table, fresh: Callable[[Mapping[str, str]], dict[str, str]]
) -> int:
    row, number_changed = table.c, 0
    for number, filters in session.execute(sa.select(row.id, row.selection["filters"])).all():
        if filters and fresh(filters) != filters:
            selection = session.scalar(sa.select(row.selection).where(row.id == number))
            changed: dict[str, Any] = {**(selection or {}), "filters": fresh(filters)}
            session.execute(sa.update(table).where(row.id == number).values(selection=changed))
            number_changed += 1
    return number_changed


def _forget_in_views(
    session: Session,
    table: sa.Table,
    fresh: Callable[[Mapping[str, str]], dict[str, str]],
    names: Named,
) -> int:
    """Do so in the views of all; one that is called after the customer is called its number."""
    row, number_changed = table.c, 0
    views = session.execute(sa.select(row.id, row.actor_key, row.name, row.arguments)).all()
    taken = {(each.actor_key, each.name) for each in views}
    for number, actor, name, arguments in views:
        called = name
        if names(name):
            called = str(number)
            while (actor, called) in taken:
                called += "*"
        if (called, fresh(arguments)) != (name, arguments):
            values = {"name": called, "arguments": fresh(arguments)}
            session.execute(sa.update(table).where(row.id == number).values(values))
            number_changed += 1
    return number_changed
