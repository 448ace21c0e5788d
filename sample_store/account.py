"""The pages of a customer's account, and the landing page of the staff."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue

from . import stores
from .access import customers_only, staff_only, this_customer
from .database import db
from .goods import GOODS
from .models import Customer, Order

SHOWN = 100
BIGGEST_ID = 2**31 - 1  # what PostgreSQL's column holds
blueprint = Blueprint("account", __name__, url_prefix="/account")
staff_blueprint = Blueprint("staff", __name__, url_prefix="/staff")


@blueprint.get("/")
@customers_only
def index() -> ResponseReturnValue:
    """Show who the customer is to the store."""
    customer = this_customer()
    orders = db.session.scalar(sa.select(sa.func.count()).where(_own(customer)))
    return render_template(
        "account/index.html", customer=customer, group=_group_of(customer), orders=orders
    )


@blueprint.get("/orders")
@customers_only
def orders() -> ResponseReturnValue:
    """Show what the customer bought, newest first."""
    found = _latest_orders(this_customer())
    return render_template("account/orders.html", orders=found, goods=GOODS)


def _own(customer: Customer) -> sa.ColumnElement[bool]:
    return Order.customer_id == customer.id


def _latest_orders(customer: Customer) -> Sequence[Order]:
    query = sa.select(Order).where(_own(customer)).order_by(Order.at.desc(), Order.id.desc())
    return db.session.scalars(query.limit(SHOWN)).all()


def _group_of(customer: Customer) -> str:
    groups = {group.code: group.name for group in stores.GROUPS}
    return groups.get(customer.group_code, "")


@staff_blueprint.get("/", endpoint="index")
@staff_only
def staff_index() -> ResponseReturnValue:
    """Lead a member of staff to the back office."""
    return render_template("staff/index.html")


@staff_blueprint.get("/customers/<int:customer_id>")
@staff_only
def customer(customer_id: int) -> ResponseReturnValue:
    """Show a customer to those who work here."""
    found = db.session.get(Customer, customer_id) if customer_id <= BIGGEST_ID else None
    if found is None:
        abort(404)
    websites = {website.code: website.name for website in stores.all_websites()}
    return render_template(
        "staff/customer.html",
        customer=found,
        website=websites.get(found.website_code, ""),
        group=_group_of(found),
        orders=_latest_orders(found),
        goods=GOODS,
    )
