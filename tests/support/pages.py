"""Pages as a browser reads them, and the statements that made them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from threading import Barrier
from typing import Any
from urllib.parse import urljoin

import sqlalchemy as sa
from werkzeug.test import TestResponse

from invitations_plugin.database import engine

from .stores import SEND, Store, Visitor

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


@dataclass
class Element:
    """An element with its attributes and all the text inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


class Page(HTMLParser):
    """The elements of an answer, in order."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__()
        self.path = response.request.path
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(response.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            if self._open.pop().tag == tag:
                break

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements with these attributes; ``_`` in a name stands for ``-``."""
        wanted = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            each
            for each in self.elements
            if each.tag == tag and wanted.items() <= each.attributes.items()
        ]

    @property
    def fields(self) -> dict[str, str]:
        """What stands in the input fields, by name."""
        return {
            each.attributes["name"]: each.attributes.get("value", "")
            for each in self.all("input")
            if "name" in each.attributes
        }

    def error(self, field: str) -> str:
        """Return the error at a field, "" without one."""
        found = [
            each.text for each in self.elements if each.attributes.get("id") == f"{field}-error"
        ]
        return " ".join(found).strip()

    @property
    def notices(self) -> list[str]:
        """What the page says about what was just done."""
        texts = [each.text.strip() for each in self.elements if _is_notice(each)]
        return [" ".join(text.split()) for text in texts]

    @property
    def statuses(self) -> dict[int, str]:
        """The statuses of the rows shown, by the invitation's id, in order."""
        rows = [
            each.attributes for each in self.all("tr") if "data-invitation-id" in each.attributes
        ]
        return {int(each["data-invitation-id"]): each["data-status"] for each in rows}

    def text(self, tag: str) -> list[str]:
        """Return the texts of the elements of a kind."""
        return [" ".join(each.text.split()) for each in self.all(tag)]

    def link(self, text: str) -> str | None:
        """Return where the link with this text leads, None without it."""
        found = [each for each in self.all("a") if " ".join(each.text.split()) == text]
        href = found[0].attributes["href"] if found else None
        return urljoin(self.path, href) if href and not href.startswith("#") else href

    def actions(self) -> list[str]:
        """Return where the page's forms are posted."""
        forms = self.all("form", method="post")
        return [each.attributes["action"] for each in forms if "action" in each.attributes]


def _is_notice(element: Element) -> bool:
    return element.attributes.get("role") in ("status", "alert") and "hidden" not in (
        element.attributes
    )


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """Collect what is sent to the database, with COMMIT where a transaction ends."""
    seen: list[str] = []

    def execute(*given: Any) -> None:
        seen.append(str(given[2]))

    def commit(connection: object) -> None:
        seen.append("COMMIT")

    with store.app.app_context():
        target = engine()
    sa.event.listen(target, "before_cursor_execute", execute)
    sa.event.listen(target, "commit", commit)
    yield seen
    sa.event.remove(target, "before_cursor_execute", execute)
    sa.event.remove(target, "commit", commit)


def twins(store: Store, visitor: Visitor, number: int) -> list[Visitor]:
    """Return browsers that are signed in as a visitor is, for requests at one moment."""
    name = store.app.config["SESSION_COOKIE_NAME"]
    cookie = visitor.client.get_cookie(name)
    assert cookie is not None
    made = [store.visitor() for _ in range(number)]
    for each in made:
        each.client.set_cookie(name, cookie.value)
        each.token = visitor.token
    return made


def at_once(
    store: Store, visitor: Visitor, forms: list[dict[str, str]], path: str = SEND
) -> list[TestResponse]:
    """Post forms at one moment, as one person with many windows."""
    browsers, start = twins(store, visitor, len(forms)), Barrier(len(forms))

    def post(browser: Visitor, form: dict[str, str]) -> TestResponse:
        start.wait()
        return browser.post(path, form)

    with ThreadPoolExecutor(len(forms)) as pool:
        return list(pool.map(post, browsers, forms))
