"""``flask invitations export``: invitations as a file, for whoever has a shell on the server."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import click
import sqlalchemy as sa
from flask.cli import with_appcontext
from sqlalchemy.orm import InstrumentedAttribute

from . import exports
from .admin.exported import file_texts
from .admin.pages import names
from .admin.words import FILTER_ERRORS, FILTERS
from .database import atomically, session
from .exporting import FORMATS, count
from .grid import Selection, highest_id, read_query
from .host import StoreView
from .i18n import speaking
from .lifecycle import COMMAND_LINE
from .models import Invitation
from .state import host


def _with_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each filter of the grid, under the same name."""
    for name, label in reversed(FILTERS.items()):
        command = click.option(f"--{name.replace('_', '-')}", name, default="", help=label)(command)
    return command


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--format", "kind", type=click.Choice(tuple(FORMATS)), help="Else by the name of FILE, or CSV."
)
@_with_filters
@with_appcontext
def export(file: Path, kind: str | None, **filters: str) -> None:
    """Write invitations to FILE, or to the standard output where it is "-".

    All, or those that the filters match, as in the grid; days look like 2026-11-30. The file
    is there when it is whole, and only its owner may read it. Exit code 1 when it cannot be
    written, 2 when a filter cannot be read.
    """
    kind = chosen_format(file, kind)
    view = host().websites()[0].store_views[0]
    selection = _select(filters, view.timezone)
    with speaking(view), reported(file), opened(file) as target:
        number = _write(kind, selection, view, target)
    click.echo(f"{number} exported", err=True)


def _select(filters: dict[str, str], timezone: str) -> Selection:
    query = read_query(filters, timezone)
    for name, error in query.errors.items():
        hint = f"--{name.replace('_', '-')}"
        raise click.BadParameter(FILTER_ERRORS[error], param_hint=hint)
    _refuse_unknown(query.filters)
    return Selection(query=query, upto=highest_id(session()))


def _refuse_unknown(filters: Mapping[str, str]) -> None:
    """Refuse a code that the store does not have, nor any invitation from when it had it."""
    known, row = names(), Invitation
    for name, codes, column in (
        ("website", known.websites, row.website),
        ("group", known.groups, row.group_code),
        ("store_view", known.store_views, row.store_view),
    ):
        code = filters[name]
        if code and code not in codes and not _is_somewhere(column, code):
            text = f"{code!r} is none of {', '.join(codes)}."
            raise click.BadParameter(text, param_hint=f"--{name.replace('_', '-')}")


def _is_somewhere(column: InstrumentedAttribute[str], code: str) -> bool:
    return session().scalar(sa.select(Invitation.id).where(column == code).limit(1)) is not None


def chosen_format(file: Path, asked: str | None) -> str:
    """Return the format that was asked for, else by the name of the file; CSV has none to need.

    :raises click.BadParameter: when the name ends in another one.
    :raises click.ClickException: when the format needs a package that is not there.
    """
    kind = asked or file.suffix.lower().removeprefix(".") or "csv"
    if kind not in FORMATS:
        text = f"{file.name} ends in no format: choose one of {', '.join(FORMATS)} by --format."
        raise click.BadParameter(text, param_hint="FILE")
    if not FORMATS[kind].is_available:
        raise click.ClickException("XLSX needs a package: pip install 'invitations-plugin[xlsx]'.")
    return kind


def _write(kind: str, selection: Selection, view: StoreView, target: IO[bytes]) -> int:
    """Write the file and its entry among the exports; return how many rows it has."""
    asking, total = COMMAND_LINE, sum(count(session(), selection).values())
    export_id = atomically(
        lambda: exports.create(session(), kind, selection, view.timezone, asking, total).id
    )
    with (
        click.progressbar(length=total, label="Exporting", file=sys.stderr) as bar,
        closing(exports.download(export_id, file_texts(view), bar.update)) as pieces,
    ):
        target.writelines(pieces)
        target.flush()
    return bar.pos


@contextmanager
def reported(file: Path) -> Iterator[None]:
    """Say in one line why a file cannot be written; a reader that went away is click's to end."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """Yield what to write into: a file beside the one that it replaces once it is whole."""
    if str(file) == "-" or (file.exists() and not file.is_file()):  # a pipe, a device
        with click.open_file(str(file), "wb") as stream:
            yield stream
        return
    with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as made:
        try:
            yield made
            os.fsync(made.fileno())
        except BaseException:
            Path(made.name).unlink()
            raise
    Path(made.name).replace(file)
