"""What the worker does for the reports: short turns of it, between its mails."""

from __future__ import annotations

from collections.abc import Callable

from . import folding, purchases


def keep(over: Callable[[], bool] = lambda: False) -> bool:
    """Bring figures and purchases up to date; return whether nothing is left to do now.

    :param over: asked before each step; true ends the work, and others may go on.
    """
    is_asked = purchases.ask_all(over)
    return folding.keep(over) and is_asked
