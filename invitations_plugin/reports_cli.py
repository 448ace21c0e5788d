"""``flask invitations report`` and ``rebuild-figures``: reports as files, and counted anew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
import sqlalchemy as sa
from flask import current_app, g
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from .admin import report_tables
from .admin.report_files import file_of
from .admin.report_links import Asking, GridLinks, read_asking
from .admin.report_tables import Table
from .admin.report_words import REPORTS, error_text
from .admin.reports import every_customer
from .cli_export import chosen_format, opened, reported
from .database import atomically, session
from .exporting import FORMATS
from .i18n import speaking
from .models import Invitation
from .reports import UNITS, Period, conversions, folding, invitations
from .state import host


@click.command("rebuild-figures")
@with_appcontext
def rebuild_figures() -> None:
    """Count the figures of the reports anew. Reports stay right while it runs.

    Nobody waits for it: it counts some thousand invitations at a time. What was interrupted
    goes on where it was, by this command or by the worker.
    """
    db = session()
    state = folding.read_state(db)
    if state is None or state.is_whole:
        atomically(lambda: folding.begin(db))
    total = db.scalar(sa.select(sa.func.max(Invitation.id))) or 0
    with click.progressbar(length=total, label="Counting", file=sys.stderr) as bar:
        while (state := _step(db)) is not None:
            bar.update(min(state.position, total) - bar.pos)
        bar.update(total - bar.pos)
    while folding.is_something_due(db):
        atomically(lambda: folding.step(db))
    click.echo("The figures are those of the invitations.")


def _step(db: Session) -> Any | None:
    """Count some more; return how far that is, None when all are in."""
    atomically(lambda: folding.step(db))
    state = folding.read_state(db)
    return state if state is not None and not state.is_whole else None


@click.command()
@click.argument("name", type=click.Choice(tuple(REPORTS)))
@click.argument(
    "file", default="-", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option("--from", default="", help="First day, such as 2026-11-01; else 30 days.")
@click.option("--to", default="", help="Last day; else today.")
@click.option("--by", default="", help=f"Interval: {', '.join(UNITS)}; else day.")
@click.option("--store", default="", help="website:CODE or store:CODE; else all websites.")
@click.option("--search", default="", help="Customers with this in name or address.")
@click.option(
    "--format", "kind", type=click.Choice(tuple(FORMATS)), help="Else by the name of FILE, or CSV."
)
@with_appcontext
def report(name: str, file: Path, kind: str | None, **asked: str) -> None:
    """Write the report NAME to FILE, or to the standard output.

    What was asked for stands above it. Exit code 1 when it cannot be written, 2 when an
    option cannot be read.
    """
    kind = chosen_format(file, kind)
    if asked["search"] and name != "customers":
        raise click.BadParameter(f"The report {name} has no search.", param_hint="--search")
    view = host().websites()[0].store_views[0]
    # Tables are those of the pages, which lead on to other pages: that needs a request.
    with current_app.test_request_context(), speaking(view):
        g.inv_view = view
        made = _made(kind, read_asking(name, asked))
    with reported(file), opened(file) as target:
        target.write(made)


def _made(kind: str, asking: Asking) -> bytes:
    for name, code in asking.asked.errors.items():
        raise click.BadParameter(error_text(code), param_hint=f"--{name}")
    period = asking.asked.period
    if period is None:
        raise RuntimeError("A report without a period has no error.")
    tables, note = TABLES[asking.report](asking, period)
    return file_of(kind, asking, period, tables, note)


def _invitations(asking: Asking, period: Period) -> tuple[list[Table], str]:
    links = GridLinks(asking, period)
    return [report_tables.invitations_table(asking, invitations(session(), period), links)], ""


def _customers(asking: Asking, period: Period) -> tuple[list[Table], str]:
    table, note = every_customer(asking, period)
    return [table], note


def _conversions(asking: Asking, period: Period) -> tuple[list[Table], str]:
    found, links = conversions(session(), period), GridLinks(asking, period)
    table = report_tables.conversions_table(asking, found.report, links)
    money = [report_tables.money_table(found)] if found.totals else []
    return [table, *money], ""


TABLES: Final[Mapping[str, Callable[[Asking, Period], tuple[list[Table], str]]]] = {
    "invitations": _invitations,
    "customers": _customers,
    "conversions": _conversions,
}
