"""Keys, configuration, the demo's data, and a real start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_login import login_user

from sample_store import create_app, demo, stores
from sample_store.addresses import fold
from sample_store.config import ROOT, read
from sample_store.database import db, prepare
from sample_store.keys import WeakKey, is_weak, stored_key
from sample_store.models import Customer, Order, Staff, StaffWebsite
from sample_store.plugin_host import StoreHost

GOOD_KEY = "q3Zr8-Tn5_vKxY7bWc2LmP9dHs4JfGa6"


def test_keys_are_made_once(tmp_path: Path) -> None:
    first = create_app({"INSTANCE_PATH": str(tmp_path)})
    second = create_app({"INSTANCE_PATH": str(tmp_path)})
    for name in ("SECRET_KEY", "INVITATIONS_HASH_KEY"):
        assert first.config[name] == second.config[name]
        assert (tmp_path / name.lower()).stat().st_mode & 0o777 == 0o600
    assert first.config["SECRET_KEY"] != first.config["INVITATIONS_HASH_KEY"]


def test_key_of_the_first_process_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stored_key(tmp_path, "secret_key")
    with monkeypatch.context() as late:
        late.setattr(Path, "exists", lambda self: False)
        assert stored_key(tmp_path, "secret_key") == first
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


@pytest.mark.parametrize("key", ["dev", "x" * 40, "change-me-please-1234567890-abcdefgh"])
@pytest.mark.parametrize("name", ["SECRET_KEY", "INVITATIONS_HASH_KEY"])
def test_weak_keys_are_refused(tmp_path: Path, name: str, key: str) -> None:
    with pytest.raises(WeakKey, match=name):
        create_app({"INSTANCE_PATH": str(tmp_path), name: key})


def test_weak_fallback_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", f"{GOOD_KEY}, old")
    with pytest.raises(WeakKey, match="FALLBACKS"):
        create_app({"INSTANCE_PATH": str(tmp_path)})


def test_good_key_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_weak(GOOD_KEY)
    monkeypatch.setenv("SECRET_KEY", GOOD_KEY)
    assert create_app({"INSTANCE_PATH": str(tmp_path)}).secret_key == GOOD_KEY


def test_environment_is_read() -> None:
    settings = read(
        {
            "HOST": "0.0.0.0",  # noqa: S104
            "PORT": "8080",
            "MAIL_SERVER": "mail.example.com",
            "MAIL_PORT": "587",
            "MAIL_PASSWORD": "12345",
            "MAIL_USE_TLS": "true",
            "MAIL_USE_SSL": "False",
            "SECRET_KEY_FALLBACKS": "one, two",
            "DATABASE_URL": "postgresql://shop:pass@db/shop",
            "SECRET_KEY": "",
        },
        {},
    )
    assert settings["STORE_BASE_URL"] == "http://127.0.0.1:8080"
    assert (settings["MAIL_PORT"], settings["MAIL_PASSWORD"]) == (587, "12345")
    assert (settings["MAIL_USE_TLS"], settings["MAIL_USE_SSL"]) == (True, False)
    assert settings["SECRET_KEY_FALLBACKS"] == ["one", "two"]
    assert settings["SQLALCHEMY_DATABASE_URI"] == "postgresql+psycopg://shop:pass@db/shop"
    assert "SECRET_KEY" not in settings


def test_public_address_decides_links_and_cookies() -> None:
    settings = read({"INVITATIONS_BASE_URL": "https://shop.example.com"}, {})
    assert settings["STORE_BASE_URL"] == "https://shop.example.com"
    assert settings["SESSION_COOKIE_SECURE"] is True
    assert read({"HOST": "::1"}, {})["STORE_BASE_URL"] == "http://[::1]:5000"


def test_database_is_private(store_app: Flask) -> None:
    path = Path(store_app.instance_path) / "store.sqlite"
    assert path.stat().st_mode & 0o777 == 0o600


def test_seeding_twice_adds_nothing(in_store: Flask) -> None:
    prepare(in_store)
    assert demo.seed() == 0
    counts = [
        db.session.scalar(sa.select(sa.func.count()).select_from(model))
        for model in (Customer, Staff, Order)
    ]
    assert counts == [3, 3, 6]


def test_a_store_from_before_staff_had_websites_goes_on(in_store: Flask) -> None:
    db.session.execute(sa.delete(StaffWebsite))
    db.session.execute(sa.delete(Staff).where(Staff.email == "paola@example.com"))
    db.session.execute(sa.text("DROP TABLE staff_website"))
    db.session.commit()
    prepare(in_store)
    assert demo.seed() == 1
    staff = {each.email: each.websites for each in db.session.scalars(sa.select(Staff))}
    assert staff == {
        "admin@example.com": None,
        "clerk@example.com": None,
        "paola@example.com": ["private"],
    }


def test_seed_command_prepares_the_database(make_app: Callable[..., Flask]) -> None:
    runner = make_app().test_cli_runner()
    assert runner.invoke(args=["demo", "seed"]).output == "6 accounts added.\n"
    assert runner.invoke(args=["demo", "seed"]).output == "0 accounts added.\n"


def test_websites_are_those_of_the_contract(in_store: Flask) -> None:
    sites = StoreHost().websites()
    views = {site.code: [view.code for view in site.store_views] for site in sites}
    assert views == {"main": ["en", "fr"], "private": ["it"]}
    assert [site.name for site in sites] == ["Main Website", "Private Sales"]
    for view in stores.views().values():
        assert view.base_url == "http://127.0.0.1:5000"
        senders = StoreHost().senders(view)
        assert [sender.label for sender in senders][:3] == [
            "General Contact",
            "Sales Representative",
            "Customer Support",
        ]
        assert all(fold(sender.email) for sender in senders)


def test_host_knows_customers_by_website(in_store: Flask) -> None:
    host = StoreHost()
    found = host.customer_by_email("VERONICA@example.com", "main")
    assert found is not None
    assert (host.key(found), host.group(found)) == ("1", "general")
    assert host.customer_by_email("veronica@example.com", "private") is None
    host.assign_group(found, "vip")
    assert found.group_code == "vip"


def test_host_tells_the_purchases(in_store: Flask) -> None:
    bought = list(StoreHost().purchases(["1", "not a number"]))
    assert [(order.customer_key, order.amount, order.currency) for order in bought] == [
        ("1", Decimal("68"), "EUR"),
        ("1", Decimal("34"), "EUR"),
    ]


@pytest.mark.parametrize(
    ("email", "may"),
    [("admin@example.com", (True, True)), ("clerk@example.com", (True, False))],
)
def test_clerk_may_only_look(store_app: Flask, email: str, may: tuple[bool, bool]) -> None:
    with store_app.test_request_context():
        login_user(db.session.scalars(sa.select(Staff).filter_by(email=email)).one())
        host = StoreHost()
        assert (host.may("view"), host.may("discard")) == may
        assert host.is_staff()


def test_customers_may_nothing_in_the_back_office(store_app: Flask) -> None:
    with store_app.test_request_context():
        login_user(db.session.scalars(sa.select(Customer).limit(1)).one())
        assert not StoreHost().may("view")


@contextmanager
def running(instance: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"INSTANCE_PATH": str(instance), "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "sample_store"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for(url: str) -> str:
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def test_store_runs_and_stops(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, port) as process:
        assert "Linden &amp; Lark" in wait_for(f"http://127.0.0.1:{port}/")
        with running(tmp_path / "other", port) as second:
            assert second.wait(30) == 2
            assert second.stderr is not None
            assert f"port {port}" in second.stderr.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stdout is not None
        printed = process.stdout.read()
    paola = "paola@example.com      staff of Private Sales"
    for expected in (f"http://127.0.0.1:{port}/mailbox/", "veronica@example.com", paola):
        assert expected in printed
    assert demo.PASSWORD in printed


def test_wsgi_builds_the_app_and_no_more(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import wsgi; assert wsgi.app.name == 'sample_store'"],
        cwd=ROOT,
        env=os.environ | {"INSTANCE_PATH": str(tmp_path)},
        check=True,
    )
    assert {path.name for path in tmp_path.iterdir()} == {"secret_key", "invitations_hash_key"}
