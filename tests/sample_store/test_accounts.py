"""Signing in, signing out and making an account."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from sample_store.access import is_local
from sample_store.database import db
from sample_store.models import Customer

from .shopper import Shopper


@pytest.mark.parametrize("email", ["veronica@example.com", " VERONICA@Example.com "])
def test_customer_arrives_at_the_account(browser: Shopper, email: str) -> None:
    assert browser.sign_in(email).location == "/account/"
    page = browser.get("/account/").text
    assert "Veronica Costello" in page
    assert "General" in page


@pytest.mark.parametrize("email", ["admin@example.com", "clerk@example.com"])
def test_staff_arrive_at_their_page(browser: Shopper, email: str) -> None:
    assert browser.sign_in(email).location == "/staff/"
    assert "/admin/invitations/" in browser.get("/staff/").text


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("veronica@example.com", "wrong"),
        ("nobody@example.com", "invite-me-2026"),
        ("no address", "invite-me-2026"),
        ("nul\x00@example.com", "invite-me-2026"),
    ],
)
def test_refusal_is_the_same_for_known_and_unknown(
    browser: Shopper, email: str, password: str
) -> None:
    answer = browser.sign_in(email, password)
    assert answer.status_code == 422
    assert "The address or the password is not right." in answer.text


def test_missing_fields_are_named(browser: Shopper) -> None:
    answer = browser.post("/login", email="", password="")
    assert answer.status_code == 422
    assert 'aria-describedby="email-error"' in answer.text
    assert 'href="#password"' in answer.text


def test_customer_of_another_website_is_led_home(browser: Shopper) -> None:
    browser.get("/?store=fr")
    browser.sign_in("giulia@example.com")
    assert 'lang="it"' in browser.get("/account/").text


def test_sign_in_starts_a_new_session_and_keeps_the_view(browser: Shopper) -> None:
    browser.get("/?store=fr")
    with browser.client.session_transaction() as session:
        session["planted"] = "by somebody else"
    browser.sign_in("veronica@example.com")
    with browser.client.session_transaction() as session:
        assert "planted" not in session
        assert session["store"] == "fr"


@pytest.mark.parametrize(
    ("target", "local"),
    [
        ("/account/orders", True),
        ("/goods/teapot?store=fr", True),
        (None, False),
        ("", False),
        ("//evil.example.com", False),
        ("/\\evil.example.com", False),
        ("/\t/evil.example.com", False),
        ("https:evil.example.com", False),
        ("https://evil.example.com/", False),
        ("javascript:alert(1)", False),
    ],
)
def test_only_addresses_of_the_store_are_followed(target: str | None, local: bool) -> None:
    assert is_local(target) is local


def test_sign_in_goes_on_where_it_was_asked_for(browser: Shopper) -> None:
    wanted = browser.get("/account/orders").location
    assert wanted == "/login?next=%2Faccount%2Forders"
    assert browser.sign_in("veronica@example.com", path=wanted).location == "/account/orders"


def test_sign_in_never_leads_away(browser: Shopper) -> None:
    answer = browser.sign_in("veronica@example.com", path="/login?next=//evil.example.com")
    assert answer.location == "/account/"


def test_signing_out_takes_a_button(browser: Shopper) -> None:
    browser.sign_in("veronica@example.com")
    assert browser.get("/logout").status_code == 200
    assert browser.get("/account/").status_code == 200
    browser.post("/logout")
    assert browser.get("/account/").status_code == 302


def test_registering_signs_in(browser: Shopper, store_app: Flask) -> None:
    browser.get("/?store=it")
    answer = browser.post("/register", email="new@example.com", password="something long")
    assert answer.location == "/account/"
    with store_app.app_context():
        customer = db.session.scalars(sa.select(Customer).filter_by(email="new@example.com")).one()
        assert (customer.website_code, customer.group_code) == ("private", "general")
    assert "new@example.com" in browser.get("/account/").text


def test_used_address_is_answered_neutrally(browser: Shopper) -> None:
    answer = browser.post("/register", email="Marcus@EXAMPLE.com", password="something long")
    assert answer.status_code == 422
    assert "We could not make an account with these details." in answer.text
    assert "Marcus@EXAMPLE.com" in answer.text


def test_each_website_has_accounts_of_its_own(browser: Shopper) -> None:
    browser.get("/?store=it")
    answer = browser.post("/register", email="marcus@example.com", password="something long")
    assert answer.location == "/account/"
    browser.post("/logout")
    browser.sign_in("marcus@example.com")
    assert "VIP" in browser.get("/account/").text


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"email": "no address"}, "Enter an address like name@example.com."),
        ({"email": "a@example.com, b@example.com"}, "Enter an address like"),
        ({"email": "x" * 250 + "@example.com"}, "This address is too long."),
        ({"password": "short"}, "Use at least 8 characters."),
        ({"password": "x" * 201}, "This password is too long."),
        ({"name": "x" * 81}, "Use 80 characters at most."),
        ({"name": "Eve\x00"}, "This holds a character that cannot be used here."),
    ],
)
def test_registration_errors_keep_what_was_typed(
    browser: Shopper, fields: dict[str, str], error: str
) -> None:
    typed = {"name": "Zoë", "email": "zoe@example.com", "password": "something long"} | fields
    answer = browser.post("/register", **typed)
    assert answer.status_code == 422
    assert error in answer.text
    assert typed["email"] in answer.text


@pytest.mark.parametrize("path", ["/login", "/register"])
def test_signed_in_visitors_need_no_form(browser: Shopper, path: str) -> None:
    browser.sign_in("veronica@example.com")
    assert browser.get(path).location == "/account/"


def test_session_of_an_erased_account_ends(browser: Shopper, store_app: Flask) -> None:
    browser.post("/register", email="brief@example.com", password="something long")
    with store_app.app_context():
        db.session.execute(sa.delete(Customer).where(Customer.email == "brief@example.com"))
        db.session.commit()
    assert browser.get("/account/").status_code == 302
