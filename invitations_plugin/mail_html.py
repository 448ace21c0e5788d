"""The HTML of a mail's template: a strict reading, for what loads, follows or breaks out.

It is read with every branch taken and a mark in place of each variable. Whatever is not
plainly a tag, a comment or text is refused, so that no mail program reads it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import unescape

from .templating import Flat, Problem, Sort, Variable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


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
PLAIN_TARGET = re.compile(r"(?:https?://\S+|mailto:\S+|tel:\S+|#[\w-]*)", re.IGNORECASE)
PICTURE = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,", re.IGNORECASE)
# Whatever makes a style load something, and the spellings that hide it.
LOADING = re.compile(r"url\s*\(|@import|image-set|\bsrc\s*\(|expression\s*\(|\\", re.IGNORECASE)
WORD = re.compile(r"[^\s<>\"']+")
ATTRIBUTE = re.compile(
    r"""\s*+([^\s"'<>/=]++)(?:\s*+=\s*+(?:"([^"<]*+)"|'([^'<]*+)'|([^\s"'=<>`]++)))?+"""
)
MARKUP = re.compile(
    rf"<!doctype[^<>]*+>|<(/?)([a-z][a-z0-9]*+)(?![^\s>/])((?:{ATTRIBUTE.pattern})*+)\s*+/?>",
    re.IGNORECASE,
)
STYLE_END = re.compile(r"</style\s*>", re.IGNORECASE)
STRANGE = 60  # characters that are shown of what cannot be read


def followed(flat: Flat, start: int = 0, end: int | None = None) -> Iterator[Problem]:
    """Yield the addresses in a text that a variable is a part of: they tell who opens them."""
    for word in WORD.finditer(flat.text, start, len(flat.text) if end is None else end):
        place = word[0].find("://")
        names = flat.marks(word[0][place:]) if place >= 0 else []
        if names:
            yield Problem("followed", flat.line(word.start()), names[0])


def html_rules(flat: Flat, variables: Mapping[str, Variable]) -> Iterator[Problem]:
    """Yield what a mail's HTML must not hold."""
    return _Reader(flat, variables).read()


class _Reader:
    def __init__(self, flat: Flat, variables: Mapping[str, Variable]) -> None:
        self.flat, self.variables = flat, variables
        self.text = flat.text

    def read(self) -> Iterator[Problem]:
        """Go through the text, tag by tag, until something cannot be read."""
        place = 0
        while (start := self.text.find("<", place)) >= 0:
            yield from followed(self.flat, place, start)
            if self.text.startswith("<!--", start):
                place = self.text.find("-->", start + 4) + 3
                if place < 3:
                    yield self._problem("markup", start, self.text[start : start + STRANGE])
                    return
                yield from self._comment(start, place)
                continue
            found = MARKUP.match(self.text, start)
            if found is None:
                yield from self._unreadable(start)
                return
            place = found.end()
            tag = (found[2] or "").lower()
            yield from self._tag(tag, found)
            if tag == "style" and not found[1]:
                end = STYLE_END.search(self.text, place)
                if end is None:
                    yield self._problem("markup", start, found[0][:STRANGE])
                    return
                yield from self._style(self.text[place : end.start()], place)
                place = end.end()
        yield from followed(self.flat, place)

    def _problem(self, fact: str, place: int, detail: str = "") -> Problem:
        return Problem(fact, self.flat.line(place), detail)

    def _comment(self, start: int, end: int) -> Iterator[Problem]:
        inner = self.text[start + 4 : end - 3]
        yield from self._refused(inner, start)
        if inner.lstrip().startswith("["):
            yield self._problem("comment", start)

    def _unreadable(self, start: int) -> Iterator[Problem]:
        """Say what is wrong with a tag that is none: most often a variable within it."""
        shown = self.text[start : self.text.find(">", start) + 1 or None]
        named = list(self._refused(shown, start))
        plain = "".join(char for char in shown if not self.flat.marks(char))
        yield from named or [self._problem("markup", start, plain[:STRANGE])]

    def _refused(self, text: str, place: int) -> Iterator[Problem]:
        """Yield the variables in a text that no tag may hold."""
        for name in dict.fromkeys(self.flat.marks(text)):
            if self.variables[name].sort != Sort.CODE:
                yield self._problem("tag variable", place, name)

    def _tag(self, tag: str, found: re.Match[str]) -> Iterator[Problem]:
        if tag and tag not in TAGS:
            yield self._problem("tag", found.start(), tag)
            return
        yield from self._refused(found[0] if not tag else "", found.start())
        for each in ATTRIBUTE.finditer(found[3] or ""):
            value = unescape(each[2] or each[3] or each[4] or "").strip()
            yield from self._attribute(tag, each[1].lower(), value, found.start(3) + each.start(1))

    def _attribute(self, tag: str, name: str, value: str, place: int) -> Iterator[Problem]:
        held = list(self._refused(name, place))
        if held:
            yield from held
        elif name not in ATTRIBUTES and not name.startswith(("aria-", "xmlns:")):
            yield self._problem("attribute", place, name)
        elif name == "href" and tag == "a":
            yield from self._target(value, place)
        elif name == "style":
            yield from self._style(value, place)
        elif held := list(self._refused(value, place)):
            yield from held
        elif name == "src" and not (tag == "img" and PICTURE.match(value)):
            yield self._problem("loads", place, f"<{tag} src>")
        elif name == "href" or (name == "http-equiv" and value.lower() not in EQUIVALENTS):
            yield self._problem("attribute", place, name)

    def _target(self, value: str, place: int) -> Iterator[Problem]:
        """A link leads to an address of the mail as it is, or to a fixed one."""
        names = self.flat.marks(value)
        if not names and not PLAIN_TARGET.fullmatch(value):
            yield self._problem("target", place, value[:STRANGE])
        elif any(self.variables[name].sort != Sort.LINK for name in names):
            yield from self._refused(value, place)
        elif names and len("".join(value.split())) > len(names):
            yield self._problem("followed", place, names[0])

    def _style(self, text: str, place: int) -> Iterator[Problem]:
        yield from self._refused(text, place)
        loading = LOADING.search(text)
        if loading is not None:
            yield self._problem("loads", place + loading.start(), loading[0])
