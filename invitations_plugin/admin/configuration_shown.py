"""What the configuration page shows, made from the declaration and the values in force."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flask import url_for

from ..configuring import Place, choices, places
from ..database import session
from ..i18n import format_number, gettext
from ..settings import (
    FIELDS,
    GLOBAL,
    SECTIONS,
    SENDERS,
    SPECS,
    Found,
    Spec,
    Value,
    trace,
    values_at,
)
from ..state import host
from . import setting_words

IN_LINE = 60  # characters of a value below its own field

Options = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Posted:
    """What somebody typed: texts and ticked boxes by setting, and the last change they saw."""

    typed: Mapping[str, str] = field(default_factory=dict)
    boxes: frozenset[str] = frozenset()
    seen: int | None = None

    def only(self, names: Container[str]) -> Posted:
        """Return it without the settings that are not among some."""
        typed = {name: text for name, text in self.typed.items() if name in names}
        return replace(self, typed=typed, boxes=frozenset(n for n in self.boxes if n in names))

    def has(self, name: str) -> bool:
        """Return whether there was anything about a setting."""
        return name in self.typed or name in self.boxes


@dataclass(frozen=True, slots=True)
class Row:
    """One setting on the page."""

    name: str
    label: str
    help: str
    scope_label: str
    text: str
    rows: int
    is_number: bool
    options: Options
    is_wider: bool
    box: str
    is_ticked: bool
    in_force: str
    gone: str
    elsewhere: Sequence[tuple[str, str]]
    error: str
    theirs: str


def as_typed(value: Value) -> str:
    """Return a value as a field holds it."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def url_of(place: Place) -> str:
    """Return the address of a scope's page."""
    return url_for("invitations_admin.configuration", scope=place.scope.key)


def context(
    place: Place, posted: Posted, errors: Mapping[str, str], theirs: Mapping[str, str]
) -> dict[str, Any]:
    """Return the context of the page's template."""
    offered = places()
    found = trace(session(), place.scope)
    rows = {
        name: _row(name, place, found[name], posted, offered, (errors, theirs)) for name in SPECS
    }
    marked = [row for row in rows.values() if row.error or row.theirs]
    return {
        "place": place,
        "is_default": place.scope.kind == GLOBAL,
        "scopes": _scopes(place, offered),
        "sections": [
            (f"inv-section-{number}", gettext(section), _of_section(rows, section))
            for number, section in enumerate(SECTIONS, 1)
        ],
        "marked": marked,
        "action": url_of(place),
        "why_url": url_for("invitations_admin.why", store=place.views[0].code),
    }


def _scopes(place: Place, offered: Sequence[Place]) -> list[tuple[str, list[Any]]]:
    """Return the scopes as lists to choose from, each below its website's name."""
    names = {website.code: website.name for website in host().websites()}
    groups: dict[str, list[Any]] = {}
    for each in offered:
        website = each.scope.website or each.scope.code
        is_chosen = each.scope == place.scope
        groups.setdefault(website, []).append((each.scope.key, each.name, is_chosen))
    return [(names.get(code, ""), group) for code, group in groups.items()]


def _of_section(rows: Mapping[str, Row], section: str) -> list[Row]:
    return [row for name, row in rows.items() if SPECS[name].section == section]


def _row(
    name: str,
    place: Place,
    found: Found,
    posted: Posted,
    offered: Sequence[Place],
    said: tuple[Mapping[str, str], Mapping[str, str]],
) -> Row:
    spec, known = SPECS[name], choices(name, place)
    is_own, is_allowed = found.scope == place.scope, spec.is_allowed_in(place.scope.kind)
    has_box = is_allowed and (place.scope.kind != GLOBAL or is_own)
    is_ticked = name in posted.boxes if posted.has(name) else not is_own
    value = setting_words.value_text(found.value, known, IN_LINE)
    origin = setting_words.origin_text(found, place, offered)
    return Row(
        name=name,
        label=gettext(spec.label),
        help=_help(name, spec),
        scope_label=gettext(setting_words.SCOPE_LABELS[spec.scope]),
        text=posted.typed.get(name, as_typed(found.value)),
        rows=spec.rows,
        is_number=_is_number(name),
        options=_options(found.value, known),
        is_wider=not is_allowed,
        box=gettext(setting_words.BOXES[place.scope.kind]) if has_box else "",
        is_ticked=has_box and is_ticked,
        in_force=gettext("In force: %(value)s (%(origin)s)", value=value, origin=origin),
        gone=_gone(spec, found.value, known),
        elsewhere=_elsewhere(name, place, offered),
        error=said[0].get(name, ""),
        theirs=said[1].get(name, ""),
    )


def _is_number(name: str) -> bool:
    default = FIELDS[name].default
    return isinstance(default, int) and not isinstance(default, bool)


def _help(name: str, spec: Spec) -> str:
    said = gettext(spec.help)
    if not _is_number(name):
        return said
    allowed = gettext(
        "From %(least)s to %(most)s.",
        least=format_number(spec.at_least),
        most=format_number(spec.at_most),
    )
    return f"{said} {allowed}"


def _options(value: Value, known: Mapping[str, str] | None) -> Options:
    """Return what a setting is chosen from, with what it is now even where that is gone."""
    if isinstance(value, bool):
        return [("1", gettext("Yes")), ("0", gettext("No"))]
    if known is None:
        return []
    return list((known if value in known else {str(value): str(value)} | dict(known)).items())


def _gone(spec: Spec, value: Value, known: Mapping[str, str] | None) -> str:
    """Say that what is chosen is there no more, and what happens then; "" where it is there."""
    if known is None or value in known:
        return ""
    if spec.source == SENDERS:
        return gettext("The store has this sender no more: its first one is used.")
    return gettext("This template is there no more: the default one is used.")


def _elsewhere(name: str, place: Place, offered: Sequence[Place]) -> list[tuple[str, str]]:
    """Return the narrower scopes that have a value of their own: name and address."""
    return [
        (each.name, f"{url_of(each)}#{name}")
        for each in offered
        if _is_below(each, place) and name in values_at(session(), each.scope)
    ]


def _is_below(one: Place, other: Place) -> bool:
    return one.scope != other.scope and other.scope in one.scope.chain
