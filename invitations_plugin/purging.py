"""What an invitation that came to nothing keeps: after its time neither address nor message.

The keyed hash of the address stays, and keeps the row unique.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .clock import now
from .erased_filters import forget_filters, naming
from .lifecycle import NOT_LEAVING, THE_SYSTEM, new_stand_in, note_all
from .models import IS_CLOSED_WITH_ADDRESS, History, Invitation, Outbox
from .state import host, settings_of

CHUNK = 1000
# What a mail server said may repeat the address.
SERVER_SAID = ("fail", "defer", "unknown", "return", "send")


def purge_due(session: Session) -> int:
    """Forget the addresses of up to :data:`CHUNK` invitations; return how many."""
    column = Invitation.__table__.c
    is_due = sa.and_(sa.text(IS_CLOSED_WITH_ADDRESS), NOT_LEAVING, _is_over())
    due = sa.select(Invitation.id, Invitation.email, Invitation.email_hash).where(is_due)
    found = session.execute(due.order_by(Invitation.expires_at).limit(CHUNK)).all()
    ids = [each.id for each in found]
    forgotten = {"email": None, "message": None, "mail_error": None, "purged_at": now()}
    done = session.scalars(
        sa.update(Invitation.__table__)  # type: ignore[arg-type]
        .where(column.id.in_(ids), is_due)  # asked again: staff may have extended it
        .values(**forgotten, version=column.version + 1)
        .returning(column.id)
    ).all()
    forget_answers(session, done)
    session.execute(
        sa.update(Outbox.__table__)  # type: ignore[arg-type]
        .where(Outbox.invitation_id.in_(done), Outbox.last_error.is_not(None))
        .values(last_error=None)
    )
    purged = {each.email: each.email_hash for each in found if each.id in set(done) and each.email}
    _forget_in_filters(session, purged)
    note_all(session, done, THE_SYSTEM, "purge", None, None)
    return len(done)


def forget_answers(session: Session, ids: Sequence[int]) -> None:
    """Take out of the history of some invitations what mail servers said of their mails."""
    session.execute(
        sa.update(History.__table__)  # type: ignore[arg-type]
        .where(History.invitation_id.in_(ids), History.action.in_(SERVER_SAID))
        .values(reason=None)
    )


def _forget_in_filters(session: Session, purged: Mapping[str, str]) -> None:
    """Take addresses that no row has any more out of what staff kept of the grid.

    :param purged: the hash of each address.
    """
    row = Invitation
    invited = sa.select(row.email).where(row.email_hash.in_(purged.values()))
    inviters = sa.select(row.inviter_email).where(row.inviter_email.in_(purged))
    unknown = purged.keys() - {*session.scalars(invited), *session.scalars(inviters)}
    if unknown:
        forget_filters(session, "", naming(unknown), new_stand_in())


def _is_over() -> sa.ColumnElement[bool]:
    """Return as SQL which links ended as long ago as the settings of their store view say.

    A store view that is there no more follows the default one.
    """
    views = [view for website in host().websites() for view in website.store_views]
    codes = [view.code for view in views]
    parts = [(Invitation.store_view == view.code, view) for view in views]
    parts.append((Invitation.store_view.not_in(codes), views[0]))
    days = [(is_there, settings_of(view).retention_days) for is_there, view in parts]
    return sa.or_(
        sa.false(),
        *(
            sa.and_(is_there, Invitation.expires_at <= now() - timedelta(days=number))
            for is_there, number in days
            if number
        ),
    )
