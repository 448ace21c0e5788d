"""Mails put together by hand, read back by the library and compared with what went in."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from invitations_plugin.assembling import assemble, commands, dot_stuffed, mailbox, one_line, words
from invitations_plugin.text import clean_line

from .support.sink import name_and_address

ADDRESS = "hello@shop.example.com"
# What has opened a new header, a new line or a new address somewhere.
BREAKS = ["\r\n", "\r", "\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
ODD = [
    *(f"{each}Bcc: evil@evil.test" for each in BREAKS),
    *("\x00", "\u202egnp.exe", "\u05e9\u05dc\u05d5\u05dd", "\U0001f468\u200d\U0001f469", "\ufeff"),
    *(
        "=?utf-8?q?=0D=0ABcc:_a@b?=",
        "<evil@evil.test>",
        '\\"',
        ", a@b",
        "(",
        "w" * 1200,
        "中" * 400,
    ),
    *(".", "\n.\n", "\n.", "--=_part", "\n--=_part--\n", "=", "=\n", " \n", "\t\n", "_", "?="),
]
HOSTILE = st.lists(st.sampled_from(ODD) | st.text(max_size=20), max_size=8).map("".join)
FOLD = re.compile(r"\r\n(?=[ \t])")
slowly = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def read(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.default)


def as_lines(text: str) -> list[str]:
    return re.split("\r\n|\r|\n", re.sub("(\r\n|\r|\n)$", "", text))


def assemble_with(name: str, subject: str, text: str = "a", html: str = "b") -> bytes:
    headers = {
        "From": mailbox(clean_line(name), ADDRESS),
        "Subject": words(clean_line(subject)),
        "To": one_line("anna@example.com"),
    }
    return assemble(headers, text, html)


@given(name=HOSTILE, subject=HOSTILE)
@slowly
def test_hostile_headers_read_back_as_they_were_and_add_none(name: str, subject: str) -> None:
    content = assemble_with(name, subject)
    mail = read(content)
    assert name_and_address(content) == (clean_line(name), ADDRESS)
    assert mail["Subject"] == clean_line(subject)
    assert [*mail.keys()] == ["From", "Subject", "To", "MIME-Version", "Content-Type"]
    assert not mail.defects


@given(name=HOSTILE, subject=HOSTILE)
@slowly
def test_headers_are_ascii_in_lines_that_are_short_where_they_are_encoded(
    name: str, subject: str
) -> None:
    head = assemble_with(name, subject).partition(b"\r\n\r\n")[0].decode("ascii")
    for line in head.split("\r\n"):
        assert len(line) <= (76 if "=?utf-8?b?" in line else 998)
    assert not re.search(r"[^\x20-\x7e]", FOLD.sub("", head).replace("\r\n", ""))


@given(text=HOSTILE, html=HOSTILE)
@example(text="", html="")
@example(text="\r", html="x\r")
@slowly
def test_hostile_bodies_read_back_line_by_line(text: str, html: str) -> None:
    content = assemble_with("Shop", "Hello", text, html)
    mail = read(content)
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    for kind, written in (("plain", text), ("html", html)):
        part: Any = mail.get_body((kind,))
        assert as_lines(part.get_content()) == as_lines(written)
        assert not part.defects
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|[^\x00-\x7f]|\x00", content)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Come in.\nhttps://shop.example.com/?a=b\tc", "7bit"),
        ("x" * 998, "7bit"),
        ("x" * 999, "quoted-printable"),
        ("Entrez, c'est à côté de la place du marché, ouvert tous les jours.", "quoted-printable"),
        ("A\x00B", "quoted-printable"),
        ("请进", "base64"),
        *((f"Hello\n{end}", "quoted-printable") for end in ("--=_part", "--=_part--\nevil")),
    ],
)
def test_a_body_goes_as_it_is_where_every_server_takes_it(text: str, encoding: str) -> None:
    mail = read(assemble_with("Shop", "Hello", text))
    plain, html = (part for part in mail.iter_parts() if isinstance(part, EmailMessage))
    assert plain["Content-Transfer-Encoding"] == encoding
    assert as_lines(plain.get_content()) == as_lines(text)
    assert as_lines(html.get_content()) == ["b"]


@given(body=HOSTILE)
@slowly
def test_what_is_dot_stuffed_ends_once_and_reads_back(body: str) -> None:
    content = assemble_with("Shop", "Hello", body)
    sent = dot_stuffed(content)
    assert sent.find(b"\r\n.\r\n") == len(sent) - 5
    received = [line.removeprefix(b".") for line in sent.removesuffix(b".\r\n").split(b"\r\n")]
    assert b"\r\n".join(received) == content


def test_dot_stuffing_begins_with_the_first_line() -> None:
    assert dot_stuffed(b".\r\n..x") == b"..\r\n...x\r\n.\r\n"


@pytest.mark.parametrize("odd", [*BREAKS, "\x00", "é", "x" * 999])
def test_a_header_or_command_is_one_line_or_refused(odd: str) -> None:
    with pytest.raises(ValueError, match="A header cannot hold"):
        one_line(f"a{odd}b")
    with pytest.raises(ValueError, match="A header cannot hold"):
        commands(["data", f"rcpt TO:<a{odd}b>"])


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("The Shop", f"The Shop <{ADDRESS}>"),
        ("Shop, Inc.", f'"Shop, Inc." <{ADDRESS}>'),
        ('The "Shop" \\', f'"The \\"Shop\\" \\\\" <{ADDRESS}>'),
        ("Zoë", f"=?utf-8?b?Wm/Dqw==?=\r\n <{ADDRESS}>"),
        ("", ADDRESS),
    ],
)
def test_names_are_quoted_or_encoded_only_where_they_must(name: str, written: str) -> None:
    assert mailbox(name, ADDRESS) == written
