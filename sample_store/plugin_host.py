# ruff: noqa: D102 - Host says what each of them returns
"""What the store tells the invitations plugin about itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa
from flask_login import current_user

from invitations_plugin import FlaskLoginHost, Group, Purchase, Sender, StoreView, Website

from . import stores
from .addresses import fold
from .database import db
from .forms import RegisterForm
from .models import Customer, Order, Staff

BATCH = 500  # values in one IN (...): well below every database's limit


class StoreHost(FlaskLoginHost):
    """Customers by Flask-Login, and what only this store has: websites, groups, orders."""

    def __init__(self) -> None:
        super().__init__(
            Customer,
            register="auth.register",
            login="auth.login",
            form=RegisterForm,
            base="account.html",
            blocks={"content": "account_content", "title": "title", "head": "head"},
            customer_page="staff.customer",
        )

    def may(self, right: str) -> bool:
        user = current_user._get_current_object()
        return isinstance(user, Staff) and user.may(right)

    def staff_websites(self) -> list[str] | None:
        user = current_user._get_current_object()
        return user.websites if isinstance(user, Staff) else None

    def group(self, customer: Customer) -> str:
        return customer.group_code

    def customer_by_email(self, email: str, website: str) -> Customer | None:
        return db.session.scalars(
            sa.select(Customer).where(
                Customer.website_code == website, Customer.email_folded == fold(email)
            )
        ).first()

    def customers_among(self, emails: Iterable[str], website: str) -> set[str]:
        asked = {fold(each): each for each in emails}
        keys, found = list(asked), set[str]()
        for start in range(0, len(keys), BATCH):
            few = Customer.email_folded.in_(keys[start : start + BATCH])
            query = sa.select(Customer.email_folded).where(Customer.website_code == website, few)
            found.update(db.session.scalars(query))
        return {asked[each] for each in found}

    def assign_group(self, customer: Customer, group: str) -> None:
        customer.group_code = group

    def groups(self) -> Sequence[Group]:
        return stores.GROUPS

    def websites(self) -> Sequence[Website]:
        return stores.all_websites()

    def current_store_view(self) -> StoreView:
        return stores.current_view()

    def enter_store_view(self, view: StoreView) -> None:
        stores.enter(view)

    def senders(self, view: StoreView) -> Sequence[Sender]:
        return stores.senders(view)

    def purchases(self, keys: Iterable[str]) -> Iterator[Purchase]:
        ids = [int(key) for key in keys if key.isdecimal()]
        for start in range(0, len(ids), BATCH):
            chosen = Order.customer_id.in_(ids[start : start + BATCH])
            for order in db.session.scalars(sa.select(Order).where(chosen)):
                yield Purchase(str(order.customer_id), order.at, order.amount, order.currency)
