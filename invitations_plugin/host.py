"""The contract with the store: what the plugin asks of it, and nothing else.

A store subclasses :class:`Host`, or fills in :class:`FlaskLoginHost`, which answers
every question for a store that uses Flask-Login and one mapped customer class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from flask import current_app, flash, request, url_for
from flask import session as cookie
from werkzeug.routing import BuildError

from .database import session
from .digits import BIGGEST_ID

NAME_AND_ADDRESS = 2
BATCH = 900  # values in one IN (...): below the limit of any database
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


class FlaskLoginHost(Host):
    """A store with Flask-Login and one mapped customer class.

    :param customer: the mapped class of a customer.
    :param register: endpoint, or endpoints, where accounts are created.
    :param login: endpoint of the sign-in page; Flask-Login's ``login_view`` otherwise.
    :param staff: mapped flag, property or function of a user that is true for staff.
    :param form: the registration form, to fill in and to check the invited address.
    :param email: attribute of the customer that holds the address.
    :param base: template that our storefront pages extend.
    :param blocks: names of its blocks for ``content``, ``title`` and ``head``.
    :param customer_page: endpoint of the store's back office that shows one customer; its
        one argument, whatever it is called, is the customer's key.
    """

    def __init__(  # noqa: PLR0913  # an integrator says it all in one call
        self,
        customer: type[Any],
        *,
        register: str | Sequence[str],
        login: str | None = None,
        staff: Any = None,
        form: type[Any] | None = None,
        email: str = "email",
        email_field: str = "email",
        base: str = "base.html",
        blocks: Mapping[str, str] | None = None,
        customer_page: str | None = None,
    ) -> None:
        self.customer_model = customer
        doors = (register,) if isinstance(register, str) else register
        self.registration_endpoints = tuple(doors or ())
        self.registration_form = form
        self.email_field = email_field
        self.email_attribute = email
        self.login_endpoint = login
        self.customer_page = customer_page
        self.base = base
        if blocks is not None:
            self.blocks = blocks
        self._staff = _flag_reader(staff)

    def _user(self) -> Any | None:
        from flask_login import current_user  # only stores with Flask-Login come here

        user = current_user._get_current_object() if current_user else None
        return user if user is not None and user.is_authenticated else None

    def is_signed_in(self) -> bool:
        """Return whether Flask-Login knows who this is."""
        return self._user() is not None

    def current_customer(self) -> Any | None:
        """Return Flask-Login's user where it is a customer and no member of staff."""
        user = self._user()
        is_customer = isinstance(user, self.customer_model) and not self.is_staff()
        return user if is_customer else None

    def is_staff(self) -> bool:
        """Return whether the user is flagged as staff, or of another class than customers."""
        user = self._user()
        if user is None:
            return False
        if self._staff is None:
            return not isinstance(user, self.customer_model)
        return self._staff(user)

    def staff_key(self) -> tuple[str, str]:
        """Return the class and primary key of the user, and the name."""
        user = self._user()
        if user is None:
            return "", ""
        kind = type(user).__name__.lower()  # Flask-Login's own id may be a secret of the session
        key = self.key(user) if sa.inspect(user, raiseerr=False) is not None else ""
        return f"{kind}:{key}", self.name(user) or str(getattr(user, self.email_attribute, ""))

    def staff_email(self) -> str:
        """Return the address of the user, by the attribute that was named for customers."""
        return str(getattr(self._user(), self.email_attribute, "") or "")

    def key(self, customer: Any) -> str:
        """Return the primary key, its parts joined by commas."""
        identity = sa.inspect(customer).mapper.primary_key_from_instance(customer)
        return ",".join(str(part) for part in identity)

    def email(self, customer: Any) -> str:
        """Return the attribute that was named for the address."""
        return str(getattr(customer, self.email_attribute) or "")

    def name(self, customer: Any) -> str:
        """Return the customer's name, the address where there is none."""
        return super().name(customer) or str(getattr(customer, self.email_attribute, "") or "")

    def customer_since(self, customer: Any) -> datetime | None:
        """Return the attribute ``created_at``, where customers have one."""
        value = getattr(customer, "created_at", None)
        return value if isinstance(value, datetime) else None

    def is_active(self, customer: Any) -> bool:
        """Return Flask-Login's ``is_active``, true where the customer has none."""
        return bool(getattr(customer, "is_active", True))

    def customers(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the customers with these primary keys."""
        columns = [_widened(each) for each in sa.inspect(self.customer_model).primary_key]
        values = [value for key in keys if (value := _identity(columns, key)) is not None]
        if not values:
            return {}
        is_one = sa.tuple_(*columns).in_(values)
        if len(columns) == 1:
            is_one = columns[0].in_([value for (value,) in values])
        found = session().scalars(sa.select(self.customer_model).where(is_one))
        return {self.key(customer): customer for customer in found}

    def customer_by_email(self, email: str, website: str) -> Any | None:
        """Return the customer whose address is this one, whatever its case."""
        column = getattr(self.customer_model, self.email_attribute)
        query = sa.select(self.customer_model).limit(1)
        # As it is typed first: that is what a store has an index for.
        exact = session().scalars(query.where(column == email)).first()
        if exact is not None:
            return exact
        return session().scalars(query.where(sa.func.lower(column) == email.lower())).first()

    def customers_among(self, emails: Iterable[str], website: str) -> set[str]:
        """Return those of the addresses that customers have, some hundred in a query.

        A store that looks for its customers in its own way is asked for each.
        """
        if type(self).customer_by_email is not FlaskLoginHost.customer_by_email:
            return super().customers_among(emails, website)
        column = sa.func.lower(getattr(self.customer_model, self.email_attribute))
        asked = {each.lower(): each for each in emails}
        keys, found = list(asked), set[str]()
        for start in range(0, len(keys), BATCH):
            few = keys[start : start + BATCH]
            found.update(session().scalars(sa.select(column).where(column.in_(few))))
        return {asked[each] for each in found}

    def login_url(self, next_url: str) -> str | None:
        """Return the address of the sign-in page with ``next``."""
        page = self.login_page()
        if page is None:
            return None
        try:
            return url_for(page, next=next_url)
        except BuildError:
            return page

    def login_page(self) -> str | None:
        """Return the endpoint, or address, of the sign-in page, None without one."""
        manager: Any = getattr(current_app, "login_manager", None)
        page = self.login_endpoint or (manager.login_view if manager is not None else None)
        return None if page is None else str(page)

    def customer_url(self, customer: Any) -> str | None:
        """Return the address of the page that was named, None where none was."""
        if self.customer_page is None:
            return None
        [argument] = arguments_of(self.customer_page)
        values: dict[str, Any] = {argument: self.key(customer)}
        return url_for(self.customer_page, **values)


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


def _flag_reader(flag: Any) -> Callable[[Any], bool] | None:
    """Make ``Customer.is_staff`` readable on a user, however the store declares it."""
    if flag is None:
        return None
    if isinstance(flag, property):
        return lambda user: bool(flag.__get__(user)) if _has(user, flag) else False
    name = getattr(flag, "key", None)
    if isinstance(name, str):
        return lambda user: bool(getattr(user, name, False))
    if not callable(flag):
        raise TypeError(
            f"staff is {flag!r}, but must be a mapped attribute such as Customer.is_staff, a"
            " property, or a function of a user."
        )
    return lambda user: bool(flag(user))


def _has(user: Any, flag: property) -> bool:
    return any(flag is member for cls in type(user).__mro__ for member in vars(cls).values())


def _identity(columns: Sequence[Any], key: str) -> tuple[Any, ...] | None:
    """Turn a stored key into the values of the store's primary key, None if it cannot be."""
    parts = key.split(",") if len(columns) > 1 else [key]
    try:
        typed = zip(columns, parts, strict=True)
        values = tuple(column.type.python_type(part) for column, part in typed)
    except (TypeError, ValueError, ArithmeticError):
        return None
    is_bound = all(not isinstance(each, int) or abs(each) <= BIGGEST_ID for each in values)
    return values if is_bound else None


def _widened(column: Any) -> Any:
    """Return a column that may be compared with any number: a smaller type refuses bigger ones."""
    is_whole = isinstance(column.type, sa.Integer)
    return sa.type_coerce(column, sa.BigInteger()) if is_whole else column
