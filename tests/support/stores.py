"""Stores as tests use them: through pages, with visitors who click and fill in forms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from invitations_plugin import delivery, jobs
from invitations_plugin.cells import COLUMNS
from invitations_plugin.database import session
from invitations_plugin.line import Line
from invitations_plugin.models import Export, History, Invitation, Job, Outbox
from invitations_plugin.settings import override
from sample_store import create_app, demo
from sample_store.database import prepare
from sample_store.models import Customer, Staff

CHEAP = "pbkdf2:sha256:1"
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
SUBMISSION = re.compile(r'name="submission"[^>]*value="([^"]+)"')
LIST = "/account/invitations/"
SEND = "/account/invitations/send"


class Visitor:
    """Somebody with a browser: keeps cookies, and posts the token of the page last seen."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.token = ""

    def get(self, path: str, **more: Any) -> TestResponse:
        return self._seen(self.client.get(path, **more))

    def post(self, path: str, data: Mapping[str, Any] | None = None, **more: Any) -> TestResponse:
        """Post a form with the token of the page last seen."""
        filled = {"csrf_token": self.token} | dict(data or {})
        return self._seen(self.client.post(path, data=filled, **more))

    def send(
        self,
        *addresses: str,
        page: TestResponse | None = None,
        headers: Mapping[str, str] | None = None,
        follow_redirects: bool = False,
        **fields: Any,
    ) -> TestResponse:
        """Fill in the send form, as last seen or as ``page`` shows it, and post it."""
        shown = page or self.get(SEND)
        found = SUBMISSION.search(shown.text)
        rows = {f"emails-{number}": text for number, text in enumerate(addresses)}
        given = {"submission": found.group(1) if found else "", **rows, **fields}
        return self.post(SEND, given, headers=headers, follow_redirects=follow_redirects)

    def _seen(self, response: TestResponse) -> TestResponse:
        found = TOKEN.search(response.text) if "html" in response.content_type else None
        self.token = found.group(1) if found else self.token
        return response


class Store:
    """A mounted store: the sample store; other hosts subclass it."""

    name = "sample"
    password = demo.PASSWORD
    inviter = "veronica@example.com"
    inviter_name = "Veronica Costello"
    other_inviter = "marcus@example.com"
    register_path = "/register"
    sign_in_path = "/login"
    account_path = "/account/"
    form_path = "/logout"  # a page with a form for whoever is signed in
    customer_model: type[Any] = Customer

    def __init__(self, **config: Any) -> None:
        self.app = self.make_app(config)

    def make_app(self, config: dict[str, Any]) -> Flask:
        return create_app(config | {"PASSWORD_METHOD": CHEAP})

    def prepare(self) -> None:
        """Create every table."""
        prepare(self.app)

    def seed(self) -> None:
        """Create the people tests know."""
        with self.app.app_context():
            demo.seed()

    def close(self) -> None:
        with self.app.app_context():
            for engine in self.app.extensions["sqlalchemy"].engines.values():
                engine.dispose()

    def visitor(self) -> Visitor:
        return Visitor(self.app.test_client())

    def customer(self, email: str | None = None) -> Visitor:
        """Return a visitor who signed in as a customer."""
        visitor = self.visitor()
        answer = self.sign_in(visitor, email or self.inviter)
        assert answer.status_code == 302, answer.text
        return visitor

    def staff(self, email: str = "admin@example.com") -> Visitor:
        """Return a visitor who signed in as staff."""
        return self.customer(email)

    def sign_in(self, visitor: Visitor, email: str) -> TestResponse:
        visitor.get("/login")
        return visitor.post("/login", {"email": email, "password": self.password})

    def sign_out(self, visitor: Visitor) -> TestResponse:
        visitor.get("/logout")
        return visitor.post("/logout")

    def register(self, visitor: Visitor, email: str, **more: str) -> TestResponse:
        """Fill in the store's registration form and post it."""
        visitor.get(self.register_path)
        return visitor.post(self.register_path, self.filled_in(email) | more)

    def filled_in(self, email: str) -> dict[str, str]:
        """Return what somebody types into the registration form."""
        return {"email": email, "password": self.password}

    def new_customer(self, email: str) -> Any:
        """Return a customer who is not in the database yet."""
        return Customer(email=email, website_code="main", password_hash="none")

    def customer_emails(self) -> list[str]:
        """Return the addresses of all customers."""
        with self.session() as db:
            return sorted(db.scalars(sa.select(Customer.email)))

    def group_of(self, email: str) -> str:
        """Return the group of a customer."""
        with self.session() as db:
            return db.scalars(sa.select(Customer.group_code).where(Customer.email == email)).one()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield the store's session outside of any request."""
        with self.app.app_context():
            yield session()

    def invitation(self, email: str, inviter: str | None = None) -> Invitation:
        """Return the one invitation of an address."""
        with self.session() as db:
            query = sa.select(Invitation).where(Invitation.email == email)
            query = query.where(Invitation.inviter_email == inviter) if inviter else query
            row = db.scalars(query).one()
            db.expunge(row)
            return row

    def invitations(self) -> list[Invitation]:
        with self.session() as db:
            rows = list(db.scalars(sa.select(Invitation).order_by(Invitation.id)))
            db.expunge_all()
            return rows

    def history(self, email: str) -> list[tuple[str, str | None, str | None, str]]:
        """Return action, from, to and actor of what happened to an invitation."""
        row = self.invitation(email)
        with self.session() as db:
            query = sa.select(History).where(History.invitation_id == row.id).order_by(History.id)
            return [
                (each.action, each.from_status, each.to_status, each.actor_kind)
                for each in db.scalars(query)
            ]

    def outbox(self) -> list[Outbox]:
        with self.session() as db:
            rows = list(db.scalars(sa.select(Outbox).order_by(Outbox.id)))
            db.expunge_all()
            return rows

    def change(self, email: str, **values: Any) -> None:
        """Set columns of an invitation directly, for what only time can do."""
        with self.session() as db:
            db.execute(sa.update(Invitation).where(Invitation.email == email).values(**values))
            db.commit()

    def setting(self, name: str, value: object, scope: str = "default", code: str = "") -> None:
        """Set a setting for a scope."""
        with self.session() as db:
            override(db, name, value, scope, code)
            db.commit()

    def deliver(self, limit: int | None = None, line: Line | None = None) -> delivery.Report:
        """Do what the worker does."""
        with self.app.app_context():
            return delivery.deliver(limit, line=line)

    def add_job(self, **values: Any) -> None:
        """Write a mass action of 5,000 rows straight into the table."""
        asked = {"action": "discard", "selection": {"ids": []}, "actor_key": "1", "total": 5000}
        with self.session() as db:
            db.add(Job(**asked | values))
            db.commit()

    def add_export(self, **values: Any) -> None:
        """Write an export of 5,000 rows, asked for by the staff who may, into the table."""
        asked = {"format": "csv", "selection": {"ids": []}, "columns": list(COLUMNS), "total": 5000}
        with self.session() as db:
            db.add(Export(**asked | {"actor_key": self.staff_key(), "actor_name": "Ada"} | values))
            db.commit()

    def staff_key(self) -> str:
        """Return what the host calls the staff who may do everything."""
        with self.session() as db:
            return f"staff:{db.scalars(sa.select(Staff.id).order_by(Staff.id)).first()}"

    def run_jobs(self) -> None:
        """Do the mass actions that wait, as the worker does."""
        with self.app.app_context():
            assert jobs.run_all()


MakeStore = Callable[..., Store]
MakeFriend = Callable[..., Visitor]
