"""The store's customers, staff and orders."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

import sqlalchemy as sa
from flask import current_app
from flask_login import UserMixin
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates
from werkzeug.security import check_password_hash, generate_password_hash

from .addresses import MAX_ADDRESS, fold
from .database import Base

MAX_NAME = 80


class Account(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """What customers and staff share: an address, a name, a password."""

    kind: ClassVar[str]
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(MAX_ADDRESS))
    name: Mapped[str] = mapped_column(sa.String(MAX_NAME), default="")
    password_hash: Mapped[str] = mapped_column(sa.String(255))

    def get_id(self) -> str:
        """Return the session's name of the account: both kinds share one login."""
        return f"{self.kind}:{self.id}"

    def has_password(self, password: str) -> bool:
        """Return whether this is the account's password."""
        return check_password_hash(self.password_hash, password)


class Customer(Account, Base):
    """A customer of one website; the same address may have an account on another."""

    __tablename__ = "customer"
    __table_args__ = (sa.UniqueConstraint("website_code", "email_folded"),)
    kind = "customer"

    email_folded: Mapped[str] = mapped_column(sa.String(MAX_ADDRESS), index=True)
    website_code: Mapped[str] = mapped_column(sa.String(32))
    group_code: Mapped[str] = mapped_column(sa.String(32), default="general")

    @validates("email")
    def _fold_email(self, key: str, email: str) -> str:
        self.email_folded = fold(email)
        return email


class Staff(Account, Base):
    """Somebody who works for the store, with the plugin's rights written as words."""

    __tablename__ = "staff"
    kind = "staff"

    email: Mapped[str] = mapped_column(sa.String(MAX_ADDRESS), unique=True)
    rights: Mapped[str] = mapped_column(sa.String(255), default="")
    limits: Mapped[list[StaffWebsite]] = relationship()

    @property
    def websites(self) -> list[str] | None:
        """The codes of the websites this member of staff works for, None for all."""
        return [limit.website_code for limit in self.limits] or None

    def may(self, right: str) -> bool:
        """Return whether this member of staff has a right."""
        return right in self.rights.split()


class StaffWebsite(Base):
    """A website that a member of staff is limited to; who has none works for all."""

    __tablename__ = "staff_website"

    staff_id: Mapped[int] = mapped_column(sa.ForeignKey(Staff.id), primary_key=True)
    website_code: Mapped[str] = mapped_column(sa.String(32), primary_key=True)


class Order(Base):
    """One thing that a customer bought."""

    __tablename__ = "customer_order"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey(Customer.id), index=True)
    product: Mapped[str] = mapped_column(sa.String(64))
    cents: Mapped[int]
    currency: Mapped[str] = mapped_column(sa.String(3))
    at: Mapped[datetime]

    @property
    def amount(self) -> Decimal:
        """What was paid; whole cents in the database add up without rounding."""
        return Decimal(self.cents) / 100


def hash_password(password: str) -> str:
    """Return a password as it is stored; tests choose a cheaper method."""
    return generate_password_hash(password, method=current_app.config["PASSWORD_METHOD"])
