"""Changing settings: together or not at all, each change with who made it, and back again.

Nothing here commits. Who changes takes a turn first, so that two changes at one moment come
one after the other and the second sees what the first did.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..i18n import n_
from ..models import SettingChange, SettingOverride
from ..turns import take_turn
from .declared import FIELDS, SPECS
from .scopes import Scope, forget, values_at
from .specs import GLOBAL, STORE_VIEW, WEBSITE, BadSetting, Value, read_value

UNKNOWN: Final = n_("There is no such scope.")
TOO_NARROW: Final = {
    WEBSITE: n_("It cannot be set for a website alone."),
    STORE_VIEW: n_("It cannot be set for a store view alone."),
}
Wanted = Mapping[str, Value | None]


@dataclass(frozen=True, slots=True)
class By:
    """Who changes settings; ``undoes`` is the id of a change that is taken back."""

    key: str = ""
    name: str = ""
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A setting's own value in a scope before and after; None is the wider scope's value."""

    scope: Scope
    name: str
    old: Value | None
    new: Value | None


class Conflict(Exception):
    """Somebody else changed the same settings, to something else.

    ``theirs`` has the last change of each by name, ``mine`` all that was asked for.
    """

    def __init__(self, theirs: Mapping[str, SettingChange], mine: Wanted) -> None:
        super().__init__(", ".join(theirs))
        self.theirs = theirs
        self.mine = mine


def check(name: str, value: object, scope: Scope) -> Value:
    """Return a setting's value for a scope, read from outside.

    :raises BadSetting: for an unknown name, a scope the setting does not have, or a value
        that it does not allow.
    """
    if name not in SPECS:
        raise BadSetting(name, value, n_("There is no such setting."))
    if not SPECS[name].is_allowed_in(scope.kind):
        raise BadSetting(name, value, TOO_NARROW.get(scope.kind, UNKNOWN))
    return read_value(FIELDS[name], value)


def take_settings_turn(session: Session) -> None:
    """Change after whoever else changes settings just now, and see what they did."""
    take_turn(session, "settings")
    forget()


def differences(session: Session, scope: Scope, wanted: Wanted) -> list[Change]:
    """Return what would change if settings had these values in a scope."""
    before = values_at(session, scope)
    return [
        Change(scope, name, before.get(name), value)
        for name, value in wanted.items()
        if not _is_same(before.get(name), value)
    ]


def apply(session: Session, scope: Scope, wanted: Wanted, by: By) -> list[Change]:
    """Give settings their values in a scope, None the wider scope's; return what changed.

    The values are checked ones, and the caller took the turn.
    """
    changes = differences(session, scope, wanted)
    for change in changes:
        _write(session, change, by)
    session.flush()
    forget()
    return changes


def override(
    session: Session, name: str, value: object, scope: str = GLOBAL, code: str = "", by: str = ""
) -> None:
    """Set one setting for one scope.

    :raises BadSetting: as :func:`check` does.
    """
    place = Scope(scope, code)
    given = check(name, value, place)
    take_settings_turn(session)
    apply(session, place, {name: given}, By(name=by))


def merge(session: Session, scope: Scope, wanted: Wanted, seen: int) -> dict[str, Value | None]:
    """Return what somebody really asks for who saw the settings as they were after a change.

    What the form repeats of what it saw is no wish, so what others changed meanwhile stays.

    :param seen: the id of the last change then.
    :raises Conflict: when they changed the same settings to something else.
    """
    since = _since(session, scope, seen)
    now_set = values_at(session, scope)
    mine: dict[str, Value | None] = {}
    for name, value in wanted.items():
        saw = since[name][0].old_value if name in since else now_set.get(name)
        if not _is_same(saw, value):
            mine[name] = value
    crossed = {
        name: since[name][-1]
        for name, value in mine.items()
        if name in since and not _is_same(now_set.get(name), value)
    }
    if crossed:
        raise Conflict(crossed, mine)
    return mine


def last_change(session: Session) -> int:
    """Return the id of the last change, 0 before the first."""
    return session.scalar(sa.select(sa.func.max(SettingChange.id))) or 0


def later_change(session: Session, change: SettingChange) -> SettingChange | None:
    """Return the last change of the same setting and scope after this one."""
    row = SettingChange
    same = (row.scope == change.scope, row.scope_code == change.scope_code, row.name == change.name)
    query = sa.select(row).where(*same, row.id > change.id).order_by(row.id.desc()).limit(1)
    return session.scalars(query).first()


def read_changes(
    session: Session, before: int | None, most: int, within: Collection[Scope] | None = None
) -> Sequence[SettingChange]:
    """Return changes, the newest first, older than one; ``within`` some scopes alone."""
    row = SettingChange
    query = sa.select(row).order_by(row.id.desc()).limit(most)
    if within is not None:
        pairs = [(each.kind, each.code) for each in within]
        query = query.where(sa.tuple_(row.scope, row.scope_code).in_(pairs))
    return session.scalars(query.where(row.id < before) if before is not None else query).all()


def _since(session: Session, scope: Scope, seen: int) -> dict[str, list[SettingChange]]:
    row = SettingChange
    query = sa.select(row).where(
        row.scope == scope.kind, row.scope_code == scope.code, row.id > seen
    )
    found: dict[str, list[SettingChange]] = {}
    for each in session.scalars(query.order_by(row.id)):
        found.setdefault(each.name, []).append(each)
    return found


def _is_same(one: Value | None, other: Value | None) -> bool:
    return type(one) is type(other) and one == other  # True equals 1 otherwise


def _write(session: Session, change: Change, by: By) -> None:
    row, scope = SettingOverride, change.scope
    key = {"scope": scope.kind, "scope_code": scope.code, "name": change.name}
    if change.new is None:
        session.execute(sa.delete(row).filter_by(**key))
    else:
        session.merge(row(**key, value=change.new, updated_by=by.name[:255]))
    session.add(
        SettingChange(
            **key,
            old_value=change.old,
            new_value=change.new,
            actor_key=by.key,
            actor_name=by.name[:255],
            undoes=by.undoes,
        )
    )
