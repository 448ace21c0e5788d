"""The mail templates that staff write: kept in versions, found for a mail, and their faults."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from flask import g
from sqlalchemy.orm import Session

from .clock import now
from .database import insert_into
from .lifecycle import Actor
from .mail_kinds import Kind
from .mail_models import MailTemplate, MailTemplateFault, MailTemplateVersion
from .mail_rules import Content
from .models import SettingOverride
from .settings import GLOBAL
from .state import state

SETTING = "email_template"
CODE_MAX = 64
CODE = re.compile(rf"[\w-]{{1,{CODE_MAX}}}", re.ASCII)
KEPT_VERSIONS = 100
BIGGEST = 2**31 - 1  # number that the column holds
FALLBACK = "en"
CACHE = "_invitations_mail_templates"

Contents = Mapping[str, Content]


class Changed(Exception):
    """Somebody else saved the template in the meantime, or deleted it."""


class InUse(Exception):
    """A setting names the template; ``scopes`` are pairs of a scope and its code."""

    def __init__(self, scopes: list[tuple[str, str]]) -> None:
        super().__init__(scopes)
        self.scopes = scopes


@dataclass(frozen=True, slots=True)
class Written:
    """A version of a template that staff wrote."""

    code: str
    name: str
    language: str
    number: int
    contents: Contents

    def content(self, language: str) -> tuple[str, Content]:
        """Return what serves a language, and the language that it is in.

        That is the language itself, else the template's own, else English.
        """
        order = (language, self.language, FALLBACK, *self.contents)
        found = next(each for each in order if each in self.contents)
        return found, self.contents[found]


@dataclass(frozen=True, slots=True)
class Draft:
    """What a template is saved as."""

    name: str
    language: str
    contents: Contents


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a template could not make a mail; one that is shipped has no name here."""

    code: str
    name: str | None
    error: str
    at: datetime


def listed(session: Session, kind: Kind) -> list[MailTemplate]:
    """Return the templates of a kind, by name."""
    query = sa.select(MailTemplate).where(MailTemplate.kind == kind.code)
    return sorted(session.scalars(query), key=lambda each: (each.name.casefold(), each.code))


def languages(session: Session, codes: list[str]) -> dict[str, list[str]]:
    """Return the languages that templates are written in, by code."""
    version, template = MailTemplateVersion, MailTemplate
    query = (
        sa.select(version.code, version.contents)
        .join(template, sa.and_(template.code == version.code, template.number == version.number))
        .where(version.code.in_(codes))
    )
    return {code: list(contents) for code, contents in session.execute(query)}


def load(session: Session, code: str, number: int | None = None) -> Written | None:
    """Return a template as it is, or one of its versions."""
    if not CODE.fullmatch(code) or (number or 0) > BIGGEST:
        return None
    version = MailTemplateVersion
    query = sa.select(version).where(version.code == code)
    if number is None:
        query = query.join(MailTemplate, MailTemplate.code == version.code)
        query = query.where(version.number == MailTemplate.number)
    else:
        query = query.where(version.number == number)
    with session.no_autoflush:
        row = session.scalar(query)
    return _written(row) if row is not None else None


def _written(row: MailTemplateVersion) -> Written:
    contents = {language: Content(**parts) for language, parts in row.contents.items()}
    return Written(row.code, row.name, row.language, row.number, contents)


def find(session: Session, code: str) -> Written | None:
    """Return a template for a mail; each is read once a request or batch."""
    kept: dict[str, Written | None] = g.setdefault(CACHE, {})
    if code not in kept:
        kept[code] = load(session, code)
    return kept[code]


def forget() -> None:
    """Read templates anew the next time: a worker does so for every batch."""
    g.pop(CACHE, None)


def versions(session: Session, code: str) -> list[MailTemplateVersion]:
    """Return the versions of a template, the newest first, without what they say."""
    version = MailTemplateVersion
    query = sa.select(version).where(version.code == code).order_by(version.number.desc())
    return list(session.scalars(query.options(sa.orm.defer(version.contents))))


def create(session: Session, kind: Kind, draft: Draft, actor: Actor, taken: Container[str]) -> str:
    """Make a template and return its code, made from its name. The caller commits.

    :param taken: codes that other templates have.
    """
    code = _new_code(session, draft.name, taken)
    row = MailTemplate(
        code=code, kind=kind.code, name=draft.name, language=draft.language, updated_by=actor.name
    )
    session.add(row)
    session.flush()
    _keep(session, code, 1, draft, actor)
    return code


def _new_code(session: Session, name: str, taken: Container[str]) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[: CODE_MAX - 6].strip("-") or "template"
    known = set(session.scalars(sa.select(MailTemplate.code)))
    number, code = 1, stem
    while code in known or code in taken:
        number += 1
        code = f"{stem}-{number}"
    return code


def save(session: Session, code: str, seen: int, draft: Draft, actor: Actor) -> int:
    """Keep a template's next version and return its number. The caller commits.

    :param seen: the version that was changed.
    :raises Changed: when that is not the newest any more.
    """
    row = MailTemplate
    statement = (
        sa.update(row)
        .where(row.code == code, row.number == seen)
        .values(
            number=seen + 1,
            name=draft.name,
            language=draft.language,
            updated_at=now(),
            updated_by=actor.name,
        )
        .returning(row.number)
    )
    number = session.scalar(statement.execution_options(synchronize_session=False))
    if number is None:
        raise Changed
    _keep(session, code, number, draft, actor)
    return number


def _keep(session: Session, code: str, number: int, draft: Draft, actor: Actor) -> None:
    """Write a version; the oldest go. A fault of an earlier one is told no more."""
    version = MailTemplateVersion
    contents = {language: asdict(each) for language, each in draft.contents.items()}
    session.add(
        version(
            code=code,
            number=number,
            name=draft.name,
            language=draft.language,
            contents=contents,
            actor_key=actor.key,
            actor_name=actor.name,
        )
    )
    old = sa.and_(version.code == code, version.number <= number - KEPT_VERSIONS)
    session.execute(sa.delete(version).where(old))
    forget()


def delete(session: Session, code: str) -> None:
    """Remove a template with its versions. The caller commits.

    :raises InUse: when a setting names it.
    """
    scopes = uses(session).get(code)
    if scopes:
        raise InUse(scopes)
    for model in (MailTemplateVersion, MailTemplateFault, MailTemplate):
        session.execute(sa.delete(model).where(model.code == code))
    forget()


def uses(session: Session) -> dict[str, list[tuple[str, str]]]:
    """Return by code where templates are used: pairs of a scope and its code."""
    row = SettingOverride
    query = sa.select(row.value, row.scope, row.scope_code).where(row.name == SETTING)
    found: dict[str, list[tuple[str, str]]] = {}
    pairs = [(str(value), (scope, code)) for value, scope, code in session.execute(query)]
    if not any(where == (GLOBAL, "") for _, where in pairs):
        pairs.insert(0, (state().defaults.settings.email_template, (GLOBAL, "")))
    for code, where in sorted(pairs, key=lambda pair: pair[1]):
        found.setdefault(code, []).append(where)
    return found


def note_fault(session: Session, code: str, number: int, error: str) -> bool:
    """Keep why a template failed; return whether that is news. The caller commits."""
    row = MailTemplateFault
    values = {"number": number, "error": error[:255], "at": now()}
    statement = insert_into(session, row).values(code=code[:CODE_MAX], **values)
    statement = statement.on_conflict_do_update(
        index_elements=[row.code], set_=values, where=row.number != number
    )
    return session.scalar(statement.returning(row.code)) is not None


def mended(session: Session, code: str) -> None:
    """Forget a template's fault. The caller commits."""
    session.execute(sa.delete(MailTemplateFault).where(MailTemplateFault.code == code))


def faults(session: Session) -> list[Fault]:
    """Return the templates that failed as they are now."""
    row, template = MailTemplateFault, MailTemplate
    query = (
        sa.select(row.code, template.name, row.error, row.at)
        .outerjoin(template, template.code == row.code)
        .where(sa.or_(template.number == row.number, row.number == 0))
        .order_by(row.code)
    )
    return [Fault(*row) for row in session.execute(query)]
