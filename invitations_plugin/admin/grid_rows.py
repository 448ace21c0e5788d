"""The rows of the grid: one template for a set of columns, made from a small one a cell.

It is compiled once and takes the rows as plain tuples: whatever is done for each cell of a page
of 200 rows is done two thousand times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date
from flask import current_app, url_for
from jinja2 import Environment, Template
from markupsafe import Markup

from ..grid import DEFAULT_COLUMNS
from ..host import StoreView
from ..i18n import locale, translator
from ..state import state
from . import words
from .pages import Names

MOST_KEPT: Final = 200  # sets of columns; whoever makes up more waits for the compiler
OPENING: Final = re.compile(r"\{#.*?#\}\s*", re.DOTALL)
UTC: Final = ZoneInfo("UTC")


class _Labels(dict[str, str]):
    """What codes are called; one that the store has no more stands for itself."""

    def __missing__(self, code: str) -> str:
        return code


class _Days(dict[datetime | None, str]):
    """Moments as the days of a store view; formatting is slow, and few days fill a page."""

    def __init__(self, view: StoreView) -> None:
        super().__init__({None: ""})
        self._zone, self._locale = ZoneInfo(view.timezone), locale()
        self._texts: dict[date, str] = {}

    def __missing__(self, moment: datetime) -> str:
        day = moment.replace(tzinfo=UTC).astimezone(self._zone).date()
        text = self._texts.get(day)
        if text is None:
            text = self._texts[day] = str(format_date(day, "medium", locale=self._locale))
        return text


def row_html(
    rows: Sequence[Any], columns: Sequence[str], called: Names, view: StoreView, *, can_act: bool
) -> Markup:
    """Return the rows of a page of the grid as HTML."""
    if not rows:
        return Markup()
    template = _template(tuple(rows[0]._fields), tuple(columns), can_act=can_act)
    texts = _texts(called, view) | {"is_usual": tuple(columns) == DEFAULT_COLUMNS}
    return Markup(template.render(texts, rows=rows))  # noqa: S704  # by Jinja


def _texts(called: Names, view: StoreView) -> dict[str, Any]:
    """Return what the cells need beside a row: texts, translated once a page."""
    speak = translator()
    start, _, end = url_for("invitations_admin.detail", invitation_id=0).rpartition("/0/")
    before, _, behind = speak("Select %(id)s", id="\0").partition("\0")
    return {
        "url_start": f"{start}/",
        "url_end": f"/{end}",
        "select_start": before,
        "select_end": behind,
        "days": _Days(view),
        "statuses": _spoken(words.STATUSES, speak),
        "mails": _spoken(words.MAIL_LABELS, speak),
        "websites": _Labels(called.websites),
        "groups": _Labels(called.groups),
        "labels": _spoken(words.COLUMNS, speak),
        "store": speak("Store"),
        "removed": speak("Address removed"),
    }


def _spoken(labels: Mapping[Any, str], speak: Callable[[str], str]) -> _Labels:
    return _Labels({str(code): speak(text) for code, text in labels.items()})


def _template(fields: tuple[str, ...], columns: tuple[str, ...], *, can_act: bool) -> Template:
    """Return the compiled template of such rows; where templates are reloaded, a fresh one."""
    env, kept = current_app.jinja_env, state().row_templates
    key = (fields, columns, can_act)
    if key not in kept or env.auto_reload:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[key] = env.from_string(_source(env, fields, columns, can_act=can_act))
    return kept[key]


def _source(
    env: Environment, fields: tuple[str, ...], columns: tuple[str, ...], *, can_act: bool
) -> str:
    """Put the cells of the columns into a row; each row is taken apart into its fields."""
    cells = [_cell(env, "select" if can_act else "no_select"), *(_cell(env, c) for c in columns)]
    row = _cell(env, "row").replace("CELLS", "".join(cells))
    return f"{{% for {', '.join(fields)} in rows %}}{row}\n{{% endfor %}}"


def _cell(env: Environment, name: str) -> str:
    """Return the source of a cell's template, the store's own where it has one."""
    found = env.get_or_select_template(f"invitations/admin/_cell_{name}.html")
    assert env.loader is not None  # it has just found one  # noqa: S101
    source, _, _ = env.loader.get_source(env, str(found.name))
    return OPENING.sub("", source, count=1).strip()
