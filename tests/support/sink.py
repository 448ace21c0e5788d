"""A scriptable SMTP server: the only judge of what was sent."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
from collections import defaultdict
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

LINK = re.compile(r"https?://\S+?/invitations/[\w.-]+(?=\s)")


@dataclass
class Mail:
    """One message as the server took it."""

    sender: str
    recipients: list[str]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.content, policy=email.policy.default)

    def part(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content())

    @property
    def text(self) -> str:
        return self.part("plain")

    @property
    def html(self) -> str:
        return self.part("html")

    @property
    def link(self) -> str:
        """The path of the link that accepts."""
        found = LINK.search(self.text)
        assert found is not None
        return "/invitations/" + found.group().rpartition("/")[2]


@dataclass
class Sink:
    """Takes every mail, unless a test said otherwise beforehand.

    ``replies["RCPT"]`` and ``replies["DATA"]`` are used up one answer a mail; an answer
    "drop" closes the line instead, and "250 drop" closes it after saying 250.
    """

    mails: list[Mail] = field(default_factory=list)
    replies: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    port: int = 0

    def __enter__(self) -> Sink:
        self._controller = _Controller(self, hostname="127.0.0.1", port=0)
        self._controller.start()
        self.port = self._controller.bound_port()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._controller.stop()

    def to(self, address: str) -> list[Mail]:
        """Return the mails that one address got."""
        return [mail for mail in self.mails if address in mail.recipients]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self._next("RCPT", server)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self._next("DATA", server)
        if answer is None or answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.mails.append(Mail(str(envelope.mail_from), list(envelope.rcpt_tos), content))
        return answer or "250 OK"

    def _next(self, command: str, server: SMTP) -> str | None:
        answer = self.replies[command].pop(0) if self.replies[command] else None
        if answer is not None and answer.endswith("drop"):
            transport: Any = server.transport
            if answer.startswith("250"):
                transport.write(b"250 OK\r\n")
                server.loop.call_later(0.05, transport.close)
                return "250 late"
            transport.abort()
        return answer


class _Controller(Controller):
    """Finds a free port by itself; aiosmtpd's own check wants a fixed one."""

    def bound_port(self) -> int:
        """Return the port that the machine chose."""
        assert isinstance(self.server, asyncio.Server)
        return int(self.server.sockets[0].getsockname()[1])

    def _trigger_server(self) -> None:
        self.port = self.bound_port()
        super()._trigger_server()  # type: ignore[no-untyped-call]
