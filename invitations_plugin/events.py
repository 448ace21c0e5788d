"""After the commit: wake the delivery and tell whoever listens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from blinker import NamedSignal
from flask import current_app

from .models import Invitation
from .state import state


def announce(signal: NamedSignal, invitations: Iterable[Invitation], **more: Any) -> None:
    """Send a signal for each invitation; a receiver's fault is logged and stays its own."""
    wake_delivery()
    for invitation in invitations:
        tell(signal, invitation=invitation, **more)


def tell(signal: NamedSignal, **values: Any) -> None:
    """Send a signal; a receiver's fault is logged, and what happened has happened."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    for receiver in signal.receivers_for(app):
        try:
            receiver(app, **values)
        except Exception:
            current_app.logger.exception("A receiver of %s failed", signal.name)


def wake_delivery() -> None:
    """Let the delivery look at the outbox now, in this process or by Celery."""
    mounted = state()
    for driver in (mounted.thread, mounted.bell):
        if driver is not None:
            driver.wake()
