"""What the back office says of settings: scopes, values, where they come from, what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..configuring import Place, choices
from ..i18n import format_number, gettext, n_, ngettext
from ..models import SettingChange
from ..settings import (
    BUILT_IN,
    BY_INVITATION_ONLY,
    CONFIG,
    DEFAULT,
    ENVIRONMENT,
    GLOBAL,
    SPECS,
    STORE_VIEW,
    WEBSITE,
    BadSetting,
    Change,
    Found,
    Scope,
    Value,
)

SHOWN = 200  # characters of a value in a line
NAMED = 5  # settings that a notice names
SCOPE_LABELS = {GLOBAL: n_("[global]"), WEBSITE: n_("[website]"), STORE_VIEW: n_("[store view]")}
ORIGINS = {
    CONFIG: n_("from app.config"),
    ENVIRONMENT: n_("from the environment"),
    BUILT_IN: n_("built in"),
}
BOXES = {
    GLOBAL: n_("Back to the Default"),
    WEBSITE: n_("Use Default"),
    STORE_VIEW: n_("Use Website"),
}
# What saving a value does to people, said right after it.
EFFECTS: dict[tuple[str, Value], str] = {
    ("enabled", False): n_(
        "While invitations are off, customers and invited people see nothing of them, queued mail"
        " waits, and everybody may register. The back office stays: they can be turned on again."
    ),
    ("storefront_enabled", False): n_(
        "While they are off on the storefront, customers see nothing of invitations there. Links"
        " that were mailed still work, and staff can still invite."
    ),
    ("registration", BY_INVITATION_ONLY): n_(
        "By invitation only, nobody else can create an account there; staff still can."
    ),
}


def scope_name(scope: Scope, offered: Sequence[Place]) -> str:
    """Return what the store calls a scope, its code where it has it no more."""
    return next((each.name for each in offered if each.scope.key == scope.key), scope.key)


def origin_text(found: Found, place: Place, offered: Sequence[Place]) -> str:
    """Say where a value in force comes from, seen from a scope."""
    if found.scope is None:
        return gettext(ORIGINS[found.origin])
    if found.scope == place.scope:
        return gettext("set here")
    if found.scope == DEFAULT:
        return gettext("from the default")
    return gettext("from %(place)s", place=scope_name(found.scope, offered))


def set_text(found: Found, offered: Sequence[Place]) -> str:
    """Say where a value in force is set."""
    if found.scope is None:
        return gettext(ORIGINS[found.origin])
    return gettext("set in %(place)s", place=scope_name(found.scope, offered))


def value_text(
    value: Value | None, known: Mapping[str, str] | None = None, most: int = SHOWN
) -> str:
    """Return a value as people read it; None is what a wider scope has.

    :param known: the labels of what the setting is chosen from.
    :param most: characters of a text.
    """
    if value is None:
        return gettext("not set")
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    if isinstance(value, int):
        return format_number(value)
    text = (known or {}).get(value, ", ".join(value.split("\n")))
    return (text if len(text) <= most else f"{text[:most]}…") or gettext("empty")


def value_in(name: str, value: Value | None, place: Place | None) -> str:
    """Return a setting's value in a scope as people read it."""
    is_known = place is not None and name in SPECS
    return value_text(value, choices(name, place) if is_known and place is not None else None)


def label(name: str) -> str:
    """Return what a setting is called; its name where there is none such any more."""
    return gettext(SPECS[name].label) if name in SPECS else name


def error_text(error: BadSetting) -> str:
    """Say what is wrong with a value and what is allowed."""
    if "choices" in error.facts:
        return gettext("Choose one from the list.")
    facts = {
        name: format_number(value) if isinstance(value, int) else value
        for name, value in error.facts.items()
    }
    return gettext(error.rule, **facts)


def saved_text(changes: Sequence[Change], place: Place) -> str:
    """Say which settings were changed."""
    names = ", ".join(label(change.name) for change in changes[:NAMED])
    said = ngettext(
        "%(num)s setting was changed (%(scope)s): %(names)s",
        "%(num)s settings were changed (%(scope)s): %(names)s",
        len(changes),
        scope=place.name,
        names=names,
    )
    return f"{said}, …" if len(changes) > NAMED else said


def nothing_text() -> str:
    """Say that a form asked for nothing new."""
    return gettext("Nothing was changed: the settings are as before.")


def effect_texts(changes: Sequence[Change]) -> list[str]:
    """Say what changes do to people, where they take something away."""
    found = [EFFECTS.get((each.name, each.new)) for each in changes if each.new is not None]
    return [gettext(text) for text in found if text is not None]


def theirs_text(change: SettingChange, place: Place) -> str:
    """Say what somebody else saved meanwhile."""
    return gettext(
        "%(who)s saved meanwhile: %(value)s",
        who=change.actor_name or gettext("Somebody"),
        value=value_in(change.name, change.new_value, place),
    )
