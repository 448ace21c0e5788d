"""What the back office calls things, in English; the pages translate."""

from __future__ import annotations

from collections.abc import Mapping

from ..bulk import ERASED, WAITING
from ..forms import bad_address_text
from ..i18n import gettext, n_, ngettext
from ..lifecycle import INVITEE, SENDER, SYSTEM
from ..looking_over import Line, Verdict
from ..models import History, JobState, MailState, Status

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
ACTIONS = {
    "discard": n_("Discard Selected"),
    "send": n_("Send Selected"),
    "expire": n_("Expire Selected"),
    "extend": n_("Extend Selected"),
}
EFFECTS = {
    "discard": n_("Their links stop working at once, and mail that still waits is not sent."),
    "send": n_("Each is mailed again; what was closed is opened under a new link."),
    "expire": n_("Their links end now, and mail that still waits is not sent."),
    "extend": n_("Their links live as long from now as new ones do; no mail is sent."),
}
JOB_STATES = {
    JobState.QUEUED: n_("Waiting"),
    JobState.RUNNING: n_("Running"),
    JobState.DONE: n_("Done"),
    JobState.STOPPED: n_("Stopped"),
    JobState.FAILED: n_("Failed"),
}
STOPPING = n_("Stopping")
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
    "extend": n_("The link was extended"),
    "ask": n_("Asked for a fresh link"),
    "purge": n_("Address and message removed: their time was over"),
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


def question(action: str, number: int) -> str:
    """Ask whether a mass action shall be done."""
    return {
        "discard": ngettext("Discard %(num)s invitation?", "Discard %(num)s invitations?", number),
        "send": ngettext("Send %(num)s invitation?", "Send %(num)s invitations?", number),
        "expire": ngettext("Expire %(num)s invitation?", "Expire %(num)s invitations?", number),
        "extend": ngettext("Extend %(num)s invitation?", "Extend %(num)s invitations?", number),
    }[action]


def done_text(action: str, number: int) -> str:
    """Say how many invitations an action changed."""
    return {
        "discard": ngettext(
            "%(num)s invitation was discarded.", "%(num)s invitations were discarded.", number
        ),
        "send": ngettext(
            "%(num)s invitation is on its way.", "%(num)s invitations are on their way.", number
        ),
        "expire": ngettext(
            "%(num)s invitation has expired.", "%(num)s invitations have expired.", number
        ),
        "extend": ngettext(
            "%(num)s invitation was extended.", "%(num)s invitations were extended.", number
        ),
    }[action]


def skipped_text(number: int, reason: str) -> str:
    """Say how many were left as they are, and why: by their status or another reason."""
    if reason == ERASED:
        return ngettext(
            "%(num)s stays as it is: its address was removed.",
            "%(num)s stay as they are: their addresses were removed.",
            number,
        )
    if reason == WAITING:
        return ngettext(
            "%(num)s stays as it is: its mail is on its way already.",
            "%(num)s stay as they are: their mail is on its way already.",
            number,
        )
    return ngettext(
        "%(num)s stays as it is: its status is %(status)s.",
        "%(num)s stay as they are: their status is %(status)s.",
        number,
        status=gettext(STATUSES[Status(reason)]),
    )


def in_order(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return what was counted by status, or by another reason, as pages list it."""
    return [(each, counted[each]) for each in (*STATUSES, ERASED, WAITING) if counted.get(each)]


def reason_label(reason: str) -> str:
    """Name why some were left as they are."""
    if reason == ERASED:
        return gettext("Address removed")
    if reason == WAITING:
        return gettext("Mail is on its way already")
    return gettext(STATUSES[Status(reason)])


def failed_text(number: int) -> str:
    """Say how many could not be changed because of a fault."""
    return ngettext(
        "%(num)s invitation could not be changed; the store's log says why.",
        "%(num)s invitations could not be changed; the store's log says why.",
        number,
    )


VERDICTS = {
    Verdict.NEW: n_("Will be invited"),
    Verdict.BAD: n_("Not an e-mail address"),
    Verdict.REPEATED: n_("Entered more than once"),
    Verdict.INVITED: n_("Invited already"),
    Verdict.CUSTOMER: n_("A customer already"),
    Verdict.BLOCKED: n_("At a blocked domain"),
    Verdict.OPTED_OUT: n_("Wants no invitations"),
}


def verdict_text(line: Line) -> str:
    """Say what becomes of one pasted address, and what is wrong with one that is none."""
    text = gettext(VERDICTS[line.verdict])
    if line.verdict != Verdict.BAD:
        return text
    return gettext("%(what)s: %(why)s", what=text, why=bad_address_text(line.pasted.typed))


def added_text(number: int) -> str:
    """Say how many invitations were made."""
    return ngettext(
        "%(num)s invitation was saved and is on its way.",
        "%(num)s invitations were saved and are on their way.",
        number,
    )


def stale_text() -> str:
    """Say that a form was open for too long, and that nothing is lost."""
    return gettext("This page was open for too long. Nothing was saved; send it once more.")
