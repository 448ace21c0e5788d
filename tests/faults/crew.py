"""Workers in processes of their own, which a test may kill, freeze, wake, end and replace."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from ..support.outbox import wait_for
from ..support.processes import environment
from ..support.sink import Sink
from ..support.stores import Store
from . import impatient

# Each is a process of its own; what all of them import is imported once.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["pytest", impatient.__name__])


@dataclass
class Worker:
    """One ``flask invitations worker``, and where it says and complains."""

    process: ForkServerProcess
    log: Path

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def wait_until_it_works(self) -> None:
        """Wait for its first word."""
        wait_for(lambda: self.log.exists() and "Ctrl-C ends it" in self.log.read_text())


@dataclass
class Crew:
    """The workers of one store, the one that is there longest first."""

    store: Store
    sink: Sink
    folder: Path
    more: dict[str, str] = field(default_factory=dict)
    members: list[Worker] = field(default_factory=list)
    started: int = 0
    kills: int = 0

    def add(self, number: int = 1) -> None:
        """Start some more."""
        env = environment(self.store, self.sink, **self.more)
        for _ in range(number):
            self.started += 1
            log = self.folder / f"worker-{self.started}.log"
            given = (env, str(log), "invitations", "worker")
            process = processes.Process(target=impatient.flask, args=given)
            process.start()
            self.members.append(Worker(process, log))

    def kill(self) -> None:
        """Kill one, and put another in its place."""
        doomed = self.members.pop(0).process
        doomed.kill()
        doomed.join()
        self.kills += 1
        self.add()

    def complaints(self) -> str:
        """Return what was said so far."""
        return "".join(each.read_text() for each in sorted(self.folder.glob("worker-*.log")))

    def end(self) -> None:
        """Tell all of them to end, and see that each of them does so well."""
        for each in self.members:
            each.wait_until_it_works()
            each.signal(signal.SIGTERM)
        for each in self.members:
            each.process.join(60)
        codes = [each.process.exitcode for each in self.members]
        assert set(codes) <= {0}, self.complaints()
        self.members.clear()

    def clear(self) -> None:
        """Leave no process behind, whatever happened."""
        for each in self.members:
            each.process.kill()
            each.process.join()
