"""The second host, driven through its own pages."""

from __future__ import annotations

from typing import Any

import flask_migrate
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from invitations_plugin import upgrade

from ..second_host import create_app
from ..second_host.models import Member, db
from .stores import Store, Visitor


class SecondStore(Store):
    """UUIDs, usernames, one table for members and staff, no flashes, a JSON door."""

    name = "second"
    inviter_name = "veronica"
    register_path = "/join"
    sign_in_path = "/enter"
    account_path = "/me"
    form_path = "/enter"
    json_door = "/api/members"
    customer_model = Member

    def make_app(self, config: dict[str, Any]) -> Flask:
        return create_app(config)

    def prepare(self) -> None:
        with self.app.app_context():
            flask_migrate.upgrade()
        upgrade(self.app)

    def seed(self) -> None:
        with self.app.app_context():
            for mail in (self.inviter, self.other_inviter):
                db.session.add(self.new_customer(mail))
            db.session.add(self.new_customer("admin@example.com", is_staff=True))
            db.session.commit()

    def new_customer(self, email: str, **more: Any) -> Member:
        username = email.partition("@")[0]
        return Member(mail=email, username=username, password=self.password, **more)

    def sign_in(self, visitor: Visitor, email: str) -> TestResponse:
        visitor.get("/enter")
        return visitor.post("/enter", {"mail": email, "password": self.password})

    def sign_out(self, visitor: Visitor) -> TestResponse:
        return visitor.post("/leave")

    def filled_in(self, email: str) -> dict[str, str]:
        return {"mail": email, "username": email.partition("@")[0], "password": self.password}

    def customer_emails(self) -> list[str]:
        with self.session() as db_session:
            return sorted(db_session.scalars(sa.select(Member.mail).where(~Member.is_staff)))

    def staff_key(self) -> str:
        with self.session() as db_session:
            number = db_session.scalars(sa.select(Member.id).where(Member.is_staff)).one()
            return f"member:{number}"
