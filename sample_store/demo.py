"""The demo's accounts and their first orders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime

import click
import sqlalchemy as sa
from flask import Flask, current_app
from flask.cli import AppGroup

from invitations_plugin import figures_afterwards, keep_figures

from . import indexes
from .addresses import fold
from .database import db, prepare
from .filling import fill
from .goods import CURRENCY, GOODS
from .models import Customer, Order, Staff, StaffWebsite, hash_password

PASSWORD = "invite-me-2026"  # noqa: S105 - printed at every start, of no worth
MANY = 50_000  # invitations from which on indexes are built afterwards
COUNTED = 200_000  # invitations in one go: nobody waits, and an inviter's row is written seldom
EVERYTHING = "view create discard export configure deliver report"

# Address, name, website, group, then what was bought when (in UTC).
CUSTOMERS = (
    (
        "veronica@example.com",
        "Veronica Costello",
        "main",
        "general",
        (("teapot", "2026-03-14T09:26"), ("cups", "2026-05-02T18:05")),
    ),
    (
        "marcus@example.com",
        "Marcus Lindqvist",
        "main",
        "vip",
        (
            ("lamp", "2025-11-28T20:41"),
            ("blanket", "2026-01-09T07:12"),
            ("board", "2026-06-20T12:30"),
        ),
    ),
    (
        "giulia@example.com",
        "Giulia Moretti",
        "private",
        "general",
        (("vase", "2026-04-18T16:55"),),
    ),
)
# Address, name, rights, then the websites somebody is limited to.
STAFF: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("admin@example.com", "Ada Admin", EVERYTHING, ()),
    ("clerk@example.com", "Carl Clerk", "view", ()),
    ("paola@example.com", "Paola Conti", "view create discard export deliver report", ("private",)),
)

commands = AppGroup("demo", help="The demo's accounts and data.")


def init_app(app: Flask) -> None:
    """Add ``flask demo``."""
    app.cli.add_command(commands)


@commands.command("seed")
@click.option("--customers", type=click.IntRange(0), default=0, help="Customers who invite.")
@click.option("--invitations", type=click.IntRange(0), default=0, help="Their invitations.")
@click.option("--random-state", default=1, show_default=True, help="Another one, other data.")
def _seed_command(customers: int, invitations: int, random_state: int) -> None:
    """Prepare the database and add the demo's accounts that are missing.

    With numbers, also made-up customers and what they invited in the last half year, always
    the same for a random state. Friends who accepted are customers on top. No mail is sent.
    """
    if invitations and not customers:
        raise click.UsageError("Invitations need --customers who invite.")
    prepare(current_app._get_current_object())  # type: ignore[attr-defined]
    click.echo(f"{seed()} accounts added.")
    if not customers:
        return
    with (
        _the_rest_at_the_end(invitations),
        click.progressbar(length=customers + invitations, label="Filling the store") as bar,
    ):
        added = fill(customers, invitations, random_state, hash_password(PASSWORD), bar.update)
    click.echo("Counting for the reports.")
    keep_figures(chunk=COUNTED)
    click.echo(
        f"{added.inviters} customers and {added.invitations} invitations added,"
        f" {added.friends} customers came by one."
    )
    if added.invitations < invitations:
        click.echo(f"{invitations - added.invitations} invitations were there before.")


@contextmanager
def _the_rest_at_the_end(invitations: int) -> Iterator[None]:
    """Fill without indexes and figures where so many rows come in that both are quicker after."""
    is_big = invitations - indexes.rows(db.engine) >= MANY
    if is_big:
        indexes.leave_out(db.engine)
    try:
        with figures_afterwards() if is_big else nullcontext():
            yield
    finally:
        db.session.rollback()
        if missing := indexes.how_many(db.engine):
            with click.progressbar(length=missing, label="Building the indexes") as bar:
                indexes.restore(db.engine, bar.update)


def seed() -> int:
    """Add the accounts that are missing and return how many were."""
    password_hash = hash_password(PASSWORD)
    missing = [*_missing_customers(password_hash), *_missing_staff(password_hash)]
    db.session.add_all(missing)
    db.session.flush()
    db.session.add_all(order for account in missing for order in _orders(account))
    db.session.commit()
    return len(missing)


def _missing_customers(password_hash: str) -> list[Customer | Staff]:
    rows = db.session.execute(sa.select(Customer.website_code, Customer.email_folded))
    known = {(website, email) for website, email in rows}
    return [
        Customer(
            email=email,
            name=name,
            website_code=website,
            group_code=group,
            password_hash=password_hash,
        )
        for email, name, website, group, _ in CUSTOMERS
        if (website, fold(email)) not in known
    ]


def _missing_staff(password_hash: str) -> list[Customer | Staff]:
    known = set(db.session.scalars(sa.select(Staff.email)))
    return [
        Staff(
            email=email,
            name=name,
            rights=rights,
            limits=[StaffWebsite(website_code=each) for each in websites],
            password_hash=password_hash,
        )
        for email, name, rights, websites in STAFF
        if email not in known
    ]


def _orders(account: Customer | Staff) -> list[Order]:
    """Return what a new demo account bought before."""
    bought = {email: orders for email, *_, orders in CUSTOMERS}.get(account.email, ())
    return [
        Order(
            customer_id=account.id,
            product=slug,
            cents=int(GOODS[slug].price(account.website_code) * 100),
            currency=CURRENCY,
            at=datetime.fromisoformat(at),
        )
        for slug, at in bought
        if isinstance(account, Customer)
    ]
