"""What the store sells."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from flask_babel import LazyString, lazy_gettext

CURRENCY = "EUR"


@dataclass(frozen=True, slots=True)
class Product:
    """One of the store's goods; its drawing is ``static/goods/SLUG.svg``."""

    slug: str
    name: LazyString
    description: LazyString
    cents: int
    private_cents: int

    def price(self, website: str) -> Decimal:
        """Return the price on a website; the private sales are cheaper."""
        return Decimal(self.private_cents if website == "private" else self.cents) / 100

    @property
    def full_price(self) -> Decimal:
        """The price outside the private sales."""
        return Decimal(self.cents) / 100


_ALL = (
    Product(
        "teapot",
        lazy_gettext("Stoneware teapot"),
        lazy_gettext("Thrown by hand, glazed in oat. Holds four cups and pours without a drip."),
        6800,
        5400,
    ),
    Product(
        "cups",
        lazy_gettext("Pair of breakfast cups"),
        lazy_gettext("Wide enough for a croissant, with a handle for the whole hand."),
        3400,
        2700,
    ),
    Product(
        "lamp",
        lazy_gettext("Reading lamp"),
        lazy_gettext("Brass arm, linen shade, and a light that stays warm down to a glow."),
        14900,
        11900,
    ),
    Product(
        "blanket",
        lazy_gettext("Lambswool throw"),
        lazy_gettext("Woven in a mill on the river, washed soft, bound by hand."),
        11900,
        9500,
    ),
    Product(
        "candle",
        lazy_gettext("Beeswax candles"),
        lazy_gettext("Four dipped tapers that burn for nine hours and smell of summer."),
        2200,
        1700,
    ),
    Product(
        "vase",
        lazy_gettext("Bud vase"),
        lazy_gettext("For the one branch you brought home from the walk."),
        2900,
        2300,
    ),
    Product(
        "board",
        lazy_gettext("Walnut board"),
        lazy_gettext("One piece of walnut, oiled three times. Bread on one side, cheese on both."),
        5200,
        4100,
    ),
    Product(
        "basket",
        lazy_gettext("Willow basket"),
        lazy_gettext("Made for the market, kept for the logs by the fire."),
        7600,
        5900,
    ),
)
GOODS = {product.slug: product for product in _ALL}
