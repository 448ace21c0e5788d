"""Links: random ids from the row, signed with the app's key, one salt a purpose."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from flask import current_app
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from werkzeug.routing import Map, MapAdapter

from .addresses import parse_domain
from .host import StoreView

INVITATION = "invitations.link"
OPT_OUT = "invitations.opt-out"
LONGEST = 200
USUAL_PORTS = {"http": 80, "https": 443}
UNQUOTED = "/%:@!$&'()*+,;=~"  # what may stand in a path as it is (RFC 3986)
_NAME = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+(%[a-z0-9._-]+)?")  # a domain, IPv4, or IPv6


class BadLink(ValueError):
    """A link that this app never gave out for this purpose."""


def _signer(purpose: str) -> Signer:
    """Sign with the newest key, read with the fallback keys too.

    :raises RuntimeError: where the app has no key.
    """
    if not current_app.secret_key:
        raise RuntimeError(
            "There is no SECRET_KEY, which links in mail are signed with: give the store and each"
            " of its workers the same one."
        )
    older = reversed(current_app.config.get("SECRET_KEY_FALLBACKS") or [])
    return _signer_with((*older, current_app.secret_key), purpose)


@lru_cache(maxsize=32)  # asked twice for every mail
def _signer_with(keys: tuple[Any, ...], purpose: str) -> Signer:
    return Signer(keys, purpose, digest_method=hashlib.sha256)


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
        written = _written(str(given))
        if written is None:
            raise RuntimeError(
                f"The store's address {given!r} is not one: write it with its scheme, and without"
                " '?' and '#', for example 'https://shop.example.com'."
            )
        return written
    if config.get("SERVER_NAME"):
        return f"{config['PREFERRED_URL_SCHEME']}://{config['SERVER_NAME']}"
    raise RuntimeError(
        "Mail needs the store's address: give the store view a base_url, or set"
        " INVITATIONS_BASE_URL (or SERVER_NAME), for example 'https://shop.example.com'."
    )


@lru_cache(maxsize=256)
def _read(url: str) -> SplitResult | None:
    """Return an address in ASCII, its domain as IDNA 2008 has it, None for what is none."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
        name = name if name.isascii() else parse_domain(name)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or not _NAME.fullmatch(name):
        return None
    if parts.query or parts.fragment:  # nothing could follow them
        return None
    netloc = (f"[{name}]" if ":" in name else name) + (f":{port}" if port else "")
    return SplitResult(parts.scheme, netloc, quote(parts.path, safe=UNQUOTED).rstrip("/"), "", "")


@lru_cache(maxsize=256)
def _written(url: str) -> str | None:
    parts = _read(url)
    return parts.geturl() if parts is not None else None


def place_of(url: str) -> tuple[str, int | None, str] | None:
    """Return host, port and path of an address, None for what is none.

    Without the scheme: behind a proxy that ends TLS a request does not know it.
    """
    parts = _read(url)
    if parts is None:
        return None
    port = None if parts.port == USUAL_PORTS[parts.scheme] else parts.port
    return str(parts.hostname), port, parts.path


def absolute_url(view: StoreView, endpoint: str, **values: Any) -> str:
    """Return the full address of one of our pages in a store view, with or without a request."""
    adapter = _adapter(current_app.url_map, base_url(view))
    return adapter.build(endpoint, values, force_external=True)


@lru_cache(maxsize=256)  # the same few, asked for every mail
def _adapter(urls: Map, base: str) -> MapAdapter:
    parts = urlsplit(base)
    return urls.bind(parts.netloc, script_name=parts.path or "/", url_scheme=parts.scheme)
