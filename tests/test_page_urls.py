"""Addresses that are built once are those of the way that a request came in by."""

from __future__ import annotations

from typing import Any

import pytest
from flask import request, url_for

from invitations_plugin import page_urls
from invitations_plugin.page_urls import page_url
from invitations_plugin.state import state

from .support.stores import Store

GRID, STYLE = "invitations_admin.grid", "invitations.static"


def asked(store: Store, endpoint: str, root: str = "", path: str = "/", **values: Any) -> str:
    with store.app.test_request_context(path, environ_overrides={"SCRIPT_NAME": root}):
        found = page_url(endpoint, **values)
        assert found == url_for(endpoint, **values)
    return found


def test_a_store_below_a_path_keeps_its_path(store: Store) -> None:
    plain = asked(store, GRID)
    for root in ("/shop", "", "/other"):
        assert asked(store, GRID, root) == root + plain


def test_files_and_rows_have_addresses_of_their_own(store: Store) -> None:
    for name in ("admin.css", "storefront.css", "admin.css"):
        assert asked(store, STYLE, filename=name).endswith(f"/{name}")
    for number in (1, 2):
        found = asked(store, "invitations_admin.detail", invitation_id=number)
        assert found.endswith(f"/{number}/")


def test_a_store_that_adds_to_addresses_adds_what_each_request_says(store: Store) -> None:
    asked(store, GRID)
    store.app.url_defaults(
        lambda endpoint, values: values.setdefault("shop", request.args.get("shop", "none"))
    )
    for shop in ("a", "b"):
        assert asked(store, GRID, path=f"/?shop={shop}").endswith(f"?shop={shop}")


def test_a_store_that_makes_addresses_itself_makes_each(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(store, GRID)
    made = store.app.url_for

    def url_with_shop(endpoint: str, **values: Any) -> str:
        return made(endpoint, shop=request.args.get("shop", "none"), **values)

    monkeypatch.setattr(store.app, "url_for", url_with_shop)
    for shop in ("a", "b"):
        assert asked(store, GRID, path=f"/?shop={shop}").endswith(f"?shop={shop}")


def test_names_of_the_host_that_nobody_knows_fill_no_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_urls, "MOST_KEPT", 3)
    for number in range(10):
        with store.app.test_request_context("/", base_url=f"http://{number}.example.com"):
            assert page_url(GRID) == url_for(GRID)
            assert len(state().page_urls) <= 3
