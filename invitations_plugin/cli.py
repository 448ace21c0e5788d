"""``flask invitations ...``: what operators and schedulers call."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
from alembic.util import CommandError
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from . import delivery, holding, jobs, migrations
from .checks import check_mail
from .cli_erase import erase
from .cli_export import export
from .cli_import import import_file
from .database import Busy, atomically, engine, session
from .doctor import HELD, examine, notices
from .heartbeat import COMMAND, Heart
from .parent import Parent, has_parent
from .reconcile_cli import reconcile
from .reports import keeping
from .reports_cli import rebuild_figures, report
from .settings_cli import BY, settings
from .smtp import describe
from .state import NO_TABLES, is_ready
from .workers import MOST_PROCESSES, MOST_THREADS, Clock, expire_all, purge_all

GRACE = 30.0  # seconds that a worker which shall end gives the mail server for its last answer


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
commands.add_command(erase)
commands.add_command(export)
commands.add_command(import_file)
commands.add_command(reconcile)
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
    _check_mail()
    heart = Heart(COMMAND)
    jobs.run_all()
    done = delivery.deliver(limit)
    keeping.keep()
    heart.beat(done)
    heart.end()
    if holding.is_held():
        click.echo(HELD)
    click.echo(
        f"{done.sent} sent, {done.deferred} to be tried again,"
        f" {done.failed} failed, {done.skipped} skipped"
    )
    if done.unreachable:
        raise click.ClickException(f"The mail server is away: {done.unreachable}")


@commands.command()
@click.option(
    "--restored", is_flag=True, help="A backup was restored: park what a worker had in hand."
)
def hold(restored: bool) -> None:
    """Let no mail leave until it is released, as after a restored backup."""
    count = atomically(lambda: holding.hold(session(), BY, restored=restored))
    click.echo("All mail is held; 'flask invitations release' lets it go.")
    if restored:
        click.echo(f"{count} parked that a worker had in hand")


@commands.command()
@click.option("--park", is_flag=True, help="Park what waited already when mail was held.")
def release(park: bool) -> None:
    """Let mail leave that was held, and try at once a mail server that is left alone."""
    count = atomically(lambda: holding.release(session(), BY, park=park))
    click.echo("Mail leaves again." + (f" {count} parked." if park else ""))


@commands.command()
@click.option(
    "--threads",
    type=click.IntRange(1, MOST_THREADS),
    help="Connections to the mail server at a time; INVITATIONS_DELIVERY_THREADS without it.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, MOST_PROCESSES),
    default=1,
    show_default=True,
    help="Workers side by side, each a process with so many connections; they share a machine's"
    " processors as threads cannot.",
)
def worker(threads: int | None, processes: int) -> None:
    """Send mail and do mass actions until told to stop (SIGTERM, SIGHUP, Ctrl-C)."""
    is_child = has_parent()
    with suppress(DBAPIError):  # a database that is away comes back
        if not is_ready():
            raise click.ClickException(NO_TABLES)
    _check_mail()
    if processes > 1 and not is_child:
        _watch_over(processes)
    else:
        _work(threads or current_app.config["INVITATIONS_DELIVERY_THREADS"], is_quiet=is_child)


def _watch_over(processes: int) -> None:
    session().close()
    engine().dispose()  # who only watches wants no connection
    parent = Parent(processes, GRACE)
    _stop_on_signals(parent.stop)
    click.echo(f"{processes} workers send invitations; Ctrl-C ends them.")
    parent.run()
    click.echo("The workers have ended.")


def _work(threads: int, *, is_quiet: bool) -> None:
    """Be a worker.

    :param is_quiet: whether a parent speaks for it.
    """
    clock = Clock(current_app._get_current_object(), threads)  # type: ignore[attr-defined]

    def stop() -> None:
        clock.stop()
        signal.setitimer(signal.ITIMER_REAL, GRACE)

    signal.signal(signal.SIGALRM, _give_up_waiting)
    _stop_on_signals(stop)
    if not is_quiet:
        click.echo("The worker sends invitations; Ctrl-C ends it.")
    clock.run()
    signal.setitimer(signal.ITIMER_REAL, 0)
    if not is_quiet:
        click.echo("The worker has ended.")


def _stop_on_signals(stop: Callable[[], None]) -> None:
    """Have what usually ends a process end this one well; ``nohup`` lets it outlive a terminal."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: stop())


def _check_mail() -> None:
    """Refuse to begin with what no mail can be made with; a database that is away may come.

    :raises click.ClickException: naming it.
    """
    try:
        check_mail(current_app)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    except SQLAlchemyError:
        session().rollback()


def _give_up_waiting(number: int, frame: Any) -> None:
    """Break what a worker that shall end still waits for, as if its time were over."""
    raise TimeoutError("The worker was told to end.")


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
