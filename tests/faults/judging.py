"""What must hold after every fault, and the table of what was seen."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa

from invitations_plugin import reconciling
from invitations_plugin.models import History

from ..support.sink import Sink
from ..support.stores import Store

WHOLE = os.environ.get("FAULTS") == "whole"


@dataclass
class Run:
    """One run with a fault: of how many mails, and what became of them."""

    name: str
    began: float = field(default_factory=time.monotonic)
    mails: int = 0
    lost: int = 0
    most: int = 0
    twice: int = 0
    seconds: float = 0.0

    def judge(self, store: Store, sink: Sink, addresses: Iterable[str]) -> set[str]:
        """Assert the invariants, and return the addresses that got a second copy.

        I1 and I3: each address got its mail and nothing waits. I4: a mail goes out twice at
        the most, under the same Message-ID, and only where the end of a try was unknown.
        The rest is for ``reconcile``.
        """
        self.seconds = time.monotonic() - self.began
        got = Counter(address for mail in sink.mails for address in mail.recipients)
        wanted = set(addresses)
        copies = Counter(str(mail.message["Message-ID"]) for mail in sink.mails)
        self.mails, self.lost = len(wanted), len(wanted - got.keys())
        self.most = max(copies.values(), default=0)
        twice = {address for address, number in got.items() if number > 1}
        self.twice = len(twice)
        assert (wanted - got.keys(), self.most <= 2) == (set(), True), copies
        assert len(copies) == len(got)  # no second mail instead of a second copy
        assert twice <= of_unknown_end(store)
        assert store.outbox() == []
        assert broken_rules(store) == {}
        return twice


RUNS: list[Run] = []


def table() -> str:
    """Return the runs so far, those of the same name in one line."""
    names = dict.fromkeys(run.name for run in RUNS)
    lines = [f"{'':<58} runs  mails  lost  twice  most copies  seconds each"]
    for name in names:
        runs = [run for run in RUNS if run.name == name]
        mails, lost, twice = (
            sum(getattr(run, field) for run in runs) for field in ("mails", "lost", "twice")
        )
        seconds = sum(run.seconds for run in runs) / len(runs)
        most = max(run.most for run in runs)
        lines.append(
            f"{name:<58}{len(runs):>5}{mails:>7}{lost:>6}{twice:>7}{most:>13}{seconds:>14.1f}"
        )
    return "\n".join(lines)


def of_unknown_end(store: Store) -> set[str]:
    """Return the addresses that had a try whose end nobody knows."""
    with store.session() as db:
        numbers = set(
            db.scalars(sa.select(History.invitation_id).where(History.action == "unknown"))
        )
    return {str(row.email) for row in store.invitations() if row.id in numbers}


def broken_rules(store: Store) -> dict[str, int]:
    """Return the rules that ``flask invitations reconcile`` finds broken."""
    with store.app.app_context():
        return {each.check.rule: each.count for each in reconciling.reconcile() if each.count}
