"""The hardened Flask-Mail, against a server that does what real ones do."""

from __future__ import annotations

import email
import email.policy
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import flask_mail
import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from invitations_plugin.smtp import (
    Ambiguous,
    Broken,
    Message,
    Permanent,
    Temporary,
    Unreachable,
    connect,
)
from invitations_plugin.text import clean_line

from .support.sink import Mail, Sink, name_and_address

APP = Flask(__name__)  # for what needs an app, but no server
MakeApp = Callable[..., Flask]
UNSUBSCRIBE = "<https://shop.example.com/" + "x" * 400 + ">"


@pytest.fixture
def make_app(sink: Sink) -> MakeApp:
    """Return a function that makes an app which sends to the sink."""

    def make(**config: object) -> Flask:
        app = Flask(__name__)
        app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=sink.port, INVITATIONS_SMTP_TIMEOUT=5)
        app.config.update(config)
        return app

    return make


@pytest.fixture(params=[False, True], ids=["by turns", "in one go"])
def any_sink(request: pytest.FixtureRequest, sink: Sink) -> Sink:
    """A server that wants its commands one by one, and then one that takes them in one go."""
    sink.pipelining = request.param
    return sink


def message(**changes: Any) -> Message:
    known: dict[str, Any] = {
        "subject": "You are invited",
        "recipient": "anna@example.com",
        "sender": ("The Shop", "hello@shop.example.com"),
        "text": "Come in.",
        "html": "<p>Come in.</p>",
        "message_id": "<1@shop.example.com>",
    }
    return Message(**known | changes)


def send(app: Flask, *messages: Message) -> None:
    with app.app_context(), connect() as connection:
        for each in messages or (message(),):
            connection.deliver(each)


def read(content: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.default)


def lines(text: str) -> list[str]:
    """Split at what ends a line in a mail, whether or not the last line has its end."""
    return re.split("\r\n|\r|\n", re.sub("(\r\n|\r|\n)$", "", text))


def test_a_mail_arrives_with_envelope_and_both_parts(make_app: MakeApp, any_sink: Sink) -> None:
    send(make_app())
    mail = any_sink.mails[0]
    assert (mail.sender, mail.recipients) == ("hello@shop.example.com", ["anna@example.com"])
    assert mail.message.get_content_type() == "multipart/alternative"
    assert (mail.text.strip(), mail.html.strip()) == ("Come in.", "<p>Come in.</p>")


@pytest.mark.parametrize("greeting", ["silence", "421 4.3.2 busy", "554 no service"])
def test_a_server_without_a_greeting_is_unreachable(
    make_app: MakeApp, sink: Sink, greeting: str
) -> None:
    sink.at_connect = greeting
    with pytest.raises(Unreachable):
        send(make_app(INVITATIONS_SMTP_TIMEOUT=0.3))


@pytest.mark.parametrize(
    "config",
    [
        {"MAIL_PORT": 1},
        {"MAIL_PORT": 99_999},
        {"MAIL_SERVER": "no..such..name"},
        {"MAIL_SERVER": "no-such-name.invalid"},
        {"MAIL_USERNAME": "shop", "MAIL_PASSWORD": "no authentication is offered"},
        {"MAIL_USERNAME": "shop", "MAIL_PASSWORD": "Schlüssel"},
        {"MAIL_USE_SSL": True},
    ],
)
def test_a_connection_that_cannot_be_made_is_unreachable(
    make_app: MakeApp, config: dict[str, object]
) -> None:
    with pytest.raises(Unreachable):
        send(make_app(**config))


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
@pytest.mark.parametrize(("reply", "hung"), [("silence", True), ("drop", False)])
def test_a_line_that_breaks_before_the_content_is_broken(
    make_app: MakeApp, any_sink: Sink, command: str, reply: str, hung: bool
) -> None:
    any_sink.replies[command] = [reply]
    with pytest.raises(Broken) as caught:
        send(make_app(INVITATIONS_SMTP_TIMEOUT=0.3))
    assert caught.value.hung is hung


@pytest.mark.parametrize("reply", ["silence", "drop", "nonsense", "354 go on"])
def test_an_unknown_end_after_the_content_is_ambiguous(
    make_app: MakeApp, any_sink: Sink, reply: str
) -> None:
    any_sink.replies["DATA"] = [reply]
    with pytest.raises(Ambiguous):
        send(make_app(INVITATIONS_SMTP_TIMEOUT=0.05))


def test_the_last_answer_may_take_longer_than_the_others(make_app: MakeApp, sink: Sink) -> None:
    sink.delay = 0.6
    send(make_app(INVITATIONS_SMTP_TIMEOUT=0.3))
    assert len(sink.mails) == 1


def test_a_server_that_hangs_up_after_its_250_has_the_mail(
    make_app: MakeApp, any_sink: Sink
) -> None:
    any_sink.replies["DATA"] = ["250 drop"]
    send(make_app())
    assert len(any_sink.mails) == 1


@pytest.mark.parametrize(
    ("command", "reply", "meaning"),
    [
        ("MAIL", "451 4.3.0 later", Temporary),
        ("MAIL", "550 5.7.1 not from you", Temporary),
        ("MAIL", "421 4.3.2 closing", Broken),
        ("RCPT", "451 4.3.0 later", Temporary),
        ("RCPT", "550 5.1.1 unknown", Permanent),
        ("RCPT", "421 4.3.2 closing", Broken),
        ("DATA", "452 4.3.1 full", Temporary),
        ("DATA", "554 5.6.0 refused", Permanent),
        ("DATA", "421 4.3.2 closing", Broken),
        ("RCPT", "550 drop", Permanent),
        ("DATA", "554 drop", Permanent),
    ],
)
def test_replies_are_told_apart(
    make_app: MakeApp, any_sink: Sink, command: str, reply: str, meaning: type[Exception]
) -> None:
    any_sink.replies[command] = [reply]
    with pytest.raises(meaning, match="^" + reply[:3]):
        send(make_app())
    assert any_sink.mails == []


def test_a_refused_recipient_leaves_the_connection_fit_for_the_next(
    make_app: MakeApp, any_sink: Sink
) -> None:
    any_sink.refused["ben@example.com"] = "550 5.1.1 unknown"
    with make_app().app_context(), connect() as connection:
        with pytest.raises(Permanent):
            connection.deliver(message(recipient="ben@example.com"))
        assert connection.is_open
        connection.deliver(message())
    assert (any_sink.connections, len(any_sink.mails)) == (1, 1)


def test_a_connection_says_that_the_server_hung_up(make_app: MakeApp, sink: Sink) -> None:
    sink.replies["RCPT"] = ["550 drop"]
    with make_app().app_context(), connect() as connection:
        with pytest.raises(Permanent):
            connection.deliver(message())
        assert not connection.is_open


@pytest.mark.parametrize(
    "address",
    [
        "jörg@example.com",
        "bob@faß.de",
        "a@example.com, b@example.com",
        "a b@x.test",
        "a@ x.test",
        "",
        "@",
        "anna",
        "a\r\nb@x",
    ],
)
def test_an_address_that_is_none_fails_before_anything_is_said(
    make_app: MakeApp, sink: Sink, address: str
) -> None:
    with make_app().app_context(), connect() as connection:
        with pytest.raises(Permanent):
            connection.deliver(message(recipient=address))
        connection.deliver(message())
    assert sink.asked_for == ["anna@example.com"]


HOSTILE = [
    "Shop, Inc. <evil@evil.test>",
    "evil@evil.test",
    "Shop\r\nBcc: evil@evil.test",
    "Shop\x0b\x0c\x1c\x1d\x1eBcc: evil@evil.test",
    "Shop\u2028Bcc: evil@evil.test",
    'Zoë, "Größe" <evil@evil.test>',
    "=?utf-8?q?evil=40evil.test=2C?=",
    '\\" <evil@evil.test>, "',
    "(comment) ; group: a;",
    "中文商店" * 60,
    "x" * 255,
    "",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_one_display_name(make_app: MakeApp, sink: Sink, name: str) -> None:
    send(make_app(), message(sender=(name, "hello@shop.example.com"), subject=name))
    mail = sink.mails[0]
    assert name_and_address(mail.content) == (clean_line(name), "hello@shop.example.com")
    assert mail.message["Subject"] == clean_line(name)
    assert sorted(mail.message.keys()) == sorted(
        ["From", "Subject", "To", "Date", "Message-ID", "Content-Type", "MIME-Version"]
    )


@given(name=st.text(max_size=300), subject=st.text(max_size=300), body=st.text(max_size=500))
@settings(max_examples=100, deadline=None)
def test_whatever_is_written_reads_back_the_same(name: str, subject: str, body: str) -> None:
    text = body.encode("utf-8", "replace").decode()
    with APP.app_context():
        made = message(
            sender=(name, "hello@shop.example.com"), subject=subject, text=text, html=text
        )
        content = made.as_bytes()
    mail = read(content)
    assert name_and_address(content) == (clean_line(name), "hello@shop.example.com")
    assert mail["Subject"] == clean_line(subject)
    for kind in ("plain", "html"):
        part: Any = mail.get_body((kind,))
        assert lines(part.get_content()) == lines(text)
    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_long_lines_are_quoted_printable_within_its_limit(make_app: MakeApp, sink: Sink) -> None:
    send(
        make_app(),
        message(text="das ist ein größerer Laden " * 300, html="<p>" + "x" * 5000 + "</p>"),
    )
    mail = sink.mails[0]
    assert encodings(mail) == ["quoted-printable", "quoted-printable"]
    assert max(len(line) for line in mail.content.split(b"\r\n")) <= 78
    assert mail.text.strip() == ("das ist ein größerer Laden " * 300).strip()


def test_what_is_mostly_not_ascii_is_base64(make_app: MakeApp, sink: Sink) -> None:
    send(make_app(), message(text="你好,商店。\n" * 500, html="<p>" + "x" * 5000 + "</p>"))
    mail = sink.mails[0]
    assert encodings(mail) == ["base64", "quoted-printable"]
    assert max(len(line) for line in mail.content.split(b"\r\n")) <= 78
    assert lines(mail.text) == ["你好,商店。"] * 500


def encodings(mail: Mail) -> list[str]:
    return [part["Content-Transfer-Encoding"] for part in mail.message.iter_parts()]


def test_non_ascii_headers_are_encoded_in_words_of_75_characters() -> None:
    with APP.app_context():
        content = message(subject="é" * 300, sender=("中" * 200, "a@example.com")).as_bytes()
    words = [word for word in content.split() if word.startswith(b"=?")]
    assert len(words) > 10
    assert max(map(len, words)) <= 75


def test_commands_in_one_go_are_one_packet_a_mail(
    make_app: MakeApp, any_sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_app().app_context(), connect() as connection:
        assert connection.host is not None
        said: list[bytes] = []
        send_really = connection.host.send

        def note(content: Any) -> None:
            said.append(content if isinstance(content, bytes) else content.encode())
            send_really(content)

        monkeypatch.setattr(connection.host, "send", note)
        connection.deliver(message())
    together = b"mail FROM:<hello@shop.example.com>\r\nrcpt TO:<anna@example.com>\r\ndata\r\n"
    assert (said[0] == together) is any_sink.pipelining


def test_a_server_that_waits_for_a_message_to_nobody_gets_an_empty_one(
    make_app: MakeApp, sink: Sink
) -> None:
    sink.pipelining, sink.waits_for_nothing = True, True
    sink.refused["ben@example.com"] = "550 5.1.1 unknown"
    with make_app().app_context(), connect() as connection:
        with pytest.raises(Permanent, match=r"^550 5\.1\.1"):
            connection.deliver(message(recipient="ben@example.com"))
        connection.deliver(message())
    assert [mail.recipients for mail in sink.mails] == [["anna@example.com"]]
    assert sink.emptied == 1


def test_given_headers_stay_on_one_line(make_app: MakeApp, sink: Sink) -> None:
    send(make_app(), message(headers={"List-Unsubscribe": UNSUBSCRIBE}))
    assert f"List-Unsubscribe: {UNSUBSCRIBE}\r\n".encode() in sink.mails[0].content


@pytest.mark.parametrize("value", ["a\r\nBcc: b@x.test", "a\nb", "a\x0bb", "ü"])
def test_a_header_that_would_break_is_refused(make_app: MakeApp, sink: Sink, value: str) -> None:
    with pytest.raises(ValueError, match="A header cannot hold"):
        send(make_app(), message(headers={"List-Unsubscribe": value}))
    assert sink.mails == []


def test_lines_that_begin_with_a_dot_arrive_whole(make_app: MakeApp, any_sink: Sink) -> None:
    send(make_app(), message(text=".\n..\n.x\n\n.\n"))
    assert lines(any_sink.mails[0].text) == [".", "..", ".x", "", "."]


def test_every_try_carries_the_same_message_id(make_app: MakeApp, sink: Sink) -> None:
    send(make_app(), message(), message())
    assert {mail.message["Message-ID"] for mail in sink.mails} == {"<1@shop.example.com>"}


def test_a_message_has_all_that_receivers_know_of_one() -> None:
    with APP.app_context():
        of_the_library = flask_mail.Message("Hello", ["anna@example.com"], sender="a@example.com")
        assert vars(of_the_library).keys() <= vars(message()).keys()


def test_the_resolver_is_not_asked_for_each_message(
    make_app: MakeApp, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Mock(return_value="here.example")
    monkeypatch.setattr(socket, "getfqdn", asked)
    counts = []
    for number in (1, 3):  # who connects asks, however many messages go
        send(make_app(), *[message()] * number)
        counts.append(asked.call_count)
    assert counts[1] == 2 * counts[0]


def test_suppressed_mail_is_recorded_and_goes_nowhere(make_app: MakeApp, sink: Sink) -> None:
    app = make_app(MAIL_SUPPRESS_SEND=True, MAIL_PORT=1)
    mail = flask_mail.Mail(app)
    with app.app_context(), mail.record_messages() as outbox:
        send(app)
    assert [(each.subject, each.recipients) for each in outbox] == [
        ("You are invited", ["anna@example.com"])
    ]
    assert (sink.mails, sink.connections) == ([], 0)


def test_testing_set_late_suppresses_too(make_app: MakeApp, sink: Sink) -> None:
    app = make_app()
    app.testing = True
    send(app)
    assert sink.connections == 0


def test_a_sent_mail_is_announced_and_a_receivers_fault_is_not_the_mails(
    make_app: MakeApp, sink: Sink
) -> None:
    app = make_app()

    def faulty(sender: Flask, **values: object) -> None:
        raise RuntimeError("a receiver's own fault")

    with flask_mail.email_dispatched.connected_to(faulty, app):
        send(app)
    assert len(sink.mails) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, signed by nobody else, with its key in the same file."""
    if shutil.which("openssl") is None:
        assert os.environ.get("CI") != "true", "openssl is missing"
        pytest.skip("no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    options = ["-subj", "/CN=loopback", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(path), "-out", str(path.with_name("certificate.pem"))]
    subprocess.run([*command.split(), *options, *files], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_name("certificate.pem").read_text())
    return path


@pytest.fixture
def secure_sink(certificate: Path) -> Iterator[Sink]:
    """A mail server that offers STARTTLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with Sink(tls=context) as running:
        yield running


def test_a_self_signed_certificate_is_refused(make_app: MakeApp, secure_sink: Sink) -> None:
    with pytest.raises(Unreachable, match="certificate"):
        send(make_app(MAIL_USE_TLS=True, MAIL_PORT=secure_sink.port))
    assert secure_sink.asked_for == []


def test_a_trusted_certificate_is_taken(
    make_app: MakeApp, secure_sink: Sink, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    send(make_app(MAIL_USE_TLS=True, MAIL_PORT=secure_sink.port))
    assert len(secure_sink.mails) == 1


def test_a_trusted_certificate_for_another_name_is_refused(
    make_app: MakeApp, secure_sink: Sink, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    config = {"MAIL_SERVER": "localhost", "MAIL_PORT": secure_sink.port}
    with pytest.raises(Unreachable, match="mismatch"):
        send(make_app(MAIL_USE_TLS=True, **config))


def test_starttls_that_is_not_offered_sends_nothing_in_clear(make_app: MakeApp, sink: Sink) -> None:
    login = {"MAIL_USERNAME": "shop", "MAIL_PASSWORD": "secret"}
    with pytest.raises(Unreachable, match="STARTTLS"):
        send(make_app(MAIL_USE_TLS=True, **login))
    assert (sink.logins, sink.asked_for) == ([], [])
