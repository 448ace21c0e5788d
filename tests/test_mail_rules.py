"""What a mail template may hold, and what is said of one that holds more."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from invitations_plugin.mail_kinds import INVITATION
from invitations_plugin.mail_rules import LONGEST, MOST_TOLD, PARTS, Content, Unfit, problems, write
from invitations_plugin.template_words import PROBLEMS, problem_text
from invitations_plugin.templating import LONGEST_MADE, Problem, TooLong

from .support.mail_templates import CONTENT, HTML, TEXT
from .support.stores import Store

NEW: dict[str, Any] = {
    "inviter_name": "Veronica",
    "store_name": "Linden & Lark",
    "message": "Come",
    "link": "https://shop.example.com/in",
    "login_link": "https://shop.example.com/in/sign-in",
    "opt_out_link": "https://shop.example.com/out",
    "expires": "3 May 2027",
    "postal_address": "12 Orchard Lane",
    "privacy_url": "",
    "recipient": "anna@example.com",
    "existing": False,
    "locale": "en",
}
EXAMPLES = [NEW, NEW | {"existing": True}, NEW | {"message": "", "inviter_name": ""}]


def found(**parts: str) -> dict[str, list[Problem]]:
    return problems(replace(CONTENT, **parts), INVITATION, EXAMPLES)


def facts(part: str, source: str) -> list[tuple[str, int | None]]:
    """Return what is wrong with a part, with its lines; the other parts are good."""
    all_found = found(**{part: source})
    assert set(all_found) <= {part}
    return [(each.fact, each.line) for each in all_found.get(part, [])]


def test_a_good_template_has_no_problem() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("more", "fact"),
    [
        ("{{ mesage }}", "variable"),
        ("{{ config }}{{ self }}", "variable"),
        ("{% if %}", "syntax"),
        ("{{ message", "syntax"),
        ("{% if message %}", "syntax"),
        ("{{ 7 * 7 }}", "construct"),
        ("{{ message.__class__ }}", "construct"),
        ("{{ message['a'] }}", "construct"),
        ("{{ range(9) }}", "construct"),
        ("{{ [1, 2] }}", "construct"),
        ("{{ 'a' ~ message }}", "construct"),
        ("{% for each in message %}{% endfor %}", "construct"),
        ("{% set a = message %}", "construct"),
        ("{% set a %}{{ message }}{% endset %}", "construct"),
        ("{% macro a() %}{% endmacro %}", "construct"),
        ("{% include 'invitations/admin/base.html' %}", "construct"),
        ("{% extends 'base.html' %}", "construct"),
        ("{% import 'base.html' as x %}", "construct"),
        ("{% block x %}{% endblock %}", "construct"),
        ("{% autoescape false %}{% endautoescape %}", "construct"),
        ("{% filter upper %}x{% endfilter %}", "construct"),
        ("{{ message is defined }}", "construct"),
        ("{{ message | safe }}", "filter"),
        ("{{ message | attr('upper') }}", "filter"),
        ("{{ message | indent(1001) }}", "argument"),
        ("{{ message | indent('xxx') }}", "argument"),
        ("{{ message | upper | lower | upper | lower | upper }}", "argument"),
    ],
)
@pytest.mark.parametrize("part", ["text", "html"])
def test_what_no_template_may_use_is_named_with_its_line(part: str, more: str, fact: str) -> None:
    source = f"{CONTENT.part(part)}\n\n{more}"
    line = source.count("\n") + 1
    assert (fact, line) in facts(part, source)


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ("{% loop %}", "loop"),
        ("{%- for each in message %}", "for"),
        ("{% endfor %}", "endfor"),
        ("{# {% for %} #}{% if message %}{% endfi %}", "endfi"),
        ("{%- raw -%}{% for %}{% endraw %}{% endfor %}", "endfor"),
    ],
)
def test_a_tag_that_is_none_of_ours_is_named_before_jinja_advises_others(
    more: str, name: str
) -> None:
    source = f"{TEXT}\n{{# a\ncomment #}}\n{more}"
    assert found(text=source) == {"text": [Problem("construct", source.count("\n") + 1, name)]}


def test_what_cannot_be_read_is_said_in_words_of_ours(store: Store) -> None:
    with store.app.test_request_context():
        for source in ("{% if %}", "{{ message", "{% if message %}", "{{ message message }}"):
            (problem,) = found(text=f"{TEXT}\n{source}")["text"]
            assert problem_text(problem) == (
                f"Line {TEXT.count(chr(10)) + 2}: This cannot be read: each {{{{ needs its }}}},"
                " each {% its %}, each if its endif, and something within."
            )


@pytest.mark.parametrize(
    ("more", "fact"),
    [
        ("<img src='https://evil.test/pixel.gif'>", "loads"),
        ("<img alt='' src=//evil.test>", "loads"),
        ("<style>@import 'https://evil.test';</style>", "loads"),
        ("<p style='background:url(https://evil.test)'>x</p>", "loads"),
        ("<p style='background:u\\72l(x)'>x</p>", "loads"),
        ("<table background='https://evil.test'></table>", "attribute"),
        ("<img srcset='https://evil.test'>", "attribute"),
        ("<a href='#' ping='https://evil.test'>x</a>", "attribute"),
        ("<p onclick='x()'>x</p>", "attribute"),
        ("<meta http-equiv='refresh' content='0;url=https://evil.test'>", "attribute"),
        ("<link rel='stylesheet' href='https://evil.test'>", "tag"),
        ("<script>x()</script>", "tag"),
        ("<iframe src='https://evil.test'></iframe>", "tag"),
        ("<form action='https://evil.test'></form>", "tag"),
        ("<svg onload='x()'></svg>", "tag"),
        ("<base href='https://evil.test'>", "tag"),
        ("<!--[if mso]><img src='https://evil.test'><![endif]-->", "comment"),
        ("<![if mso]>", "markup"),
        ("<![CDATA[ x ]]>", "markup"),
        ("<? x ?>", "markup"),
        ("a < b", "markup"),
        ("<p title='x>", "markup"),
        ("<!-- never ended", "markup"),
        ("<style>p {}", "markup"),
        ("<img/src=//evil.test>", "markup"),
        ("<a href='java&#115;cript:x()'>x</a>", "target"),
        ("<a{{ locale }}>x</a>", "markup"),
        ("<a href='javascript:x()'>x</a>", "target"),
        ("<a href='/relative'>x</a>", "target"),
        ("<a href='https://evil.test/?to={{ link }}'>x</a>", "followed"),
        ("<a href='{{ link }}?utm_id=1'>x</a>", "followed"),
        ("https://evil.test/{{ recipient }}", "followed"),
        ("<a href='{{ message }}'>x</a>", "tag variable"),
        ("<p title={{ message }}>x</p>", "tag variable"),
        ("<p class='{{ store_name }}'>x</p>", "tag variable"),
        ("<{{ message }}>", "tag variable"),
        ("<p {{ inviter_name }}='x'>x</p>", "tag variable"),
        ("<style>p { color: {{ message }} }</style>", "tag variable"),
        ("<!-- {{ message }} -->", "tag variable"),
    ],
)
def test_html_loads_nothing_follows_nobody_and_keeps_texts_out_of_tags(
    more: str, fact: str
) -> None:
    hidden = f"{{% if inviter_name == 'nobody' %}}\n{more}{{% endif %}}"
    for source, line in ((f"{HTML}\n{more}", 2), (f"{HTML}\n{hidden}", 3)):
        assert (fact, line) in facts("html", source)


@pytest.mark.parametrize(
    "more",
    [
        "<img alt='' src='data:image/png;base64,AAAA'>",
        "<a href='https://shop.example.com/about'>x</a> <a href='mailto:hello@example.com'>x</a>",
        "<a href='{% if existing %}{{ login_link }}{% else %}{{ link }}{% endif %}'>x</a>",
        "<a href='{{ login_link if existing else link }}'>x</a>",
        "<!-- a note --><p lang='{{ locale }}' style='color:#123'>{{ message | upper }}</p>",
        "{{ postal_address or store_name }}{{ message | default('none', true) | truncate(20) }}",
        "{% raw %}{{ x }}{% endraw %}{# {{ nothing }} #}",
        "<style>@media (prefers-color-scheme: dark) { p { color: #fff !important } }</style>",
    ],
)
def test_what_a_mail_needs_is_allowed(more: str) -> None:
    assert facts("html", f"{HTML}\n{more}") == []


@pytest.mark.parametrize("name", ["link", "opt_out_link"])
@pytest.mark.parametrize("part", ["text", "html"])
def test_a_link_that_is_missing_is_named(part: str, name: str) -> None:
    source = CONTENT.part(part).replace(f"{{{{ {name} }}}}", "https://shop.example.com/")
    assert found(**{part: source}) == {part: [Problem("missing", detail=name)]}


def test_a_link_may_end_a_sentence_but_not_only_begin_another_link() -> None:
    assert facts("text", "Open {{ link }}. No more: <{{ opt_out_link }}>") == []
    for text in ("{{ login_link }} {{ opt_out_link }}", "{{ link }}.{{ link }}x{{ opt_out_link }}"):
        assert ("missing", None) in facts("text", text)


def test_a_link_for_some_readers_only_is_missing() -> None:
    text = TEXT.replace("{{ opt_out_link }}", "{% if message %}{{ opt_out_link }}{% endif %}")
    assert facts("text", text) == [("missing", None)]


@pytest.mark.parametrize(
    ("subject", "fact"),
    [
        ("", "empty"),
        ("{% if existing %}Back{% endif %}", "empty"),
        ("Come\nBcc: everybody@example.com", "break"),
        ("Come\r\nBcc: everybody@example.com", "break"),
        ("Come, {{ inviter_name }}", "subject"),
        ("{{ message }}", "subject"),
        ("{{ link }}", "subject"),
        ("x" * (LONGEST["subject"] + 1), "long"),
    ],
)
def test_a_subject_is_a_line_without_words_of_a_customer(subject: str, fact: str) -> None:
    assert fact in [each for each, _ in facts("subject", subject)]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_too_large_is_refused_unread(part: str) -> None:
    source = CONTENT.part(part) + "x" * LONGEST[part]
    assert [fact for fact, _ in facts(part, source)] == ["long"]


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 5000 + "message" + ")" * 5000 + " }}",
        "{% if message %}" * 200 + "{% endif %}" * 200,
        "{{ " + "not " * 20_000 + "message }}",
    ],
)
def test_a_template_of_endless_depth_is_refused(source: str) -> None:
    assert [fact for fact, _ in facts("html", HTML + source)] == ["nested"]


HEAVY = ("{{ message | indent(1000) | indent(1000) }}", "{{ message }}", "{{ 'a' }}", "{{ foo }}")
ENDLESS = ("<a href='", "<a href", "<!--", "<![x", "</ <", "<style>", "{% if", "<p>", "<x>", "://")


@pytest.mark.parametrize("piece", [*HEAVY, *ENDLESS])
def test_no_template_of_the_largest_size_takes_long(piece: str) -> None:
    longest = NEW | {"message": "\n" * 1000}
    source = HTML + piece * ((LONGEST["html"] - len(HTML)) // len(piece))
    start = time.process_time()
    told = problems(replace(CONTENT, html=source), INVITATION, [longest] * 3)
    assert time.process_time() - start < 15
    assert len(told.get("html", [])) <= MOST_TOLD


def test_a_mail_longer_than_any_is_not_made() -> None:
    content = replace(CONTENT, html=HTML + "{{ message }}" * 600)
    assert problems(content, INVITATION, EXAMPLES) == {}
    with pytest.raises(TooLong):
        write(content, INVITATION, NEW | {"message": "x" * (LONGEST_MADE // 500)})


def test_a_mail_that_lacks_its_link_is_not_made() -> None:
    text = "{% if message == 'x' %}No way in{% else %}{{ link }}{% endif %} {{ opt_out_link }}"
    content = replace(CONTENT, text=text)
    assert problems(content, INVITATION, EXAMPLES) == {}
    with pytest.raises(Unfit, match="link"):
        write(content, INVITATION, NEW | {"message": "x"})


def test_a_customers_words_are_data_only() -> None:
    hostile = "{{ 7 * 7 }} {% if %} <b onclick=x>{{ config }}</b> <a href=//evil>"
    made = write(CONTENT, INVITATION, NEW | {"message": hostile, "inviter_name": hostile})
    assert hostile in made.text
    assert "<b" not in made.html
    assert "<a href=//evil>" not in made.html
    assert "{{ 7 * 7 }}" in made.html
    assert made.subject == "Come to Linden & Lark"


def test_every_fact_has_its_words() -> None:
    named = {"long", *PROBLEMS}
    sources = (Content("", "{{ x }}", "<x>"), Content("\n{{ link }}x", "{%", "<p {{ link }}>"))
    for source in sources:
        for each in problems(source, INVITATION, EXAMPLES).values():
            assert {problem.fact for problem in each} <= named
