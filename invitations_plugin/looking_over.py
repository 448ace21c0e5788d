"""What would become of a list of addresses, before anything of it is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy.orm import Session

from .addresses import Address, keyed_hash
from .inviting import Submission, find_invited
from .models import Invitation
from .opt_outs import opted_out_among
from .pasted import Pasted
from .settings import SKIP, Settings, read_domains


class Verdict(StrEnum):
    """What is to be done with one address, or why nothing."""

    NEW = "new"
    SIGN_IN = "sign_in"
    BAD = "bad"
    REPEATED = "repeated"
    INVITED = "invited"
    CUSTOMER = "customer"
    BLOCKED = "blocked"
    OPTED_OUT = "opted_out"


WANTED: Final = (Verdict.NEW, Verdict.SIGN_IN)


@dataclass(frozen=True, slots=True)
class Line:
    """One address of the list; ``invitation`` is the one it has already."""

    pasted: Pasted
    verdict: Verdict
    invitation: Invitation | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """All lines, in the order they were typed."""

    lines: Sequence[Line]

    @property
    def counts(self) -> Counter[Verdict]:
        """How many lines there are of each kind."""
        return Counter(line.verdict for line in self.lines)

    def wanted(self, key: str | None) -> list[Address]:
        """Return what is to be invited; where that is nothing, what this very form invited."""
        new = [line for line in self.lines if line.verdict in WANTED]
        chosen = new or [line for line in self.lines if _is_own(line, key)]
        return [line.pasted.address for line in chosen if line.pasted.address is not None]


def _is_own(line: Line, key: str | None) -> bool:
    made = line.invitation
    return made is not None and key is not None and made.submission == key


def look_over(
    session: Session,
    pasted: Sequence[Pasted],
    asked: Submission,
    settings: Settings,
    hash_key: bytes,
    customers: Set[str],
) -> Review:
    """Say of each address what a submission would make of it; ``asked`` has them all.

    Blocked and opted out ones are told to staff, who may know: no mail would leave.

    :param customers: those of the addresses that customers of the website have.
    """
    found = {
        address.identity: row for address, row in find_invited(session, asked, hash_key).items()
    }
    hashes = {each: keyed_hash(each.mailbox, hash_key) for each in asked.addresses}
    out = opted_out_among(session, set(hashes.values()))
    blocked = read_domains(settings.blocked_domains)
    of_customer = Verdict.CUSTOMER if settings.existing_customers == SKIP else Verdict.SIGN_IN
    seen: set[str] = set()

    def judge(address: Address | None) -> Verdict:
        if address is None:
            return Verdict.BAD
        if address.identity in seen:
            return Verdict.REPEATED
        seen.add(address.identity)
        if address.identity in found:
            return Verdict.INVITED
        if address.is_below(blocked):
            return Verdict.BLOCKED
        if hashes[address] in out:
            return Verdict.OPTED_OUT
        return of_customer if address.delivery in customers else Verdict.NEW

    return Review([_line(each, judge(each.address), found) for each in pasted])


def _line(pasted: Pasted, verdict: Verdict, found: dict[str, Invitation]) -> Line:
    address = pasted.address if verdict == Verdict.INVITED else None
    return Line(pasted, verdict, found[address.identity] if address is not None else None)
