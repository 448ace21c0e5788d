"""What a report's page shows around its table: the form, other reports, facts, pages, a tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import url_for

from ..i18n import format_number, gettext, ngettext, translator
from ..reports import UNITS, Behaviour, Conversions, CustomersPage, Node, Spread
from . import report_words as words
from .report_links import ACCEPTED, FOLDED, Asking, presets, stores
from .report_tables import customer_name, customer_urls, tree_url


def form_context(asking: Asking) -> dict[str, Any]:
    """Return what the form shows, with what was typed and what is wrong with it."""
    speak, asked = translator(), asking.asked
    typed = asked.typed
    units = [(code, speak(words.UNITS[code]), code == typed["by"]) for code in UNITS]
    if typed["by"] not in ("", *UNITS):  # kept as it was typed
        units.append((typed["by"], typed["by"], True))
    period = asked.period
    return {
        "report": asking.report,
        "title": speak(words.REPORTS[asking.report]),
        "tabs": [
            (speak(label), asking.url(name), name == asking.report)
            for name, label in words.REPORTS.items()
        ],
        "action": url_for(f"invitations_admin.report_{asking.report}"),
        "stores": stores(typed["store"]),
        "units": units,
        "typed": typed,
        "errors": {name: words.error_text(code) for name, code in asked.errors.items()},
        "unreadable": [name for name, code in asked.errors.items() if code == "date"],
        "is_folded": asking.is_folded,
        "folded": FOLDED,
        "search": asking.search,
        "kept": _kept(asking),
        "presets": presets(asking, period) if period is not None else [],
        "days": words.days_text(period.first, period.last) if period is not None else "",
        "zone": period.timezone if period is not None else "",
    }


def _kept(asking: Asking) -> list[tuple[str, str]]:
    """Return what the form carries along and has no field for."""
    arguments = asking.as_arguments()
    return [(name, arguments[name]) for name in ("sort", "dir") if name in arguments]


def pager(asking: Asking, page: CustomersPage) -> dict[str, Any]:
    """Return the ways to other pages of the customers' report: name, label, address or None."""

    def way(name: str, label: str, number: int) -> tuple[str, str, str | None]:
        is_there = 1 <= number <= page.pages and number != page.page
        return name, label, asking.url(page=str(number)) if is_there else None

    place = gettext(
        "Page %(page)s of %(pages)s",
        page=format_number(page.page),
        pages=format_number(page.pages),
    )
    return {
        "pager": [
            way("first", gettext("First"), 1),
            way("previous", gettext("Previous"), page.page - 1),
            way("next", gettext("Next"), page.page + 1),
            way("last", gettext("Last"), page.pages),
        ],
        "pages_text": place,
        "found_text": words.found_text(page.total, is_more=page.is_more),
    }


def behaviour_facts(found: Behaviour, bought: Conversions) -> list[tuple[str, str]]:
    """Return how people of a period behave, as pairs of a name and a value."""
    facts = [
        (gettext("Customers who invited"), format_number(found.inviters)),
        (gettext("Invitations per inviter"), words.quotient_text(found.per_inviter)),
        (gettext("Invitees who invite in turn"), _part_text(found.inviting, found.accepted)),
        *_spread(gettext("From sent to accepted"), found.to_accepted),
    ]
    if bought.has_purchases:
        facts += _spread(gettext("From sent to first purchase"), found.to_purchase)
    return facts


def money_facts(bought: Conversions) -> list[tuple[str, str]]:
    """Return what was bought in a period in each currency, as pairs of a name and a value."""
    facts = []
    for each in bought.totals:
        average = words.money_text(each.average, each.currency)
        orders = ngettext(
            "%(amount)s in %(num)s order, %(average)s on average",
            "%(amount)s in %(num)s orders, %(average)s on average",
            each.orders,
            amount=words.money_text(each.revenue, each.currency),
            average=average,
        )
        facts.append((gettext("Revenue in %(currency)s", currency=each.currency), orders))
    return facts


def _part_text(part: int, whole: int) -> str:
    rate = words.rate_text(part / whole if whole else None)
    return gettext("%(number)s (%(rate)s)", number=format_number(part), rate=rate)


def _spread(label: str, spread: Spread | None) -> list[tuple[str, str]]:
    if spread is None:
        return [(label, words.NO_RATE)]
    text = gettext(
        "half within %(median)s, nine of ten within %(most)s",
        median=words.span_text(spread.median),
        most=words.span_text(spread.percentile_90),
    )
    return [(label, text)]


def tree_context(asking: Asking, found: Node) -> dict[str, Any]:
    """Return the context of a customer's tree."""
    urls = customer_urls([each.key for each in _everybody(found)])
    return {
        "root": _node(asking, found, urls),
        "back_url": asking.url(),
    }


def _everybody(node: Node) -> Iterator[Node]:
    yield node
    for each in node.invitees:
        yield from _everybody(each)


def _node(asking: Asking, node: Node, urls: dict[str, str]) -> dict[str, Any]:
    counts = node.counts
    more: dict[str, Any] = {"inviter_key": node.key, **ACCEPTED}
    return {
        "name": customer_name(node.key, node.name),
        "email": node.email,
        "url": urls.get(node.key, ""),
        "tree_url": tree_url(node.key, asking) if counts.accepted else "",
        "figures": words.bought_text(counts) if counts.sent else "",
        "revenue": words.revenue_text(node.money) if node.money else "",
        "accepted_at": node.accepted_at,
        "invitees": [_node(asking, each, urls) for each in node.invitees],
        "more": words.more_text(node.more) if node.more else "",
        "more_url": url_for("invitations_admin.grid", **more) if node.more else "",
    }
