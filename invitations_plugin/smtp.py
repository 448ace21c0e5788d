"""Flask-Mail over SMTP, hardened: everything it gets wrong is mended in this one place.

Mended: no timeout; STARTTLS without a verified certificate; user text in headers;
addresses re-encoded by an older IDNA; long headers folded so that clients cannot use
them; a new Message-ID for each try; a server that drops the line after its 250 counted
as a failure; refused recipients passed over.
"""

from __future__ import annotations

import math
import smtplib
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address as HeaderAddress
from email.utils import format_datetime
from typing import Any

import flask_mail
from flask import current_app

from .assembling import (
    assemble,
    commands,
    dot_stuffed,
    is_bare,
    mailbox,
    one_line,
    words,
)
from .events import tell
from .text import clean_line

# A server may take long over a whole message, and giving up on it means a second copy.
LAST_ANSWER = 10  # times the timeout of every other answer
GO_ON = 354
Reply = tuple[int, bytes]
GONE: Reply = (421, b"The server hung up.")


class Temporary(Exception):
    """The server refused for now (4xx): try this message again later."""


class SenderRefused(Temporary):
    """The server refused who writes, for good: that is no matter of the recipient."""


class Permanent(Exception):
    """The server refused for good (5xx)."""


class Unreachable(Exception):
    """No server, no connection, no agreement on security or login: nobody's mail goes."""


class Broken(Exception):
    """The line broke before the message was handed over: it did not leave."""

    @property
    def hung(self) -> bool:
        """Whether the server fell silent, instead of hanging up."""
        cause = self.__cause__
        return isinstance(cause, TimeoutError) or isinstance(
            getattr(cause, "__context__", None), TimeoutError
        )


class Ambiguous(Exception):
    """The line broke after the message was handed over: nobody knows whether it arrived."""


class Message(flask_mail.Message):
    """One mail to one recipient, with headers that hold exactly what they are given.

    :param sender: display name and address.
    :param reply_to: where answers go, where that is another address.
    :param headers: further headers; the caller takes them from configuration.
    """

    def __init__(
        self,
        *,
        subject: str,
        recipient: str,
        sender: tuple[str, str],
        text: str,
        html: str,
        message_id: str,
        reply_to: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        # Not by the library's own: it asks the resolver for this machine's name, every time.
        self.subject = clean_line(subject)
        self.recipients = [recipient]
        self.sender_name, self.sender = clean_line(sender[0]), sender[1]
        self.body, self.alts = text, {"html": html}
        self.msgId = message_id
        self.reply_to = reply_to or None
        self.extra_headers = headers or {}
        self.cc, self.bcc, self.attachments = [], [], []
        self.mail_options, self.rcpt_options = [], []
        self.date = self.charset = None

    def as_bytes(self) -> bytes:
        """Return the mail as it goes over the wire.

        :raises ValueError: when a header or address holds what it must not.
        """
        return assemble(self._headers(), str(self.body), str(self.html))

    def _headers(self) -> dict[str, str]:
        """Write the headers out: the library folds a link, and reads a name once more."""
        answers = {"Reply-To": _address(str(self.reply_to))} if self.reply_to else {}
        given = {
            **answers,
            "To": _address(str(self.recipients[0])),
            "Date": format_datetime(datetime.now(UTC)),
            "Message-ID": str(self.msgId),
            **(self.extra_headers or {}),
        }
        written = {
            "From": mailbox(self.sender_name, _address(str(self.sender))),
            "Subject": words(self.subject),
        }
        return written | {name: one_line(value) for name, value in given.items()}


class Connection(flask_mail.Connection):
    """A connection that is verified, ends in time, and tells how each mail ended.

    ``answer`` is what the server said to the last message that it took.
    """

    answer = ""
    most: int | None = None  # messages that it carries
    timeout: float | None = None  # seconds, where INVITATIONS_SMTP_TIMEOUT is not meant
    last_answer = LAST_ANSWER

    def __enter__(self) -> Connection:
        try:
            super().__enter__()
        except (OSError, smtplib.SMTPException, ValueError, OverflowError) as error:
            raise Unreachable(describe(error)) from error
        return self

    @property
    def is_open(self) -> bool:
        """Whether it takes another message; smtplib drops the socket when the line breaks."""
        is_up = self.host is None or self.host.sock is not None
        return is_up and (self.most is None or self.num_emails < self.most)

    def still_answers(self) -> bool:
        """Return whether the server takes a next message, asked where it has rested."""
        if self.host is None:
            return True
        try:
            code, _ = self.host.rset()
        except (OSError, smtplib.SMTPException):
            return False
        return code == 250

    def __exit__(self, *exc: object) -> None:
        """Say goodbye; a server that hung up first changes nothing."""
        if self.host is None or self.host.sock is None:
            return
        try:
            self.host.quit()
        except (OSError, smtplib.SMTPException):
            self.host.close()

    def configure_host(self) -> smtplib.SMTP:
        """Connect with a timeout, and over TLS only to whom the certificate names."""
        timeout = float(self.timeout or current_app.config["INVITATIONS_SMTP_TIMEOUT"])
        server, port = self.mail.server, self.mail.port
        host: smtplib.SMTP
        if self.mail.use_ssl:
            host = smtplib.SMTP_SSL(server, port, timeout=timeout, context=_verifying())
        else:
            host = smtplib.SMTP(server, port, timeout=timeout)
        try:
            self._agree(host)
        except BaseException:
            host.close()
            raise
        return host

    def _agree(self, host: smtplib.SMTP) -> None:
        if self.mail.use_tls and not self.mail.use_ssl:
            host.starttls(context=_verifying())
        host.ehlo_or_helo_if_needed()
        if self.mail.username and self.mail.password:
            host.login(self.mail.username, self.mail.password)

    def deliver(
        self,
        message: Message,
        until: float = math.inf,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> str:
        """Hand one message over; returning means the server has taken it.

        Returns the server's answer, which often names the message in its own queue; ""
        where nothing is sent.

        :param until: what :func:`time.monotonic` says when the message is this caller's no
            more: who was frozen that long lets it be.
        :param meanwhile: done once while the server takes the message; it raises nothing.
        :raises Temporary: on a 4xx, with its text.
        :raises Permanent: on a 5xx, or an address that mail cannot be sent to.
        :raises Broken: when the connection broke before the message was handed over.
        :raises Ambiguous: when it broke after that.
        """
        try:
            _address(str(message.recipients[0]))
        except ValueError as error:
            raise Permanent(f"The address cannot be written to: {describe(error)}") from error
        content, answer = message.as_bytes(), ""
        if self.host is not None:
            bounces_to = current_app.config.get("INVITATIONS_RETURN_PATH") or message.sender
            envelope = str(bounces_to), str(message.recipients[0])
            answer = self._hand_over(self.host, envelope, content, until, meanwhile)
        self.num_emails += 1
        tell(flask_mail.email_dispatched, message=message)
        return answer

    def _hand_over(
        self,
        host: smtplib.SMTP,
        envelope: tuple[str, str],
        content: bytes,
        until: float,
        meanwhile: Callable[[], None],
    ) -> str:
        """Send one message; a line whose state nobody knows is not used again."""
        try:
            self._envelope(host, *envelope)
            if time.monotonic() > until:
                raise Broken("The worker did not come to send it in its time.")
            return self._data(host, content, meanwhile)
        except (Broken, Ambiguous):
            host.close()
            raise

    def _envelope(self, host: smtplib.SMTP, sender: str, recipient: str) -> None:
        """Say who writes to whom; in one go where the server lets us (RFC 2920)."""
        try:
            if host.has_extn("pipelining"):
                self._in_one_go(host, sender, recipient)
            else:
                _check_sender(host, *host.mail(sender))
                _check(host, *host.rcpt(recipient))
                _check_data(host, *host.docmd("data"))
        except (OSError, smtplib.SMTPException) as error:
            raise Broken(describe(error)) from error

    def _in_one_go(self, host: smtplib.SMTP, sender: str, recipient: str) -> None:
        said = [f"mail FROM:{_in_brackets(sender)}", f"rcpt TO:{_in_brackets(recipient)}"]
        host.send(commands([*said, "data"]))
        from_reply, to_reply, data_reply = _replies(host, 3)
        is_refused = not (_is_yes(from_reply) and _is_yes(to_reply))
        if is_refused and data_reply[0] == GO_ON:
            # It wants a message that nobody gets: an empty one ends this (RFC 2920, 3.1).
            _replies_to_nothing(host)
        _check_sender(host, *from_reply)
        _check(host, *to_reply)
        _check_data(host, *data_reply)

    def _data(self, host: smtplib.SMTP, content: bytes, meanwhile: Callable[[], None]) -> str:
        """Only the reply to the content tells whether the message was taken."""
        try:
            _set_timeout(host, host.timeout * self.last_answer)
            host.send(dot_stuffed(content))
            meanwhile()
            code, text = host.getreply()
            _set_timeout(host, host.timeout)
        except (OSError, smtplib.SMTPException) as error:
            raise Ambiguous(describe(error)) from error
        if code // 100 not in (2, 4, 5):
            raise Ambiguous(f"{code} {_decode(text)}")
        _check(host, code, text)
        self.answer = f"{code} {_decode(text)}"
        return self.answer


def _verifying() -> ssl.SSLContext:
    """Return what verifies a server: the certificates that this machine trusts at the moment."""
    return ssl.create_default_context()


def connect() -> Connection:
    """Return a connection to the mail server of the current app, to be used with ``with``."""
    app = current_app
    mail: Any = flask_mail.Mail().init_mail(app.config, app.debug, app.testing)
    mail.debug = 0  # smtplib's debugging prints addresses and links
    return Connection(mail)


def describe(error: BaseException) -> str:
    """Return a fault in one line, for the history and the log."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_decode(error.smtp_error)}"[:255]
    return clean_line(f"{type(error).__name__}: {error}")[:255]


def _check(host: smtplib.SMTP, code: int, text: bytes) -> None:
    """Turn a reply into its meaning; the connection stays fit for the next message."""
    if 200 <= code < 300:
        return
    said = f"{code} {_decode(text)}"
    if code == 421 or code // 100 not in (4, 5):
        raise Broken(said)
    _reset(host)
    raise Permanent(said) if code >= 500 else Temporary(said)


def _check_sender(host: smtplib.SMTP, code: int, text: bytes) -> None:
    """A refused sender is the store's matter: no recipient is given up for it."""
    try:
        _check(host, code, text)
    except Permanent as error:
        raise SenderRefused(str(error)) from error


def _check_data(host: smtplib.SMTP, code: int, text: bytes) -> None:
    if code != GO_ON:
        _check(host, code, text)
        raise Broken(f"{code} {_decode(text)}")


def _is_yes(reply: Reply) -> bool:
    return 200 <= reply[0] < 300


def _replies(host: smtplib.SMTP, number: int) -> list[Reply]:
    """Read the replies to commands that went in one go.

    A server that refuses and hangs up has answered: the rest is as good as refused.
    """
    found: list[Reply] = []
    while len(found) < number:
        try:
            found.append(host.getreply())
        except (OSError, smtplib.SMTPException):
            if all(map(_is_yes, found)):
                raise
            found += [GONE] * (number - len(found))
    return found


def _replies_to_nothing(host: smtplib.SMTP) -> None:
    try:
        host.send(b".\r\n")
        host.getreply()
    except (OSError, smtplib.SMTPException):
        host.close()


def _reset(host: smtplib.SMTP) -> None:
    """Make ready for the next message; a server that answers and hangs up has answered."""
    try:
        host.rset()
    except (OSError, smtplib.SMTPException):
        host.close()


def _set_timeout(host: smtplib.SMTP, seconds: float) -> None:
    if host.sock is not None:
        host.sock.settimeout(seconds)


def _address(text: str) -> str:
    """Return a bare ASCII address.

    :raises ValueError: when it is none, or several.
    """
    if is_bare(text):
        return text
    try:
        read = HeaderAddress(addr_spec=one_line(text)).addr_spec
    except (MessageError, IndexError) as error:  # what the library makes of some others
        raise ValueError(f"{text!r} is no address") from error
    if read != text:
        raise ValueError(f"{text!r} is no plain address")
    return read


def _in_brackets(address: str) -> str:
    return f"<{address}>" if is_bare(address) else smtplib.quoteaddr(address)


def _decode(text: bytes | str) -> str:
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return clean_line(plain)[:240]
