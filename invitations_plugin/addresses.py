"""E-mail addresses: one place that reads, compares and hides them."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

MAX_LOCAL = 64
MAX_ADDRESS = 254
MAX_TYPED = 1000
GMAIL = ("gmail.com", "googlemail.com")  # one mailbox, however many dots are in its name
PLAIN_LOCAL = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*")


class BadAddress(ValueError):
    """What was typed is not one bare e-mail address that mail can be sent to."""


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address.

    ``delivery`` is what the mail server is given (the domain in IDNA 2008 ASCII form, as
    pages show it too: a look-alike domain is seen for what it is); ``identity`` is what
    two spellings of one address share: its case, all ASCII by now, folded.
    """

    delivery: str
    identity: str

    @property
    def domain(self) -> str:
        """What stands behind the @."""
        return self.identity.rpartition("@")[2]

    def is_below(self, domains: Set[str]) -> bool:
        """Return whether the address is at one of these domains or at one below them."""
        parts = self.domain.split(".")
        return any(".".join(parts[start:]) in domains for start in range(len(parts)))

    @property
    def mailbox(self) -> str:
        """The mailbox behind tags (and Gmail's dots), for counting what it receives."""
        local, _, domain = self.identity.rpartition("@")
        local = local.split("+", 1)[0] or local
        if domain in GMAIL:
            return f"{local.replace('.', '')}@{GMAIL[0]}"
        return f"{local}@{domain}"


def parse_address(typed: str) -> Address:
    """Read one bare address, as typed by a person.

    :raises BadAddress: when it is none, or one that cannot be delivered to.
    """
    text = typed.strip()
    if len(text) > MAX_TYPED or not text:
        raise BadAddress(typed[:MAX_ADDRESS])
    try:
        checked = validate_email(
            text, check_deliverability=False, allow_smtputf8=False, allow_quoted_local=False
        )
    except EmailNotValidError as error:
        raise BadAddress(text) from error
    delivery = checked.ascii_email
    if delivery is None or not _deliverable(delivery):
        raise BadAddress(text)
    return Address(delivery, delivery.lower())


def parse_many(typed: Iterable[str]) -> Iterator[Address]:
    """Read many addresses at few domains: each domain is checked once, being the slow part.

    :raises BadAddress: when one is none.
    """
    domains: dict[str, str] = {}
    for text in typed:
        local, _, domain = text.rpartition("@")
        if len(local) > MAX_LOCAL or not PLAIN_LOCAL.fullmatch(local):
            yield parse_address(text)
            continue
        if domain not in domains:
            domains[domain] = parse_address(f"name@{domain}").delivery.removeprefix("name")
        delivery = local + domains[domain]
        if not _deliverable(delivery):
            raise BadAddress(text)
        yield Address(delivery, delivery.lower())


def parse_domain(typed: str) -> str:
    """Return a domain, or the last part of one, as addresses have it: ASCII, small letters.

    :raises BadAddress: when there can be no address below it.
    """
    host = "host."  # of which a whole domain and a last part are both a tail
    return parse_address(f"name@{host}{typed.strip().lstrip('@.')}").domain.removeprefix(host)


def _deliverable(delivery: str) -> bool:
    """RFC 5321's lengths, and nothing that a header or a server could read otherwise."""
    local = delivery.rpartition("@")[0]
    return (
        len(delivery) <= MAX_ADDRESS
        and len(local) <= MAX_LOCAL
        and delivery.isascii()
        and delivery.isprintable()
        and not set(delivery) & set(' ,;:<>()[]"\\')
    )


def keyed_hash(identity: str, key: bytes) -> str:
    """Return a hash of an address that is worth nothing without the key."""
    return hmac.new(key, identity.encode(), hashlib.sha256).hexdigest()


def hint(address: str) -> str:
    """Return an address as a stranger may see it: ``a•••@example.com``."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"
