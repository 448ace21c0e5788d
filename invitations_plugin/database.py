"""The store's session, and transactions that wait their turn instead of failing."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from flask import current_app, g
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import ORMExecuteState, Session, scoped_session
from sqlalchemy.sql import visitors

from .models import Base

T = TypeVar("T")
Runner = Session | sa.Connection  # what runs statements of ours, within one transaction

PATIENCE = 8.0  # seconds that a request waits for its turn before it answers 503
PASSING_STATES = {"40001", "40P01", "55P03"}  # serialization, deadlock, lock not available
CANCELED: Final = "57014"  # PostgreSQL's state of a statement that was stopped
FLUSHED: Final = "invitations_flushed"
ONLY_READS: Final = "_invitations_only_reads"
STEPS: Final = 10_000  # of SQLite's machine between two looks at the clock: about a millisecond


class Busy(Exception):
    """The database cannot be written to just now; try again in a moment."""


class TooSlow(Exception):
    """What was asked of the database took longer than it may."""


def session() -> Session:
    """Return the store's own session for this request or batch."""
    scoped: scoped_session[Session] = current_app.extensions["sqlalchemy"].session
    return scoped()


def let_go(error: BaseException | None = None) -> None:
    """End what an app context still reads, right before Flask-SQLAlchemy would.

    A database that goes away once a page is made takes the page along there: the error of
    that end would be the answer.
    """
    scoped: scoped_session[Session] = current_app.extensions["sqlalchemy"].session
    if scoped.registry.has():
        used = scoped()
        with suppress(DBAPIError):
            if error is None and g.pop(ONLY_READS, False) and _is_clean(used):
                used.commit()
            used.close()


def _is_clean(used: Session) -> bool:
    return not (used.new or used.dirty or used.deleted or FLUSHED in used.info)


def _note_flush(used: Session, context: object) -> None:
    used.info[FLUSHED] = True


def end_reading_by_commit() -> None:
    """Have a request that only reads end its transaction by COMMIT, if all goes well.

    At each ROLLBACK psycopg forgets which statements come again, and PostgreSQL has to read and
    plan them anew. Those that are for a few rows or for nearly all want :func:`planning`. What
    the store changed in its session and did not commit is not committed.
    """
    setattr(g, ONLY_READS, True)


def our_connection() -> sa.Connection:
    """Return what :func:`session` runs our statements over, in the same transaction.

    For those that run for every mail: the session's own way to it takes half as long again.
    """
    return session().connection(bind_arguments={"bind": engine()})


def keep_on_bind(scoped: scoped_session[Session]) -> None:
    """Have statements that name our tables alone run where these live.

    Flask-SQLAlchemy asks for the bind of what is selected first. A subquery, an EXISTS or a
    number has none: that would go to the default bind.
    """
    if not sa.event.contains(scoped, "do_orm_execute", _choose_engine):
        sa.event.listen(scoped, "do_orm_execute", _choose_engine)
        sa.event.listen(scoped, "after_flush", _note_flush)


def _choose_engine(asked: ORMExecuteState) -> None:
    chosen = asked.bind_arguments
    if not chosen.keys() & {"bind", "mapper"} and _names_ours(asked.statement):
        chosen["bind"] = engine()


def _names_ours(statement: Any) -> bool:
    return any(
        isinstance(each, sa.Table) and each.metadata is Base.metadata
        for each in visitors.iterate(statement)
    )


def engine() -> sa.Engine:
    """Return the engine that our tables live on."""
    key = current_app.config["INVITATIONS_BIND_KEY"]
    found: sa.Engine = current_app.extensions["sqlalchemy"].engines[key]
    return found


def is_postgresql() -> bool:
    """Return whether our tables live on PostgreSQL, where a statement may change several."""
    return engine().dialect.name == "postgresql"


def atomically(work: Callable[[], T]) -> T:
    """Do work and commit; after a lost race for a lock, once more from the start.

    :raises Busy: when the database does not let us for :data:`PATIENCE` seconds.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return committed(work)
        except OperationalError as error:
            if not is_passing(error) or time.monotonic() > deadline:
                raise Busy from error
            time.sleep(random.uniform(0.01, 0.1))


def writers_of(session: Session, table: str) -> frozenset[str]:
    """Return which transactions have changed a table, or are about to, and are not over yet.

    What they did is seen by nobody; SQLite has one writer, so whoever writes there sees it all.
    """
    connection = session.connection(bind_arguments={"bind": engine()})
    if _is_sqlite(connection):
        return frozenset()
    query = sa.text(
        "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND granted"
        " AND relation = to_regclass(:table) AND mode = 'RowExclusiveLock'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return frozenset(connection.scalars(query, {"table": table}))


def committed(work: Callable[[], T]) -> T:
    """Do work and commit, or nothing of it."""
    try:
        result = work()
        used = session()
        if used.in_transaction():  # else it asked for nothing: a commit begins one to end it
            used.commit()
    except BaseException:
        session().rollback()
        raise
    return result


@contextmanager
def time_limit(seconds: float, *, is_set: bool = False) -> Iterator[None]:
    """Stop what reads for longer; on PostgreSQL each statement, until the transaction ends.

    :param is_set: PostgreSQL was told by :func:`limiting` in this transaction.
    :raises TooSlow: when something was stopped; the session is rolled back.
    """
    used = our_connection()
    sqlite = used.connection.dbapi_connection if _is_sqlite(used) else None
    if sqlite is not None:
        end = time.monotonic() + seconds
        sqlite.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    elif not is_set:
        used.exec_driver_sql(f"SET LOCAL statement_timeout = {_milliseconds(seconds)}")
    try:
        yield
    except OperationalError as error:
        if not _was_stopped(error):
            raise
        session().rollback()
        raise TooSlow from error
    finally:
        if sqlite is not None:
            sqlite.set_progress_handler(None, 0)


def limiting(seconds: float) -> sa.ColumnElement[str]:
    """Return what sets :func:`time_limit` on PostgreSQL as a column of a statement that runs
    anyway: a statement of its own is a way to the server and back.
    """
    milliseconds = str(_milliseconds(seconds))
    return sa.func.set_config("statement_timeout", milliseconds, True, type_=sa.Text())


def planning() -> sa.ColumnElement[str]:
    """Return, like :func:`limiting`, what has PostgreSQL plan statements for the values that they
    are given: the plan for any value is a bad one for rare values.
    """
    return sa.func.set_config("plan_cache_mode", "force_custom_plan", True, type_=sa.Text())


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def compile_nothing(session: Session) -> None:
    """Keep PostgreSQL until the transaction's end from compiling statements that look costly.

    It takes up to half a second for one that runs for some hundredths.
    """
    connection = session.connection(bind_arguments={"bind": engine()})
    if not _is_sqlite(connection):
        connection.exec_driver_sql("SET LOCAL jit = off")


def _is_sqlite(connection: sa.Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _was_stopped(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlstate", "") == CANCELED or str(error.orig) == "interrupted"


def insert_into(session: Session, model: type[Any]) -> Any:
    """Return an INSERT that knows ON CONFLICT, as both databases spell it alike."""
    return insert_for(session.get_bind(model).dialect.name, model)


def insert_for(dialect: str, model: Any) -> Any:
    """Return :func:`insert_into` for a database of this name."""
    return postgresql.insert(model) if dialect == "postgresql" else sqlite.insert(model)


def insert_many(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[dict[str, Any]],
    on_conflict: Callable[[Any], Any],
) -> None:
    """Insert rows that have the same columns.

    PostgreSQL gets them as one JSON document: drivers there need ten times as long to read a
    statement with a parameter for each value as the server needs to carry it out.

    :param on_conflict: says of the INSERT what becomes of a row whose key is there.
    """
    if connection.dialect.name == "sqlite":
        _insert_tuples(connection, table, on_conflict(sqlite.insert(table)), rows)
        return
    columns = [table.c[name] for name in rows[0]]
    document = sa.cast(sa.literal(json.dumps(rows, default=str), sa.Text()), sa.JSON())
    typed = [sa.column(each.name, each.type) for each in columns]
    listed = sa.func.json_to_recordset(document).table_valued(*typed)
    query = sa.select(*listed.render_derived(with_types=True).c)
    connection.execute(on_conflict(postgresql.insert(table).from_select(columns, query)))


def _insert_tuples(
    connection: sa.Connection, table: sa.Table, statement: Any, rows: Sequence[dict[str, Any]]
) -> None:
    """Insert rows on SQLite as its driver takes them.

    SQLAlchemy makes a dictionary of each row, which takes longer than to write it.
    """
    dialect = connection.dialect
    compiled = statement.compile(dialect=dialect, column_keys=list(rows[0]))
    names = compiled.positiontup or []
    if not set(names) <= rows[0].keys():  # a column has a default, or the conflict a value
        connection.execute(statement, rows)
        return
    values = []
    for name in names:
        process = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        column = [row[name] for row in rows]
        values.append(list(map(process, column)) if process is not None else column)
    connection.exec_driver_sql(str(compiled), list(zip(*values, strict=True)))


def among(column: Any, ids: Sequence[int]) -> sa.ColumnElement[bool]:
    """Return as SQL that a column is one of many ids, which go as one parameter.

    Some thousand parameters would cost more than what is done to their rows.
    """
    dialect = engine().dialect.name
    return is_among(column, sa.literal(many(ids, dialect), _many_type(dialect)), dialect)


def is_among(column: Any, ids: Any, dialect: str) -> sa.ColumnElement[bool]:
    """Return the same of a parameter, given :func:`many` when the statement is run."""
    found: sa.ColumnElement[bool]
    if dialect == "postgresql":
        found = column == sa.any_(ids)
    else:
        listed = sa.func.json_each(ids).table_valued("value")
        found = column.in_(sa.select(listed.c.value))
    return found


def parameter_of_many(name: str, dialect: str) -> sa.BindParameter[Any]:
    """Return a parameter for many ids."""
    return sa.bindparam(name, type_=_many_type(dialect))


def many(ids: Sequence[int], dialect: str) -> Any:
    """Return many ids as one value."""
    return list(ids) if dialect == "postgresql" else json.dumps(list(ids))


def _many_type(dialect: str) -> Any:
    return sa.ARRAY(sa.BigInteger) if dialect == "postgresql" else sa.Text()


def in_one(query: sa.Select[Any], dialect: str) -> sa.Select[Any]:
    """Return a query of ids as one of a single value, for :func:`ids_of`.

    A thousand rows cost more to fetch than to find.
    """
    [column] = query.limit(sa.bindparam("limit_of_ids", type_=sa.Integer)).subquery().c
    listed: Any = sa.func.json_group_array(column)
    if dialect == "postgresql":
        listed = sa.func.coalesce(sa.func.array_agg(column), sa.text("'{}'"))
    most = sa.bindparam("most_ids", type_=sa.Integer)
    return sa.select(sa.case((sa.func.count() <= most, listed)))


def ids_of(
    connection: sa.Connection, query: sa.Select[Any], values: Mapping[str, Any], most: int
) -> list[int] | None:
    """Return the ids that a query made by :func:`in_one` finds, None where they are more."""
    limits = {"limit_of_ids": most + 1, "most_ids": most}
    found: Any = connection.scalar(query, {**values, **limits})
    ids: list[int] | None = json.loads(found) if isinstance(found, str) else found
    return ids


def is_passing(error: DBAPIError) -> bool:
    """Return whether an error comes from somebody else's lock and goes by itself."""
    state = getattr(error.orig, "sqlstate", None)
    text = str(error.orig)
    return state in PASSING_STATES or "database is locked" in text or "is locked" in text


def configure_sqlite(engine: sa.Engine) -> None:
    """Make an SQLite engine of the store fit for several writers: WAL, durable commits,
    foreign keys, ten seconds of patience and 16 MB of pages a connection. Does nothing on other
    databases.
    """
    if engine.dialect.name != "sqlite":
        return

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: object, record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in (
            "busy_timeout = 10000",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "cache_size = -16000",  # KiB; with 2,000 a mass action writes pages twice
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
