"""The kinds of mail that have templates: their variables, and what they must lead to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .i18n import n_
from .templating import Sort, Variable


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of mail.

    :param default: the folder of its shipped template, used where another fails.
    :param leads_to: says of the variables of a mail which links it must carry: of each
        group one.
    """

    code: str
    default: str
    label: str
    variables: Mapping[str, Variable]
    leads_to: Callable[[Mapping[str, Any]], tuple[tuple[str, ...], ...]]


def _invitation_leads_to(variables: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    way_in = ("link", "login_link") if variables["existing"] else ("link",)
    return way_in, ("opt_out_link",)


INVITATION: Final = Kind(
    code="invitation",
    default="invitation_sent",
    label=n_("Customer Invitation (Default)"),
    variables={
        "inviter_name": Variable(n_("Who invites; empty where the store itself does."), Sort.USER),
        "store_name": Variable(n_("What customers call the store.")),
        "message": Variable(
            n_("What the inviter wrote, at most 1,000 characters; may be empty."), Sort.USER
        ),
        "link": Variable(n_("The way to create an account. It must be there."), Sort.LINK),
        "login_link": Variable(n_("The way to sign in."), Sort.LINK),
        "opt_out_link": Variable(
            n_("The way to get no more invitations. It must be there."), Sort.LINK
        ),
        "expires": Variable(n_("The day on which the link ends.")),
        "postal_address": Variable(n_("Who and where the store is; may be empty.")),
        "privacy_url": Variable(n_("The privacy notice; may be empty."), Sort.LINK),
        "recipient": Variable(n_("The invited address."), Sort.USER),
        "existing": Variable(n_("True where the address has an account already, for if.")),
        "locale": Variable(n_("The language of the mail, such as fr, for lang."), Sort.CODE),
    },
    leads_to=_invitation_leads_to,
)
KINDS: Final = {kind.code: kind for kind in (INVITATION,)}
