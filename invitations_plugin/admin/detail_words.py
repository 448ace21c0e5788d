"""What the page of one invitation calls things, in English; the page translates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from ..editing import is_editable
from ..host import StoreView
from ..i18n import format_datetime, gettext, n_
from ..models import History, Invitation, MailState, Status
from . import words

FIELDS = {
    "message": n_("Message"),
    "group": n_("Invitee Group"),
    "group_code": n_("Invitee Group"),
    "expires": n_("Valid until"),
    "expires_at": n_("Valid until"),
}
# What is asked before some of the actions, and what they do.
QUESTIONS = {
    "discard": (
        n_("Discard this invitation?"),
        n_("Its link stops working at once, and a mail that still waits is not sent."),
    ),
    "expire": (
        n_("Expire this invitation now?"),
        n_(
            "Its link ends at once, and a mail that still waits is not sent. With a later end"
            " the same link works again."
        ),
    ),
}
# How one try of a mail ended; the rest of the history is no business of the mail server's.
TRIES = {
    "send": n_("Taken by the mail server"),
    "defer": n_("Put off by the mail server"),
    "fail": n_("Failed for good"),
    "unknown": n_("Unclear whether the mail arrived"),
    "skip": n_("Not sent"),
    "wait": n_("Waits for its turn"),
}
REOPENING = n_(
    "Reopening mails it again with a new link. The link in the older mail never works again."
)
_EDITED = re.compile(r"(\w+)(?:: (.*?) -> (.*))?")


def entry_lines(entry: History, view: StoreView, groups: Mapping[str, str]) -> tuple[str, ...]:
    """Return what a line of history says below its first one: each thing that was edited."""
    if entry.action != "edit" or not entry.reason:
        return ()
    found = [_EDITED.fullmatch(part) for part in entry.reason.split("; ")]
    return tuple(_edited_text(each, view, groups) for each in found if each is not None)


def _edited_text(part: re.Match[str], view: StoreView, groups: Mapping[str, str]) -> str:
    name, before, after = part.groups()
    if name == "message":
        return gettext("The message was changed.")
    label = gettext(FIELDS.get(name, name))
    if before is None or after is None:
        return label
    shown = [_value_text(name, text, view, groups) for text in (before, after)]
    return gettext("%(label)s: from %(old)s to %(new)s", label=label, old=shown[0], new=shown[1])


def _value_text(name: str, text: str, view: StoreView, groups: Mapping[str, str]) -> str:
    if name != "expires_at":
        return groups.get(text, text)
    try:
        return format_datetime(datetime.fromisoformat(text), view)
    except ValueError:  # not written by us
        return text


def entry_text(entry: History) -> str:
    """Return what happened in a sentence; what stands elsewhere on the page is left out."""
    if entry.action in ("edit", "send"):
        return gettext(words.HISTORY[entry.action])
    return words.history_text(entry)


def move_text(entry: History) -> str:
    """Return from which status to which one an invitation came, "" where it stayed."""
    before, after = entry.from_status, entry.to_status
    if not before or not after or before == after:
        return ""
    return gettext("%(old)s → %(new)s", old=status_text(before), new=status_text(after))


def status_text(status: str) -> str:
    """Return what a status is called."""
    return gettext(words.STATUSES[Status(status)]) if status in list(Status) else status


def message_hint(row: Invitation) -> str:
    """Say which mail a message goes with."""
    if row.mail_state == MailState.QUEUED:
        return gettext("It goes with the mail that waits in the outbox.")
    if row.last_sent_at is not None:
        return gettext("The mail that was sent stays as it is: only a resend carries the new text.")
    return gettext("It goes with the next mail.")


def conflict_text(row: Invitation) -> str:
    """Say why what was typed could not be saved."""
    if not is_editable(row):
        return gettext(
            "Nothing was saved: an invitation whose status is %(status)s cannot be edited. What"
            " you typed stands below.",
            status=status_text(row.status),
        )
    if row.mail_state == MailState.SENDING:
        return gettext(
            "Nothing was saved yet: its mail is being handed to the mail server just now. Save"
            " once more in a moment."
        )
    return gettext(
        "Nothing was saved yet: this invitation has changed since you opened it. Look at what"
        " is new, then save once more to put yours on top."
    )
