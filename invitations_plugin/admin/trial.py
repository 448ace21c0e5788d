"""Test mails of staff: handed to the real server, its answer shown; some in a while."""

from __future__ import annotations

from .. import trials
from ..database import atomically, session
from ..i18n import gettext
from ..smtp import Message
from ..state import host
from ..template_words import answer_text
from ..throttle import count


def hand_over(message: Message, to: str) -> tuple[str, str]:
    """Hand a test mail to the mail server; return the kind of notice and what it says.

    :raises WindowFull: when this member of staff sent many of late.
    """
    # Its commit also leaves no transaction open while the server takes its time.
    atomically(lambda: count(session(), trials.TRIALS, host().staff_key()[0]))
    answer = trials.send(message)
    kind = "success" if answer.end == trials.End.TAKEN else "error"
    return kind, answer_text(answer, to)


def too_many_text() -> str:
    """Ask somebody who sent many test mails to wait."""
    return gettext("These are many test mails; please wait some minutes before the next one.")
