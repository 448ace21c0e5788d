"""Mail servers that keep nothing: one that takes its time for every reply, one that is silent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

GONE = 1  # nobody listens on this port


@contextmanager
def server(delay: float | None) -> Iterator[int]:
    """Run a server and yield its port.

    :param delay: seconds before each reply, as a round trip would take; None never replies.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    opening = asyncio.start_server(_Talk(delay).hold, "127.0.0.1", 0)
    listening = asyncio.run_coroutine_threadsafe(opening, loop).result()
    yield listening.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


class _Talk:
    def __init__(self, delay: float | None) -> None:
        self.delay = delay

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say yes to everything until the client leaves."""
        if self.delay is None:
            await reader.read()
            return
        await self._say(writer, "220 ready")
        while command := (await reader.readline()).strip().upper():
            if command == b"DATA":
                await self._say(writer, "354 go on")
                await reader.readuntil(b"\r\n.\r\n")
            await self._say(writer, "221 bye" if command == b"QUIT" else "250 ok")
        writer.close()

    async def _say(self, writer: asyncio.StreamWriter, reply: str) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        writer.write(f"{reply}\r\n".encode())
