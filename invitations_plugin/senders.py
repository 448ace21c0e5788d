"""The identities a store view may write as: which of them mail can come from."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from .addresses import BadAddress, parse_address
from .host import Sender

_CONTROL = {"Cc", "Cs", "Zl", "Zp"}  # control characters, halves of characters, line ends


class NoSender(RuntimeError):
    """No identity of a store view can be written from."""


def choose(senders: Iterable[Sender], code: str) -> Sender:
    """Return the identity with this code; the first that mail can come from without it.

    Its addresses are as :func:`usable` has them.

    :raises NoSender: when mail can come from none.
    """
    found = usable(senders)
    if not found:
        raise NoSender("The store view has no sender that mail can come from; see the doctor.")
    return next((each for each in found if each.code == code), found[0])


def usable(senders: Iterable[Sender]) -> list[Sender]:
    """Return the identities that mail can come from, their addresses in ASCII.

    An address for answers that is none is left out.
    """
    return [checked for each in senders if (checked := _checked(each)) is not None]


@lru_cache(maxsize=256)  # the same few, asked for every mail
def _checked(sender: Sender) -> Sender | None:
    email = _deliverable(sender.email)
    if email is None or _has_control(sender.name):
        return None
    return replace(sender, email=email, reply_to=_deliverable(sender.reply_to) or "")


def faults(sender: Sender) -> list[str]:
    """Return what is wrong with an identity, in words for an operator; nothing when all is well."""
    found = []
    if _has_control(sender.name):
        found.append(f"its name {sender.name!r} holds a control character")
    if not sender.email:
        found.append("it has no address")
    elif _deliverable(sender.email) is None:
        found.append(f"mail cannot be sent to {sender.email!r}")
    if sender.reply_to and _deliverable(sender.reply_to) is None:
        found.append(f"answers cannot be sent to {sender.reply_to!r}")
    return found


def _deliverable(email: str) -> str | None:
    try:
        return parse_address(email or "").delivery
    except BadAddress:
        return None


def _has_control(name: str) -> bool:
    return any(unicodedata.category(character) in _CONTROL for character in name)
