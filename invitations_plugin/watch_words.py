"""What keeps mail from leaving, in sentences for operators at a command line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from .watch import Sight, Trouble


def findings(sight: Sight, parked: int) -> Iterator[str]:
    """Yield what is wrong with the delivery, each with its remedy.

    :param parked: how many mails wait for a decision.
    """
    troubles = sight.troubles
    if Trouble.REFUSED in troubles and not sight.is_left_alone:  # which is said already
        yield (
            f"A worker was refused by the mail server ({sight.refused}): mail waits, and is tried"
            " again by itself."
        )
    if Trouble.NO_WORKER in troubles:
        yield (
            f"Mail is due for {_minutes(sight.age)} and no worker was seen: start the store, or"
            " 'flask invitations worker'."
        )
    if Trouble.LATE in troubles:
        yield (
            f"The oldest mail waits for {_minutes(sight.age)}, longer than the"
            f" {_minutes(sight.alarm_after)} of the setting alarm_minutes."
        )
    if parked:
        yield (
            f"Mails of unknown end that wait for a decision: {parked}. Take it in the back office,"
            " at Delivery."
        )


def _minutes(span: timedelta) -> str:
    number = int(span.total_seconds()) // 60
    return f"{number} minute{'' if number == 1 else 's'}"
