"""Addresses: what is one, which two are the same, and what a stranger may see of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invitations_plugin.addresses import BadAddress, hint, keyed_hash, parse_address

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("typed", "delivery"),
    [
        ("anna@example.com", "anna@example.com"),
        ("  Anna.B+tag@Example.COM\t", "Anna.B+tag@example.com"),
        ("bob@faß.de", "bob@xn--fa-hia.de"),
        ("bob@\uff45xample.com", "bob@example.com"),
        ("bob@xn--fa-hia.de", "bob@xn--fa-hia.de"),
        ("=cmd@example.com", "=cmd@example.com"),
        ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
    ],
)
def test_mail_goes_to_what_was_typed_with_its_domain_in_ascii(typed: str, delivery: str) -> None:
    assert parse_address(typed).delivery == delivery


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "anna",
        "@example.com",
        "anna@",
        "Anna <anna@example.com>",
        "anna@example.com, ben@example.com",
        "anna@example.com;ben@example.com",
        "anna@example.com ben@example.com",
        "anna@ben@example.com",
        "anna@example.com\r\nBcc: evil@example.com",
        "an na@example.com",
        '"an na"@example.com',
        "anna@[127.0.0.1]",
        "anna@localhost",
        "anna..b@example.com",
        "jörg@example.com",
        "\uff42\uff4f\uff42@example.com",
        "bob\u212a@example.com",
        "b\u0131b@example.com",
        "anna@exam\u200bple.com",
        "anna\ud800@example.com",
        "anna@ex\ud800ample.com",
        "anna\u037eben@example.com",
        "anna@example\u037eben.com",
        "anna@\u1fefexample.com",
        "anna@\ufdfa.com",
        "anna\x00@example.com",
        "x" * 65 + "@example.com",
        "anna@" + "x" * 64 + ".com",
        "x" * 60 + "@" + "y." * 100 + "com",
        "x" * 100_000 + "@example.com",
    ],
)
def test_what_is_not_one_bare_address_is_refused(typed: str) -> None:
    with pytest.raises(BadAddress):
        parse_address(typed)


@given(st.text(max_size=80) | st.emails() | st.from_regex(r"\A[ -~]{1,20}@[ -~]{1,20}\Z"))
def test_whatever_is_typed_gives_one_plain_address_or_is_refused(typed: str) -> None:
    try:
        found = parse_address(typed)
    except BadAddress:
        return
    assert found.delivery.isascii()
    assert found.delivery.count("@") == 1
    assert not set(found.delivery) & set(' \t\r\n,;:<>()[]"\\')
    assert parse_address(found.delivery) == found
    assert parse_address(found.identity).identity == found.identity


@pytest.mark.parametrize(
    "other", ["ANNA@EXAMPLE.COM", " anna@example.com ", "anna@\uff45xample.com", "Anna@Example.com"]
)
def test_spellings_of_one_address_have_one_identity(other: str) -> None:
    assert parse_address(other).identity == parse_address("anna@example.com").identity


@pytest.mark.parametrize(
    "other",
    ["anna+1@example.com", "an.na@example.com", "anna@example.org", "anna@xn--exmple-cua.com"],
)
def test_other_addresses_have_another_identity(other: str) -> None:
    assert parse_address(other).identity != parse_address("anna@example.com").identity


@pytest.mark.parametrize(
    ("typed", "mailbox"),
    [
        ("Anna+shop@example.com", "anna@example.com"),
        ("an.na@example.com", "an.na@example.com"),
        ("B.o.b+1@gmail.com", "bob@gmail.com"),
        ("bob@googlemail.com", "bob@gmail.com"),
        ("+tag@example.com", "+tag@example.com"),
    ],
)
def test_tags_lead_to_one_mailbox(typed: str, mailbox: str) -> None:
    assert parse_address(typed).mailbox == mailbox


def test_a_hash_differs_by_key_and_address_and_holds_neither() -> None:
    made = keyed_hash("anna@example.com", KEY)
    assert made == keyed_hash("anna@example.com", KEY)
    assert made != keyed_hash("anna@example.com", b"another key")
    assert made != keyed_hash("ben@example.com", KEY)
    assert len(made) == 64


def test_a_hint_shows_the_first_letter_and_the_domain() -> None:
    assert hint("anna@example.com") == "a•••@example.com"
