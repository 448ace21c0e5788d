"""What the back office calls things, in English; the pages translate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..bulk import ERASED, WAITING
from ..i18n import format_number, gettext, n_, ngettext
from ..lifecycle import COMMAND_LINE, INVITEE, SENDER, SYSTEM
from ..looking_over import Line, Verdict
from ..models import ExportState, History, JobState, MailState, Status
from ..sent import CLOSED

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
# The same in a cell of the grid.
MAIL_LABELS = {
    MailState.QUEUED: n_("Queued"),
    MailState.SENDING: n_("Being sent"),
    MailState.DELIVERED: n_("Delivered"),
    MailState.FAILED: n_("Failed"),
    MailState.PARKED: n_("Unclear"),
    MailState.SKIPPED: n_("Not sent"),
}
ACTIONS = {
    "discard": n_("Discard Selected"),
    "send": n_("Send Selected"),
    "expire": n_("Expire Selected"),
    "extend": n_("Extend Selected"),
}
EXPORTS = {"csv": n_("Export as CSV"), "xlsx": n_("Export as XLSX")}
EXPORT_EFFECT = n_(
    "Each becomes a row of a file with the names, addresses and messages of people:"
    " keep it as safe as the store itself."
)
EXPORT_COLUMNS = {
    "id": n_("ID"),
    "inviter": n_("Inviter"),
    "email": n_("Email"),
    "invitee": n_("Invitee"),
    "message": n_("Message"),
    "created": n_("Created"),
    "sent": n_("Sent"),
    "registered": n_("Registered"),
    "expires": n_("Valid until"),
    "status": n_("Status"),
    "mail": n_("Mail"),
    "website": n_("Valid Website"),
    "store_view": n_("Send From"),
    "group": n_("Invitee Group"),
}
EXPORT_STATES = {
    ExportState.WAITING: n_("Not downloaded yet"),
    ExportState.RUNNING: n_("Running"),
    ExportState.DONE: n_("Done"),
    ExportState.STOPPED: n_("Stopped"),
    ExportState.FAILED: n_("Failed"),
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
    "inviter": n_("Inviter"),
    "email": n_("Email"),
    "invitee": n_("Invitee"),
    "message": n_("Message"),
    "sent": n_("Sent"),
    "registered": n_("Registered"),
    "expires": n_("Valid Until"),
    "status": n_("Status"),
    "mail": n_("Mail"),
    "website": n_("Valid Website"),
    "group": n_("Invitee Group"),
}
FILTERS = {
    "id_from": n_("ID from"),
    "id_to": n_("ID to"),
    "inviter": n_("Inviter"),
    "email": n_("Email"),
    "invitee": n_("Invitee"),
    "message": n_("Message"),
    "sent_from": n_("Sent since"),
    "sent_to": n_("Sent until"),
    "registered_from": n_("Registered since"),
    "registered_to": n_("Registered until"),
    "expires_from": n_("Valid until, from"),
    "expires_to": n_("Valid until, to"),
    "status": n_("Status"),
    "mail": n_("Mail"),
    "website": n_("Valid Website"),
    "group": n_("Invitee Group"),
    "store_view": n_("Send From"),
    "inviter_key": n_("Inviter"),
    "purchased": n_("Purchased"),
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
    "edit": n_("Edited"),
    "ask": n_("Asked for a fresh link"),
    "purge": n_("Address and message removed: their time was over"),
    "erase": n_("Address and message removed on request"),
    "overtaken": n_("Another invitation of this address was accepted"),
    "sign_in": n_("The friend signed in to an account"),
    "wait": n_("Waits for its turn"),
    "return": n_("The mail waits again, for the mail server refused everybody"),
    "park": n_("The mail was set aside for a decision: a backup was restored"),
    "release": n_("The mail may leave once more"),
    "give_up": n_("The mail was given up"),
}

# Why a mail was not sent, by the codes that the delivery notes; a server's words stay as they are.
REASONS = {
    "erased": n_("The address was removed."),
    "opted out": n_("This mailbox wants no invitations from this store."),
    "expired": n_("The link had expired."),
    "inviter disabled": n_("The sender's account is disabled."),
    "account deleted": n_("The sender's account was deleted."),
    "without the link": n_("The address was registered without the link."),
    CLOSED: n_("The invitation was closed while its mail left."),
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
        is_command = entry.actor_key == COMMAND_LINE.key
        return gettext("Command line") if is_command else gettext("System")
    if entry.actor_kind == INVITEE:
        return gettext("Invited person")
    if entry.actor_kind == SENDER:
        return entry.actor_name or gettext("Customer")
    return entry.actor_name or gettext("Staff")


# Where there are too many to be counted while somebody waits.
QUESTIONS = {
    "discard": n_("Discard more than %(num)s invitations?"),
    "send": n_("Send more than %(num)s invitations?"),
    "expire": n_("Expire more than %(num)s invitations?"),
    "extend": n_("Extend more than %(num)s invitations?"),
}


def question(action: str, number: int, is_whole: bool) -> str:
    """Ask whether a mass action shall be done, or say that there is nothing to do."""
    if not is_whole:
        return gettext(QUESTIONS[action], num=format_number(number))
    if not number:
        return gettext("None of these can be changed")
    return {
        "discard": ngettext("Discard %(num)s invitation?", "Discard %(num)s invitations?", number),
        "send": ngettext("Send %(num)s invitation?", "Send %(num)s invitations?", number),
        "expire": ngettext("Expire %(num)s invitation?", "Expire %(num)s invitations?", number),
        "extend": ngettext("Extend %(num)s invitation?", "Extend %(num)s invitations?", number),
    }[action]


def export_question(kind: str, number: int) -> str:
    """Ask whether invitations shall become a file."""
    return ngettext(
        "Export %(num)s invitation as %(format)s?",
        "Export %(num)s invitations as %(format)s?",
        number,
        format=kind.upper(),
    )


def export_title(kind: str, number: int) -> str:
    """Name an export by what its file holds."""
    return ngettext(
        "%(num)s invitation as %(format)s",
        "%(num)s invitations as %(format)s",
        number,
        format=kind.upper(),
    )


def columns_text(codes: Sequence[str]) -> str:
    """Name the columns of a file; one that is not made any more keeps its code."""
    return "\u00a0· ".join(gettext(EXPORT_COLUMNS.get(code, code)) for code in codes)


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
    Verdict.SIGN_IN: n_("Will be invited to sign in: a customer"),
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
    return bad_address_text(line.pasted.typed) if line.verdict == Verdict.BAD else text


def bad_address_text(typed: str) -> str:
    """Say that a text is no address, and why."""
    what = gettext(VERDICTS[Verdict.BAD])
    return gettext("%(what)s: %(why)s", what=what, why=_why_bad(typed))


def _why_bad(text: str) -> str:
    local, _, domain = text.rpartition("@")
    if "@" not in text:
        return gettext("there is no @ in it")
    if "@" in local:
        return gettext("there is more than one @ in it")
    if not local.isascii():
        return gettext("mail can only be sent to plain letters before the @")
    if not local or "." not in domain:
        return gettext("a part of it is missing")
    return gettext("mail cannot be sent to it")


def added_text(number: int) -> str:
    """Say how many invitations were made."""
    return ngettext(
        "%(num)s invitation was saved and is on its way.",
        "%(num)s invitations were saved and are on their way.",
        number,
    )


def left_out_text(number: int) -> str:
    """Say how many of a review could not be invited any more when it was saved."""
    return ngettext(
        "%(num)s address of the review was left out: it was invited, blocked or opted out since.",
        "%(num)s addresses of the review were left out: they were invited, blocked or opted out"
        " since.",
        number,
    )


def overtaken_text() -> str:
    """Say that a review is no longer true, and that nothing was saved."""
    return gettext("Somebody else invited some of these just now. Nothing was saved; check again.")


def stale_text() -> str:
    """Say that a form was open for too long, and that nothing is lost."""
    return gettext("This page was open for too long. Nothing was saved; send it once more.")
