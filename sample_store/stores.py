"""The store's websites, store views, groups and senders, and which of them is shown."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from flask import Flask, current_app, has_request_context, request, session
from flask_babel import Babel
from flask_login import current_user

from invitations_plugin import Group, Sender, StoreView, Website

from .models import Customer

BRAND = "Linden & Lark"
# By website.
POSTAL_ADDRESSES = {
    "main": "Linden & Lark, 12 Orchard Lane, Bath BA1 5LR, United Kingdom",
    "private": "Linden & Lark Private Sales, via dei Tigli 8, 20121 Milano, Italia",
}

GROUPS = (
    Group("general", "General"),
    Group("wholesale", "Wholesale"),
    Group("retailer", "Retailer"),
    Group("vip", "VIP"),
)

# Code and label as staff choose them, then the mailbox behind.
SENDERS = (
    ("general", "General Contact", "hello"),
    ("sales", "Sales Representative", "sales"),
    ("support", "Customer Support", "care"),
    ("custom1", "Custom Email 1", "events"),
    ("custom2", "Custom Email 2", "private.sales"),
)


# Pages whose own question is called "store": to ask about a store view is no wish to enter it.
ASKS_BY_STORE = ("invitations_admin.why",)


@lru_cache
def websites(main_url: str, private_url: str) -> tuple[Website, ...]:
    """Return the websites as they are reached, each under its address or both under one."""
    english = _view("en", "English", "main", "Europe/London", main_url)
    french = _view("fr", "Français", "main", "Europe/Paris", main_url)
    italian = _view("it", "Italiano", "private", "Europe/Rome", private_url)
    return (
        Website("main", "Main Website", (english, french)),
        Website("private", "Private Sales", (italian,)),
    )


def _view(code: str, name: str, website: str, timezone: str, base_url: str) -> StoreView:
    """Build a store view; its code is its language here, which need not be so."""
    return StoreView(
        code=code,
        name=name,
        website=website,
        locale=code,
        timezone=timezone,
        base_url=base_url,
        postal_address=POSTAL_ADDRESSES[website],
        privacy_url=f"{base_url}/privacy?store={code}",
        brand=BRAND,
    )


def all_websites() -> tuple[Website, ...]:
    """Return the websites of the running app."""
    config = current_app.config
    return websites(config["STORE_URL_MAIN"], config["STORE_URL_PRIVATE"])


def views() -> dict[str, StoreView]:
    """Return all store views by code."""
    return {view.code: view for website in all_websites() for view in website.store_views}


def default_view(website_code: str) -> StoreView:
    """Return the first store view of a website, of the first website if there is none such."""
    found = [website for website in all_websites() if website.code == website_code]
    return (found or all_websites())[0].store_views[0]


def senders(view: StoreView) -> tuple[Sender, ...]:
    """Return the identities that a store view may write as."""
    name = BRAND if view.website == "main" else f"{BRAND} Private Sales"
    return tuple(
        Sender(code, label, name, f"{mailbox}@linden-lark.example.com")
        for code, label, mailbox in SENDERS
    )


def current_view() -> StoreView:
    """Return the store view of this request: the chosen one, within the website.

    By ``?store=CODE`` or else the session; whoever asks before the session knows is told alike.
    """
    if not has_request_context():
        return default_view("")
    chosen = _asked_for() or views().get(session.get("store", "")) or default_view("")
    website = own_website() or website_here()
    return chosen if website in (None, chosen.website) else default_view(str(website))


def own_website() -> str | None:
    """Return the website that the signed-in customer belongs to."""
    user = current_user._get_current_object()
    return user.website_code if isinstance(user, Customer) else None


def website_here() -> str | None:
    """Return the website of this request's address, None where both have it, or neither."""
    here = (request.host, request.script_root)
    found = {view.website for view in views().values() if _place(view) == here}
    return found.pop() if len(found) == 1 else None


def _place(view: StoreView) -> tuple[str, str]:
    parts = urlsplit(view.base_url or "")
    return parts.netloc, parts.path.rstrip("/")


def offered_views() -> list[StoreView]:
    """Return the store views to choose from; a customer stays on her own website."""
    website = own_website() or website_here()
    return [view for view in views().values() if website in (None, view.website)]


def enter(view: StoreView) -> None:
    """Keep a store view for the rest of this visitor's session."""
    if session.get("store") != view.code:
        session["store"] = view.code


def _enter_requested() -> None:
    view = _asked_for()
    if view is not None:
        enter(view)


def _asked_for() -> StoreView | None:
    """Return the store view of ``?store=CODE``, but where that is what the page itself asks."""
    if request.endpoint in ASKS_BY_STORE:
        return None
    return views().get(request.args.get("store", ""))


def init_app(app: Flask) -> None:
    """Let every request follow its store view in language, time zone and template."""
    app.before_request(_enter_requested)
    Babel(
        app,
        locale_selector=lambda: current_view().locale,
        timezone_selector=lambda: current_view().timezone,
    )
    app.jinja_env.globals.update(
        brand=BRAND,
        current_view=current_view,
        offered_views=offered_views,
    )
