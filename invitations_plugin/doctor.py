"""What an operator should know before customers do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from . import (
    backlog,
    checks,
    circuit,
    mail_templates,
    metrics,
    migrations,
    searchable,
    watch,
    watch_words,
)
from .configuring import check_groups
from .database import engine, let_go, session
from .explaining import Finding, Question, explain
from .mail import template_choices
from .reports import purchases, triggers
from .senders import faults, usable
from .settings import SPECS, BadSetting, Settings
from .smtp import Unreachable, connect, describe
from .state import settings_of, state, store_view

HELD = "All mail is held: 'flask invitations release' lets it go. It is the setting hold_outbox."
NOBODY_TOLD = (
    "Nobody is told by mail when something needs a person: name somebody by the setting"
    " staff_notice_address."
)


def examine(app: Flask) -> list[str]:
    """Return what is wrong, each with its remedy; nothing when all is well."""
    findings: list[str] = []
    questions = (
        _mounting,
        _tables,
        _senders,
        _chosen_senders,
        _limited_groups,
        _mail_templates,
        _server,
        _circuit,
        _mail_that_waits,
        _purchases,
        _celery,
        _sqlite,
    )
    for each in questions:
        try:
            findings += each(app)
        except Exception as error:  # one that cannot be answered keeps none of the others back
            findings.append(_unanswered(error))
    return list(dict.fromkeys(findings))


def _unanswered(error: Exception) -> str:
    """Say why something could not be looked at: what is refused elsewhere says so itself."""
    if isinstance(error, SQLAlchemyError):
        let_go()  # PostgreSQL answers nothing more in a transaction that failed
        fault = describe(getattr(error, "orig", error))
        return f"The database cannot be used ({fault}): see SQLALCHEMY_DATABASE_URI."
    if isinstance(error, RuntimeError):
        return str(error)
    return f"Not all could be looked at ({type(error).__name__}: {error})."


def notices() -> list[str]:
    """Return what somebody may want so, and no faults: what keeps customers from inviting, that
    mail is held, and that nobody is told of faults.

    Nothing where database or host cannot be asked, which :func:`examine` says.
    """
    found: dict[str, list[str]] = {}
    try:
        for view in checks.store_views():
            for each in explain(session(), Question(view)):
                found.setdefault(_notice(each), []).append(view.code)
        settings = settings_of(store_view(""))
    except (SQLAlchemyError, RuntimeError):
        return []
    said = _with_store_views(found)
    said += [HELD] if settings.hold_outbox else []
    return said if settings.staff_notice_address else [*said, NOBODY_TOLD]


def _with_store_views(found: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{text} (store views: {', '.join(codes)})" for text, codes in found.items()]


def _notice(finding: Finding) -> str:
    if finding.found is None:
        return finding.text
    scope, origin = finding.found.scope, finding.found.origin
    where = origin if scope is None else f"set in {scope.key}"
    return f"{finding.text} It is the setting {finding.setting}, {where}."


def _mounting(app: Flask) -> Iterator[str]:
    yield from checks.faults(app)


def _tables(app: Flask) -> Iterator[str]:
    found, newest = migrations.current(app), migrations.newest()
    if found != newest:
        yield f"The tables are at {found or 'base'}, not {newest}: run 'flask invitations upgrade'."
    if not migrations.is_guarded(app):
        yield (
            "'flask db migrate' would drop the invitations tables: mount Invitations after"
            " Flask-Migrate."
        )
    with engine().connect() as connection:
        if found == newest and not searchable.exist(connection):
            yield (
                "A search within addresses looks through all of them, for the database has no index"
                " of three letters: give it pg_trgm (PostgreSQL) or SQLite 3.34 with FTS5, then run"
                " 'flask invitations upgrade'."
            )
        if found == newest and not triggers.exist(connection):
            yield (
                "Reports miss what happens from now on, for the triggers that count it are gone:"
                " run 'flask invitations upgrade'."
            )


def _senders(app: Flask) -> Iterator[str]:
    remedy = "set MAIL_DEFAULT_SENDER or the host's senders()."
    for view in checks.store_views():
        senders = checks.senders(view)
        for sender in senders:
            for fault in faults(sender):
                yield f"The sender {sender.label} of store view {view.code}: {fault}; {remedy}"
        if not usable(senders):
            yield f"The store view {view.code} has no sender, so its mail waits: {remedy}"


def _chosen_senders(app: Flask) -> Iterator[str]:
    if migrations.current(app) != migrations.newest():
        return  # the settings cannot be read, which is said already
    for view in checks.store_views():
        senders, code = checks.senders(view), settings_of(view).email_sender
        is_known = code in {sender.code for sender in senders} or code == Settings().email_sender
        if not is_known and (found := usable(senders)):
            yield (
                f"The store view {view.code} has no sender {code!r} (any more), so {found[0].label}"
                f" is used: choose another one by the setting {SPECS['email_sender'].label!r}."
            )


def _limited_groups(app: Flask) -> Iterator[str]:
    if migrations.current(app) != migrations.newest():
        return
    found: dict[str, list[str]] = {}
    for view in checks.store_views():
        try:
            check_groups(settings_of(view).group_limits)
        except BadSetting as error:  # the group was there when the setting was saved
            found.setdefault(str(error), []).append(view.code)
    yield from _with_store_views(found)


def _mail_templates(app: Flask) -> Iterator[str]:
    if migrations.current(app) != migrations.newest():
        return
    known = dict(template_choices())
    for view in checks.store_views():
        code = settings_of(view).email_template
        if code not in known:
            yield (
                f"The store view {view.code} uses the mail template {code!r}, which is gone, so the"
                " default is used: choose another in the configuration."
            )
    for fault in mail_templates.faults(session()):
        yield (
            f"The mail template {fault.code!r} failed, so the default was used"
            f" ({fault.error}): mend it in the back office."
        )


def _server(app: Flask) -> Iterator[str]:
    try:
        with connect() as connection:
            if connection.host is None and not app.testing:
                yield "No mail leaves, though it counts as sent: take MAIL_SUPPRESS_SEND away."
    except Unreachable as error:
        yield f"The mail server cannot be used ({error}): see MAIL_SERVER and its neighbours."


def _circuit(app: Flask) -> Iterator[str]:
    if migrations.current(app) != migrations.newest():
        return
    found = circuit.look(session())
    if found.is_shut:
        yield (
            f"The mail server is left alone since {found.since:%Y-%m-%d %H:%M} UTC. {found.text}"
            " Ask who runs it why."
        )


def _mail_that_waits(app: Flask) -> Iterator[str]:
    if migrations.current(app) != migrations.newest():
        return
    yield from watch_words.findings(watch.look(session()), backlog.parked(session()))
    if app.config["INVITATIONS_METRICS_TOKEN"] and not metrics.is_available():
        yield f"{metrics.MISSING}."


def _purchases(app: Flask) -> Iterator[str]:
    if migrations.current(app) != migrations.newest():
        return
    try:
        purchases.try_next(session())
    except SQLAlchemyError:
        raise
    except Exception as error:
        yield (
            f"The host's purchases() failed ({type(error).__name__}: {error}), so what the reports"
            " say of purchases stays as it is."
        )


def _celery(app: Flask) -> Iterator[str]:
    bell = state().bell
    if bell is not None:
        yield from bell.faults()
    elif app.config["INVITATIONS_DELIVERY"] == "celery":
        yield "Nobody sends mail: call init_celery(app), or choose another INVITATIONS_DELIVERY."


def _sqlite(app: Flask) -> Iterator[str]:
    if engine().dialect.name != "sqlite":
        return
    with engine().connect() as connection:
        if connection.scalar(sa.text("PRAGMA journal_mode")) != "wal":
            yield (
                "SQLite runs without its write-ahead log, so readers and writers wait for each"
                " other: call configure_sqlite(db.engine) before the first request."
            )
