"""The pages of a customer's account, and the landing page of the staff."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from . import stores
from .access import customers_only, staff_only, this_customer
from .database import db
from .goods import GOODS
from .models import Order

SHOWN = 100
blueprint = Blueprint("account", __name__, url_prefix="/account")
staff_blueprint = Blueprint("staff", __name__, url_prefix="/staff")


@blueprint.get("/")
@customers_only
def index() -> ResponseReturnValue:
    """Show who the customer is to the store."""
    customer = this_customer()
    groups = {group.code: group.name for group in stores.GROUPS}
    orders = db.session.scalar(sa.select(sa.func.count()).where(_own()))
    return render_template(
        "account/index.html",
        customer=customer,
        group=groups.get(customer.group_code, ""),
        orders=orders,
    )


@blueprint.get("/orders")
@customers_only
def orders() -> ResponseReturnValue:
    """Show what the customer bought, newest first."""
    query = sa.select(Order).where(_own()).order_by(Order.at.desc(), Order.id.desc())
    found = db.session.scalars(query.limit(SHOWN)).all()
    return render_template("account/orders.html", orders=found, goods=GOODS)


def _own() -> sa.ColumnElement[bool]:
    return Order.customer_id == this_customer().id


@staff_blueprint.get("/", endpoint="index")
@staff_only
def staff_index() -> ResponseReturnValue:
    """Lead a member of staff to the back office."""
    return render_template("staff.html")
