"""Run the store: ``python -m sample_store``."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from flask import Flask
from waitress import create_server

from invitations_plugin import start_delivery

from . import catcher, create_app, demo, stores
from .config import LOOPBACK, read, uses_catcher
from .database import prepare
from .keys import WeakKey

THREADS = 8


def main() -> int:
    """Prepare everything a visitor needs, then serve until told to stop."""
    try:
        settings = read(os.environ, {})
        door = _listen(settings["HOST"], settings["PORT"])
        mail = _catch_mail(settings)
        app = create_app()
    except (WeakKey, OSError, ValueError) as error:
        print(f"The store cannot start: {error}", file=sys.stderr)
        return 2
    _make_ready(app)
    start_delivery(app)
    _greet(app, mail)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    create_server(app, sockets=[door], threads=THREADS).run()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Take the port first: a second run must not take over the first one's instance."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise OSError(f"port {port} on {host}: {error.strerror}. Choose another by PORT=...") from (
            error
        )


def _catch_mail(settings: dict[str, Any]) -> catcher.Catcher | None:
    instance = Path(settings["INSTANCE_PATH"])
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    return catcher.start(instance) if uses_catcher(settings) else None


def _make_ready(app: Flask) -> None:
    prepare(app)
    with app.app_context():
        demo.seed()


def _greet(app: Flask, mail: catcher.Catcher | None) -> None:
    """Print where to go and as whom."""
    base = app.config["STORE_BASE_URL"]
    print(f"\n  {stores.BRAND}, the sample store of invitations_plugin\n")
    print(f"    Shop         {base}/")
    print(f"    Back office  {base}/admin/invitations/")
    if mail is not None:
        print(f"    Mailbox      {base}/mailbox/   (SMTP on {LOOPBACK}:{mail.port})")
    print(f"\n  Accounts, all with the password {demo.PASSWORD}\n")
    for email, what in _accounts(app):
        print(f"    {email:<22} {what}")
    if app.config["HOST"] not in (LOOPBACK, "localhost", "::1"):
        print("\n  Others can reach this address, and with it the accounts and the mailbox.")
    print("\n  Ctrl+C stops the store.\n", flush=True)


def _accounts(app: Flask) -> list[tuple[str, str]]:
    groups = {group.code: group.name for group in stores.GROUPS}
    with app.app_context():
        websites = {site.code: site.name for site in stores.all_websites()}
    customers = [
        (email, f"customer of {websites[website]}, {groups[group]}")
        for email, _, website, group, _ in demo.CUSTOMERS
    ]
    rights = {demo.EVERYTHING: "staff, may do everything", "view": "staff, may only look"}
    staff = [
        (email, rights.get(words) or f"staff of {', '.join(websites[each] for each in limits)}")
        for email, _, words, limits in demo.STAFF
    ]
    return customers + staff


if __name__ == "__main__":
    sys.exit(main())
