"""What a store's own templates show of the plugin: the account entry and the back office."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request, url_for
from markupsafe import Markup

from .i18n import gettext, speaking
from .state import host, is_ready, settings_of


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """The account menu's entry, for stores that make their menus themselves."""

    label: str
    url: str
    active: bool


class TemplateGlobal:
    """The name ``invitations`` in every template of the store."""

    @property
    def menu(self) -> MenuEntry | None:
        """The entry My Invitations, None where invitations are off or nobody signed in.

        None, too, before there are tables.
        """
        if host().current_customer() is None or not is_ready():
            return None
        view = host().current_store_view()
        settings = settings_of(view)
        if not (settings.enabled and settings.storefront_enabled):
            return None
        with speaking(view):
            label = gettext("My Invitations")
        return MenuEntry(label, url_for("invitations.index"), request.blueprint == "invitations")

    def account_entry(self, css_class: str = "") -> Markup:
        """Return the entry as a link, marked where it is the current page; "" where off."""
        entry = self.menu
        if entry is None:
            return Markup()
        classes = f"inv-account-entry {css_class}".strip()
        current = Markup(' aria-current="page"') if entry.active else ""
        return Markup('<a class="{}" href="{}"{}>{}</a>').format(
            classes, entry.url, current, entry.label
        )

    def admin_url(self) -> str | None:
        """Return the address of the back office, None for who may not look at it."""
        may_look = host().is_staff() and host().may("view")
        return url_for("invitations_admin.grid") if may_look else None
