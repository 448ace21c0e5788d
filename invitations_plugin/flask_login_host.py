"""The store with Flask-Login and one mapped customer class: most need no other host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import current_app, url_for
from werkzeug.routing import BuildError

from .database import session
from .digits import BIGGEST_ID
from .host import Host, arguments_of

BATCH = 900  # values in one IN (...): below the limit of any database


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

        user = current_user._get_current_object()
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
