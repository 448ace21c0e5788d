"""A disk without room: a small one of its own where root may mount it, else a limit of files."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SIZE = 8 * 1024 * 1024
LIMIT = 1024  # bytes: less than one page of a journal


class Disk(Protocol):
    """A folder that can be full for a while."""

    folder: Path

    def fill(self, *processes: int) -> None:
        """Leave no room to these processes and to this one."""

    def free(self, *processes: int) -> None:
        """Give the room back."""


@dataclass
class Small:
    """A file system of its own."""

    folder: Path

    def fill(self, *processes: int) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                return

    def free(self, *processes: int) -> None:
        (self.folder / "ballast").unlink()


@dataclass
class Limited:
    """Any folder; no file of these processes may grow."""

    folder: Path

    def fill(self, *processes: int) -> None:
        for each in (os.getpid(), *processes):
            hard = resource.prlimit(each, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(each, resource.RLIMIT_FSIZE, (LIMIT, hard))

    def free(self, *processes: int) -> None:
        for each in (os.getpid(), *processes):
            hard = resource.prlimit(each, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(each, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """Yield a disk of this test's own, mounted at a folder where that is possible."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        yield Limited(folder)
        return
    try:
        yield Small(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
