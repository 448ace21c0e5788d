"""The tables of mail templates that staff write."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from .clock import now
from .models import Base, BigId, HostKey


class MailTemplate(Base):
    """A mail template that staff write; what it says stands in its newest version.

    ``number`` is that version's; ``language`` serves where the mail's own is not written.
    """

    __tablename__ = "invitations_mail_template"

    code: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    name: Mapped[str] = mapped_column(sa.String(100))
    language: Mapped[str] = mapped_column(sa.String(16))
    number: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    updated_by: Mapped[str] = mapped_column(sa.String(255), default="")


class MailTemplateVersion(Base):
    """A template as it was saved: of each language the subject, the text and the HTML."""

    __tablename__ = "invitations_mail_template_version"
    __table_args__ = (sa.UniqueConstraint("code", "number"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(sa.ForeignKey(MailTemplate.code, ondelete="CASCADE"))
    number: Mapped[int]
    name: Mapped[str] = mapped_column(sa.String(100))
    language: Mapped[str] = mapped_column(sa.String(16))
    contents: Mapped[dict[str, Any]] = mapped_column(sa.JSON())
    at: Mapped[datetime] = mapped_column(default=now)
    actor_key: Mapped[str] = mapped_column(HostKey, default="")
    actor_name: Mapped[str] = mapped_column(sa.String(255), default="")


class MailTemplateFault(Base):
    """Why a template could not make a mail, until it is saved again.

    ``number`` is the version that failed, 0 for a shipped template.
    """

    __tablename__ = "invitations_mail_template_fault"

    code: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    error: Mapped[str] = mapped_column(sa.String(255))
    at: Mapped[datetime] = mapped_column(default=now)
