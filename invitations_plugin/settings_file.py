"""The configuration as a file: written as TOML, read as TOML or JSON, all of it or nothing."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from .configuring import Place, read
from .i18n import gettext
from .settings import (
    SPECS,
    STORE_VIEW,
    WEBSITE,
    BadSetting,
    By,
    Change,
    Value,
    apply,
    differences,
    take_settings_turn,
    values_at,
)

BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
LONGEST: Final = 1024 * 1024  # bytes of a file

Plan = list[tuple[Place, dict[str, Value | None]]]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a file, and in which line where that is known."""

    line: int
    text: str

    def __str__(self) -> str:
        if not self.line:
            return self.text
        return gettext("Line %(line)s: %(text)s", line=self.line, text=self.text)


class BadFile(ValueError):
    """A file that cannot be imported, with everything that is wrong in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def write(session: Session, offered: Sequence[Place]) -> str:
    """Return what is set in these scopes as TOML; what is set nowhere is left to its default."""
    lines = ["# Settings of invitations. What stands here is set; the rest has its default."]
    for place in offered:
        values = values_at(session, place.scope)
        if values:
            lines += ["", f"[{_heading(place)}]"]
            lines += [f"{name} = {_as_toml(values[name])}" for name in SPECS if name in values]
    return "\n".join(lines) + "\n"


def _heading(place: Place) -> str:
    code = place.scope.code
    if not code:
        return place.scope.kind
    return f"{place.scope.kind}.{code if BARE.fullmatch(code) else _as_toml(code)}"


def _as_toml(value: Value) -> str:
    """Return a value as TOML has it, which is JSON but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def parse(text: str, offered: Sequence[Place]) -> Plan:
    """Read a file into what it sets in each of the scopes.

    :raises BadFile: naming all that is no setting, no scope or no allowed value.
    """
    found: Plan = []
    problems: list[Problem] = []
    by_key = {place.scope.key: place for place in offered}
    for path, values in _tables(_load(text)):
        place = by_key.get(":".join(path))
        if place is None or not isinstance(values, Mapping):
            said = gettext("There is no scope %(key)s here.", key=":".join(path))
            problems.append(Problem(_line_of(text, *path), said))
            continue
        wanted, bad = _read_table(text, path, place, values)
        found.append((place, wanted))
        problems += bad
    if problems:
        raise BadFile(sorted(problems, key=lambda each: each.line))
    return found


def _load(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
        # Half a character, or a number of thousands of digits: no message could name it.
        json.dumps(found, ensure_ascii=False, default=str).encode()
    except json.JSONDecodeError as error:
        raise BadFile([Problem(error.lineno, error.msg)]) from error
    except (ValueError, RecursionError) as error:
        raise BadFile([Problem(0, str(error).partition(";")[0])]) from error
    table: Mapping[str, Any] = found
    return table


def _tables(found: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each scope's path and what is set there."""
    for kind, inside in found.items():
        if kind in (WEBSITE, STORE_VIEW) and isinstance(inside, Mapping):
            yield from (((kind, code), values) for code, values in inside.items())
        else:
            yield (kind,), inside


def _read_table(
    text: str, path: tuple[str, ...], place: Place, values: Mapping[str, Any]
) -> tuple[dict[str, Value | None], list[Problem]]:
    wanted: dict[str, Value | None] = {}
    problems = []
    for name, given in values.items():
        try:
            wanted[name] = read(name, given, place)
        except BadSetting as error:
            said = f"{name}: {gettext(error.rule, **error.facts)}"
            problems.append(Problem(_line_of(text, *path, name), said))
    return wanted, problems


def _line_of(text: str, *path: str) -> int:
    """Return the line where a key stands below others, 0 where that cannot be told."""
    at = 0
    for key in path:
        found = re.compile(rf"(?<![\w-]){re.escape(key)}(?![\w-])").search(text, at)
        if found is None:
            return 0
        at = found.start()
    return text.count("\n", 0, at) + 1


def complete(session: Session, plan: Plan, offered: Sequence[Place]) -> Plan:
    """Return a plan that also takes back what is set now and does not stand in the file."""
    wanted = {place.scope: values for place, values in plan}
    return [
        (place, dict.fromkeys(values_at(session, place.scope)) | wanted.get(place.scope, {}))
        for place in offered
    ]


def preview(session: Session, plan: Plan) -> list[Change]:
    """Return what an import would change."""
    return [each for place, wanted in plan for each in differences(session, place.scope, wanted)]


def carry_out(session: Session, plan: Plan, by: By) -> list[Change]:
    """Import a file, in the running transaction; return what changed."""
    take_settings_turn(session)
    return [each for place, wanted in plan for each in apply(session, place.scope, wanted, by)]
