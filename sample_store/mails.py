"""The mails that the catcher kept: written whole, read with suspicion."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path

NAME = re.compile(r"\d{19}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Mail:
    """A caught mail as the mailbox shows it."""

    id: str
    at: datetime
    subject: str
    sender: str
    recipient: str
    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None


class Mailbox:
    """A folder with one ``.eml`` file for each mail, named by the time it came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def store(self, content: bytes, sender: str, recipients: Iterable[str]) -> Path:
        """Keep a mail; on return it is on the disk."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{time.time_ns():019d}-{secrets.token_hex(4)}.eml"
        draft = path.with_suffix(".part")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_envelope(sender, recipients) + content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        _sync_folder(self.folder)
        return path

    def names(self) -> list[str]:
        """Return the names of all mails, newest first."""
        found = (path.stem for path in self.folder.glob("*.eml"))
        return sorted((name for name in found if NAME.fullmatch(name)), reverse=True)

    def source(self, name: str) -> bytes | None:
        """Return a mail as it came in."""
        if not NAME.fullmatch(name):
            return None
        try:
            return (self.folder / f"{name}.eml").read_bytes()
        except FileNotFoundError:
            return None

    def read(self, name: str) -> Mail | None:
        """Return a mail taken apart."""
        source = self.source(name)
        return None if source is None else _mail(name, source)


def _envelope(sender: str, recipients: Iterable[str]) -> bytes:
    """Note what the SMTP dialogue said, as mail servers do on delivery."""
    lines = [f"Return-Path: <{sender}>", *(f"Delivered-To: {to}" for to in recipients)]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def _sync_folder(folder: Path) -> None:
    """Put the new name on the disk, too; not every system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mail(name: str, source: bytes) -> Mail:
    message = message_from_bytes(source)
    return Mail(
        id=name,
        at=datetime.fromtimestamp(int(name[:10]), UTC).replace(tzinfo=None),
        subject=_decoded(message, "Subject"),
        sender=_decoded(message, "From"),
        recipient=_decoded(message, "To"),
        headers=tuple((key, _unfolded(str(value))) for key, value in message.items()),
        text=_part(message, "text/plain"),
        html=_part(message, "text/html"),
    )


def _decoded(message: Message, name: str) -> str:
    value = _unfolded(str(message.get(name, "")))
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError):
        return value  # a header that lies about its encoding is shown as it came


def _unfolded(value: str) -> str:
    return re.sub(r"\r?\n[ \t]*", " ", value)


def _part(message: Message, content_type: str) -> str | None:
    """Return the first part of a type that is not an attachment."""
    for part in message.walk():
        if part.get_content_type() == content_type and not part.get_filename():
            return _text(part)
    return None


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return content.decode("utf-8", "replace")
