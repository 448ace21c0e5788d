"""What the apps of a run share, though each test has one of its own: what was compiled once."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

from flask import Flask
from jinja2 import nodes
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

Builder = Callable[..., tuple[str, str]]


def share_builders() -> None:
    """Let rules share the functions that build addresses: three quarters of what an app costs."""
    made: dict[tuple[object, ...], Builder] = {}
    compile_builder = Rule._compile_builder

    def shared(rule: Rule, append_unknown: bool = True) -> Builder:
        if rule.defaults:
            return compile_builder(rule, append_unknown)
        # The function reads all but these from the rule that it is called on.
        key = (rule.rule, *rule._trace, append_unknown)
        if key not in made:
            made[key] = compile_builder(rule, append_unknown)
        return made[key]

    changed: Any = Rule
    changed._compile_builder = shared


class Statements(dict[Any, Any]):
    """The SQL of statements, for all engines of a kind; SQLAlchemy's own cache is an engine's.

    It looks a statement up by a dialect, which each engine has its own of, and more.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(self._for_all(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(self._for_all(key), compiled)

    def _for_all(self, key: Any) -> Any:
        return (type(key[0]), *key[1:])


class Templates(BytecodeCache):
    """The code of templates."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


class Compiled:
    """What an earlier app compiled: the next ones are given it."""

    def __init__(self) -> None:
        self._statements = Statements()
        self._templates = Templates()
        self._trees: dict[str, nodes.Template] = {}

    def give_to(self, app: Flask) -> None:
        """Let an app use what is compiled, and add to it."""
        environment: Any = app.jinja_env
        parse = environment.parse

        def parse_once(source: str) -> nodes.Template:
            """Read a base, which every app looks for its blocks in: nobody changes what is read."""
            if source not in self._trees:
                self._trees[source] = parse(source)
            return self._trees[source]

        environment.bytecode_cache = self._templates
        environment.parse = parse_once
        with app.app_context():
            for engine in app.extensions["sqlalchemy"].engines.values():
                engine.update_execution_options(compiled_cache=self._statements)
