"""What a mail's template must keep to: it leads where it must, loads nothing and follows nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from typing import Any, Final

from .mail_kinds import Kind
from .templating import Flat, Problem, Sort, Variable, fill_in, flatten, judge, parse


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SUBJECT, TEXT, HTML = "subject", "text", "html"
PARTS: Final = (SUBJECT, TEXT, HTML)
LONGEST: Final = {SUBJECT: 255, TEXT: 100_000, HTML: 100_000}  # characters of a template
TAGS = _words(
    "a abbr b big blockquote body br caption center code col colgroup dd del div dl dt em font h1"
    " h2 h3 h4 h5 h6 head hr html i img ins li main meta ol p pre q s section small span strike"
    " strong style sub sup table tbody td tfoot th thead title tr tt u ul wbr"
)
ATTRIBUTES = _words(
    "align alt bgcolor border cellpadding cellspacing charset class clear color colspan content"
    " cols dir face height href http-equiv id lang media name noshade nowrap rel role rowspan rules"
    " scope size span src start style summary target title type valign value width xmlns"
)
EQUIVALENTS = ("content-type", "x-ua-compatible")
PLAIN_TARGET = re.compile(r"(?:https?://[^\s]+|mailto:[^\s]+|tel:[^\s]+|#[\w-]*)", re.IGNORECASE)
PICTURE = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,", re.IGNORECASE)
# Whatever makes a style load something, and the spellings that hide it.
LOADING = re.compile(r"url\s*\(|@import|image-set|\bsrc\s*\(|expression\s*\(|\\", re.IGNORECASE)
FOLLOWED = re.compile("://[^\\s<>\"']*[\ue000-\uf8ff]")
OPENED = re.compile("<[/!?]?([\ue000-\uf8ff])")
TARGETS = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)


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
        targets = {unescape(a or b).strip() for a, b in TARGETS.findall(made)}
        for group in kind.leads_to(variables):
            links = [str(variables[name]) for name in group]
            if not any(link in (targets if part == HTML else made.split()) for link in links):
                yield Problem("missing", detail=group[0])


def problems(
    template: Content, kind: Kind, examples: Iterable[Mapping[str, Any]]
) -> dict[str, list[Problem]]:
    """Return what is wrong with a template, by part; nothing when it may be kept.

    :param examples: variables of mails that it must be able to make.
    """
    given = list(examples)
    found = {part: list(_problems_of(template, part, kind, given)) for part in PARTS}
    return {part: list(dict.fromkeys(each)) for part, each in found.items() if each}


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
    tree = parse(source)
    if isinstance(tree, Problem):
        yield tree
        return
    found = list(judge(tree, kind.variables))
    yield from found
    yield from RULES[part](flatten(tree, kind.variables), kind.variables)
    for given in () if found else examples:
        yield from _tried(template, part, kind, given)


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
    for each in FOLLOWED.finditer(flat.text):
        yield Problem("followed", flat.line(each.start()), flat.marks(each[0])[0])


def _html_rules(flat: Flat, variables: Mapping[str, Variable]) -> Iterator[Problem]:
    for each in OPENED.finditer(flat.text):  # what is typed there would be the tag's name
        yield Problem("tag variable", flat.line(each.start()), flat.marks(each[0])[0])
    reader = _Reader(flat, variables)
    reader.feed(flat.text)
    reader.close()
    yield from reader.found


RULES = {SUBJECT: _subject_rules, TEXT: _text_rules, HTML: _html_rules}


class _Reader(HTMLParser):
    """Reads the HTML of a template with every branch taken."""

    def __init__(self, flat: Flat, variables: Mapping[str, Variable]) -> None:
        super().__init__()
        self.flat, self.variables = flat, variables
        self.found: list[Problem] = []
        self._in_style = False
        lines = flat.text.split("\n")
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def _add(self, fact: str, detail: str = "", within: int = 0) -> None:
        line, column = self.getpos()
        place = self._starts[line - 1] + column + within
        self.found.append(Problem(fact, self.flat.line(place), detail))

    def _variables_in(self, text: str) -> list[str]:
        """Return the variables in a text that no tag may hold."""
        names = dict.fromkeys(self.flat.marks(text))
        return [name for name in names if self.variables[name].sort != Sort.CODE]

    def _refuse_variables(self, text: str) -> None:
        for name in self._variables_in(text):
            self._add("tag variable", name)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at a tag and what it holds."""
        self._in_style = tag == "style"
        if self.flat.marks(tag):
            self._refuse_variables(tag)
        elif tag not in TAGS:
            self._add("tag", tag)
        for name, value in attrs if tag in TAGS else ():
            self._attribute(tag, name, (value or "").strip())

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if self._variables_in(name):
            self._refuse_variables(name)
        elif name not in ATTRIBUTES and not name.startswith(("aria-", "xmlns:")):
            self._add("attribute", name)
        elif name == "href" and tag == "a":
            self._target(value)
        elif self._variables_in(value):
            self._refuse_variables(value)
        elif name == "src" and not (tag == "img" and PICTURE.match(value)):
            self._add("loads", f"<{tag} src>")
        elif name == "href" or (name == "http-equiv" and value.lower() not in EQUIVALENTS):
            self._add("attribute", name)
        elif name == "style":
            self._style(value)

    def _target(self, value: str) -> None:
        """A link leads to an address of the mail as it is, or to a fixed one."""
        names = self.flat.marks(value)
        if not names and not PLAIN_TARGET.fullmatch(value):
            self._add("target", value[:60])
        elif any(self.variables[name].sort != Sort.LINK for name in names):
            self._refuse_variables(value)
        elif names and len("".join(value.split())) > len(names):
            self._add("followed", names[0])

    def _style(self, text: str, within: int = 0) -> None:
        self._refuse_variables(text)
        loading = LOADING.search(text)
        if loading is not None:
            self._add("loads", loading[0], within + loading.start())

    def handle_endtag(self, tag: str) -> None:
        """Leave a tag."""
        self._in_style = False

    def handle_data(self, data: str) -> None:
        """Look at a text, or at the style sheet."""
        if self._in_style:
            self._style(data)
        for each in FOLLOWED.finditer(data):
            self._add("followed", self.flat.marks(each[0])[0], each.start())

    def handle_comment(self, data: str) -> None:
        """Refuse comments that some mail programs read."""
        self._refuse_variables(data)
        if re.match(r"\s*\[", data):
            self._add("comment")

    def unknown_decl(self, data: str) -> None:
        """Refuse the other kind of such comments."""
        self._add("comment")

    def handle_pi(self, data: str) -> None:
        """Refuse what is for other programs than mail."""
        self._add("comment")
