"""The plugin's tables, on a metadata of their own.

They live in the store's database beside its tables, without a foreign key into them:
the inviter and the new customer are kept by the store's key as a string.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from .clock import now

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HostKey = sa.String(255)  # whatever a store calls a customer or a group
VIEW_NAME = 60  # characters of a saved view's name
# As SQL, for an index is used only where a query says the very same.
IS_CLOSED_WITH_ADDRESS = "email IS NOT NULL AND status NOT IN ('not_sent', 'sent', 'accepted')"
NOTICE = "notice"  # kind of a mail to staff, which has no invitation
MESSAGE_START = 40  # characters of a message that it is sorted by


def sorted_text(length: int | None) -> sa.types.TypeEngine[str]:
    """Return a text type that both databases sort and fold by code point.

    So pages by key agree with the index, and a search finds the same on both.
    """
    if length is None:
        return sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    on_postgresql = postgresql.VARCHAR(length, collation="C")
    return sa.String(length).with_variant(on_postgresql, "postgresql")


class Base(DeclarativeBase):
    """Declarative base of the plugin's own metadata."""

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: sa.String(64), datetime: sa.DateTime()}


class Status(StrEnum):
    """Where an invitation stands."""

    NOT_SENT = "not_sent"
    SENT = "sent"
    ACCEPTED = "accepted"
    DISCARDED = "discarded"
    DECLINED = "declined"
    EXPIRED = "expired"


class MailState(StrEnum):
    """How far an invitation's mail got, apart from its status."""

    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    PARKED = "parked"
    SKIPPED = "skipped"


class OutboxState(StrEnum):
    """Where a mail that still has to leave stands."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    SENDING = "sending"
    PARKED = "parked"


class JobState(StrEnum):
    """Where a mass action in the background stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class ExportState(StrEnum):
    """Where an export stands; it runs while its file is downloaded."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


def new_public_id() -> str:
    """Return 128 random bits: what a link is made from, once signed."""
    return secrets.token_urlsafe(16)


def _one_of(column: str, values: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


class Invitation(Base):
    """One invitation of one address by one inviter on one website, for ever.

    ``inviter_key`` is "" where staff invited. ``email`` is the address as mail goes to
    it, empty once purged; ``email_hash`` outlives it and keeps the row unique;
    ``recipient_hash`` folds tags and counts what one mailbox receives. ``sender_canceled``
    is what a sender believes to have canceled after the invited person declined;
    ``asked_at`` is when the invited person asked for a fresh link, empty once it is sent.
    """

    __tablename__ = "invitations_invitation"
    __table_args__ = (
        sa.UniqueConstraint("website", "inviter_key", "email_hash"),
        sa.UniqueConstraint("public_id"),
        sa.UniqueConstraint("customer_key"),
        sa.CheckConstraint(_one_of("status", Status), name="status"),
        sa.CheckConstraint(_one_of("mail_state", MailState), name="mail_state"),
        sa.CheckConstraint(
            "(status = 'accepted') = (registered_at IS NOT NULL)", name="accepted_registered"
        ),
        sa.CheckConstraint(
            "(status = 'discarded') = (discarded_by IS NOT NULL)", name="discarded_by_someone"
        ),
        sa.CheckConstraint("status <> 'sent' OR sent_at IS NOT NULL", name="sent_at_known"),
        # Whose they are and where, too: a report looks at the index alone.
        sa.Index(
            "ix_invitations_invitation_sent_at_whose",
            "sent_at",
            "id",
            "inviter_key",
            "website",
            "store_view",
        ),
        sa.Index(
            "ix_invitations_invitation_registered_at_id",
            "registered_at",
            "id",
            sqlite_where=sa.text("registered_at IS NOT NULL"),
            postgresql_where=sa.text("registered_at IS NOT NULL"),
        ),
        sa.Index(None, "expires_at", "id"),
        *(
            sa.Index(f"ix_invitations_invitation_lower_{name}", sa.text(f"lower({name})"), "id")
            for name in ("inviter_name", "inviter_email", "email")
        ),
        sa.Index(
            "ix_invitations_invitation_message_start",
            sa.text(f"substr(message, 1, {MESSAGE_START})"),
            "id",
            sqlite_where=sa.text("message IS NOT NULL"),
            postgresql_where=sa.text("message IS NOT NULL"),
        ),
        sa.Index(None, "mail_state", "id"),
        sa.Index(None, "status", "id"),
        sa.Index(None, "status", "sent_at", "id"),
        sa.Index(None, "status", "website", "group_code", "sent_at", "id"),
        sa.Index(None, "website", "id"),
        sa.Index(None, "group_code", "id"),
        # All that a sender's status is made of: a filter reads no row that it does not show.
        sa.Index(
            "ix_invitations_invitation_inviter_key_seen",
            "inviter_key",
            "id",
            "status",
            "mail_state",
            "expires_at",
            "sender_canceled",
        ),
        # When, and where: whether an inviter sent anything in some days costs one look.
        sa.Index(
            "ix_invitations_invitation_inviter_key_when",
            "inviter_key",
            "sent_at",
            "website",
            "store_view",
        ),
        sa.Index(
            "ix_invitations_invitation_inviter_key_asked_id",
            "inviter_key",
            "id",
            sqlite_where=sa.text("asked_at IS NOT NULL"),
            postgresql_where=sa.text("asked_at IS NOT NULL"),
        ),
        sa.Index(None, "email_hash", "id"),
        sa.Index(None, "recipient_hash", "last_sent_at"),
        sa.Index(
            "ix_invitations_invitation_open_expires_at",
            "expires_at",
            sqlite_where=sa.text("status IN ('not_sent', 'sent')"),
            postgresql_where=sa.text("status IN ('not_sent', 'sent')"),
        ),
        sa.Index(
            "ix_invitations_invitation_closed_expires_at",
            "expires_at",
            sqlite_where=sa.text(IS_CLOSED_WITH_ADDRESS),
            postgresql_where=sa.text(IS_CLOSED_WITH_ADDRESS),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(32), default=new_public_id)
    website: Mapped[str]
    store_view: Mapped[str]
    inviter_key: Mapped[str] = mapped_column(HostKey, default="")
    inviter_email: Mapped[str | None] = mapped_column(sorted_text(320))
    inviter_name: Mapped[str] = mapped_column(sorted_text(255), default="")
    email: Mapped[str | None] = mapped_column(sorted_text(320))
    email_hash: Mapped[str]
    recipient_hash: Mapped[str]
    message: Mapped[str | None] = mapped_column(sorted_text(None))
    group_code: Mapped[str] = mapped_column(HostKey)
    status: Mapped[str] = mapped_column(sa.String(12), default=Status.NOT_SENT)
    discarded_by: Mapped[str | None] = mapped_column(sa.String(8))
    sender_canceled: Mapped[bool] = mapped_column(default=False)
    mail_state: Mapped[str] = mapped_column(sa.String(12), default=MailState.QUEUED)
    mail_error: Mapped[str | None] = mapped_column(sa.String(255))
    mail_tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    sent_at: Mapped[datetime | None]
    last_sent_at: Mapped[datetime | None]
    registered_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]
    customer_key: Mapped[str | None] = mapped_column(HostKey)
    existing_customer: Mapped[bool] = mapped_column(default=False)
    submission: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1)


class History(Base):
    """One thing that happened to an invitation: who, when, from, to, why.

    ``message_id`` names the mail where a mail server was asked to take one.
    """

    __tablename__ = "invitations_history"
    __table_args__ = (
        sa.Index(None, "invitation_id", "id"),
        sa.Index(
            "ix_invitations_history_tries",
            "action",
            "at",
            sqlite_where=sa.text("message_id IS NOT NULL"),
            postgresql_where=sa.text("message_id IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    invitation_id: Mapped[int] = mapped_column(
        BigId, sa.ForeignKey(Invitation.id, ondelete="CASCADE")
    )
    at: Mapped[datetime] = mapped_column(default=now)
    actor_kind: Mapped[str] = mapped_column(sa.String(8))
    actor_key: Mapped[str] = mapped_column(HostKey, default="")
    actor_name: Mapped[str] = mapped_column(sa.String(255), default="")
    action: Mapped[str] = mapped_column(sa.String(24))
    from_status: Mapped[str | None] = mapped_column(sa.String(12))
    to_status: Mapped[str | None] = mapped_column(sa.String(12))
    reason: Mapped[str | None] = mapped_column(sa.String(255))
    message_id: Mapped[str | None] = mapped_column(sa.String(255))


# As SQL 1 where a mail was tried before, else 0. An index has it: it is to be spelled like this.
WAS_TRIED = "CAST(tries > 0 AS INTEGER)"


class Outbox(Base):
    """A mail that still has to leave; it is deleted when its outcome is known.

    ``claim`` is the fencing token of the worker that holds the row until
    ``lease_until``; ``ambiguous`` counts the tries whose end nobody knows, ``spared`` how
    often it came back from a refusal that was meant for everybody.
    """

    __tablename__ = "invitations_outbox"
    __table_args__ = (
        sa.UniqueConstraint("message_id"),
        sa.CheckConstraint(_one_of("state", OutboxState), name="state"),
        sa.Index("ix_invitations_outbox_turn", "state", sa.text(WAS_TRIED), "due_at", "id"),
        sa.Index(None, "invitation_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    invitation_id: Mapped[int | None] = mapped_column(
        BigId, sa.ForeignKey(Invitation.id, ondelete="CASCADE")
    )
    kind: Mapped[str] = mapped_column(sa.String(16), default="invitation")
    recipient: Mapped[str | None] = mapped_column(sa.String(320))
    payload: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON())
    message_id: Mapped[str] = mapped_column(sa.String(255))
    state: Mapped[str] = mapped_column(sa.String(12), default=OutboxState.QUEUED)
    created_at: Mapped[datetime] = mapped_column(default=now)
    due_at: Mapped[datetime] = mapped_column(default=now)
    tries: Mapped[int] = mapped_column(default=0)
    ambiguous: Mapped[int] = mapped_column(default=0)
    spared: Mapped[int] = mapped_column(default=0, server_default="0")
    claim: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(sa.String(255))


class SettingOverride(Base):
    """A setting's value for one scope, where it differs from the wider one."""

    __tablename__ = "invitations_setting"
    __table_args__ = (sa.CheckConstraint("scope IN ('default', 'website', 'store')", name="scope"),)

    scope: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    scope_code: Mapped[str] = mapped_column(primary_key=True, default="")
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(sa.JSON())
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    updated_by: Mapped[str] = mapped_column(sa.String(255), default="")


class SettingChange(Base):
    """One change of a setting in one scope: who, when, from, to; None is the wider scope's value.

    ``actor_key`` is "" where a command did it; ``undoes`` is the change that this one takes back.
    """

    __tablename__ = "invitations_setting_change"
    __table_args__ = (
        sa.CheckConstraint("scope IN ('default', 'website', 'store')", name="scope"),
        sa.Index(None, "scope", "scope_code", "name", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    actor_key: Mapped[str] = mapped_column(HostKey, default="")
    actor_name: Mapped[str] = mapped_column(sa.String(255), default="")
    scope: Mapped[str] = mapped_column(sa.String(8))
    scope_code: Mapped[str] = mapped_column(default="")
    name: Mapped[str]
    old_value: Mapped[Any | None] = mapped_column(sa.JSON(none_as_null=True))
    new_value: Mapped[Any | None] = mapped_column(sa.JSON(none_as_null=True))
    undoes: Mapped[int | None] = mapped_column(sa.BigInteger())


class OptOut(Base):
    """A mailbox that wants no invitation from this store, as a keyed hash."""

    __tablename__ = "invitations_opt_out"

    email_hash: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Quota(Base):
    """What a subject took: of a window until it ends, or turns that are taken one by one.

    The row that two submissions of one sender take in turn has no end.
    """

    __tablename__ = "invitations_quota"

    subject: Mapped[str] = mapped_column(sa.String(160), primary_key=True)
    taken: Mapped[int] = mapped_column(sa.BigInteger(), default=0)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    ends_at: Mapped[datetime | None]


class Job(Base):
    """A mass action in the background: what, about which invitations, and how far it is.

    ``position`` is the id of the last invitation it dealt with; ``skipped`` counts by
    the reason. ``claim`` is the fencing token of the worker that runs it until ``lease_until``.
    ``stopper_key`` and ``stopper_name`` are of whoever stopped it first.
    """

    __tablename__ = "invitations_job"
    __table_args__ = (
        sa.CheckConstraint(_one_of("state", JobState), name="state"),
        sa.Index(None, "state", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    action: Mapped[str] = mapped_column(sa.String(16))
    selection: Mapped[dict[str, Any]] = mapped_column(sa.JSON())
    actor_key: Mapped[str] = mapped_column(HostKey)
    actor_name: Mapped[str] = mapped_column(sa.String(255), default="")
    state: Mapped[str] = mapped_column(sa.String(12), default=JobState.QUEUED)
    stop_asked: Mapped[bool] = mapped_column(default=False)
    stopper_key: Mapped[str | None] = mapped_column(HostKey)
    stopper_name: Mapped[str | None] = mapped_column(sa.String(255))
    total: Mapped[int]
    position: Mapped[int] = mapped_column(sa.BigInteger(), default=0)
    changed: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[dict[str, int]] = mapped_column(sa.JSON(), default=dict)
    failed: Mapped[int] = mapped_column(default=0)
    claim: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]

    @property
    def done(self) -> int:
        """How many invitations it has dealt with."""
        return self.changed + sum(self.skipped.values()) + self.failed


class Export(Base):
    """A file that somebody asked for: who, when, of which invitations, and how far it is.

    It tells what left the store, so it is written before the first byte leaves. ``total`` is
    how many rows there were when it was asked for, ``done`` how many the last download has
    had; ``claim`` names that download, and ``touched_at`` is when it last moved on.
    """

    __tablename__ = "invitations_export"
    __table_args__ = (
        sa.CheckConstraint(_one_of("state", ExportState), name="state"),
        sa.CheckConstraint("format IN ('csv', 'xlsx')", name="format"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    format: Mapped[str] = mapped_column(sa.String(8))
    selection: Mapped[dict[str, Any]] = mapped_column(sa.JSON())
    columns: Mapped[list[str]] = mapped_column(sa.JSON())
    actor_key: Mapped[str] = mapped_column(HostKey)
    actor_name: Mapped[str] = mapped_column(sa.String(255), default="")
    state: Mapped[str] = mapped_column(sa.String(12), default=ExportState.WAITING)
    total: Mapped[int]
    done: Mapped[int] = mapped_column(default=0)
    downloads: Mapped[int] = mapped_column(default=0)
    claim: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(sa.String(255))
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    touched_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class SavedView(Base):
    """The grid as one member of staff likes it: the arguments of its address, under a name."""

    __tablename__ = "invitations_view"
    __table_args__ = (
        sa.UniqueConstraint("actor_key", "name"),
        sa.Index(
            "ix_invitations_view_default",
            "actor_key",
            unique=True,
            sqlite_where=sa.text("is_default"),
            postgresql_where=sa.text("is_default"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    actor_key: Mapped[str] = mapped_column(HostKey)
    name: Mapped[str] = mapped_column(sa.String(VIEW_NAME))
    arguments: Mapped[dict[str, str]] = mapped_column(sa.JSON())
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)


def connection_of(session: Session) -> sa.Connection:
    """Return what reads and writes our tables in a session's transaction, without the ORM."""
    return session.connection(bind_arguments={"mapper": Invitation})
