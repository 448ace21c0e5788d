"""Rights: whatever a page offers is open to its reader, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qsl, urldefrag, urljoin

import pytest

from invitations_plugin.host import RIGHTS
from invitations_plugin.state import host

from .support.pages import Page
from .support.rows import STATUSES, insert, row
from .support.stores import Store, Visitor

OFFICE = "/admin/invitations/"
MENU = {"discard": "discard", "expire": "discard", "send": "create", "extend": "create"}
READERS = [
    {"view"},
    {"view", "create"},
    {"view", "discard"},
    {"view", "export"},
    {"view", "report"},
    {"view", "create", "discard", "export"},
    set(RIGHTS),
]
NUMBER = re.compile(r"\d+")


@pytest.fixture
def database() -> str:
    """Who is offered what is the same on both databases, so one will do."""
    return "sqlite"


@pytest.fixture
def staff_with(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[set[str]], Visitor]:
    """Return a function that gives somebody who has some rights, in a store with everything."""
    insert(store, [row(f"{each}@example.com", each) for each in STATUSES])
    store.add_job()

    def make(rights: set[str]) -> Visitor:
        visitor = store.staff()
        visitor.get(store.form_path)
        with store.app.app_context():
            known = type(host())
        monkeypatch.setattr(known, "may", lambda self, asked: asked in rights)
        return visitor

    return make


def kinds_of(target: str) -> set[tuple[str, str]]:
    """Return what is new about an address: its page, and each of its arguments."""
    path, _, query = target.partition("?")
    page = NUMBER.sub("N", path)
    return {(page, ""), *((page, name) for name, _ in parse_qsl(query))}


def crawl(visitor: Visitor) -> tuple[dict[str, int], set[str]]:
    """Open every page that pages lead to, each with every argument it is led to with once.

    Return their answers and forms.
    """
    answers: dict[str, int] = {}
    forms: set[str] = set()
    waiting = [OFFICE, *(f"{OFFICE}{n}/" for n in range(1, len(STATUSES) + 1))]
    seen: set[tuple[str, str]] = set()
    while waiting:
        path = waiting.pop()
        answer = visitor.get(path)
        answers[path] = answer.status_code
        if "html" not in answer.content_type:
            continue
        page = Page(answer)
        forms |= {each for each in page.actions() if each.startswith(OFFICE)}
        for link in page.all("a"):
            target = urldefrag(urljoin(path, link.attributes["href"])).url
            kinds = kinds_of(target)
            if target.startswith(OFFICE) and not kinds <= seen:
                seen |= kinds
                waiting.append(target)
    return answers, forms


@pytest.mark.parametrize("rights", READERS, ids=lambda rights: "+".join(sorted(rights)))
def test_no_link_or_button_leads_to_a_refusal(
    staff_with: Callable[[set[str]], Visitor], rights: set[str]
) -> None:
    visitor = staff_with(rights)
    answers, forms = crawl(visitor)
    assert set(answers.values()) == {200}, answers
    # Without a token a form is stale for who may send it, and forbidden for who may not.
    assert {path: visitor.client.post(path).status_code for path in forms} == dict.fromkeys(
        forms, 400
    )
    assert (f"{OFFICE}new" in answers) == ("create" in rights)


@pytest.mark.parametrize("rights", READERS, ids=lambda rights: "+".join(sorted(rights)))
def test_the_grid_lets_rows_be_picked_only_by_who_can_do_something_with_them(
    staff_with: Callable[[set[str]], Visitor], rights: set[str]
) -> None:
    page = Page(staff_with(rights).get(OFFICE))
    offered = {each.attributes["value"] for each in page.all("option")} & set(MENU)
    assert offered == {action for action, right in MENU.items() if right in rights}
    can_act = bool(page.all("select", name="action"))
    assert bool(page.all("input", name="ids")) == can_act
    assert bool(page.all("select", name="select")) == can_act
    assert can_act or not offered


def test_who_is_refused_is_shown_no_way_in(store: Store, veronica: Visitor) -> None:
    for path in (OFFICE, f"{OFFICE}jobs/", f"{OFFICE}new"):
        refused = Page(veronica.get(path))
        assert refused.text("h1") == ["You may not open this page"]
        assert [each for each in refused.all("a") if OFFICE in each.attributes["href"]] == []
        assert refused.actions() == []


def test_without_the_right_to_look_there_is_no_way_in(
    staff_with: Callable[[set[str]], Visitor],
) -> None:
    visitor = staff_with({"create", "discard"})
    refused = visitor.get(OFFICE)
    assert refused.status_code == 403
    assert [each for each in Page(refused).all("a") if OFFICE in each.attributes["href"]] == []
