"""What people wrote: cleaned to be stored, and broken up where it could become a link."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invitations_plugin.text import clean, clean_line, defang, without_addresses


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Hello  ", "Hello"),
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i", "a\nb\nc\nd\ne\nf\ng\nh\ni"),
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("in\u202eisible\u200b\u00ad\ufeff", "inisible"),
        ("e\u0301", "é"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("lone \ud800 surrogate \ue000 private", "lone  surrogate  private"),
    ],
)
def test_text_keeps_what_can_be_seen(typed: str, kept: str) -> None:
    assert clean(typed) == kept


@given(st.text())
def test_clean_text_is_printable_and_stays_as_it_is(typed: str) -> None:
    kept = clean(typed)
    assert clean(kept) == kept
    assert "\r" not in kept
    kept.encode()
    known = (char for char in kept if not "\U0001f000" <= char <= "\U0001faff")
    assert {unicodedata.category(char) for char in known} & {"Cs", "Co", "Cn"} == set()


@given(st.text())
def test_a_line_is_one_line(typed: str) -> None:
    line = clean_line(typed)
    assert line.splitlines() in ([], [line])
    assert line == line.strip()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://evil.example/x", "https: //evil. example/x"),
        ("www.evil.example", "www. evil. example"),
        ("me@evil.example", "me@evil. example"),
        ("💩.la", "💩. la"),
        ("evil\u200d.example", "evil\u200d. example"),
        ("evil.\u200dexample", "evil. \u200dexample"),
        ("evil\uff0eexample", "evil\uff0e example"),
        ("https : //evil", "https: //evil"),
        ("https\u200d://evil", "https: //evil"),
        ("ftp:/evil", "ftp: /evil"),
    ],
)
def test_what_would_become_a_link_is_broken_up(written: str, shown: str) -> None:
    assert defang(written) == shown


@pytest.mark.parametrize(
    "written",
    [
        "See you at 3.30. Bring 2.5 kg: and/or 10:45!",
        "Wait... what?",
        "你好。再见",
        "50% off. Yes.",
        "",
    ],
)
def test_ordinary_writing_is_left_alone(written: str) -> None:
    assert defang(written) == written


@given(st.text(alphabet="ab.:/ \u200d\u3002\uff0e1"))
def test_no_scheme_and_no_domain_is_left(written: str) -> None:
    shown = defang(written).replace("\u200d", "")
    assert "a://" not in shown
    assert "a.b" not in shown
    assert defang(defang(written)) == defang(written)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("550 5.1.1 <anna@example.com>: no such user", "550 5.1.1 <…>: no such user"),
        ("451 ask to=anna+x@bücher.example, later", "451 ask <…> later"),
        ("550 see https://mx.example/?r=anna%40example.com", "550 see <…>"),
        ("554 cut short <anna@exa", "554 cut short <…>"),
        (
            "554 5.7.1 [192.0.2.1] blocked, ticket 4711",
            "554 5.7.1 [192.0.2.1] blocked, ticket 4711",
        ),
    ],
)
def test_what_a_server_said_is_told_without_addresses(said: str, told: str) -> None:
    assert without_addresses(said) == told
