"""Who sends invitations without us: the limit by hand, Flask-Mail, and django-invitations."""

from __future__ import annotations

import secrets
import smtplib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import flask_mail
import psycopg
import sqlalchemy as sa
from flask import Flask

from invitations_plugin.clock import now
from invitations_plugin.mail import invitation_sent
from invitations_plugin.models import Invitation, Outbox
from invitations_plugin.state import settings_of, store_view
from tests.support.outbox import in_threads, queue
from tests.support.stores import Store

from .by_hand import HTML, TEXT
from .sink import LOOPBACK

Work = Callable[[], object]
Step = tuple[str, Sequence[Any]]  # a statement, and what it is given
BATCH = 50
SENDER = "general@example.com"
CLAIM = """update invitations_outbox set state = 'claimed', claim = ?, lease_until = ?
    where id in (select id from invitations_outbox where state = 'queued' and due_at <= ?
    and CAST(tries > 0 AS INTEGER) = 0 order by due_at, id limit {batch} {skip})
    returning id, invitation_id, message_id"""
SENDING = (
    "update invitations_outbox set state = 'sending', lease_until = ? where id = ? and claim = ?",
    "update invitations_invitation set mail_state = 'sending' where id = ?",
)
SENT = (
    "delete from invitations_outbox where id = ? and claim = ?",
    """update invitations_invitation set status = 'sent', sent_at = ?, last_sent_at = ?,
    mail_state = 'delivered', mail_tries = 1, version = version + 1
    where id = ? and status = 'not_sent'""",
    """insert into invitations_history (invitation_id, at, actor_kind, actor_key, actor_name,
    action, from_status, to_status, reason, message_id)
    values (?, ?, 'system', '', '', 'send', 'not_sent', 'sent', ?, ?)""",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn is: how many mails by job, by how many workers, to which port by job."""

    mails: dict[str, int]
    workers: int
    ports: dict[str, int]


def addresses(number: int) -> list[str]:
    return [f"{secrets.token_hex(8)}@example.com" for _ in range(number)]


def seconds_each(work: Work, mails: int) -> float:
    start = perf_counter()
    work()
    return (perf_counter() - start) / mails


@contextmanager
def limit(
    url: str, folder: str, turn: Turn, is_joined: bool = False
) -> Iterator[Callable[[str], float]]:
    """Smtplib and SQL by hand: messages are built before, and each one's state is committed.

    :param is_joined: the end of one and the beginning of the next are committed together.
    """
    config = {"DATABASE_URL": url, "INSTANCE_PATH": folder, "INVITATIONS_DELIVERY": "none"}
    with closing(Store(**config, INVITATIONS_BASE_URL="https://shop.example.com")) as store:
        opened: dict[str, list[_Line]] = {}

        def once(job: str) -> float:
            if job not in opened:
                opened[job] = [_Line(url, turn.ports[job], is_joined) for _ in range(turn.workers)]
            built = _built(store, queue(store, *addresses(turn.mails[job])))
            lines = list(opened[job])
            return seconds_each(
                lambda: in_threads(lambda: lines.pop().send(built), turn.workers), len(built)
            )

        yield once
        for line in (each for lines in opened.values() for each in lines):
            line.close()


def _built(store: Store, ids: Sequence[int]) -> dict[int, tuple[str, bytes]]:
    """Return address and message of each invitation, as ours would send them."""
    with store.session() as db:
        query = sa.select(Invitation, Outbox.message_id).join(
            Outbox, Outbox.invitation_id == Invitation.id
        )
        found = db.execute(query.where(Invitation.id.in_(ids))).all()
        view = store_view("en", "main")
        made = [(row, invitation_sent(row, view, settings_of(view), name)) for row, name in found]
        return {row.id: (str(row.email), message.as_bytes()) for row, message in made}


class _Line:
    """A worker by hand: a connection to the server for each turn, and one to the database."""

    def __init__(self, url: str, port: int, is_joined: bool) -> None:
        self._port, self._is_joined = port, is_joined
        self._rows = _Rows(url)

    def send(self, built: dict[int, tuple[str, bytes]]) -> None:
        """Send what is queued, batch after batch."""
        with smtplib.SMTP(LOOPBACK, self._port, timeout=30) as smtp:
            smtp.ehlo()
            self._send(smtp, built)

    def _send(self, smtp: smtplib.SMTP, built: dict[int, tuple[str, bytes]]) -> None:
        claim = secrets.token_hex(16)
        while batch := self._rows.claim(claim):
            ended: list[Step] = []
            for number, invitation, message_id in batch:
                began = [(SENDING[0], (_later(), number, claim)), (SENDING[1], (invitation,))]
                self._rows.do([*ended, *began])
                recipient, content = built[invitation]
                answer = _hand_over(smtp, recipient, content)
                at = now()
                noted = (invitation, at, answer, message_id)
                given = ((number, claim), (at, at, invitation), noted)
                ended = list(zip(SENT, given, strict=True))
                if not self._is_joined:
                    self._rows.do(ended)
                    ended = []
            self._rows.do(ended)

    def close(self) -> None:
        self._rows.close()


def _hand_over(smtp: smtplib.SMTP, recipient: str, content: bytes) -> str:
    smtp.mail(SENDER)
    smtp.rcpt(recipient)
    code, text = smtp.data(content)
    if code != 250:
        raise RuntimeError(f"{code} {text!r}")
    return f"{code} {text.decode()}"


def _later() -> datetime:
    return now() + timedelta(minutes=15)


class _Rows:
    """The outbox by plain SQL, with the settings that the sample store has."""

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        self._is_sqlite = parsed.get_backend_name() == "sqlite"
        self._claim = CLAIM.format(batch=BATCH, skip="" if self._is_sqlite else _SKIP)
        self._connection: Any
        if self._is_sqlite:
            self._connection = sqlite3.connect(
                str(parsed.database), isolation_level=None, check_same_thread=False, timeout=30
            )
            for pragma in ("synchronous = full", "foreign_keys = on"):
                self._connection.execute(f"pragma {pragma}")
        else:
            plain = parsed.set(drivername="postgresql")
            self._connection = psycopg.connect(plain.render_as_string(hide_password=False))

    def claim(self, name: str) -> list[tuple[int, int, str]]:
        found = self.do([(self._claim, (name, now() + timedelta(seconds=90), now()))])
        return [(row[0], row[1], row[2]) for row in sorted(found)]

    def do(self, steps: Sequence[Step]) -> list[Any]:
        """Run statements as one transaction; return what the last one found."""
        if not steps:
            return []
        if self._is_sqlite:
            self._connection.execute("begin immediate")
        for statement, given in steps:
            cursor = self._run(statement, given)
        found = cursor.fetchall() if cursor.description else []
        self._connection.execute("commit")
        return list(found)

    def _run(self, statement: str, given: Sequence[Any]) -> Any:
        if self._is_sqlite:
            kept = [
                each.isoformat(" ", "microseconds") if _is_time(each) else each for each in given
            ]
            return self._connection.execute(statement, kept)
        return self._connection.execute(statement.replace("?", "%s"), given)

    def close(self) -> None:
        self._connection.close()


_SKIP = "for update skip locked"


def _is_time(value: object) -> bool:
    return isinstance(value, datetime)


@contextmanager
def flask_mail_alone(turn: Turn, is_kept: bool) -> Iterator[Callable[[str], float]]:
    """Flask-Mail with the texts written before: it builds messages and sends them, no more.

    :param is_kept: one connection for the turn, instead of one a mail.
    """
    app = Flask("peer")
    text, html = (
        template.replace("{{ name }}", "Veronica Costello").replace("{{ link }}", "https://a.test/")
        for template in (TEXT, HTML)
    )

    def once(job: str) -> float:
        app.config.update(MAIL_SERVER=LOOPBACK, MAIL_PORT=turn.ports[job])
        mail = flask_mail.Mail(app)

        def message(to: str) -> flask_mail.Message:
            return flask_mail.Message(
                "You are invited", [to], body=text, html=html, sender=("The Shop", SENDER)
            )

        def work() -> None:
            if is_kept:
                with mail.connect() as connection:
                    for each in to:
                        connection.send(message(each))
            else:
                for each in to:
                    mail.send(message(each))

        to = addresses(turn.mails[job])
        with app.app_context():
            return seconds_each(work, len(to))

    yield once


@contextmanager
def django_invitations(url: str, folder: str, turn: Turn) -> Iterator[Callable[[str], float]]:
    """django-invitations as its own view sends: a mail, then the row, one after the other."""
    _configure_django(sa.make_url(url), Path(folder))
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import RequestFactory
    from invitations.utils import get_invitation_model

    call_command("migrate", verbosity=0)
    model = get_invitation_model()
    inviter = get_user_model().objects.create_user(secrets.token_hex(4))
    request = RequestFactory().get("/")

    def once(job: str) -> float:
        settings.EMAIL_PORT = turn.ports[job]
        made = [model.create(each, inviter=inviter) for each in addresses(turn.mails[job])]

        def work() -> None:
            for each in made:
                each.send_invitation(request)

        return seconds_each(work, len(made))

    yield once


def _configure_django(url: sa.URL, folder: Path) -> None:
    from django.conf import settings

    place: dict[str, Any]
    if url.get_backend_name() == "sqlite":
        pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"
        place = {"NAME": str(folder / "django.sqlite"), "OPTIONS": {"init_command": pragmas}}
    else:
        schema = "django"  # its table is called as ours
        with psycopg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False)
        ) as connection:
            connection.execute(f"create schema if not exists {schema}".encode())
        place = {
            "NAME": url.database,
            "USER": url.username or "",
            "PASSWORD": url.password or "",
            "HOST": url.host or "",
            "PORT": str(url.port or ""),
            "OPTIONS": {"options": f"-c search_path={schema}"},
        }
    kind = "sqlite3" if url.get_backend_name() == "sqlite" else "postgresql"
    email = "invitations/email/email_invite"
    link = "{{ invite_url }}"
    words = {"{{ name }}": "{{ inviter }}", "{{ link }}": link}
    written = {f"{email}_subject.txt": "You are invited"}
    for ending, template in (("txt", TEXT), ("html", HTML)):
        for old, new in words.items():
            template = template.replace(old, new)
        written[f"{email}_message.{ending}"] = template
    loaders = [("django.template.loaders.locmem.Loader", written)]
    settings.configure(
        SECRET_KEY=secrets.token_hex(),
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": place | {"ENGINE": f"django.db.backends.{kind}"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DEFAULT_FROM_EMAIL=SENDER,
        EMAIL_HOST=LOOPBACK,
        INSTALLED_APPS=[
            *(f"django.contrib.{name}" for name in ("contenttypes", "auth", "sites")),
            "invitations",
        ],
        SITE_ID=1,
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": loaders},
            }
        ],
        USE_TZ=True,
    )
    import django

    django.setup()
    from django.urls import include, path

    settings.ROOT_URLCONF = (path("", include("invitations.urls", namespace="invitations")),)
