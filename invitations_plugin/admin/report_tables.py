"""The reports as tables: the same cells for the page, where numbers lead on, and for a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from flask import url_for

from ..i18n import format_number, gettext
from ..lifecycle import ERASED
from ..reports import (
    Conversions,
    Counts,
    CustomersPage,
    Interval,
    Inviter,
    Line,
    Money,
    Period,
    Report,
)
from ..sheets import Value
from ..state import host
from . import report_words as words
from .pages import names
from .report_links import ACCEPTED, DISCARDED, PURCHASED, SENT, Asking, GridLinks

INVITATIONS: Final = ("interval", "sent", "accepted", "discarded", "accept_rate", "discard_rate")
CONVERSIONS: Final = ("interval", "all_sent", "all_accepted", "purchased", "conversion_rate")
CUSTOMERS: Final = ("interval", "key", "name", "email", "group", "all_sent", "all_accepted")
BOUGHT: Final = ("purchased", "revenue")
MONEY: Final = ("interval", "currency", "orders", "revenue", "average")
TEXTS: Final = ("interval", "key", "name", "email", "group", "currency")
SORTED_BY: Final = {"all_sent": "sent", "all_accepted": "accepted"}
RISING: Final = ("key", "name", "email", "group")  # what one reads from its beginning


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: what a file has, what the page shows, where it leads, and what is said below."""

    value: Value
    text: str
    url: str = ""
    note: str = ""
    note_url: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column; with a ``url`` a click sorts by it, ``sorted`` says how it is."""

    label: str
    is_number: bool
    url: str = ""
    sorted: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A report: heads, rows, and the row of sums, empty where there is none."""

    title: str
    heads: Sequence[Head]
    rows: Sequence[Sequence[Cell]]
    totals: Sequence[Cell] = ()


def heads(codes: Sequence[str]) -> list[Head]:
    """Return the heads of columns."""
    return [Head(words.column_text(code), code not in TEXTS, code=code) for code in codes]


def invitations_table(asking: Asking, report: Report, links: GridLinks) -> Table:
    """Return the report Invitations."""

    def figures(counts: Counts, days: Interval) -> list[Cell]:
        return [
            _number(counts.sent, links.to(days, SENT)),
            _number(counts.accepted, links.to(days, ACCEPTED)),
            _number(counts.discarded, links.to(days, DISCARDED)),
            _rate(counts.accept_rate),
            _rate(counts.discard_rate),
        ]

    return _by_interval(asking, report, INVITATIONS, figures)


def conversions_table(asking: Asking, report: Report, links: GridLinks) -> Table:
    """Return the report Conversions."""

    def figures(counts: Counts, days: Interval) -> list[Cell]:
        return [
            _number(counts.sent, links.to(days, SENT)),
            _number(counts.accepted, links.to(days, ACCEPTED)),
            _number(counts.purchased, links.to(days, PURCHASED)),
            _rate(counts.conversion_rate),
        ]

    return _by_interval(asking, report, CONVERSIONS, figures)


def _by_interval(
    asking: Asking,
    report: Report,
    codes: Sequence[str],
    figures: Callable[[Counts, Interval], list[Cell]],
) -> Table:
    by, rows = report.period.by, []
    for lines in _folded(report.lines) if asking.is_folded else ([each] for each in report.lines):
        interval = replace(lines[0].interval, last=lines[-1].interval.last)
        label = words.interval_text(interval, by if len(lines) == 1 else "")
        note = _emptiness(by, lines)
        first = Cell(_days_value(interval), label, note=note)
        rows.append([first, *figures(lines[0].counts, interval)])
    total = gettext("Total")
    totals = [Cell(total, total), *figures(report.totals, report.period.whole)]
    return Table(gettext(words.REPORTS[asking.report]), heads(codes), rows, totals)


def _folded(lines: Sequence[Line]) -> list[list[Line]]:
    """Put empty lines that follow each other together."""
    found: list[list[Line]] = []
    for line in lines:
        if line.is_empty and found and found[-1][-1].is_empty:
            found[-1].append(line)
        else:
            found.append([line])
    return found


def _emptiness(by: str, lines: Sequence[Line]) -> str:
    """Say that there is nothing in some intervals, "" where there is."""
    if not lines[0].is_empty:
        return ""
    return words.folded_text(by, len(lines)) if len(lines) > 1 else gettext("No records")


def customers_table(
    asking: Asking, page: CustomersPage, period: Period, *, has_purchases: bool
) -> Table:
    """Return a page of the report Invited Customers."""
    links = GridLinks(asking, period)
    codes = (*CUSTOMERS, *BOUGHT) if has_purchases else CUSTOMERS
    urls, groups = customer_urls([each.key for each in page.rows]), names().groups
    rows = []
    for each in page.rows:
        interval = words.interval_text(each.interval, period.by)
        group = groups.get(each.group, each.group)
        cells = [
            Cell(_days_value(each.interval), interval),
            Cell(each.key, "" if is_gone(each.key) else each.key),
            _name(each, urls, asking),
            Cell(each.email, each.email),
            Cell(group, group),
            *_customer_figures(each, links),
        ]
        rows.append(cells[: len(codes)])
    title = gettext(words.REPORTS[asking.report])
    return Table(title, _sorting(asking, codes), rows, _sums(page, len(codes)))


def is_gone(key: str) -> bool:
    """Return whether a key stands for an account that was erased."""
    return key.startswith(ERASED)


def _customer_figures(each: Inviter, links: GridLinks) -> list[Cell]:
    counts, days, key = each.counts, each.interval, each.key
    revenue = words.revenue_text(each.money)
    return [
        _number(counts.sent, links.to(days, SENT, key)),
        _number(counts.accepted, links.to(days, ACCEPTED, key)),
        _number(counts.purchased, links.to(days, PURCHASED, key)),
        Cell(revenue if each.money else "", revenue),
    ]


def _name(each: Inviter, urls: dict[str, str], asking: Asking) -> Cell:
    """Return the name with the ways to the store's page and to whom this customer brought."""
    name = customer_name(each.key, each.name)
    if not each.key or is_gone(each.key) or not each.counts.accepted:
        return Cell(name, name, urls.get(each.key, ""))
    tree = tree_url(each.key, asking)
    return Cell(name, name, urls.get(each.key, ""), gettext("Who they brought"), tree)


def tree_url(key: str, asking: Asking) -> str:
    """Return the address of whom a customer brought, with the way back."""
    arguments: dict[str, Any] = {"key": key, **asking.as_arguments()}
    return url_for("invitations_admin.report_tree", **arguments)


def customer_name(key: str, name: str) -> str:
    """Return what an inviter is called: staff and erased accounts have no name."""
    if not key:
        return gettext("Store")
    return gettext("Account removed") if is_gone(key) else name or key


def customer_urls(keys: Sequence[str]) -> dict[str, str]:
    """Return the store's own pages of customers, of those that have one."""
    known = host().customers({key for key in keys if key and not is_gone(key)})
    urls = {key: host().customer_url(customer) for key, customer in known.items()}
    return {key: url for key, url in urls.items() if url}


def _sorting(asking: Asking, codes: Sequence[str]) -> list[Head]:
    """Return heads that sort: again by the same turns the order round."""
    found = []
    for head in heads(codes):
        code = SORTED_BY.get(head.code, head.code)
        is_on = asking.sort == code
        usual = "asc" if code in RISING else "desc"
        turned = {"asc": "desc", "desc": "asc"}[asking.direction]
        url = asking.url(sort=code, dir=turned if is_on else usual, page="1")
        way = {"asc": "ascending", "desc": "descending"}[asking.direction] if is_on else ""
        found.append(replace(head, url=url, sorted=way))
    return found


def _sums(page: CustomersPage, width: int) -> list[Cell]:
    total, sums = gettext("Total"), page.sums
    blank = [Cell("", "")] * 4
    figures = [_number(sums.sent), _number(sums.accepted), _number(sums.purchased), Cell("", "")]
    return [Cell(total, total), *blank, *figures][:width]


def money_table(found: Conversions) -> Table:
    """Return what was bought by those who were invited in each interval, by currency."""
    rows, by = [], found.report.period.by
    for place, line in enumerate(found.report.lines):
        days = line.interval
        first = Cell(_days_value(days), words.interval_text(days, by))
        rows += [[first, *_money_cells(each)] for each in found.money.get(place, ())]
    total = Cell(gettext("Total"), gettext("Total"))
    totals = [[total, *_money_cells(each)] for each in found.totals]
    return Table(gettext("Orders and revenue"), heads(MONEY), [*rows, *totals])


def _money_cells(money: Money) -> list[Cell]:
    currency = money.currency
    return [
        Cell(currency, currency),
        _number(money.orders),
        Cell(money.revenue, words.money_text(money.revenue, currency)),
        Cell(money.average, words.money_text(money.average, currency)),
    ]


def _days_value(interval: Interval) -> str:
    """Return an interval as a file has it (ISO 8601)."""
    first, last = interval.first.isoformat(), interval.last.isoformat()
    return first if first == last else f"{first}/{last}"


def _number(number: int, url: str = "") -> Cell:
    return Cell(number, format_number(number), url if number else "")


def _rate(rate: float | None) -> Cell:
    return Cell(None if rate is None else round(rate, 4), words.rate_text(rate))
