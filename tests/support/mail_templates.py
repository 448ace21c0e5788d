"""Mail templates as staff write them, through pages or straight into the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from werkzeug.test import TestResponse

from invitations_plugin import mail_templates
from invitations_plugin.lifecycle import STAFF, Actor
from invitations_plugin.mail_kinds import INVITATION
from invitations_plugin.mail_models import MailTemplateVersion
from invitations_plugin.mail_rules import Content

from .pages import Page
from .stores import Store, Visitor

TEMPLATES = "/admin/invitations/templates/"
SUBJECT = "Come to {{ store_name }}"
TEXT = "{{ inviter_name }} says: {{ message }}\n{{ link }}\n{{ login_link }}\n{{ opt_out_link }}"
HTML = (
    '<html lang="{{ locale }}"><p>{{ inviter_name }}: {{ message }}</p>'
    '<a href="{{ link }}">Come in</a> <a href="{{ opt_out_link }}">No more</a>'
)
CONTENT = Content(SUBJECT, TEXT, HTML)


def add_template(
    store: Store,
    name: str = "Spring",
    contents: Mapping[str, Content] | None = None,
    language: str = "en",
) -> str:
    """Write a template; return its code."""
    draft = mail_templates.Draft(name, language, contents or {language: CONTENT})
    with store.session() as db:
        code = mail_templates.create(db, INVITATION, draft, Actor(STAFF, "staff:1", "Ada"), ())
        db.commit()
        return code


def written(store: Store, code: str = "spring") -> mail_templates.Written:
    """Return a template as it is."""
    with store.session() as db:
        found = mail_templates.load(db, code)
        assert found is not None
        return found


def version_numbers(store: Store, code: str = "spring") -> list[int]:
    with store.session() as db:
        return [each.number for each in mail_templates.versions(db, code)]


def spoil(store: Store, code: str, **parts: str) -> None:
    """Change the newest version behind the editor's back."""
    content = {"subject": SUBJECT, "text": TEXT, "html": HTML} | parts
    number = written(store, code).number
    with store.session() as db:
        row = MailTemplateVersion
        change = sa.update(row).where(row.code == code, row.number == number)
        db.execute(change.values(contents={"en": content}))
        db.commit()


def typed(page: TestResponse) -> dict[str, str]:
    """Return what an editor's form holds, as a browser would post it."""
    shown = Page(page)
    fields = {name: text for name, text in shown.fields.items() if name != "csrf_token"}
    for each in shown.all("textarea"):
        fields[each.attributes["name"]] = each.text.removeprefix("\n")
    name = ""
    for each in shown.elements:
        name = each.attributes["name"] if each.tag == "select" else name
        if each.tag == "option" and "selected" in each.attributes:
            fields[name] = each.attributes["value"]
    return fields


def edit(
    visitor: Visitor, code: str = "spring", language: str = "en", do: str = "save", **changes: Any
) -> TestResponse:
    """Open the editor, change some fields, and press a button."""
    page = visitor.get(f"{TEMPLATES}{code}/?language={language}")
    assert page.status_code == 200
    return visitor.post(f"{TEMPLATES}{code}/", typed(page) | changes | {"do": do})
