"""A real SMTP server on loopback that keeps every mail instead of passing it on."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from .config import LOOPBACK
from .mails import Mailbox

MAX_SIZE = 5 * 1024 * 1024
ANY_PORT = 0
CLOSED_PORT = 1  # where nothing listens: mail waits until a catcher runs


class Keeper:
    """Answers 250 once a mail is on the disk."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep a mail; the name is aiosmtpd's."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        try:
            self.mailbox.store(content, envelope.mail_from or "", envelope.rcpt_tos)
        except OSError:
            return "452 4.3.1 The mailbox cannot be written"
        return "250 2.0.0 Kept"


class Catcher:
    """The server in a thread of its own."""

    def __init__(self, mailbox: Mailbox, port: int = ANY_PORT) -> None:
        self._socket = _listen(port)
        self.port: int = self._socket.getsockname()[1]
        self._keeper = Keeper(mailbox)
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="smtp-catcher", daemon=True)

    def start(self) -> Catcher:
        """Begin to take mail."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Take no more mail."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await self._loop.create_server(self._protocol, sock=self._socket)
        await self._end.wait()
        server.close()
        await _let_go()

    def _protocol(self) -> SMTP:
        return SMTP(self._keeper, data_size_limit=MAX_SIZE, loop=self._loop)


async def _let_go() -> None:
    """End the dialogues that are still open."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _listen(port: int) -> socket.socket:
    """Listen on the port of the last run, so that workers still find it, or on a free one."""
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError:
        return socket.create_server((LOOPBACK, ANY_PORT))


def start(instance: Path) -> Catcher:
    """Start the catcher and note its port, for the other processes of this instance."""
    catcher = Catcher(Mailbox(instance / "mailbox"), noted_port(instance) or ANY_PORT)
    _note(instance).write_text(str(catcher.port))
    return catcher.start()


def noted_port(instance: Path) -> int | None:
    """Return the port of the catcher that was last started for this instance."""
    try:
        return int(_note(instance).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _note(instance: Path) -> Path:
    return instance / "catcher-port"
