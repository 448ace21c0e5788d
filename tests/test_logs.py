"""Logs: of the servers, and our own, hold nothing that opens or tells anything."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from invitations_plugin.logs import MaskLinks

from .support.sink import Mail, Sink
from .support.stores import MakeStore, Store

ANNA = "anna@example.com"
OUT = re.compile(r"/invitations/opt-out/[\w.-]+")
OF_THE_SINK = ("mail.", "asyncio")  # the mail server's own logs, in this same process


@pytest.fixture
def mail(store: Store, sink: Sink) -> Mail:
    """The mail of an invitation."""
    store.customer().send(ANNA)
    store.deliver()
    return sink.mails[0]


@pytest.fixture
def links(mail: Mail) -> list[str]:
    """Every kind of link that a mail has."""
    out = OUT.search(mail.text)
    assert out is not None
    return [mail.link, f"{mail.link}/sign-in", out.group()]


def signature(link: str) -> str:
    return link.removesuffix("/sign-in").rpartition(".")[2]


@contextmanager
def serving(app: Flask) -> Iterator[int]:
    """Run Werkzeug's server, and yield its port."""
    server = make_server("127.0.0.1", 0, app)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def messages(caplog: pytest.LogCaptureFixture, logger: str) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == logger]


class Atoms(dict[str, Any]):
    """What gunicorn fills its line from: names that are missing are a dash."""

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(name) if name in self else "-"


def write_like_gunicorn(path: str) -> None:
    given = Atoms(h="127.0.0.1", r=f"GET {path} HTTP/1.1", U=path, s="302", b=210)
    line = '%(h)s %(l)s "%(r)s" %(U)s %(s)s %(b)s "%(f)s"'
    logging.getLogger("gunicorn.access").info(line, given)


def write_like_gunicorn_with_a_referrer(path: str) -> None:
    given = Atoms(r="GET /static/site.css HTTP/1.1", f=f"https://shop.example{path}")
    logging.getLogger("gunicorn.access").info('"%(r)s" "%(f)s"', given)


def write_like_hypercorn(path: str) -> None:
    line = "%(h)s %(R)s %(s)s"
    given = {"h": "127.0.0.1", "R": f"GET {path} 1.1", "s": 302}
    logging.getLogger("hypercorn.access").info(line, given)


def write_like_uvicorn(path: str) -> None:
    given = ("127.0.0.1:5000", "GET", path, "1.1", 302)
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', *given)


def write_like_waitress(path: str) -> None:
    logging.getLogger("waitress").info(f"Exception while serving {path}")


@pytest.mark.parametrize(
    "write",
    [
        write_like_gunicorn,
        write_like_gunicorn_with_a_referrer,
        write_like_hypercorn,
        write_like_uvicorn,
        write_like_waitress,
    ],
)
def test_the_log_of_a_server_shows_no_usable_link(
    store: Store, links: list[str], caplog: pytest.LogCaptureFixture, write: Callable[[str], None]
) -> None:
    caplog.set_level(logging.DEBUG)
    for link in links:
        caplog.clear()
        write(link)
        (record,) = caplog.records
        text = record.getMessage()
        assert signature(link) not in text
        assert "***" in text
        found = re.search(r"/invitations/\S+", text)
        assert found is not None
        assert store.visitor().get(found.group().strip('"')).status_code in (200, 404)
        assert store.visitor().get(link).status_code in (200, 302)


@pytest.mark.parametrize("dot", [".", "%2E", "%2e"])
@pytest.mark.parametrize("letter", ["{}", "%{:02X}"], ids=["plain", "coded"])
def test_a_link_is_masked_however_it_is_written(
    store: Store, mail: Mail, caplog: pytest.LogCaptureFixture, dot: str, letter: str
) -> None:
    caplog.set_level(logging.INFO)
    start, _, secret = mail.link.rpartition(".")
    first = secret[0] if letter == "{}" else letter.format(ord(secret[0]))
    spelt = f"{start}{dot}{first}{secret[1:]}"
    assert store.visitor().get(spelt).status_code == 302
    write_like_uvicorn(spelt)
    (line,) = messages(caplog, "uvicorn.access")
    assert secret[1:] not in line
    assert start in line


def test_what_the_log_shows_cannot_be_followed(
    store: Store, mail: Mail, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "werkzeug")
    with serving(store.app) as port:
        line = HTTPConnection("127.0.0.1", port)
        line.request("GET", mail.link)
        assert line.getresponse().status == 302
        line.close()
    said = "\n".join(messages(caplog, "werkzeug"))
    assert signature(mail.link) not in said
    shown = re.search(r"GET (/invitations/\S+) HTTP", said)
    assert shown is not None
    assert store.visitor().get(shown.group(1)).status_code == 404


def test_the_rest_of_a_line_stays_as_it_is(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    line = ("127.0.0.1", "GET /goods/teapot?ref=summer-2026.html HTTP/1.1", 200, 1.5)
    logging.getLogger("werkzeug").info("%s %s %d %.1f", *line)
    assert messages(caplog, "werkzeug") == ["{} {} {} {}".format(*line)]


def test_a_second_app_masks_once(make_store: MakeStore) -> None:
    for _ in range(2):
        make_store()
    filters = logging.getLogger("gunicorn.access").filters
    assert len([each for each in filters if isinstance(each, MaskLinks)]) == 1


def test_a_fault_on_the_page_of_a_link_logs_no_usable_link(
    store: Store,
    mail: Mail,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(view: object) -> None:
        raise RuntimeError("the store's fault")

    monkeypatch.setattr(store.app.extensions["invitations"].host, "enter_store_view", fail)
    store.app.config["PROPAGATE_EXCEPTIONS"] = False
    assert store.visitor().get(mail.link).status_code == 500
    assert "the store's fault" in caplog.text
    assert signature(mail.link) not in caplog.text


def test_the_whole_path_logs_no_link_no_password_and_no_message(
    make_store: MakeStore, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = make_store()
    message, password = "Teapots are waiting for you", "a-password-of-anna-s"
    visitor = store.customer()
    sink.replies["RCPT"] = ["451 4.2.1 later"]
    visitor.send(ANNA, "ben@example.com", message=message)
    store.deliver()
    sink.replies["DATA"] = ["drop"]
    visitor.send("cara@example.com", message=message)
    store.deliver()
    link = sink.mails[0].link
    friend = store.visitor()
    friend.get(link, follow_redirects=True)
    assert store.register(friend, "ben@example.com", password=password).status_code == 302
    written = [each for each in caplog.records if not each.name.startswith(OF_THE_SINK)]
    said = "\n".join(f"{each.getMessage()} {each.exc_text or ''} {each.args}" for each in written)
    for secret in (signature(link), message, password, store.password):
        assert secret not in said
