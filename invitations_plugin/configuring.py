"""Configuration as people do it: which scopes and choices the store has, changes and their undo.

Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from . import scope as reader_scope
from .host import StoreView
from .i18n import gettext, n_
from .mail import template_choices
from .models import SettingChange
from .settings import (
    DEFAULT,
    SENDERS,
    SPECS,
    TEMPLATES,
    BadSetting,
    By,
    Change,
    Scope,
    Value,
    apply,
    check,
    later_change,
    merge,
    read_group_limits,
    scope_of,
    scope_of_website,
    take_settings_turn,
)
from .state import host


@dataclass(frozen=True, slots=True)
class Place:
    """A scope of this store: what the store calls it, and the store views it is about."""

    scope: Scope
    name: str
    views: tuple[StoreView, ...]


class ChangedSince(Exception):
    """A change that is not the last one of its setting; ``later`` is."""

    def __init__(self, later: SettingChange) -> None:
        super().__init__(later.id)
        self.later = later


def places() -> list[Place]:
    """Return the scopes that whoever asks may configure, each website before its store views.

    The one for all is not for staff of some websites.
    """
    websites = host().websites()
    found = [Place(DEFAULT, gettext("Default"), tuple(v for w in websites for v in w.store_views))]
    found = found if reader_scope.websites() is None else []
    for website in websites:
        if reader_scope.includes(website.code):
            found.append(Place(scope_of_website(website), website.name, website.store_views))
            found += [Place(scope_of(view), view.name, (view,)) for view in website.store_views]
    return found


def find_place(key: str) -> Place | None:
    """Return the scope that is written so, None where the store has none such."""
    return next((each for each in places() if each.scope.key == key), None)


def choices(name: str, place: Place) -> dict[str, str] | None:
    """Return what a setting may be in a scope, with labels in the reader's language.

    None is for what is not chosen from a list.
    """
    spec = SPECS[name]
    if spec.source == SENDERS:
        found: dict[str, str] = {}
        for sender in (each for view in place.views for each in host().senders(view)):
            found.setdefault(sender.code, sender.label)
        return found
    if spec.source == TEMPLATES:
        return dict(template_choices())
    if spec.choices is None:
        return None
    return {code: gettext(label) for code, label in spec.choices.items()}


def read(name: str, given: object, place: Place) -> Value:
    """Return a setting's value for a scope, as the store can have it.

    :raises BadSetting: naming the setting and what it allows.
    """
    value = check(name, given, place.scope)
    allowed = choices(name, place) if SPECS[name].source else None
    if allowed is not None and value not in allowed:
        raise BadSetting(name, given, n_("Choose one of: %(choices)s."), choices=", ".join(allowed))
    if name == "group_limits":
        check_groups(str(value))
    return value


def check_groups(text: str) -> None:
    """Compare the groups that limits are given for with those of the store.

    :raises BadSetting: naming one that the store does not have.
    """
    known = [each.code for each in host().groups()]
    for group in read_group_limits(text):
        if group not in known:
            rule = n_("There is no customer group %(group)s; there are: %(groups)s.")
            raise BadSetting("group_limits", group, rule, group=group, groups=", ".join(known))


def save(
    session: Session, place: Place, wanted: Mapping[str, Value | None], by: By, seen: int | None
) -> list[Change]:
    """Save settings of one scope together; return what changed.

    :param seen: the id of the last change when the form was made; None compares with nothing.
    :raises Conflict: when somebody changed the same settings since, to something else.
    """
    take_settings_turn(session)
    mine = wanted if seen is None else merge(session, place.scope, wanted, seen)
    return apply(session, place.scope, mine, by)


def undo(session: Session, change: SettingChange, by: By, *, is_sure: bool) -> list[Change]:
    """Give a setting the value that it had before a change, as a change of its own.

    :raises ChangedSince: when it was changed again and nobody is sure of it.
    :raises BadSetting: when the store cannot have that value any more.
    """
    take_settings_turn(session)
    scope = Scope(change.scope, change.scope_code)
    place = find_place(scope.key)
    if place is None:
        raise BadSetting(change.name, scope.key, n_("The store has this scope no more."))
    later = later_change(session, change)
    if later is not None and not is_sure:
        raise ChangedSince(later)
    old = change.old_value
    value = None if old is None else read(change.name, old, place)
    return apply(session, place.scope, {change.name: value}, replace(by, undoes=change.id))
