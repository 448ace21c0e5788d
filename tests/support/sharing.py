"""What the apps of a run share, though each test has one of its own: what was compiled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
