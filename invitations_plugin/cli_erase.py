"""``flask invitations erase``: what is known of somebody who asks to be forgotten goes."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click
from flask.cli import with_appcontext

from . import forgetting
from .addresses import Address, BadAddress, parse_address
from .forgetting import Forgotten
from .models import Invitation
from .reports.models import InviterName

LEFT = 3  # the exit code where the address is still named somewhere
ITS_OWN = {f"{Invitation.__tablename__}.{name}" for name in ("email", "message", "mail_error")}
OF_CUSTOMERS = ("inviter_email", "inviter_name", "inviter_key", "customer_key")
NAMES = InviterName.__tablename__


def _read(ctx: click.Context, param: click.Parameter, typed: str) -> Address:
    """Return an address; what is none ends the command with exit code 2."""
    try:
        return parse_address(typed)
    except BadAddress as error:
        raise click.BadParameter("this is not one e-mail address.") from error


@click.command()
@click.argument("address", callback=_read)
@click.option("--dry-run", is_flag=True, help="Only say where the address is named.")
@click.option("--yes", is_flag=True, help="Confirm the action without prompting.")
@with_appcontext
def erase(address: Address, dry_run: bool, yes: bool) -> None:
    """Forget ADDRESS and each other spelling of its mailbox, for good.

    Invitations to it keep a keyed hash: who invited it cannot do so again, and an opt-out
    holds. Those that are open end, and mail that waits does not leave. Exit code 0 when it
    is named nowhere any more, 3 when it is: then the text says what to do before it is run
    again. 2 for what is no address.
    """
    mailbox = forgetting.mailbox_of(address)
    if dry_run:
        _say_places(_look(mailbox))
        click.echo(f"Invitations to it: {forgetting.left(mailbox)}. Nothing was changed.")
        return
    if not yes:
        click.confirm("What is known of this address is removed for good. Go on?", abort=True)
    done = forgetting.forget(mailbox)
    places = _look(mailbox)
    _say_done(done, is_left=bool(places))
    if forgetting.has_account(address):
        click.echo("The store has an account with this address: that is the store's to delete.")
    is_leaving = forgetting.left(mailbox) > 0
    if places or is_leaving or not done.is_sure:
        _say_left(places, is_leaving=is_leaving, is_sure=done.is_sure)
        raise SystemExit(LEFT)


def _look(mailbox: forgetting.Mailbox) -> dict[str, int]:
    number = len(forgetting.tables())
    with click.progressbar(length=number, label="Looking for it", file=sys.stderr) as bar:
        return forgetting.named(mailbox.spellings, bar.update)


def _say_done(done: Forgotten, *, is_left: bool) -> None:
    if not (done.is_something or is_left):
        click.echo("Nothing here names this address.")
    if done.invitations:
        click.echo(f"Invitations to it erased: {done.invitations}, open: {done.were_open}")
    for what, number in (
        ("Filters of staff that named it", done.filters),
        ("Texts about others that named it", done.texts),
        ("Inviters who have no account with it any more", done.inviters),
    ):
        if number:
            click.echo(f"{what} erased: {number}")


def _say_places(places: Mapping[str, int]) -> None:
    for place, number in places.items():
        click.echo(f"- {place}: {number}")


def _say_left(places: Mapping[str, int], *, is_leaving: bool, is_sure: bool) -> None:
    """Say where the address is still named, and what to do about it."""
    if places:
        click.echo("It is still named in:")
        _say_places(places)
    if not is_sure:
        click.echo("Others still write what they had begun before: run this again in a minute.")
    if is_leaving or places.keys() & ITS_OWN:
        text = "A mail to it is being handed over, or it was invited just now"
        click.echo(f"{text}: run this again in a minute.")
    others = places.keys() - ITS_OWN
    of_customers = {each for each in others if _is_of_customers(each)}
    if of_customers:
        click.echo("It is a customer's: delete the account in the store, then run this again.")
    if others - of_customers:
        click.echo("What the store or its staff wrote is theirs to change; then run this again.")


def _is_of_customers(place: str) -> bool:
    """Return whether a column has what the store told of a customer, who goes with the account."""
    table, _, column = place.partition(".")
    return table == NAMES or column in OF_CUSTOMERS
