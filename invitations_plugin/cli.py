"""``flask invitations ...``: what operators and schedulers call."""

from __future__ import annotations

import signal
from typing import Any

import click
from alembic.util import CommandError
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError

from . import delivery, jobs, migrations
from .cli_export import export
from .database import Busy
from .doctor import examine, notices
from .reports import keeping
from .reports_cli import rebuild_figures, report
from .settings_cli import settings
from .smtp import describe
from .workers import Clock, expire_all, purge_all


class Commands(AppGroup):
    """Commands that say in one line what the database refused; exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command.

        :raises click.ClickException: when the database or the migrations do not let it.
        """
        try:
            return super().invoke(ctx)
        except CommandError as error:
            raise click.ClickException(str(error)) from error
        except (Busy, DBAPIError) as error:
            cause = error.__cause__ if isinstance(error, Busy) else error
            fault = describe(getattr(cause, "orig", None) or error)
            text = f"The database refused ({fault}): see 'flask invitations doctor'."
            raise click.ClickException(text) from error


commands = Commands("invitations", help="Customer invitations.")
commands.add_command(export)
commands.add_command(rebuild_figures)
commands.add_command(report)
commands.add_command(settings)


@commands.command()
@click.option("--revision", default="head", show_default=True, help="Where to upgrade to.")
def upgrade(revision: str) -> None:
    """Create the plugin's tables, or bring them up to date."""
    migrations.upgrade(current_app, revision)
    click.echo(f"The invitations tables are at {migrations.current(current_app)}.")


@commands.command()
@click.argument("revision")
@click.confirmation_option(prompt="Data of later revisions is lost. Go on?")
def downgrade(revision: str) -> None:
    """Take the plugin's tables back to REVISION; "base" removes them."""
    migrations.downgrade(current_app, revision)
    click.echo(f"The invitations tables are at {migrations.current(current_app) or 'base'}.")


@commands.command()
@click.option("--limit", type=click.IntRange(1), help="Send at most this many messages.")
def deliver(limit: int | None) -> None:
    """Do what is due now: mass actions, mail, figures. Exit code 1 when the server is away."""
    jobs.run_all()
    report = delivery.deliver(limit)
    keeping.keep()
    click.echo(
        f"{report.sent} sent, {report.deferred} to be tried again,"
        f" {report.failed} failed, {report.skipped} skipped"
    )
    if report.unreachable:
        raise click.ClickException(f"The mail server is away: {report.unreachable}")


@commands.command()
def worker() -> None:
    """Send mail and do mass actions until told to stop (SIGTERM, Ctrl-C)."""
    clock = Clock(current_app._get_current_object())  # type: ignore[attr-defined]

    def stop(number: int, frame: Any) -> None:
        clock.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    click.echo("The worker sends invitations; Ctrl-C ends it.")
    clock.run()
    click.echo("The worker has ended.")


@commands.command()
def expire() -> None:
    """Mark the invitations whose link has ended. The worker does it every hour."""
    click.echo(f"{expire_all()} expired")


@commands.command()
def purge() -> None:
    """Forget address and message of what came to nothing. The worker does it every hour."""
    click.echo(f"{purge_all()} purged")


@commands.command()
def doctor() -> None:
    """Say what is misconfigured and what to do. Exit code 1 when something is.

    What customers cannot do because a setting says so is a notice and no fault: exit code 0.
    """
    findings = examine(current_app)
    for finding in findings:
        click.echo(f"- {finding}")
    for notice in notices():
        click.echo(f"Notice: {notice}")
    if findings:
        raise SystemExit(1)
    click.echo("Everything is in order.")
