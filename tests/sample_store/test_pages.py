"""The shop, the account and what every page has in common."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask, abort
from sqlalchemy.exc import OperationalError

from sample_store.config import ROOT
from sample_store.goods import GOODS

from .shopper import Shopper

OPEN = ["/", "/goods/teapot", "/login", "/register", "/logout", "/privacy", "/mailbox/"]
CUSTOMERS = ["/account/", "/account/orders"]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("path", OPEN)
def test_open_pages_are_protected(browser: Shopper, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", [*CUSTOMERS, "/staff/", "/staff/customers/1"])
def test_strangers_sign_in_first(browser: Shopper, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 302
    assert answer.location.startswith("/login?")


@pytest.mark.parametrize("path", CUSTOMERS)
def test_staff_have_no_customer_pages(browser: Shopper, path: str) -> None:
    browser.sign_in("admin@example.com")
    assert browser.get(path).status_code == 403


def test_customers_have_no_staff_page(browser: Shopper) -> None:
    browser.sign_in("veronica@example.com")
    for path in ("/staff/", "/staff/customers/1", "/staff/customers/99"):
        answer = browser.get(path)
        assert answer.status_code == 403
        assert "This door is not yours" in answer.text


def test_staff_see_who_a_customer_is_and_what_was_bought(browser: Shopper) -> None:
    browser.sign_in("giulia@example.com")
    browser.post("/goods/lamp/buy", page="/goods/lamp")
    browser.post("/logout")
    browser.sign_in("clerk@example.com")
    browser.get("/?store=en")
    pages = [browser.get(f"/staff/customers/{number}").text for number in (1, 2, 3)]
    [page] = [each for each in pages if "giulia@example.com" in each]
    for said in ("Giulia", "Private Sales", "General", "Reading lamp", "€119.00"):
        assert said in page


@pytest.mark.parametrize("number", [0, 99, 2**31, 2**63, 10**30])
def test_a_customer_who_is_not_there_has_no_page(browser: Shopper, number: int) -> None:
    browser.sign_in("admin@example.com")
    assert browser.get(f"/staff/customers/{number}").status_code == 404


def test_personal_pages_are_not_kept(browser: Shopper) -> None:
    browser.sign_in("veronica@example.com")
    answer = browser.get("/account/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]


def test_sidebar_has_the_invitations(browser: Shopper) -> None:
    browser.sign_in("veronica@example.com")
    page = browser.get("/account/").text
    assert "inv-account-entry" in page
    assert 'href="/account/" aria-current="page"' in page


@pytest.mark.parametrize(
    ("code", "words"), [("en", "Sign in"), ("fr", "Se connecter"), ("it", "Accedi")]
)
def test_store_view_is_chosen_and_kept(browser: Shopper, code: str, words: str) -> None:
    assert f'<html lang="{code}">' in browser.get(f"/?store={code}").text
    page = browser.get("/login").text
    assert f'<html lang="{code}">' in page
    assert words in page


def test_unknown_store_view_changes_nothing(browser: Shopper) -> None:
    browser.get("/?store=fr")
    assert '<html lang="fr">' in browser.get("/?store=xx").text


def test_customer_stays_on_her_website(browser: Shopper) -> None:
    browser.sign_in("veronica@example.com")
    page = browser.get("/?store=it").text
    assert '<html lang="en">' in page
    assert "store=fr" in page
    assert "store=it" not in page


def test_switching_keeps_page_and_target(browser: Shopper) -> None:
    assert 'href="/login?store=fr&amp;next=/account/"' in browser.get("/login?next=/account/").text
    assert 'href="/?store=fr"' in browser.get("/nothing/at/all").text


def test_private_sales_are_cheaper(browser: Shopper) -> None:
    assert "€68.00" in browser.get("/goods/teapot").text
    assert "54,00" in browser.get("/goods/teapot?store=it").text


def test_buying_takes_one_button(browser: Shopper) -> None:
    browser.sign_in("giulia@example.com")
    answer = browser.post("/goods/lamp/buy", page="/goods/lamp")
    assert answer.location == "/account/orders"
    page = browser.get("/account/orders").text
    assert "Lampada da lettura" in page
    assert "119,00" in page


def test_nobody_buys_without_account_or_token(browser: Shopper) -> None:
    assert browser.post("/goods/lamp/buy", page="/login").status_code == 302
    browser.sign_in("veronica@example.com")
    assert browser.client.post("/goods/lamp/buy").status_code == 400
    assert browser.post("/goods/nothing/buy", page="/goods/lamp").status_code == 404


def test_interrupted_buyer_comes_back_to_the_goods(browser: Shopper) -> None:
    assert browser.get("/goods/lamp/buy").location == "/goods/lamp"


@pytest.mark.parametrize("slug", GOODS)
def test_goods_are_drawn(browser: Shopper, slug: str) -> None:
    with browser.get(f"/static/goods/{slug}.svg") as drawing:
        assert drawing.mimetype == "image/svg+xml"


@pytest.mark.parametrize("path", ["/nothing", "/goods/nothing", "/mailbox/nothing"])
def test_missing_pages_are_in_the_theme(browser: Shopper, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "Nothing on this shelf" in answer.text


def test_broken_page_tells_nothing(store_app: Flask) -> None:
    store_app.config["PROPAGATE_EXCEPTIONS"] = False
    store_app.add_url_rule("/broken", view_func=lambda: str(1 / 0))
    answer = store_app.test_client().get("/broken")
    assert answer.status_code == 500
    assert "Something broke" in answer.text
    assert "ZeroDivisionError" not in answer.text


def test_busy_database_asks_for_patience(store_app: Flask) -> None:
    def view() -> str:
        raise OperationalError("SELECT 1", {}, Exception("database is locked"))

    store_app.add_url_rule("/busy", view_func=view)
    answer = store_app.test_client().get("/busy")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "SELECT" not in answer.text


def test_other_refusals_have_a_page(store_app: Flask) -> None:
    store_app.add_url_rule("/teapot", view_func=lambda: abort(418))
    assert store_app.test_client().get("/teapot").status_code == 418
    answer = store_app.test_client().get("/goods/lamp/buy/", method="DELETE")
    assert answer.status_code in (404, 405)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_keep_the_policy(template: Path) -> None:
    source = template.read_text()
    assert not re.search(r"<style|<script(?![^>]*src)|\sstyle=|\son[a-z]+=|javascript:", source)
