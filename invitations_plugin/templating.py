"""Templates that staff write: a small part of Jinja, in a sandbox, bounded in size and time.

A template shows variables, chooses by ``if`` and uses a few filters. Nothing loops, calls
or grows, so that no template takes long, whatever it is given.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum, auto
from functools import cache, lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_MADE = 500_000  # characters of one part of a mail
LARGEST_NUMBER = 1000  # that a filter may be given
MOST_FILTERS = 4  # one after the other
FIRST_MARK = 0xE000  # private characters, which no text has once it is clean
# Filters that make no text much longer, and whether they take something else than numbers.
FILTERS = {
    "capitalize": False,
    "default": True,
    "indent": False,
    "lower": False,
    "title": False,
    "trim": False,
    "truncate": False,
    "upper": False,
}
ALLOWED = (
    nodes.And,
    nodes.Compare,
    nodes.CondExpr,
    nodes.Const,
    nodes.Filter,
    nodes.If,
    nodes.Keyword,
    nodes.Name,
    nodes.Not,
    nodes.Operand,
    nodes.Or,
    nodes.Output,
    nodes.Template,
    nodes.TemplateData,
)
TAGS = ("if", "elif", "else", "endif", "raw", "endraw")
# What Jinja does not read, so that tags in it are none.
UNREAD = re.compile(
    r"\{#.*?#\}|\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}", re.DOTALL
)
TAG = re.compile(r"\{%[-+]?\s*(\w+)")
# How what is refused is written, where its name is another.
SPELT = {
    "add": "+",
    "assign": "set",
    "assignblock": "set",
    "call": "( )",
    "concat": "~",
    "div": "/",
    "filterblock": "filter",
    "fromimport": "from",
    "getattr": ".",
    "getitem": "[ ]",
    "list": "[ ]",
    "mul": "*",
    "pow": "**",
    "scope": "autoescape",
    "sub": "-",
}


class Sort(Enum):
    """What a variable holds, and so where it may stand."""

    STORE = auto()  # the store's own words
    USER = auto()  # what a customer typed: never in a subject or within a tag
    LINK = auto()  # an address: as text, or alone as the target of a link
    CODE = auto()  # a word of ours that may stand within a tag


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that a template may show, with a line about it for its writer."""

    help: str
    sort: Sort = Sort.STORE


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a template: a fact of which the pages make a sentence."""

    fact: str
    line: int | None = None
    detail: str = ""
    hint: str = ""


class TooLong(Exception):
    """What a template makes of its variables is longer than any mail."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with nothing in it but our filters."""

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(autoescape=autoescape, undefined=StrictUndefined)
        self.globals.clear()
        self.tests.clear()
        self.filters = {name: self.filters[name] for name in FILTERS}


@cache
def _sandbox(autoescape: bool) -> _Sandbox:
    return _Sandbox(autoescape=autoescape)


@lru_cache(maxsize=128)
def _compiled(source: str, autoescape: bool) -> Template:
    return _sandbox(autoescape).from_string(source)


def fill_in(source: str, variables: Mapping[str, Any], *, autoescape: bool) -> str:
    """Return what a template makes of its variables.

    :raises TooLong: when that is longer than :data:`LONGEST_MADE`.
    :raises Exception: whatever else goes wrong within a template.
    """
    pieces, length = [], 0
    for piece in _compiled(source, autoescape).generate(variables):
        pieces.append(piece)
        length += len(piece)
        if length > LONGEST_MADE:
            raise TooLong(f"longer than {LONGEST_MADE} characters")
    return "".join(pieces)


def parse(source: str, *, autoescape: bool) -> nodes.Template | Problem:
    """Read a template, or say why it cannot be read: in words of ours, for Jinja's advise tags
    that are refused here.
    """
    refused = _refused_tag(source)
    if refused is not None:
        return refused
    try:
        tree = _sandbox(autoescape).parse(source)
        _compiled(source, autoescape)
    except TemplateSyntaxError as error:
        return _syntax_problem(error)
    except (RecursionError, MemoryError, SyntaxError):
        return Problem("nested")
    return tree


def _refused_tag(source: str) -> Problem | None:
    """Return the first tag that is none of ours, with its line."""
    bare = UNREAD.sub(lambda found: "\n" * found[0].count("\n"), source)
    for found in TAG.finditer(bare):
        if found[1] not in TAGS:
            return Problem("construct", bare.count("\n", 0, found.start(1)) + 1, found[1])
    return None


def _syntax_problem(error: TemplateSyntaxError) -> Problem:
    said = error.message or ""
    if said.startswith("No filter named"):
        return Problem("filter", error.lineno, said.split("'")[1], ", ".join(FILTERS))
    if said.startswith("No test named"):
        return Problem("construct", error.lineno, "is")
    return Problem("syntax", error.lineno)


def judge(tree: nodes.Template, variables: Iterable[str]) -> Iterator[Problem]:
    """Yield what a template uses and must not."""
    known = list(variables)
    for node in _all(tree):
        if not isinstance(node, ALLOWED):
            yield _refused(node)
        elif isinstance(node, nodes.Name) and node.name not in known:
            near = get_close_matches(node.name, known, n=1)
            yield Problem("variable", node.lineno, node.name, "".join(near))
        elif isinstance(node, nodes.Filter) and not _is_bounded(node):
            yield Problem("argument", node.lineno, node.name)


def _refused(node: nodes.Node) -> Problem:
    kind = type(node).__name__.lower()
    lines = [node.lineno, *(each.lineno for each in node.iter_child_nodes())]
    return Problem("construct", next(filter(None, lines), None), SPELT.get(kind, kind))


def _all(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    if isinstance(node, ALLOWED):  # of what is refused, its parts are no news
        for child in node.iter_child_nodes():
            yield from _all(child)


def _is_bounded(node: nodes.Filter) -> bool:
    """Return whether a filter takes small numbers only, and is one of a few in a row."""
    depth, inner = 1, node.node
    while isinstance(inner, nodes.Filter):
        depth, inner = depth + 1, inner.node
    given = [*node.args, *(pair.value for pair in node.kwargs)]
    is_plain = FILTERS.get(node.name, False) or all(_is_small(each) for each in given)
    return depth <= MOST_FILTERS and is_plain


def _is_small(node: nodes.Node) -> bool:
    value = node.value if isinstance(node, nodes.Const) else None
    return isinstance(value, int) and 0 <= value <= LARGEST_NUMBER


@dataclass(slots=True)
class Flat:
    """A template with every branch taken and each variable as one mark, to be looked through.

    ``text`` is what it may become; a mark is a private character that stands for a variable.
    """

    names: list[str]
    text: str = ""
    _pieces: list[str] = field(default_factory=list)
    _length: int = 0
    _starts: list[int] = field(default_factory=list)
    _lines: list[int] = field(default_factory=list)

    def read(self, tree: nodes.Node) -> None:
        """Take over what a template may show."""
        self._add(tree)
        self.text = "".join(self._pieces)

    def _add(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.If):
            for each in (*node.body, *node.elif_, *node.else_):
                self._add(each)
        elif isinstance(node, nodes.Output | nodes.Template):
            for each in node.iter_child_nodes():
                self._add(each)
        else:
            self._starts.append(self._length)
            self._lines.append(node.lineno)
            self._pieces.append(self._shown(node))
            self._length += len(self._pieces[-1])

    def _shown(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.TemplateData):
            return node.data
        if isinstance(node, nodes.Const):
            return str(node.value)
        if isinstance(node, nodes.Name):
            known = node.name in self.names
            return chr(FIRST_MARK + self.names.index(node.name)) if known else ""
        return "".join(map(self._shown, _choices(node)))

    def line(self, offset: int) -> int:
        """Return the template's line that a place in the text comes from."""
        piece = bisect_right(self._starts, offset) - 1
        if piece < 0:
            return 1
        return self._lines[piece] + self.text.count("\n", self._starts[piece], offset)

    def marks(self, text: str) -> list[str]:
        """Return the variables that a piece of the text shows."""
        places = [ord(char) - FIRST_MARK for char in text]
        return [self.names[place] for place in places if 0 <= place < len(self.names)]


def _choices(node: nodes.Node) -> list[nodes.Node]:
    """Return the parts of an expression that it may come to: a condition is none."""
    found: list[nodes.Node | None] = []
    if isinstance(node, nodes.CondExpr):
        found = [node.expr1, node.expr2]
    elif isinstance(node, nodes.And | nodes.Or):
        found = [node.left, node.right]
    elif isinstance(node, nodes.Filter):
        found = [node.node, *node.args]
    return [each for each in found if each is not None]


def flatten(tree: nodes.Template, variables: Iterable[str]) -> Flat:
    """Return a template with every branch taken; what :func:`judge` refuses shows nothing."""
    flat = Flat(list(variables))
    flat.read(tree)
    return flat
