"""The rows of the grid: one template for a set of columns, made from a small one a cell.

It is compiled once and takes the rows as plain tuples: whatever is done for each cell of a page
of 200 rows is done two thousand times. So what comes from a short list, a status or a day, is
put into words and escaped once a page, and our own cells escape what people wrote and no more.
A store's own cell escapes all it shows, as a template does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date
from flask import current_app, url_for
from jinja2 import Environment, Template
from markupsafe import Markup, escape

from ..grid import COLUMNS, DEFAULT_COLUMNS, Kind
from ..host import StoreView
from ..i18n import locale, translator
from ..page_urls import page_url
from ..state import state
from . import words
from .pages import Names

DAYS_KEPT: Final = 4_096
MOST_KEPT: Final = 200  # sets of columns; whoever makes up more waits for the compiler
OURS: Final = Path(__file__).parent.parent / "templates"
OPENING: Final = re.compile(r"\{#.*?#\}\s*", re.DOTALL)
UTC: Final = ZoneInfo("UTC")


class _Labels(dict[str, Markup]):
    """What codes are called, as HTML; one that the store has no more stands for itself."""

    def __init__(self, labels: Mapping[Any, str]) -> None:
        super().__init__({str(code): escape(text) for code, text in labels.items()})

    def __missing__(self, code: str) -> Markup:
        return escape(code)


class _Days(dict[datetime | None, Markup]):
    """Moments as the days of a store view, as HTML; formatting is slow, few days fill a page."""

    def __init__(self, view: StoreView) -> None:
        super().__init__({None: Markup()})
        self._zone, self._language = ZoneInfo(view.timezone), str(locale())

    def __missing__(self, moment: datetime) -> Markup:
        text = _day_text(moment.replace(tzinfo=UTC).astimezone(self._zone).date(), self._language)
        self[moment] = text
        return text


@lru_cache(maxsize=DAYS_KEPT)
def _day_text(day: date, language: str) -> Markup:
    return escape(format_date(day, "medium", locale=language))


def row_html(
    rows: Sequence[Any], columns: Sequence[str], called: Names, view: StoreView, *, can_act: bool
) -> Markup:
    """Return the rows of a page of the grid as HTML."""
    if not rows:
        return Markup()
    fields = tuple(rows[0]._fields)
    worded, words_of = _worded(fields, called, view)
    template = _template((*fields, *worded), tuple(columns), can_act=can_act)
    texts = _texts() | {"is_usual": tuple(columns) == DEFAULT_COLUMNS}
    shown = [(*row, *(labels[row[place]] for place, labels in words_of)) for row in rows]
    return Markup(template.render(texts, rows=shown))  # noqa: S704  # by Jinja


def _worded(
    fields: Sequence[str], called: Names, view: StoreView
) -> tuple[list[str], list[tuple[int, Mapping[Any, Markup]]]]:
    """Return the names of what is shown in words, and of each the field it says and how."""
    speak, days = translator(), _Days(view)
    labels: dict[str, Mapping[Any, str]] = {
        "status": _spoken(words.STATUSES, speak),
        "mail": _spoken(words.MAIL_LABELS, speak),
        "website": called.websites,
        "group": called.groups,
    }
    names: list[str] = []
    found: list[tuple[int, Mapping[Any, Markup]]] = []
    for place, code in enumerate(fields):
        if code in labels:
            found.append((place, _Labels(labels[code])))
        elif code in COLUMNS and COLUMNS[code].kind == Kind.DAY:
            found.append((place, days))
        else:
            continue
        names.append(f"{code}_text")
    return names, found


def _texts() -> dict[str, Any]:
    """Return what the cells need beside a row: texts as HTML, translated once a page."""
    speak = translator()
    start, _, end = url_for("invitations_admin.detail", invitation_id=0).rpartition("0/")
    before, _, behind = speak("Select %(id)s", id="\0").partition("\0")
    return {
        # Seen from the grid itself: a page of it has to be light.
        "url_start": escape(start.removeprefix(page_url("invitations_admin.grid"))),
        "url_end": escape(f"/{end}"),
        "select_start": escape(before),
        "select_end": escape(behind),
        "labels": _Labels(_spoken(words.COLUMNS, speak)),
        "store": escape(speak("Store")),
        "removed": escape(speak("Address removed")),
    }


def _spoken(labels: Mapping[Any, str], speak: Callable[[str], str]) -> dict[Any, str]:
    return {code: speak(text) for code, text in labels.items()}


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
    loop = f"{{% for {', '.join(fields)} in rows %}}{row}\n{{% endfor %}}"
    return f"{{% autoescape false %}}{loop}{{% endautoescape %}}"


def _cell(env: Environment, name: str) -> str:
    """Return the source of a cell's template; the store's own, where it has one, escapes all."""
    found = env.get_or_select_template(f"invitations/admin/_cell_{name}.html")
    assert env.loader is not None  # it has just found one  # noqa: S101
    source, path, _ = env.loader.get_source(env, str(found.name))
    source = OPENING.sub("", source, count=1).strip()
    if path is not None and Path(path).is_relative_to(OURS):
        return source
    return f"{{% autoescape true %}}{source}{{% endautoescape %}}"
