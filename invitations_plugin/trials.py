"""Test mails: one message handed to the real server while somebody waits for its answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from .smtp import Ambiguous, Broken, Message, Permanent, Temporary, Unreachable, connect
from .throttle import Window

TRIALS = Window("trial", timedelta(minutes=10), 10)  # test mails of one member of staff
PATIENCE = 10.0  # seconds that one answer may take: somebody waits for it


class End(StrEnum):
    """How a test mail ended."""

    TAKEN = "taken"
    SUPPRESSED = "suppressed"
    UNREACHABLE = "unreachable"
    LATER = "later"
    REFUSED = "refused"
    BROKEN = "broken"
    UNKNOWN = "unknown"


ENDS: dict[type[Exception], End] = {
    Unreachable: End.UNREACHABLE,
    Temporary: End.LATER,
    Permanent: End.REFUSED,
    Broken: End.BROKEN,
    Ambiguous: End.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a test mail: how it ended, at which server, and what that said."""

    end: End
    server: str
    said: str


def send(message: Message) -> Answer:
    """Hand a message to the mail server and return its answer; no fault of it is raised."""
    connection = connect()
    connection.timeout, connection.last_answer = PATIENCE, 1
    server = f"{connection.mail.server}:{connection.mail.port}"
    try:
        with connection:
            connection.deliver(message)
    except tuple(ENDS) as error:
        return Answer(ENDS[type(error)], server, str(error))
    end = End.TAKEN if connection.host is not None else End.SUPPRESSED
    return Answer(end, server, connection.answer)
