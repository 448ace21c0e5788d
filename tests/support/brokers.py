"""Brokers of Celery: a RabbitMQ that runs here, and a Redis of a test's own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from celery import Celery

from .outbox import wait_for
from .processes import ROOT, environment
from .sink import Sink
from .stores import Store

RABBITMQ = os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")


@dataclass
class Redis:
    """A server of this test's own, which may be away; it keeps nothing over a restart."""

    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(lambda: answers("127.0.0.1", self.port))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def redis() -> Iterator[Redis]:
    """Yield a Redis that is not started yet."""
    must_be_here(shutil.which("redis-server") is not None, "redis-server")
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = int(door.getsockname()[1])
    made = Redis(port)
    try:
        yield made
    finally:
        made.kill()


@contextmanager
def rabbitmq() -> Iterator[tuple[str, str]]:
    """Yield the address of the running RabbitMQ and the name of a queue of this test's own."""
    must_be_here(answers("127.0.0.1", 5672) or "TEST_RABBITMQ_URL" in os.environ, "RabbitMQ")
    queue = f"invitations-{secrets.token_hex(8)}"
    try:
        yield RABBITMQ, queue
    finally:
        with Celery(broker=RABBITMQ, set_as_current=False).connection() as connection:
            connection.default_channel.queue_delete(queue)
            connection.default_channel.exchange_delete(queue)


def must_be_here(is_here: bool, what: str) -> None:
    """Pass over a test that needs what this machine does not have; on CI it fails."""
    if not is_here:
        assert os.environ.get("CI") != "true", f"{what} is missing"
        pytest.skip(f"no {what} here")


def answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def celery_worker(store: Store, sink: Sink, folder: Path, **more: str) -> Iterator[None]:
    """Run ``celery worker`` with a beat and three threads, and see both end well."""
    queue = more.get("INVITATIONS_CELERY_QUEUE", "celery")
    command = [sys.executable, "-m", "celery", "-A", "wsgi:celery", "worker", "--beat"]
    command += ["--pool=threads", "--concurrency=3", f"--queues={queue}", "--loglevel=INFO"]
    command += [f"--schedule={folder / 'beat'}", "--without-gossip", "--without-mingle"]
    log = folder / "celery.log"
    with log.open("ab") as said:
        env = environment(store, sink, **more)
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=said, stderr=said)
    try:
        yield
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
