"""What the reports call things, and their figures as the reader's locale writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from babel.dates import format_interval, format_skeleton, format_timedelta
from babel.numbers import format_currency, format_decimal, format_percent

from ..grid import Bought
from ..i18n import format_day, format_number, gettext, locale, n_, ngettext, np_, pgettext
from ..reports import MOST_INTERVALS, Counts, Interval, Money

NO_RATE: Final = "\u2013"
REPORTS: Final = {
    "invitations": n_("Invitations"),
    "customers": n_("Invited Customers"),
    "conversions": n_("Conversions"),
}
UNITS: Final = {"day": n_("Day"), "week": n_("Week"), "month": n_("Month"), "year": n_("Year")}
PRESETS: Final = {
    "7": n_("Last 7 days"),
    "30": n_("Last 30 days"),
    "90": n_("Last 90 days"),
    "year": n_("This year"),
}
# Above a sum many languages say it in the plural, where a status is said of one invitation.
FIGURES: Final = "figures"  # the context of such a word in the catalogues
OF_MANY: Final = ("sent", "accepted", "discarded")
COLUMNS: Final = {
    "interval": n_("Interval"),
    "sent": np_("figures", "Sent"),
    "accepted": np_("figures", "Accepted"),
    "discarded": np_("figures", "Discarded"),
    "accept_rate": n_("Accept Rate"),
    "discard_rate": n_("Discard Rate"),
    "key": n_("ID"),
    "name": n_("Name"),
    "email": n_("Email"),
    "group": n_("Group"),
    "all_sent": n_("Invitations Sent"),
    "all_accepted": n_("Invitations Accepted"),
    "purchased": n_("Accepted and Purchased"),
    "conversion_rate": n_("Conversion Rate"),
    "currency": n_("Currency"),
    "orders": n_("Orders"),
    "revenue": n_("Revenue"),
    "average": n_("Average Order"),
}
FUNNEL: Final = (np_("figures", "Sent"), np_("figures", "Registered"), np_("figures", "Purchased"))
BOUGHT: Final = {Bought.YES: n_("Yes"), Bought.NO: n_("No")}


def column_text(code: str) -> str:
    """Return what a column is called."""
    return pgettext(FIGURES, COLUMNS[code]) if code in OF_MANY else gettext(COLUMNS[code])


def error_text(code: str) -> str:
    """Say what is wrong with a field."""
    return {
        "date": gettext("Enter a date that exists, such as 2026-11-30."),
        "order": gettext("This day is before From."),
        "many": gettext(
            "These are more than %(num)s intervals: choose fewer days or a longer interval.",
            num=format_number(MOST_INTERVALS),
        ),
        "choice": gettext("Choose one of the list."),
    }[code]


def rate_text(rate: float | None) -> str:
    """Return a rate in percent, a dash where it has no base."""
    if rate is None:
        return NO_RATE
    pattern = locale().percent_formats[None].pattern.replace("0", "0.0", 1)
    return str(format_percent(rate, pattern, locale()))


def quotient_text(value: float | None) -> str:
    """Return a number with one decimal, a dash where there is none."""
    return NO_RATE if value is None else str(format_decimal(round(value, 1), locale=locale()))


def money_text(amount: Decimal, currency: str) -> str:
    """Return an amount in its currency."""
    return str(format_currency(amount, currency, locale=locale()))


def revenue_text(money: Sequence[Money]) -> str:
    """Return what was bought in each currency, a dash where nothing was."""
    return " · ".join(money_text(each.revenue, each.currency) for each in money) or NO_RATE


def span_text(span: timedelta) -> str:
    """Return about how long something took."""
    return str(format_timedelta(span, locale=locale()))


def days_text(first: date, last: date) -> str:
    """Return some days, the last one included."""
    if first == last:
        return format_day(first)
    return str(format_interval(first, last, "yMMMd", locale=locale()))


def interval_text(interval: Interval, by: str) -> str:
    """Name an interval; one that the period cuts short is named by its days."""
    first, last = interval.first, interval.last
    following = last + timedelta(days=1)
    if by == "month" and first.day == following.day == 1:
        return _skeleton(first, "yMMMM")
    if by == "year" and (first.month, first.day) == (following.month, following.day) == (1, 1):
        return _skeleton(first, "y")
    return days_text(first, last)


def mark_texts(intervals: Sequence[Interval], by: str) -> list[str]:
    """Name intervals as briefly as the line below a plot has room for."""
    years = {each.first.year for each in intervals}
    days = "yMMMd" if len(years) > 1 else "MMMd"
    skeleton = {"month": "yMMM", "year": "y"}.get(by, days)
    return [_skeleton(each.first, skeleton) for each in intervals]


def _skeleton(day: date, skeleton: str) -> str:
    moment = datetime(day.year, day.month, day.day)  # noqa: DTZ001  # a day of the report's zone
    return str(format_skeleton(skeleton, moment, locale=locale()))


def sent_text(counts: Counts) -> str:
    """Return what became of the invitations of an interval."""
    return gettext(
        "%(sent)s sent, %(accepted)s accepted, %(discarded)s discarded",
        sent=format_number(counts.sent),
        accepted=format_number(counts.accepted),
        discarded=format_number(counts.discarded),
    )


def bought_text(counts: Counts) -> str:
    """Return how far the invitations of an interval led."""
    return gettext(
        "%(sent)s sent, %(accepted)s accepted, %(purchased)s accepted and purchased",
        sent=format_number(counts.sent),
        accepted=format_number(counts.accepted),
        purchased=format_number(counts.purchased),
    )


def folded_text(by: str, number: int) -> str:
    """Say how many intervals in a row have nothing."""
    counted: dict[str, Callable[[], str]] = {
        "day": lambda: ngettext("%(num)s day", "%(num)s days", number),
        "week": lambda: ngettext("%(num)s week", "%(num)s weeks", number),
        "month": lambda: ngettext("%(num)s month", "%(num)s months", number),
        "year": lambda: ngettext("%(num)s year", "%(num)s years", number),
    }
    return gettext("%(time)s without records", time=counted[by]())


def found_text(number: int, *, is_more: bool = False) -> str:
    """Say how many lines the customers' report has, with a "+" where these are not all."""
    shown = _or_more(number, is_more=is_more)
    return ngettext("%(num)s line", "%(num)s lines", number, shown=shown)


def _or_more(number: int, *, is_more: bool) -> str:
    return f"{format_number(number)}+" if is_more else format_number(number)


def more_text(number: int) -> str:
    """Say how many of a customer's invitees are not shown."""
    return ngettext("and %(num)s more", "and %(num)s more", number)


def left_out_text(shown: int, total: int, *, is_more: bool = False) -> str:
    """Say that a file has not every line, "" where it has."""
    if shown >= total and not is_more:
        return ""
    return gettext(
        "The first %(shown)s of %(total)s lines",
        shown=format_number(shown),
        total=_or_more(total, is_more=is_more),
    )
