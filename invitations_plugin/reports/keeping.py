"""What the worker does for the reports: short turns of it, between its mails."""

from __future__ import annotations

from collections.abc import Callable

from . import folding, purchases


def keep(over: Callable[[], bool] = lambda: False, chunk: int | None = None) -> bool:
    """Bring figures and purchases up to date; return whether nothing is left to do now.

    :param over: asked before each step; true ends the work, and others may go on.
    :param chunk: how many invitations a step counts, else 10,000: with more it takes less time
        in all, and whoever writes to SQLite waits longer for each.
    """
    is_asked = purchases.ask_all(over)
    return folding.keep(over, chunk) and is_asked
