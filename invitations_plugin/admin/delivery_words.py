"""What the page of the delivery calls things, in English; the page translates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..backlog import MOST, MOST_FAILED, Backlog, Place
from ..heartbeat import COMMAND, THREAD, WORKER
from ..i18n import format_number, format_span, gettext, n_, ngettext
from ..watch import Sight, Trouble
from . import words

PLACES = {
    Place.PARKED: n_("Waits for a decision"),
    Place.FAILED: n_("Failed for good"),
    Place.DEFERRED: n_("Tried again later"),
    Place.DUE: n_("Due now"),
    Place.SENDING: n_("In the hands of a worker"),
    Place.LATER: n_("Due later"),
}
EMPTY = {
    Place.PARKED: n_("No mail waits for a decision."),
    Place.FAILED: n_("No mail failed for good, or all of them were dealt with."),
    Place.DEFERRED: n_("No mail was put off."),
    Place.DUE: n_("No mail is due."),
    Place.SENDING: n_("No worker holds a mail."),
    Place.LATER: n_("No mail waits for its turn."),
}
HINTS = {
    Place.PARKED: n_(
        "Nobody knows whether these arrived. Sent once more, such a mail may arrive a second time."
    ),
    Place.FAILED: n_(
        "Open an invitation to see why, and to send it again. Who invited may invite a corrected"
        " address."
    ),
    Place.LATER: n_(
        "They wait for their mailbox's turn, or until they cannot be taken back any more."
    ),
}
OUTCOMES = {
    "sent": n_("Sent"),
    "deferred": n_("Put off"),
    "failed": n_("Failed for good"),
    "unknown": n_("Of unknown end"),
}
KINDS = {
    THREAD: n_("Thread of the store"),
    WORKER: n_("Worker"),
    COMMAND: n_("Command"),
}
ALIVE, SILENT, ENDED = n_("Alive"), n_("Silent"), n_("Ended")
RELEASE, GIVE_UP = "release", "give_up"
DECISIONS = {RELEASE: n_("Send Once More"), GIVE_UP: n_("Give Up")}
EFFECTS = {
    RELEASE: n_("Each leaves with its next turn; one that did arrive arrives a second time."),
    GIVE_UP: n_("None is sent again, and each counts as failed for good."),
}


def states(sight: Sight, held: Backlog) -> list[tuple[str, str]]:
    """Say in sentences how the delivery is: each with the kind of notice that it is."""
    return [*_troubles(sight), *_calm(sight, held)]


def _troubles(sight: Sight) -> Iterator[tuple[str, str]]:
    troubles = sight.troubles
    if not sight.is_on:
        yield "info", gettext("Invitations are switched off: mail waits until they are on.")
    if Trouble.REFUSED in troubles:
        yield "error", gettext("The mail server refuses: %(said)s", said=sight.refused)
    if Trouble.NO_WORKER in troubles:
        yield (
            "error",
            gettext(
                "Mail is due and no worker has been seen. Mail is sent by a thread of the store, or"
                " by 'flask invitations worker' in a process of its own."
            ),
        )
    if Trouble.LATE in troubles:
        yield (
            "error",
            gettext(
                "The oldest mail has waited for %(age)s, which is more than %(most)s.",
                age=format_span(sight.age),
                most=format_span(sight.alarm_after),
            ),
        )


def _calm(sight: Sight, held: Backlog) -> Iterator[tuple[str, str]]:
    if held.parked:
        yield (
            "info",
            ngettext(
                "%(num)s mail waits for a decision.",
                "%(num)s mails wait for a decision.",
                held.parked,
            ),
        )
    number = held.waiting
    if not held.is_whole:
        text = gettext("More than %(num)s mails wait.", num=format_number(MOST))
        yield "info", text
    elif number and sight.oldest is not None:
        yield (
            "info",
            ngettext(
                "%(num)s mail waits, the oldest for %(age)s.",
                "%(num)s mails wait, the oldest for %(age)s.",
                number,
                age=format_span(sight.age),
            ),
        )
    elif number:
        yield (
            "info",
            ngettext(
                "%(num)s mail waits; none is due.", "%(num)s mails wait; none is due.", number
            ),
        )
    else:
        yield "success", gettext("All mail has left.")


def count_text(held: Backlog, place: Place) -> str:
    """Return how many mails stand in a place; with a plus where there are more."""
    number = held.at(place)
    if place == Place.FAILED:
        return f"{format_number(MOST_FAILED)}+" if number > MOST_FAILED else format_number(number)
    return f"{format_number(number)}{'' if held.is_whole else '+'}"


def did_text(did: Mapping[str, Any] | None) -> str:
    """Say what a worker's last mails came to, "" where it has had none."""
    said = [
        gettext("%(label)s: %(value)s", label=gettext(OUTCOMES[name]), value=format_number(number))
        for name, number in (did or {}).items()
        if number and name in OUTCOMES
    ]
    return " · ".join(said)


def question(action: str, number: int) -> str:
    """Ask whether a decision on parked mails shall stand."""
    if action == RELEASE:
        return ngettext("Send %(num)s mail once more?", "Send %(num)s mails once more?", number)
    return ngettext("Give up %(num)s mail?", "Give up %(num)s mails?", number)


def decided_text(action: str, number: int) -> str:
    """Say how many parked mails were decided on."""
    if action == RELEASE:
        return ngettext(
            "%(num)s mail is on its way once more.",
            "%(num)s mails are on their way once more.",
            number,
        )
    return ngettext("%(num)s mail was given up.", "%(num)s mails were given up.", number)


def left_text(number: int) -> str:
    """Say how many parked mails could not be decided on."""
    return ngettext(
        "%(num)s mail stays as it is: its invitation was closed, or somebody decided already.",
        "%(num)s mails stay as they are: their invitations were closed, or somebody decided"
        " already.",
        number,
    )


def reason_text(text: str) -> str:
    """Return why a mail did not leave: a server's own words, or ours."""
    return words.reason_text(text) or gettext("No reason was given.")
