"""Reports > Private Sales: three reports, a customer's tree, and small plots for the grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from flask import Response, abort, request
from sqlalchemy.orm import Session

from ..database import TooSlow, session, time_limit
from ..i18n import gettext
from ..rendering import wants_fragment
from ..reports import (
    CustomersPage,
    Period,
    behaviour,
    conversions,
    customers,
    has_purchases,
    invitations,
    preset,
    read_period,
    tree,
)
from ..sheets import is_offered
from . import report_plots, report_tables
from . import report_words as words
from .blueprint import admin, show
from .report_files import files, report_file
from .report_links import Asking, GridLinks, last_days, read_asking
from .report_page import behaviour_facts, form_context, money_facts, pager, tree_context
from .report_tables import Table

T = TypeVar("T")
SECONDS: Final = 5.0  # that reading a report may take
TREE_KEY: Final = 255  # characters of a customer's key
MOST_LINES: Final = 20_000  # of a file


@dataclass(frozen=True, slots=True)
class Made:
    """A report: its tables, the first above the others, and what else its page shows.

    Without a table it took too long.
    """

    tables: Sequence[Table]
    context: dict[str, Any]


TOO_SLOW: Final = Made([], {"is_slow": True})


@admin.get("/reports/invitations")
def report_invitations() -> Response:
    """Show how many invitations were sent in each interval, and what became of them."""
    return _report("invitations", _invitations)


@admin.get("/reports/conversions")
def report_conversions() -> Response:
    """Show how many invitations led to a purchase."""
    return _report("conversions", _conversions)


@admin.get("/reports/customers")
def report_customers() -> Response:
    """Show who sent invitations, and how many of these were accepted."""
    return _report("customers", _customers)


def _report(name: str, make: Callable[[Asking, Period], Made]) -> Response:
    """Show a report, or the form with what is wrong about it; htmx gets it without the frame."""
    asking, kind = read_asking(name, request.args), request.args.get("format", "")
    period = asking.asked.period
    if period is None:
        return _page(asking, {}, 422)
    if kind and not is_offered(kind):
        abort(404)
    if kind and name == "customers":
        return _customers_file(kind, asking, period)
    made = make(asking, period)
    if not made.tables:
        return _page(asking, made.context, 503)
    if kind:
        return report_file(kind, asking, period, made.tables)
    return _page(asking, made.context | {"table": made.tables[0], "files": files(asking)})


def _page(asking: Asking, found: dict[str, Any], status: int = 200) -> Response:
    context = form_context(asking) | found
    return show("admin/report.html", "admin/_report.html", status, **context)


def _in_time(read: Callable[[Session, Period], T], period: Period) -> T | None:
    """Return what is read for a page; None where that takes longer than :data:`SECONDS`."""
    try:
        with time_limit(SECONDS):
            return read(session(), period)
    except TooSlow:
        return None


def _invitations(asking: Asking, period: Period) -> Made:
    report = _in_time(invitations, period)
    if report is None:
        return TOO_SLOW
    table = report_tables.invitations_table(asking, report, GridLinks(asking, period))
    return Made([table], {"is_empty": not report.totals.sent, **report_plots.sent_plot(report)})


def _conversions(asking: Asking, period: Period) -> Made:
    found = _in_time(conversions, period)
    if found is None:
        return TOO_SLOW
    more = _in_time(behaviour, period)
    table = report_tables.conversions_table(asking, found.report, GridLinks(asking, period))
    money = [report_tables.money_table(found)] if found.totals else []
    context = {
        "money": money[0] if money else None,
        "is_empty": not found.report.totals.sent,
        "is_unconnected": not found.has_purchases,
        "as_of": found.as_of,
        "is_left_out": more is None,
        "facts": [*(behaviour_facts(more, found) if more else ()), *money_facts(found)],
        **report_plots.bought_plot(found.report),
        **report_plots.funnel(found.report.totals),
    }
    return Made([table, *money], context)


def _customers(asking: Asking, period: Period) -> Made:
    def read(db: Session, period: Period) -> CustomersPage:
        order = (asking.sort, asking.direction)
        return customers(db, period, *order, asking.search, asking.page)

    page = _in_time(read, period)
    if page is None:
        return TOO_SLOW
    table = report_tables.customers_table(asking, page, period, has_purchases=has_purchases())
    plot = report_plots.inviters_plot(page.rows)
    return Made([table], {"is_empty": not page.total, **pager(asking, page), **plot})


def _customers_file(kind: str, asking: Asking, period: Period) -> Response:
    table, note = every_customer(asking, period)
    return report_file(kind, asking, period, [table], note)


def every_customer(asking: Asking, period: Period) -> tuple[Table, str]:
    """Return the customers' report whole, up to :data:`MOST_LINES`, and what it leaves out."""
    order = (asking.sort, asking.direction)
    page = customers(session(), period, *order, asking.search, size=MOST_LINES)
    table = report_tables.customers_table(asking, page, period, has_purchases=has_purchases())
    return table, words.left_out_text(len(page.rows), page.total, is_more=page.is_more)


@admin.get("/reports/customer")
def report_tree() -> Response:
    """Show whom a customer brought, whom these brought, and so on."""
    asking = read_asking("customers", request.args)
    found = tree(session(), request.args.get("key", "")[:TREE_KEY].replace("\x00", ""))
    if found is None:
        abort(404)
    return show("admin/report_tree.html", **tree_context(asking, found))


@admin.get("/reports/glance")
def report_glance() -> Response:
    """Show the last 30 days as small plots, for the grid's page; alone it is a small page."""
    period = preset("30", _default_period())
    plots = report_plots.small_plots(invitations(session(), period))
    name = "admin/_glance.html"
    page = name if wants_fragment() else "admin/glance.html"
    title = gettext("The last 30 days")
    return show(page, name, plots=plots, title=title, report_url=last_days())


def _default_period() -> Period:
    period = read_period({}).period
    assert period is not None  # nothing was typed that could be wrong  # noqa: S101
    return period
