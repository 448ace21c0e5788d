"""What a mail's template must keep to: it leads where it must, loads nothing and follows nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from itertools import islice
from typing import Any, Final

from .mail_html import followed, html_rules
from .mail_kinds import Kind
from .templating import Flat, Problem, Sort, Variable, fill_in, flatten, judge, parse

SUBJECT, TEXT, HTML = "subject", "text", "html"
PARTS: Final = (SUBJECT, TEXT, HTML)
LONGEST: Final = {SUBJECT: 255, TEXT: 100_000, HTML: 100_000}  # characters of a template
MOST_TOLD = 20  # problems of one part: nobody reads more
TARGETS = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+))""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Content:
    """The three parts of a mail, or of its template in one language."""

    subject: str
    text: str
    html: str

    def part(self, name: str) -> str:
        """Return one of :data:`PARTS`."""
        found: str = getattr(self, name)
        return found


class Unfit(Exception):
    """A mail that must not leave as its template made it; the text says why."""


def write(template: Content, kind: Kind, variables: Mapping[str, Any]) -> Content:
    """Return the mail that a template makes.

    :raises Unfit: when it has no subject or text, or lacks a link that it must carry.
    :raises Exception: whatever goes wrong within the template.
    """
    made = Content(*(_fill_in(template, part, variables) for part in PARTS))
    for part in PARTS:
        for problem in _missing(made.part(part), part, kind, variables):
            raise Unfit(f"{part}: {problem.fact} {problem.detail}".strip())
    return made


def _fill_in(template: Content, part: str, variables: Mapping[str, Any]) -> str:
    return fill_in(template.part(part), variables, autoescape=part == HTML)


def _missing(made: str, part: str, kind: Kind, variables: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what a part of a mail lacks."""
    if not made.strip():
        yield Problem("empty")
    elif part != SUBJECT:
        leads_to = _in_html if part == HTML else _in_text
        for group in kind.leads_to(variables):
            if not any(leads_to(made, str(variables[name])) for name in group):
                yield Problem("missing", detail=group[0])


def _in_html(made: str, link: str) -> bool:
    return any(unescape(a or b or c).strip() == link for a, b, c in TARGETS.findall(made))


def _in_text(made: str, link: str) -> bool:
    """Return whether a link stands in a text, and not only as the beginning of another."""
    return re.search(rf"{re.escape(link)}(?!\.?[\w/?#&=%-])", made) is not None


def problems(
    template: Content, kind: Kind, examples: Iterable[Mapping[str, Any]]
) -> dict[str, list[Problem]]:
    """Return what is wrong with a template, by part; nothing when it may be kept.

    :param examples: variables of mails that it must be able to make.
    """
    given = list(examples)
    found = {
        part: list(dict.fromkeys(islice(_problems_of(template, part, kind, given), MOST_TOLD)))
        for part in PARTS
    }
    return {part: each for part, each in found.items() if each}


def _problems_of(
    template: Content, part: str, kind: Kind, examples: list[Mapping[str, Any]]
) -> Iterator[Problem]:
    source = template.part(part)
    if not source.strip():
        yield Problem("empty")
        return
    if len(source) > LONGEST[part]:
        yield Problem("long", detail=str(len(source)), hint=str(LONGEST[part]))
        return
    tree = parse(source, autoescape=part == HTML)
    if isinstance(tree, Problem):
        yield tree
        return
    found = list(islice(judge(tree, kind.variables), MOST_TOLD))
    yield from found
    yield from RULES[part](flatten(tree, kind.variables), kind.variables)
    tried = (list(_tried(template, part, kind, given)) for given in examples if not found)
    yield from next(filter(None, tried), [])


def _tried(
    template: Content, part: str, kind: Kind, variables: Mapping[str, Any]
) -> Iterator[Problem]:
    try:
        made = _fill_in(template, part, variables)
    except Exception as error:
        yield Problem("fails", detail=f"{type(error).__name__}: {error}"[:200])
    else:
        yield from _missing(made, part, kind, variables)


def _subject_rules(flat: Flat, variables: Mapping[str, Variable]) -> Iterator[Problem]:
    if "\n" in flat.text or "\r" in flat.text:
        yield Problem("break", flat.line(flat.text.find("\n")))
    for name in dict.fromkeys(flat.marks(flat.text)):
        if variables[name].sort in (Sort.USER, Sort.LINK):
            yield Problem("subject", 1, name)


def _text_rules(flat: Flat, variables: Mapping[str, Variable]) -> Iterator[Problem]:
    return followed(flat)


RULES = {SUBJECT: _subject_rules, TEXT: _text_rules, HTML: html_rules}
