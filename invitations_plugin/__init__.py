"""Customer invitations for any Flask store."""

from __future__ import annotations

from .celery_tasks import init_celery
from .database import configure_sqlite
from .extension import Invitations
from .flask_login_host import FlaskLoginHost
from .host import Group, Host, Purchase, Sender, StoreView, Website
from .importing import PastEvent, PastInvitation, import_invitations
from .migrations import upgrade
from .registration import accept, invitation_required
from .reports.bulk import figures_afterwards
from .reports.keeping import keep as keep_figures
from .signals import (
    invitation_accepted,
    invitation_created,
    invitation_declined,
    invitation_discarded,
    invitation_sent,
    opted_out,
)
from .workers import start_delivery

__version__ = "0.1.0"

__all__ = [
    "FlaskLoginHost",
    "Group",
    "Host",
    "Invitations",
    "PastEvent",
    "PastInvitation",
    "Purchase",
    "Sender",
    "StoreView",
    "Website",
    "accept",
    "configure_sqlite",
    "figures_afterwards",
    "import_invitations",
    "init_celery",
    "invitation_accepted",
    "invitation_created",
    "invitation_declined",
    "invitation_discarded",
    "invitation_required",
    "invitation_sent",
    "keep_figures",
    "opted_out",
    "start_delivery",
    "upgrade",
]
