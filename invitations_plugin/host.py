"""The contract with the store: what the plugin asks of it, and nothing else.

A store subclasses :class:`Host`, or fills in :class:`.FlaskLoginHost`, which answers
every question for a store that uses Flask-Login and one mapped customer class.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import current_app, flash, request, url_for
from flask import session as cookie

NAME_AND_ADDRESS = 2
_NAMED = re.compile(r'\s*"?(.*?)"?\s*<([^<>]*)>\s*')  # Name <address>, as Flask-Mail takes it

RIGHTS = ("view", "create", "discard", "export", "configure", "deliver", "report")


@dataclass(frozen=True, slots=True)
class Group:
    """A customer group, by the code that the store keeps it under."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Sender:
    """An identity a store view may write as, such as *General Contact*.

    ``name`` and ``email`` are what a mail comes from; ``reply_to`` is where answers go, where
    that is another address.
    """

    code: str
    label: str
    name: str
    email: str
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class StoreView:
    """One storefront: a language, a time zone, an address of its own.

    ``locale`` None means whatever the store's own Flask-Babel selects; ``base_url``
    None means ``INVITATIONS_BASE_URL``, then ``SERVER_NAME``; ``brand`` is what customers
    call the store, where that is not the store view's name.
    """

    code: str
    name: str
    website: str
    locale: str | None = None
    timezone: str = "UTC"
    base_url: str | None = None
    postal_address: str = ""
    privacy_url: str = ""
    brand: str = ""

    @property
    def store_name(self) -> str:
        """What customers call the store."""
        return self.brand or self.name


@dataclass(frozen=True, slots=True)
class Website:
    """A website with its store views, the first being its default."""

    code: str
    name: str
    store_views: tuple[StoreView, ...]


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order of a customer, for the conversions report; ``at`` in UTC."""

    customer_key: str
    at: datetime
    amount: Decimal
    currency: str


class Host:
    """What a store tells the plugin. Subclass it and override what differs."""

    customer_model: type[Any]
    registration_endpoints: Sequence[str] = ()
    registration_form: type[Any] | None = None
    email_field = "email"
    captcha_field = "captcha"
    base = "base.html"
    blocks: Mapping[str, str] = {"content": "content", "title": "title"}

    def current_customer(self) -> Any | None:
        """Return the signed-in customer, never a member of staff, or None."""
        raise NotImplementedError

    def is_signed_in(self) -> bool:
        """Return whether anybody, customer or staff, is signed in."""
        return self.current_customer() is not None or self.is_staff()

    def is_staff(self) -> bool:
        """Return whether the signed-in person works for the store."""
        return False

    def staff_key(self) -> tuple[str, str]:
        """Return key and name of the signed-in member of staff, for the history."""
        return "", ""

    def staff_email(self) -> str:
        """Return the address of the signed-in member of staff, "" where it is not known."""
        return ""

    def may(self, right: str) -> bool:
        """Return whether the signed-in member of staff has one of :data:`RIGHTS`."""
        return self.is_staff()

    def staff_websites(self) -> Collection[str] | None:
        """Return the codes of the websites that the signed-in member of staff works for.

        None is all of them. Nothing of another website is shown to them, counted or changed; a
        code that the store does not have (any more) counts for nothing.
        """
        return None

    def key(self, customer: Any) -> str:
        """Return what identifies a customer for ever, as a string."""
        return str(customer.id)

    def email(self, customer: Any) -> str:
        """Return the customer's e-mail address."""
        return str(customer.email)

    def name(self, customer: Any) -> str:
        """Return what the customer is called, "" where the store does not know."""
        for attribute in ("name", "full_name", "first_name", "username"):
            value = getattr(customer, attribute, None)
            if isinstance(value, str) and value.strip():
                return value
        return ""

    def group(self, customer: Any) -> str:
        """Return the code of the customer's group; the default is the first group."""
        return self.groups()[0].code

    def is_active(self, customer: Any) -> bool:
        """Return whether the account may be used; a disabled customer's invitations rest."""
        return True

    def customer_since(self, customer: Any) -> datetime | None:
        """Return when the account was made, in UTC, None where the store does not know."""
        return None

    def may_invite(self, customer: Any) -> bool | str:
        """Return True, or why this customer may not invite now, in the reader's language.

        False refuses in words of ours.
        """
        return True

    def customers(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the customers with these keys, in one query; absent ones are left out."""
        raise NotImplementedError

    def customer_by_email(self, email: str, website: str) -> Any | None:
        """Return the customer of a website with this address, whatever its case."""
        raise NotImplementedError

    def customers_among(self, emails: Iterable[str], website: str) -> set[str]:
        """Return those of some thousand addresses that customers of a website have.

        One by one unless overridden; staff who add many invitations wait for it.
        """
        return {each for each in emails if self.customer_by_email(each, website) is not None}

    def assign_group(self, customer: Any, group: str) -> None:
        """Put a new customer into a group, within the running transaction."""

    def groups(self) -> Sequence[Group]:
        """Return the customer groups; the first is the default for new accounts."""
        return (Group("general", "General"),)

    def websites(self) -> Sequence[Website]:
        """Return the websites with their store views; the first is the default.

        Customers call the store as mail from it does: by the name in MAIL_DEFAULT_SENDER.
        """
        view = StoreView("default", "Default Store View", "base", brand=_default_sender()[0])
        return (Website("base", "Main Website", (view,)),)

    def current_store_view(self) -> StoreView:
        """Return the store view of this request.

        It is asked before the store's own ``before_request`` functions have run.
        """
        return self.websites()[0].store_views[0]

    def enter_store_view(self, view: StoreView) -> None:
        """Make this visitor's session use a store view; a link calls it."""

    def senders(self, view: StoreView) -> Sequence[Sender]:
        """Return the identities a store view may write as; the first is the default."""
        name, email = _default_sender()
        return (Sender("general", "General Contact", name, email),)

    def purchases(self, keys: Iterable[str]) -> Iterable[Purchase]:
        """Return the orders of these customers, for the conversions report.

        Keys are strings, as :meth:`key` gives them: PostgreSQL compares none with a number.
        """
        return ()

    def captcha(self) -> str | bool | None:
        """Return why this registration's CAPTCHA does not pass, in the reader's language.

        None (or True) where it does; False refuses in words of ours. It is asked once for each
        POST to a registration endpoint, with a link or without; staff are not asked. The form
        shows the answer at :attr:`captcha_field`, or at the address where it has no such field.
        """
        return None

    def tell(self, text: str) -> None:
        """Show a sentence on the next page of the store's own: a flashed message, once.

        A store whose pages show no flashed messages may do it another way.
        """
        if text not in (waiting for _, waiting in cookie.get("_flashes", [])):
            flash(text)

    def login_url(self, next_url: str) -> str | None:
        """Return where to sign in and come back, or None to answer 401."""
        return None

    def registration_url(self) -> str:
        """Return where an invited friend creates the account."""
        return url_for(self.registration_endpoints[0])

    def customer_url(self, customer: Any) -> str | None:
        """Return the page of a customer in the store's own back office, None without one."""
        return None

    def home_url(self) -> str:
        """Return the shop's first page: where our pages lead back to."""
        return f"{request.script_root}/"

    def context(self) -> Mapping[str, Any]:
        """Return the variables that :attr:`base` needs on our pages."""
        return {}


def arguments_of(endpoint: str) -> set[str]:
    """Return the arguments of an endpoint's address, empty where there is no such endpoint."""
    try:
        rules = list(current_app.url_map.iter_rules(endpoint))
    except KeyError:
        return set()
    return set(rules[0].arguments)


def _default_sender() -> tuple[str, str]:
    """Read MAIL_DEFAULT_SENDER: an address, ``Name <address>``, or a pair of both."""
    configured = current_app.config.get("MAIL_DEFAULT_SENDER")
    if isinstance(configured, (tuple, list)):
        if len(configured) != NAME_AND_ADDRESS:
            raise RuntimeError(
                f"MAIL_DEFAULT_SENDER is {configured!r}, but must be an address, or a pair of name"
                " and address."
            )
        return str(configured[0] or current_app.name), str(configured[1])
    text = str(configured or "")
    named = _NAMED.fullmatch(text)
    return (named[1] or current_app.name, named[2]) if named else (current_app.name, text)
