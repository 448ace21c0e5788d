"""``flask invitations settings ...``: the configuration on the command line.

Exit codes: 0 when done, also where there was nothing to change; 1 when a value, a file or the
database was refused, and nothing changed then; 2 for an unknown setting, scope or option.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import IO, Any

import click
from flask.cli import AppGroup

from . import settings_file
from .configuring import Place, find_place, places, read, save
from .database import atomically, session
from .settings import (
    DEFAULT,
    SPECS,
    BadSetting,
    By,
    Change,
    Found,
    Scope,
    Value,
    read_changes,
    trace,
)
from .settings_file import BadFile

BY = By(name="command line")

settings = AppGroup("settings", help="Show and change the configuration.")


def _known(ctx: click.Context, param: click.Parameter, name: str) -> str:
    """Return a setting's name; an unknown one ends the command with exit code 2."""
    if name.lower() in SPECS:
        return name.lower()
    raise click.BadParameter(f"there is no {name!r}; 'flask invitations settings list' has all.")


name_argument = click.argument("name", callback=_known)


def scope_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option ``--scope``."""
    text = "default, website:CODE or store:CODE."
    option = click.option("--scope", default=DEFAULT.key, show_default=True, help=text)
    return option(command)


def _place(scope: str) -> Place:
    """Return the scope that was named; an unknown one ends the command with exit code 2."""
    found = find_place(scope)
    if found is None:
        known = ", ".join(each.scope.key for each in places())
        raise click.BadParameter(f"{scope!r} is none of {known}.", param_hint="--scope")
    return found


@settings.command("list")
@scope_option
def list_settings(scope: str) -> None:
    """Show every setting in force in a scope, and where its value comes from."""
    for name, found in trace(session(), _place(scope).scope).items():
        click.echo(f"{name:<24} {_shown(found.value):<16} {_origin(found)}")


@settings.command()
@name_argument
@scope_option
def get(name: str, scope: str) -> None:
    """Print the value of setting NAME in force in a scope."""
    click.echo(_as_typed(trace(session(), _place(scope).scope)[name].value))


@settings.command("set")
@name_argument
@click.argument("value")
@scope_option
def set_one(name: str, value: str, scope: str) -> None:
    """Give setting NAME a value for a scope."""
    place = _place(scope)
    try:
        checked = read(name, value, place)
    except BadSetting as error:
        raise click.ClickException(str(error)) from error
    _save(place, {name: checked})


@settings.command()
@name_argument
@scope_option
def unset(name: str, scope: str) -> None:
    """Take the value of setting NAME in a scope back: the wider scope's is in force again."""
    _save(_place(scope), {name: None})


@settings.command("export")
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True), default="-")
def write_file(file: IO[str]) -> None:
    """Write what is set in all scopes to FILE, or show it, as TOML."""
    file.write(settings_file.write(session(), places()))


@settings.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--replace", is_flag=True, help="Take back what does not stand in FILE, too.")
def read_file(file: IO[str], dry_run: bool, replace: bool) -> None:
    """Set what stands in FILE (TOML or JSON; "-" reads from a pipe), all of it or nothing."""
    offered = places()
    try:
        plan = settings_file.parse(file.read(), offered)
    except BadFile as error:
        raise click.ClickException(f"Nothing was changed.\n{error}") from error
    except UnicodeDecodeError as error:
        raise click.ClickException("Nothing was changed. The file is no text in UTF-8.") from error
    if replace:
        plan = settings_file.complete(session(), plan, offered)
    if dry_run:
        _tell(settings_file.preview(session(), plan))
        click.echo("Nothing was changed: this was a dry run.")
    else:
        _tell(atomically(lambda: settings_file.carry_out(session(), plan, BY)))


@settings.command()
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def history(limit: int) -> None:
    """Show who changed what, the last change first."""
    for each in read_changes(session(), None, limit):
        scope = Scope(each.scope, each.scope_code)
        change = Change(scope, each.name, each.old_value, each.new_value)
        click.echo(f"{each.at:%Y-%m-%d %H:%M:%S}  {each.actor_name or '-'}  {_line(change)}")


def _save(place: Place, wanted: dict[str, Value | None]) -> None:
    _tell(atomically(lambda: save(session(), place, wanted, BY, None)))


def _tell(changes: Sequence[Change]) -> None:
    for change in changes:
        click.echo(_line(change))
    if not changes:
        click.echo("There is nothing to change.")


def _line(change: Change) -> str:
    old, new = _shown(change.old), _shown(change.new)
    return f"{change.name} in {change.scope.key}: {old} -> {new}"


def _as_typed(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Value | None) -> str:
    """Return a value on one line; None is what the wider scope has."""
    return "(not set)" if value is None else "; ".join(_as_typed(value).splitlines()) or "(empty)"


def _origin(found: Found) -> str:
    return found.origin if found.scope is None else found.scope.key
