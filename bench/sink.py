"""Postfix's ``smtp-sink``, which takes thousands of mails a second, near and far."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path

NAME = "smtp-sink"
LOOPBACK = "127.0.0.1"
BACKLOG = 200
PATIENCE = 10.0  # seconds until it must listen


@contextmanager
def sink(folder: Path) -> Iterator[int]:
    """Run the server and yield its port.

    :param folder: where postfix is unpacked for a while, if it is not installed.
    """
    program, libraries = _found(folder)
    port = _free_port()
    command = [program, *(["-u", "nobody"] if os.geteuid() == 0 else [])]
    process = subprocess.Popen(
        [*command, f"{LOOPBACK}:{port}", str(BACKLOG)],
        env=os.environ | {"LD_LIBRARY_PATH": libraries},
    )
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _found(folder: Path) -> tuple[str, str]:
    """Return the program and where its libraries are.

    :raises RuntimeError: when it is neither here nor to be had.
    """
    installed = shutil.which(NAME, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if installed is not None:
        return installed, ""
    here = folder / "postfix"
    if not here.exists():
        here.mkdir()
        _unpack(here)
    return str(here / "usr/sbin" / NAME), str(here / "usr/lib/postfix")


def _unpack(here: Path) -> None:
    """Fetch Debian's package without installing it: nothing of it is started."""
    try:
        subprocess.run(
            ["apt-get", "download", "postfix"], cwd=here, check=True, capture_output=True
        )
        [package] = here.glob("postfix_*.deb")
        subprocess.run(["dpkg", "-x", package.name, "."], cwd=here, check=True)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"Install postfix: the benchmark sends to its {NAME}.") from error
    here.chmod(0o755)
    here.parent.chmod(0o755)


@contextmanager
def far(port: int, round_trip: float) -> Iterator[int]:
    """Put a distance before a server and yield the port at its near end.

    :param round_trip: seconds.
    """
    here = _free_port()
    process = get_context("spawn").Process(
        target=_carry, args=(here, port, round_trip / 2), daemon=True
    )
    process.start()
    try:
        _wait_for(here)
        yield here
    finally:
        process.terminate()
        process.join()


def _carry(here: int, there: int, delay: float) -> None:
    """Hand on what comes, each way late by ``delay`` seconds, and hold nothing up otherwise."""
    asyncio.run(_listen(here, there, delay))


async def _listen(here: int, there: int, delay: float) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * delay)  # the handshake
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, there)
        await asyncio.gather(
            _one_way(reader, far_writer, delay), _one_way(far_reader, writer, delay)
        )

    server = await asyncio.start_server(meet, LOOPBACK, here, backlog=BACKLOG)
    await server.serve_forever()


async def _one_way(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float
) -> None:
    clock = asyncio.get_running_loop().time
    way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, data = await way.get()
            await asyncio.sleep(max(0.0, due - clock()))
            if not data:
                break
            writer.write(data)
        writer.close()

    arriving = asyncio.create_task(arrive())
    data = b"-"
    while data:
        data = b""
        with suppress(ConnectionError):
            data = await reader.read(1 << 16)
        way.put_nowait((clock() + delay, data))
    await arriving


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])


def _wait_for(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return
