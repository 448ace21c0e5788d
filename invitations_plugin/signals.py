"""Signals that the plugin sends; receivers take ``**kwargs``, for there may come more.

Each is sent after the commit, with the app as the sender and ``invitation``, the row as
it is then. A receiver that raises is logged and changes nothing.
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

invitation_created = _signals.signal(
    "invitation-created",
    doc="An invitation was made, by a customer or by staff; its mail waits in the outbox.",
)
invitation_sent = _signals.signal(
    "invitation-sent",
    doc="The mail server took an invitation's mail, for the first time or again.",
)
invitation_accepted = _signals.signal(
    "invitation-accepted",
    doc="An account was created through the link. ``customer`` is the store's new customer.",
)
invitation_discarded = _signals.signal(
    "invitation-discarded",
    doc="An invitation was canceled by its sender or discarded by staff.",
)
invitation_declined = _signals.signal(
    "invitation-declined",
    doc="The invited person declined.",
)
opted_out = _signals.signal(
    "opted-out",
    doc="Somebody wants no more invitations from this store; there is no ``invitation``.",
)
