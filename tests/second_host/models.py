"""Members, some of them staff, on a base class of the store's own."""

from __future__ import annotations

import uuid
from typing import Any, Self

import sqlalchemy as sa
from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash

CHEAP = "pbkdf2:sha256:1"


class Record(DeclarativeBase):
    """What every model has: a UUID, and a ``create`` that commits."""

    id: Mapped[uuid.UUID] = mapped_column(sa.Uuid(), primary_key=True, default=uuid.uuid4)

    @classmethod
    def create(cls, **values: Any) -> Self:
        record = cls(**values)
        db.session.add(record)
        db.session.commit()
        return record


db = SQLAlchemy(model_class=Record)


class Member(UserMixin, db.Model):  # type: ignore[misc, name-defined]
    """Customers and staff share one table and one login."""

    mail: Mapped[str] = mapped_column(sa.String(254), unique=True)
    username: Mapped[str] = mapped_column(sa.String(40), unique=True)
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    is_staff: Mapped[bool] = mapped_column(default=False)

    @property
    def password(self) -> str:
        return self.password_hash

    @password.setter
    def password(self, plain: str) -> None:
        self.password_hash = generate_password_hash(plain, method=CHEAP)

    def has_password(self, plain: str) -> bool:
        return check_password_hash(self.password_hash, plain)


class Visit(db.Model):  # type: ignore[misc, name-defined]
    """A page that somebody looked at."""

    path: Mapped[str] = mapped_column(sa.String(255))
