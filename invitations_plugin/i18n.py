"""The plugin's own translations, in a domain beside the store's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers, support
from babel.core import UnknownLocaleError
from flask import Flask, has_request_context
from flask_babel import Babel, Domain, force_locale, get_babel, get_locale

from .host import StoreView

DOMAIN = "invitations"
DIRECTORY = Path(__file__).parent / "translations"
LANGUAGES = ("en", "it", "sv", "zh_Hans", "fr", "nl")
TRADITIONAL = {"TW", "HK", "MO"}


class _Domain(Domain):  # type: ignore[misc]  # Flask-Babel ships no types
    """Find the catalogue of a language whatever alias the store gives it."""

    def get_translations(self) -> support.NullTranslations:
        return _catalogue(language(get_locale()))


@cache
def _catalogue(name: str) -> support.NullTranslations:
    return support.Translations.load(str(DIRECTORY), [name], DOMAIN)


def language(locale: Locale | None) -> str:
    """Return which of :data:`LANGUAGES` serves a locale; English where none does."""
    if locale is None:
        return "en"
    if locale.language == "zh":
        in_traditional_place = locale.script is None and locale.territory in TRADITIONAL
        traditional = locale.script == "Hant" or in_traditional_place
        return "en" if traditional else "zh_Hans"
    return locale.language if locale.language in LANGUAGES else "en"


_domain = _Domain([str(DIRECTORY)], DOMAIN)


def gettext(message: str, **variables: Any) -> str:
    """Translate a message into the current locale and fill in its variables."""
    translated = str(_domain.get_translations().ugettext(message)) if message else ""
    return translated % variables if variables else translated


def pgettext(context: str, message: str) -> str:
    """Translate a message that means something else, or is bent otherwise, in a context."""
    return str(_domain.get_translations().upgettext(context, message))


def ngettext(singular: str, plural: str, num: int, *, shown: str = "", **variables: Any) -> str:
    """Translate a message by a number, which it may show as ``%(num)s``.

    :param shown: the number as it is written, where that is not the usual way.
    """
    translated = str(_domain.get_translations().ungettext(singular, plural, num))
    return translated % {"num": shown or format_number(num), **variables}


def translator() -> Callable[..., str]:
    """Return :func:`gettext` for the current locale: which one that is, is asked once."""
    translate = _domain.get_translations().ugettext

    def bound(message: str, **variables: Any) -> str:
        translated = str(translate(message)) if message else ""
        return translated % variables if variables else translated

    return bound


def n_(message: str) -> str:
    """Mark a message for the catalogues that is translated where it is shown."""
    return message


def np_(context: str, message: str) -> str:
    """Mark a message for the catalogues, with the context that :func:`pgettext` finds it in."""
    return message


def init_babel(app: Flask) -> None:
    """Give the app a Flask-Babel where the store has none (yet)."""
    if "babel" not in app.extensions:
        Babel(app, configure_jinja=False)


@contextmanager
def speaking(view: StoreView) -> Iterator[None]:
    """Use the language of a store view; the store's own choice where it names none."""
    locale = parse_locale(view.locale)
    if locale is None and not has_request_context():
        locale = get_babel().instance.default_locale  # a worker has nobody to ask
    if locale is None:
        yield
        return
    with force_locale(locale):
        yield


@contextmanager
def in_language(code: str) -> Iterator[None]:
    """Use one of :data:`LANGUAGES`, whatever the reader's."""
    with force_locale(Locale.parse(code)):
        yield


@lru_cache(maxsize=256)  # of the few store views, for every mail
def parse_locale(code: str | None) -> Locale | None:
    """Return the locale of a code, however it is written; None for none, or an unknown one."""
    try:
        return Locale.parse(code.partition(".")[0].replace("-", "_")) if code else None
    except (UnknownLocaleError, ValueError):
        return None


def locale() -> Locale:
    """Return the current locale."""
    return get_locale() or Locale("en")


def html_lang() -> str:
    """Return the language of our texts on this page as HTML's ``lang`` wants it."""
    return language(locale()).replace("_", "-")


def local(value: datetime, view: StoreView) -> datetime:
    """Move a moment kept in UTC into the time zone of a store view."""
    return value.replace(tzinfo=UTC).astimezone(ZoneInfo(view.timezone))


def format_date(value: datetime | None, view: StoreView) -> str:
    """Return a date in the reader's locale and the store view's zone, "" for None."""
    if value is None:
        return ""
    return format_day(local(value, view).date())


def format_day(day: date) -> str:
    """Return a day in the reader's locale."""
    return _day(day, str(locale()))


@lru_cache(maxsize=4_096)  # formatting is slow, and it is mostly the same few
def _day(day: date, language: str) -> str:
    return str(dates.format_date(day, "medium", locale=language))


def format_datetime(value: datetime | None, view: StoreView) -> str:
    """Return date and time in the reader's locale and the store view's zone, "" for None."""
    if value is None:
        return ""
    moment, reader = local(value, view), locale()
    day = dates.format_date(moment, "medium", locale=reader)
    time = dates.format_time(moment, "short", tzinfo=moment.tzinfo, locale=reader)
    return str(dates.get_datetime_format("medium", locale=reader)).format(time, day)


def format_number(value: int) -> str:
    """Return a whole number as the reader's locale groups its digits."""
    return str(numbers.format_decimal(value, locale=locale()))


def format_span(value: timedelta) -> str:
    """Return a length of time in words of the reader's locale, in its largest unit that fits."""
    return str(dates.format_timedelta(value, threshold=1.5, locale=locale()))
