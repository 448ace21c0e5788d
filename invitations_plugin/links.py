"""Links: random ids from the row, signed with the app's key, one salt a purpose."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from .host import StoreView

INVITATION = "invitations.link"
OPT_OUT = "invitations.opt-out"
LONGEST = 200


class BadLink(ValueError):
    """A link that this app never gave out for this purpose."""


def _signer(purpose: str) -> Signer:
    """Sign with the newest key, read with the fallback keys too."""
    keys = [*reversed(current_app.config.get("SECRET_KEY_FALLBACKS") or [])]
    return Signer([*keys, current_app.secret_key], purpose, digest_method=hashlib.sha256)


def sign(value: str, purpose: str) -> str:
    """Return the link text of a value for one purpose."""
    return _signer(purpose).sign(value).decode()


def unsign(link: str, purpose: str) -> str:
    """Return the value of a link text.

    :raises BadLink: when it was not signed here for this purpose, or differs from what
        was given out in any character.
    """
    if len(link) > LONGEST or not link.isascii():
        raise BadLink
    try:
        value = _signer(purpose).unsign(link).decode()
    except BadSignature as error:
        raise BadLink from error
    signature = link.rpartition(".")[2]
    # Base64's last character carries spare bits: several spellings decode alike.
    if base64_encode(base64_decode(signature)).decode() != signature:
        raise BadLink
    return value


def base_url(view: StoreView) -> str:
    """Return the address of a store view, from configuration and never from a request.

    :raises RuntimeError: when nothing configures it.
    """
    config = current_app.config
    given = view.base_url or config["INVITATIONS_BASE_URL"]
    if given:
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RuntimeError(
                f"The store's address {given!r} is not one: write it with its scheme, for"
                " example 'https://shop.example.com'."
            )
        return str(given).rstrip("/")
    if config.get("SERVER_NAME"):
        return f"{config['PREFERRED_URL_SCHEME']}://{config['SERVER_NAME']}"
    raise RuntimeError(
        "Mail needs the store's address: give the store view a base_url, or set"
        " INVITATIONS_BASE_URL (or SERVER_NAME), for example 'https://shop.example.com'."
    )


def absolute_url(view: StoreView, endpoint: str, **values: Any) -> str:
    """Return the full address of one of our pages in a store view, with or without a request."""
    parts = urlsplit(base_url(view))
    adapter = current_app.url_map.bind(
        parts.netloc, script_name=parts.path or "/", url_scheme=parts.scheme
    )
    return adapter.build(endpoint, values, force_external=True)
