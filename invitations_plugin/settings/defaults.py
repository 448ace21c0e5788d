"""The defaults of an app: its config, then the environment, then what is declared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from flask import Flask

from .declared import Settings
from .specs import Value, read_value

PREFIX: Final = "INVITATIONS_"
CONFIG, ENVIRONMENT, BUILT_IN = "config", "environment", "built in"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is in force where nobody set anything, and where each value comes from."""

    settings: Settings
    origins: Mapping[str, str]


def load_defaults(app: Flask) -> Defaults:
    """Read the defaults of an app from its config, then the environment.

    :raises BadSetting: when one of them holds what its setting does not allow.
    """
    built_in = Settings()
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    for item in fields(Settings):
        key = PREFIX + item.name.upper()
        given, origins[item.name] = _find(app, key)
        default: Value = getattr(built_in, item.name)
        values[item.name] = default if given is None else read_value(item, given)
        app.config[key] = values[item.name]
    return Defaults(Settings(**values), origins)  # type: ignore[arg-type]  # each of its own type


def _find(app: Flask, key: str) -> tuple[object, str]:
    if app.config.get(key) is not None:
        return app.config[key], CONFIG
    if key in os.environ:
        return os.environ[key], ENVIRONMENT
    return None, BUILT_IN
