"""The shop front: goods, one of them, buying it, and the privacy page."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from . import stores
from .access import customers_only, this_customer
from .database import db
from .goods import CURRENCY, GOODS, Product
from .models import Order

blueprint = Blueprint("shop", __name__)


@blueprint.get("/")
def index() -> str:
    """Show everything there is to buy."""
    return render_template("shop/index.html", goods=GOODS.values())


@blueprint.get("/goods/<slug>")
def product(slug: str) -> str:
    """Show one thing."""
    return render_template("shop/product.html", product=_product(slug))


@blueprint.get("/goods/<slug>/buy")
def come_back(slug: str) -> ResponseReturnValue:
    """Lead to the goods whoever had to sign in after pressing the button."""
    return redirect(url_for("shop.product", slug=slug))


@blueprint.post("/goods/<slug>/buy")
@customers_only
def buy(slug: str) -> ResponseReturnValue:
    """Order one thing with one button."""
    bought = _product(slug)
    db.session.add(_order(bought))
    db.session.commit()
    flash(gettext("Thank you. You bought: %(name)s.", name=bought.name), "success")
    return redirect(url_for("account.orders"))


@blueprint.get("/privacy")
def privacy() -> str:
    """Say what the store keeps about people."""
    return render_template("shop/privacy.html")


def _product(slug: str) -> Product:
    if slug not in GOODS:
        abort(404)
    return GOODS[slug]


def _order(bought: Product) -> Order:
    price = bought.price(stores.current_view().website)
    return Order(
        customer_id=this_customer().id,
        product=bought.slug,
        cents=int(price * 100),
        currency=CURRENCY,
        at=datetime.now(UTC).replace(microsecond=0, tzinfo=None),
    )
