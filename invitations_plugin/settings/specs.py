"""What a setting is apart from its value, and how a value from outside is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field
from functools import lru_cache
from typing import Any, Final

from ..addresses import BadAddress, parse_address, parse_domain
from ..i18n import n_

GLOBAL, WEBSITE, STORE_VIEW = "default", "website", "store"
SCOPES: Final = (GLOBAL, WEBSITE, STORE_VIEW)  # the widest first
GENERAL, EMAIL, LINKS, LIMITS, DELIVERY = (
    n_("General"),
    n_("Email"),
    n_("Links"),
    n_("Limits"),
    n_("Delivery"),
)
SECTIONS: Final = (GENERAL, EMAIL, LINKS, LIMITS, DELIVERY)
SENDERS, TEMPLATES = "senders", "templates"  # where the store's own choices come from
DIGITS: Final = re.compile(r"-?[0-9]{1,18}")
APART: Final = re.compile(r"[\s,;]+")  # what lists of domains or addresses are apart by
MOST_ADDRESSES: Final = 10

Value = bool | int | str


class BadValue(ValueError):
    """A value that breaks a rule: the rule as a message, with what it is about."""

    def __init__(self, rule: str, **facts: object) -> None:
        super().__init__(rule % facts if facts else rule)
        self.rule = rule
        self.facts = facts


class BadSetting(ValueError):
    """A setting that cannot be as it was given; the text says which and what is allowed."""

    def __init__(self, name: str, given: object, rule: str, **facts: object) -> None:
        said = rule % facts if facts else rule
        super().__init__(f"{name} is {given!r}, but: {said}")
        self.name = name
        self.rule = rule
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Spec:
    """What a setting is, apart from its value.

    ``choices`` are those of every store, ``source`` names where the store's own come from;
    ``longest`` and ``rows`` are of texts; ``check`` reads a text, which may be empty then.
    """

    label: str
    section: str
    scope: str
    help: str = ""
    choices: Mapping[str, str] | None = None
    source: str = ""
    at_least: int = 0
    at_most: int = 0
    longest: int = 64
    rows: int = 1
    check: Callable[[str], object] | None = None

    def is_allowed_in(self, scope: str) -> bool:
        """Return whether the setting has a value of its own for scopes of this kind."""
        return scope in SCOPES[: SCOPES.index(self.scope) + 1]


def setting(default: Any, label: str, section: str, scope: str, **more: Any) -> Any:
    """Declare a field of :class:`~invitations_plugin.settings.Settings`."""
    return field(default=default, metadata={"spec": Spec(label, section, scope, **more)})


def read_value(item: Field[Any], given: object) -> Value:
    """Turn a value from outside into the setting's type.

    :raises BadSetting: naming the setting and what it allows.
    """
    spec: Spec = item.metadata["spec"]
    try:
        if isinstance(item.default, bool):
            return read_bool(item.name, given)
        if isinstance(item.default, int):
            return read_int(given, spec)
        return _read_text(given, spec)
    except BadValue as error:
        raise BadSetting(item.name, given, error.rule, **error.facts) from error


def read_bool(name: str, given: object) -> bool:
    """Read a yes or no, however it is spelt.

    :raises BadSetting: for anything else.
    """
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    value = known.get(str(given).lower())
    if value is None:
        raise BadSetting(name, given, n_("Choose Yes or No."))
    return value


def read_int(given: object, spec: Spec) -> int:
    """Read a whole number within the setting's bounds.

    :raises BadValue: for anything else.
    """
    text = str(given).strip()
    if not DIGITS.fullmatch(text) or not spec.at_least <= int(text) <= spec.at_most:
        rule = n_("Enter a whole number from %(least)s to %(most)s.")
        raise BadValue(rule, least=spec.at_least, most=spec.at_most)
    return int(text)


def _read_text(given: object, spec: Spec) -> str:
    text = given if isinstance(given, str) else ""
    if spec.choices is not None and text not in spec.choices:
        raise BadValue(n_("Choose one of: %(choices)s."), choices=", ".join(spec.choices))
    if text != given or not (text or spec.check):
        raise BadValue(n_("Enter a text."))
    if len(text) > spec.longest:
        rule = n_("The text has %(num)s characters; at most %(most)s are possible.")
        raise BadValue(rule, num=len(text), most=spec.longest)
    if spec.check is not None:
        spec.check(text)
    return text


@lru_cache(maxsize=64)
def read_domains(text: str) -> frozenset[str]:
    """Read domains apart by spaces, commas or lines, in the form that addresses have.

    :raises BadValue: naming what is no domain.
    """
    found = set()
    for each in APART.split(text.strip()):
        try:
            found |= {parse_domain(each)} if each else set()
        except BadAddress as error:
            rule = n_("%(text)s is no domain, such as example.com.")
            raise BadValue(rule, text=each[:100]) from error
    return frozenset(found)


@lru_cache(maxsize=64)
def read_addresses(text: str) -> tuple[str, ...]:
    """Read e-mail addresses apart by spaces, commas or lines, in the form that mail goes to.

    :raises BadValue: naming what is none, or how many are possible.
    """
    found: dict[str, str] = {}
    for each in filter(None, APART.split(text.strip())):
        try:
            address = parse_address(each)
        except BadAddress as error:
            rule = n_("%(text)s is no e-mail address, such as staff@example.com.")
            raise BadValue(rule, text=each[:100]) from error
        found.setdefault(address.identity, address.delivery)
    if len(found) > MOST_ADDRESSES:
        rule = n_("There are %(num)s addresses; at most %(most)s are possible.")
        raise BadValue(rule, num=len(found), most=MOST_ADDRESSES)
    return tuple(found.values())
