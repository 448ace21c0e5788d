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
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    for invitation in invitations:
        _send(signal, app, invitation=invitation, **more)


def _send(signal: NamedSignal, app: Any, **values: Any) -> None:
    for receiver in signal.receivers_for(app):
        try:
            receiver(app, **values)
        except Exception:
            current_app.logger.exception("A receiver of %s failed", signal.name)


def wake_delivery() -> None:
    """Let the delivery look at the outbox now, where it runs in this process."""
    thread = state().thread
    if thread is not None:
        thread.wake()
