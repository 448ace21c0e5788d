"""The ``flask`` command in processes of its own, on a test's database and mail server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .sink import Sink
from .stores import Store

ROOT = Path(__file__).resolve().parents[2]


def environment(store: Store, sink: Sink, **more: str) -> dict[str, str]:
    """Return what a process needs to be another one of a store."""
    config = store.app.config
    return os.environ | {
        "DATABASE_URL": config["SQLALCHEMY_DATABASE_URI"],
        "FLASK_APP": "wsgi",
        "INSTANCE_PATH": store.app.instance_path,
        "INVITATIONS_BASE_URL": config["INVITATIONS_BASE_URL"],
        "MAIL_PORT": str(sink.port),
        "MAIL_SERVER": "127.0.0.1",
        **more,
    }


def start(store: Store, sink: Sink, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """Start ``flask invitations`` with these arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "invitations", *arguments],
        cwd=ROOT,
        env=environment(store, sink, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def flask_worker(store: Store, sink: Sink, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker from its first word until it was told to end, and see it end well."""
    with start(store, sink, "worker", PYTHONUNBUFFERED="1", **more) as process:
        try:
            assert process.stdout is not None
            assert "Ctrl-C ends it" in process.stdout.readline()
            yield process
            process.send_signal(signal.SIGTERM)
            said, complaints = process.communicate(timeout=60)
            assert (process.returncode, said) == (0, "The worker has ended.\n"), complaints
        finally:
            process.kill()
