"""The ``flask`` command with waits of seconds where it has minutes, so that tests see them end."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from types import ModuleType

from flask.cli import main

import sample_store.app  # noqa: F401  # imported once, before the first worker is forked
from invitations_plugin import circuit, endings, marking, outbox, workers

LEASE = timedelta(seconds=2)
SENDING = timedelta(seconds=5)  # more than any message of these tests takes
AGAIN = timedelta(seconds=1)
RETRY = timedelta(seconds=1)
INSISTENCE = 3.0


def shorten() -> None:
    """Put our waits in place of the product's; each of them must be there."""
    waits: dict[ModuleType, dict[str, object]] = {
        outbox: {
            "LEASE": LEASE,
            "AMBIGUOUS_WAIT": AGAIN,
            "RETRIES": [RETRY] * len(outbox.RETRIES),
        },
        marking: {"_sending_lease": lambda: SENDING},
        endings: {"INSISTENCE": INSISTENCE},
        workers: {"POLL": 0.2, "PAUSE": 0.5, "LONGEST_PAUSE": 0.5},
        # These servers have nobody's mail for a while, one mode after the other; what becomes of
        # a server that is left alone has tests of its own.
        circuit: {"SILENCES": 10_000, "ANYWHERE": 10_000, "REFUSALS": 10_000},
    }
    for module, values in waits.items():
        for name, value in values.items():
            assert hasattr(module, name), f"{name} is called otherwise by now"
            setattr(module, name, value)


def flask(environment: Mapping[str, str], log: str, *arguments: str) -> None:
    """Be ``flask`` with these arguments, all that is said going into ``log``."""
    os.environ.update(environment)
    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    shorten()
    sys.argv = ["flask", *arguments]
    main()
