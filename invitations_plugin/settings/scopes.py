"""The value a setting has in a scope, and where it comes from.

A value set for a store view wins over the website's, which wins over the one set for
all, which wins over ``app.config``, the environment and the default that is declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from flask import current_app, g
from sqlalchemy.orm import Session

from ..host import StoreView, Website
from ..models import SettingOverride
from .declared import SPECS, Settings
from .defaults import Defaults
from .specs import GLOBAL, STORE_VIEW, WEBSITE, Value


@dataclass(frozen=True, slots=True)
class Scope:
    """What a value is set for: all, a website or a store view; ``website`` is a store view's."""

    kind: str = GLOBAL
    code: str = ""
    website: str = ""

    @property
    def key(self) -> str:
        """The scope as addresses, files and commands write it: ``store:en``."""
        return f"{self.kind}:{self.code}" if self.code else self.kind

    @property
    def parent(self) -> Scope | None:
        """The next wider scope, None for the widest."""
        if self.kind == STORE_VIEW:
            return Scope(WEBSITE, self.website)
        return DEFAULT if self.kind == WEBSITE else None

    @property
    def chain(self) -> tuple[Scope, ...]:
        """The scopes whose values count here, the widest first."""
        return (*self.parent.chain, self) if self.parent is not None else (self,)


DEFAULT: Final = Scope()


@dataclass(frozen=True, slots=True)
class Found:
    """A value in force: the scope it is set in, or else the kind of default it is."""

    value: Value
    scope: Scope | None
    origin: str = ""


def scope_of(view: StoreView) -> Scope:
    """Return the scope of a store view."""
    return Scope(STORE_VIEW, view.code, view.website)


def scope_of_website(website: Website) -> Scope:
    """Return the scope of a website."""
    return Scope(WEBSITE, website.code)


def effective(session: Session, view: StoreView) -> Settings:
    """Return the settings in force for a store view; one query a request or batch."""
    settings = _defaults().settings
    for scope in scope_of(view).chain:
        changes: dict[str, Any] = dict(values_at(session, scope))
        if changes:
            settings = replace(settings, **changes)
    return settings


def trace(session: Session, scope: Scope) -> dict[str, Found]:
    """Return every setting's value in force in a scope, and where it comes from."""
    defaults = _defaults()
    found = {
        name: Found(getattr(defaults.settings, name), None, defaults.origins[name])
        for name in SPECS
    }
    for each in scope.chain:
        for name, value in values_at(session, each).items():
            found[name] = Found(value, each)
    return found


def values_at(session: Session, scope: Scope) -> Mapping[str, Value]:
    """Return what is set in a scope itself."""
    return _overrides(session).get((scope.kind, scope.code), {})


def forget() -> None:
    """Read the overrides anew the next time: a worker does so for every batch."""
    g.pop("_invitations_overrides", None)


def none_set() -> None:
    """Note for this request that the store set nothing, for who knows it already."""
    g._invitations_overrides = {}


def _defaults() -> Defaults:
    found: Defaults = current_app.extensions["invitations"].defaults
    return found


def _overrides(session: Session) -> dict[tuple[str, str], dict[str, Value]]:
    cached: dict[tuple[str, str], dict[str, Value]] | None = g.get("_invitations_overrides")
    if cached is None:
        cached = {}
        row = SettingOverride
        # A question asked in the middle of the store's work must not write its objects.
        with session.no_autoflush:
            found = session.execute(sa.select(row.scope, row.scope_code, row.name, row.value))
        for kind, code, name, value in found:
            if name in SPECS:
                cached.setdefault((kind, code), {})[name] = value
        g._invitations_overrides = cached
    return cached
