"""What the back office calls things, in English; the pages translate."""

from __future__ import annotations

from ..i18n import gettext, n_, ngettext
from ..lifecycle import INVITEE, SENDER, SYSTEM
from ..models import History, MailState, Status

STATUSES = {
    Status.SENT: n_("Sent"),
    Status.NOT_SENT: n_("Not Sent"),
    Status.ACCEPTED: n_("Accepted"),
    Status.DISCARDED: n_("Discarded"),
    Status.DECLINED: n_("Declined"),
    Status.EXPIRED: n_("Expired"),
}
MAIL_STATES = {
    MailState.QUEUED: n_("Waiting in the outbox"),
    MailState.SENDING: n_("Being handed to the mail server"),
    MailState.DELIVERED: n_("Taken by the mail server"),
    MailState.FAILED: n_("Failed for good"),
    MailState.PARKED: n_("Unknown whether it arrived; waits for a decision"),
    MailState.SKIPPED: n_("Not sent"),
}
COLUMNS = {
    "id": n_("ID"),
    "email": n_("Email"),
    "invitee": n_("Invitee"),
    "sent": n_("Sent"),
    "registered": n_("Registered"),
    "status": n_("Status"),
    "website": n_("Valid Website"),
    "group": n_("Invitee Group"),
}
FILTERS = {
    "id_from": n_("ID from"),
    "id_to": n_("ID to"),
    "email": n_("Email"),
    "invitee": n_("Invitee"),
    "sent_from": n_("Sent since"),
    "sent_to": n_("Sent until"),
    "registered_from": n_("Registered since"),
    "registered_to": n_("Registered until"),
    "status": n_("Status"),
    "website": n_("Valid Website"),
    "group": n_("Invitee Group"),
}
FILTER_ERRORS = {
    "number": n_("Enter a whole number."),
    "date": n_("Enter a date such as 2026-11-30."),
    "choice": n_("Choose one from the list."),
}
HISTORY = {
    "create": n_("Invitation created"),
    "send": n_("Mail handed to the mail server"),
    "skip": n_("Mail not sent"),
    "defer": n_("Mail deferred"),
    "fail": n_("Mail failed for good"),
    "unknown": n_("Unclear whether the mail arrived"),
    "resend": n_("Sent again"),
    "reopen": n_("Opened again"),
    "accept": n_("Accepted: the friend created an account"),
    "cancel": n_("Canceled by the sender"),
    "discard": n_("Discarded"),
    "decline": n_("Declined by the invited person"),
    "expire": n_("The link expired"),
    "ask": n_("Asked for a fresh link"),
    "overtaken": n_("Another invitation of this address was accepted"),
    "sign_in": n_("The friend signed in to an account"),
    "wait": n_("Waits for its turn"),
}

# Why a mail was not sent, by the codes that the delivery notes; a server's words stay as they are.
REASONS = {
    "erased": n_("The address was removed."),
    "opted out": n_("This mailbox wants no invitations from this store."),
    "expired": n_("The link had expired."),
    "inviter disabled": n_("The sender's account is disabled."),
    "account deleted": n_("The sender's account was deleted."),
    "without the link": n_("The address was registered without the link."),
    **{status.value: n_("The invitation was closed before.") for status in Status},
}


def reason_text(reason: str | None) -> str:
    """Return why something happened, "" where nobody said."""
    return gettext(REASONS.get(reason, reason)) if reason else ""


def history_text(entry: History) -> str:
    """Return what happened in a sentence, with its reason."""
    text = gettext(HISTORY.get(entry.action, entry.action))
    if not entry.reason:
        return text
    return gettext("%(what)s: %(why)s", what=text, why=reason_text(entry.reason))


def actor_text(entry: History) -> str:
    """Return who did it."""
    if entry.actor_kind == SYSTEM:
        return gettext("System")
    if entry.actor_kind == INVITEE:
        return gettext("Invited person")
    if entry.actor_kind == SENDER:
        return entry.actor_name or gettext("Customer")
    return entry.actor_name or gettext("Staff")


def discarded_text(number: int) -> str:
    """Say how many invitations were discarded."""
    return ngettext(
        "%(num)s invitation was discarded.", "%(num)s invitations were discarded.", number
    )


def sent_text(number: int) -> str:
    """Say how many invitations go out again."""
    return ngettext(
        "%(num)s invitation is on its way.", "%(num)s invitations are on their way.", number
    )


def skipped_text(number: int, status: str) -> str:
    """Say how many of a status are left as they are."""
    return ngettext(
        "%(num)s stays as it is: its status is %(status)s.",
        "%(num)s stay as they are: their status is %(status)s.",
        number,
        status=gettext(STATUSES[Status(status)]),
    )
