"""The SMTP server that keeps mail, and the pages that show it."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask

from sample_store.catcher import Catcher, noted_port, start
from sample_store.mails import Mailbox

from .shopper import Shopper

HOSTILE = "<script>alert(1)</script>"


def message(subject: str = "Hello", text: str = "Dear friend", html: str = "") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Linden & Lark <hello@linden-lark.example.com>"
    mail["To"] = "Zoë <zoe@example.com>"
    mail["Subject"] = subject
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    return mail


def send(catcher: Catcher, mail: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.port, timeout=10) as server:
        server.send_message(mail)


def keep(mailbox: Mailbox, mail: EmailMessage) -> str:
    return mailbox.store(bytes(mail), "a@example.com", ["zoe@example.com"]).stem


def test_mail_is_on_the_disk_when_it_is_accepted(catcher: Catcher, mailbox: Mailbox) -> None:
    send(catcher, message("Grüße"))
    (name,) = mailbox.names()
    mail = mailbox.read(name)
    assert mail is not None
    assert (mail.subject, mail.recipient) == ("Grüße", "Zoë <zoe@example.com>")
    assert ("Delivered-To", "zoe@example.com") in mail.headers
    assert (mailbox.folder / f"{name}.eml").stat().st_mode & 0o777 == 0o600


def test_mail_that_cannot_be_kept_is_refused(catcher: Catcher, mailbox: Mailbox) -> None:
    mailbox.folder.write_text("a file where the folder should be")
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        send(catcher, message())
    assert refusal.value.smtp_code == 452


def test_other_processes_find_the_catcher(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    running = start(tmp_path)
    again = start(tmp_path)
    try:
        assert again.port != running.port
        assert make_app().config["MAIL_PORT"] == noted_port(tmp_path) == again.port
    finally:
        running.stop()
        again.stop()
    later = start(tmp_path)
    later.stop()
    assert later.port == again.port


def test_named_mail_server_has_no_mailbox(make_app: Callable[..., Flask]) -> None:
    app = make_app(MAIL_SERVER="mail.example.com")
    assert app.config["MAIL_SERVER"] == "mail.example.com"
    assert app.test_client().get("/mailbox/").status_code == 404


def test_empty_mailbox_says_how_to_fill_it(browser: Shopper) -> None:
    assert "No mail yet." in browser.get("/mailbox/").text


def test_newest_mail_is_first(browser: Shopper, mailbox: Mailbox) -> None:
    for subject in ("First", "Second"):
        keep(mailbox, message(subject))
    page = browser.get("/mailbox/").text
    assert page.index("Second") < page.index("First")


def test_long_mailbox_has_pages(browser: Shopper, mailbox: Mailbox) -> None:
    names = [keep(mailbox, message(f"Number {number}.")) for number in range(51)]
    assert "Number 0." not in browser.get("/mailbox/").text
    assert f"before={names[1]}" in browser.get("/mailbox/").text
    assert "Number 0." in browser.get(f"/mailbox/?before={names[1]}").text


def test_mail_shows_text_html_and_headers(browser: Shopper, mailbox: Mailbox) -> None:
    link = "http://127.0.0.1:5000/invitations/abc-_.def"
    name = keep(mailbox, message(text=f"Come: {link}", html="<p>Come</p>"))
    page = browser.get(f"/mailbox/{name}").text
    assert f'<a href="{link}"' in page
    assert f'src="/mailbox/{name}/html"' in page
    assert "multipart/alternative" in page


def test_hostile_mail_is_harmless(browser: Shopper, mailbox: Mailbox) -> None:
    name = keep(mailbox, message(HOSTILE, HOSTILE, f"<html><head></head>{HOSTILE}</html>"))
    for path in ("/mailbox/", f"/mailbox/{name}"):
        assert HOSTILE not in browser.get(path).text
    frame = browser.get(f"/mailbox/{name}/html")
    policy = frame.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox;" in policy
    assert "allow-scripts" not in policy
    assert '<head><base target="_blank">' in frame.text


def test_source_is_given_as_a_file(browser: Shopper, mailbox: Mailbox) -> None:
    answer = browser.get(f"/mailbox/{keep(mailbox, message())}/source")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert b"Dear friend" in answer.data


@pytest.mark.parametrize("part", ["", "/html", "/source"])
@pytest.mark.parametrize("name", ["1" * 19 + "-00000000", "..%2Fsecret_key", "x"])
def test_unknown_mail_is_not_found(browser: Shopper, name: str, part: str) -> None:
    assert browser.get(f"/mailbox/{name}{part}").status_code == 404


def test_mail_without_html_has_no_frame(browser: Shopper, mailbox: Mailbox) -> None:
    name = keep(mailbox, message())
    assert "<iframe" not in browser.get(f"/mailbox/{name}").text
    assert browser.get(f"/mailbox/{name}/html").status_code == 404


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"no header at all",
        b"Subject: =?nonsense?q?x?=\r\n\r\nbody",
        b"Content-Type: text/plain; charset=nonsense\r\n\r\n\xff\xfe",
        b"Subject: \xff\xfe\r\nContent-Type: text/html\r\n\r\n\xff",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
    ],
)
def test_broken_mail_is_shown_as_far_as_it_goes(
    browser: Shopper, mailbox: Mailbox, source: bytes
) -> None:
    name = mailbox.store(source, "", []).stem
    assert browser.get("/mailbox/").status_code == 200
    assert browser.get(f"/mailbox/{name}").status_code == 200
