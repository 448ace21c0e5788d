"""A scriptable SMTP server: the only judge of what was sent."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import ssl
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

LINK = re.compile(r"https?://\S+?/invitations/[\w.-]+(?=\s)")


def name_and_address(content: bytes) -> tuple[str, str]:
    """Read From as mail programs do: first the address, then what the name decodes to."""
    raw = email.message_from_bytes(content)["From"].replace("\r\n", "")
    name, address = parseaddr(raw)
    return str(make_header(decode_header(name))), address


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

    ``replies["MAIL"]``, ``replies["RCPT"]`` and ``replies["DATA"]`` are used up one answer
    a mail; an answer "drop" closes the line instead, "taken drop" does so having taken the
    mail, "250 drop" closes it after saying 250 (any other number, too), and "silence" never
    comes. ``script`` says the same of one address, an answer a try: ``"RCPT 451 later"``,
    ``"DATA taken drop"``. ``refused`` holds the answers to
    addresses that are never taken. ``while_asking`` is called with each recipient before it is
    answered, ``while_taking`` with each mail before its 250, ``before_reply`` before any
    answer to a mail, and ``delay`` is how long one takes.
    ``at_connect`` is said instead of a greeting. With ``heads_only`` it keeps no more than the
    headers of a hundred thousand mails. With ``tls`` it offers STARTTLS, with
    ``pipelining`` it takes commands in one go; then ``waits_for_nothing`` makes it ask for
    a message though it refused everybody, as RFC 2920 lets it, and ``emptied`` counts those.
    """

    mails: list[Mail] = field(default_factory=list)
    replies: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    script: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    asked_for: list[str] = field(default_factory=list)
    while_asking: Callable[[str], None] | None = None
    while_taking: Callable[[Mail], None] | None = None
    before_reply: Callable[[], None] | None = None
    at_connect: str | None = None
    delay: float = 0.0
    logins: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    tls: ssl.SSLContext | None = None
    heads_only: bool = False
    pipelining: bool = False
    waits_for_nothing: bool = False
    emptied: int = 0
    open: list[asyncio.WriteTransport] = field(default_factory=list)

    def __enter__(self) -> Sink:
        self._controller = _Controller(
            self, hostname="127.0.0.1", port=0, tls_context=self.tls, auth_require_tls=False
        )
        self._controller.start()
        self.connections = 0  # the controller tried one itself
        self.port = self._controller.bound_port()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hang_up()
        self._controller.stop()

    def hang_up(self) -> None:
        """End what is still open, silent connections above all."""
        asyncio.run_coroutine_threadsafe(self._abort(), self._controller.loop).result(5)

    async def _abort(self) -> None:
        for transport in self.open:
            transport.abort()
        await asyncio.sleep(0.01)

    def to(self, address: str) -> list[Mail]:
        """Return the mails that one address got."""
        return [mail for mail in self.mails if address in mail.recipients]

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, name: str, offers: list[str]
    ) -> list[str]:
        session.host_name = name
        return [*offers[:-1], "250-PIPELINING", offers[-1]] if self.pipelining else offers

    async def handle_AUTH(
        self, server: SMTP, session: Session, envelope: Envelope, args: list[str]
    ) -> str:
        self.logins.append(" ".join(args).encode())
        return "535 5.7.8 not here"

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._next("MAIL", server)
        if answer is None:
            envelope.mail_from = address
        return answer or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.asked_for.append(address)
        if self.while_asking is not None:
            await asyncio.to_thread(self.while_asking, address)
        answer = await self._next("RCPT", server, address) or self.refused.get(address)
        if answer is None or answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await asyncio.sleep(self.delay)
        address = envelope.rcpt_tos[0]
        coming = self._coming("DATA", address)
        if coming is None or coming.startswith(("250", "taken")):
            content = envelope.content
            assert isinstance(content, bytes)
            if self.heads_only:
                content = content.partition(b"\r\n\r\n")[0]
            mail = Mail(str(envelope.mail_from), list(envelope.rcpt_tos), content)
            self.mails.append(mail)
            if self.while_taking is not None:
                await asyncio.to_thread(self.while_taking, mail)
        if self.before_reply is not None:
            await asyncio.to_thread(self.before_reply)
        return await self._next("DATA", server, address) or "250 OK"

    def _coming(self, command: str, address: str) -> str | None:
        """Return the next answer that a test wants, to this address or to anybody."""
        own = self.script.get(address, [])[:1]
        if own and own[0].startswith(f"{command} "):
            return own[0].removeprefix(f"{command} ")
        return next(iter(self.replies[command]), None)

    async def _next(self, command: str, server: SMTP, address: str = "") -> str | None:
        answer = self._coming(command, address)
        if self.script.get(address, [""])[:1] == [f"{command} {answer}"]:
            del self.script[address][0]
        elif answer is not None:
            del self.replies[command][0]
        if answer in ("silence", "taken silence"):
            await asyncio.sleep(3600)
        if answer is not None and answer.endswith("drop"):
            transport: Any = server.transport
            said = answer.removesuffix("drop").removeprefix("taken ")
            if said:
                transport.write(f"{said}OK\r\n".encode())
                transport.close()
            else:
                transport.abort()
        return answer


class _Controller(Controller):
    """Finds a free port by itself; aiosmtpd's own check wants a fixed one."""

    def bound_port(self) -> int:
        """Return the port that the machine chose."""
        assert isinstance(self.server, asyncio.Server)
        return int(self.server.sockets[0].getsockname()[1])

    def factory(self) -> SMTP:
        """Return the server of one connection."""
        sink: Sink = self.handler
        sink.connections += 1
        return _Server(sink, **self.SMTP_kwargs)

    def _trigger_server(self) -> None:
        self.port = self.bound_port()
        super()._trigger_server()  # type: ignore[no-untyped-call]


class _Server(SMTP):
    """Says what the sink says at the connect."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.event_handler.open.append(transport)
        super().connection_made(transport)

    async def smtp_DATA(self, arg: str) -> None:
        """Take a message to nobody where the sink shall ask for one."""
        sink: Sink = self.event_handler
        if not sink.waits_for_nothing or self.envelope is None or self.envelope.rcpt_tos:
            await super().smtp_DATA(arg)
            return
        await self.push("354 go on")
        sink.emptied += await self._reader.readline() == b".\r\n"
        await self.push("554 5.5.1 nobody to give it to")

    async def _handle_client(self) -> None:
        sink: Sink = self.event_handler
        if sink.at_connect is not None:
            if sink.at_connect == "silence":
                await asyncio.sleep(3600)
            self._writer.write(f"{sink.at_connect}\r\n".encode())
            self._writer.close()
            return
        await super()._handle_client()
