"""The limit: the grid by hand, SQL on the plugin's indexes and one template.

No login, no CSRF, no translations, no ORM; pages by key, counts that stop at 1,001. What the
tables lack for it, an index of three letters over the addresses, is made beside them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from flask import Flask, render_template, request

COLUMNS = (
    ("id", "ID"),
    ("inviter_email", "Email"),
    ("email", "Invitee"),
    ("sent_at", "Sent"),
    ("registered_at", "Registered"),
    ("status", "Status"),
    ("website", "Valid Website"),
    ("group_code", "Invitee Group"),
)
SORTS = dict(
    zip(
        ("id", "email", "invitee", "sent", "registered", "status", "website", "group"),
        [name for name, _ in COLUMNS],
        strict=True,
    )
)
# As the indexes of the plugin have them: in any case.
SORTS |= {"email": "lower(inviter_email)", "invitee": "lower(email)"}
# The address's argument, as SQL; the rarest of them names the index to walk on SQLite.
FILTERS = {
    "email": "lower(inviter_email) = ?",
    "group": "group_code = ?",
    "website": "website = ?",
    "status": "status = ?",
    "sent_from": "sent_at >= ?",
    "sent_to": "sent_at < ?",
}
WALKED = {"group": "group_code_id", "website": "website_id", "status": "status_id"}
WIDE = "status_website_group_code_sent_at_id"  # which counts several filters
ANY_STATUS = "status in ('sent', 'not_sent', 'accepted', 'discarded', 'declined', 'expired')"
NULLABLE = ("lower(inviter_email)", "lower(email)", "sent_at", "registered_at")
CAP = 1001
TABLE = "invitations_invitation"
SELECT = f"select {', '.join(name for name, _ in COLUMNS)} from {TABLE}"
HEADS = [(code, label) for code, (_, label) in zip(SORTS, COLUMNS, strict=True)]
CHOICES = {
    "status": ("sent", "not_sent", "accepted", "discarded", "declined", "expired"),
    "website": ("main", "private"),
    "group": ("general", "wholesale", "retailer", "vip"),
}


class Sqlite:
    """SQLite, set up as the store's own."""

    like = "email like ?"

    def __init__(self, url: sa.URL) -> None:
        self.connection = sqlite3.connect(str(url.database), isolation_level=None)
        self.connection.execute("pragma journal_mode = wal")

    def rows(self, query: str, values: Sequence[Any]) -> list[Any]:
        return self.connection.execute(query, values).fetchall()

    def index(self, name: str | None) -> str:
        return f" indexed by ix_{TABLE}_{name}" if name else ""

    def found(self, text: str) -> list[int]:
        query = f"select rowid from bench_search where email like ? limit {CAP}"
        return [number for (number,) in self.rows(query, [f"%{text}%"])]

    def among(self, ids: list[int]) -> tuple[str, list[Any]]:
        return "id in (select value from json_each(?))", [json.dumps(ids)]


class Postgresql:
    """PostgreSQL by psycopg, which prepares what comes again."""

    like = "email ilike ?"

    def __init__(self, url: sa.URL) -> None:
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.connection = psycopg.connect(plain, autocommit=True)

    def rows(self, query: str, values: Sequence[Any]) -> list[Any]:
        return self.connection.execute(query.replace("?", "%s"), values).fetchall()

    def index(self, name: str | None) -> str:
        return ""

    def found(self, text: str) -> list[int]:
        query = f"select id from bench_search where email ilike ? limit {CAP}"
        return [number for (number,) in self.rows(query, [f"%{text}%"])]

    def among(self, ids: list[int]) -> tuple[str, list[Any]]:
        return "id = any(?)", [ids]


def prepare(url: str) -> None:
    """Make the index of three letters that the limit searches by."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        statements = [
            "create virtual table bench_search using fts5(email, content='invitations_invitation',"
            " content_rowid='id', detail=none, tokenize='trigram')",
            "insert into bench_search (bench_search) values ('rebuild')",
        ]
    else:
        statements = [
            "create extension if not exists pg_trgm",
            f"create table bench_search as select id, email from {TABLE}",
            "create index on bench_search using gin (email gin_trgm_ops)",
            f"vacuum analyze bench_search, {TABLE}",
        ]
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("bench_search"):
            for statement in statements:
                connection.exec_driver_sql(statement)
    engine.dispose()


def create_app(url: str) -> Flask:
    """Build the app, which has this one page."""
    parsed = sa.make_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    database: Sqlite | Postgresql = Sqlite(parsed) if is_sqlite else Postgresql(parsed)
    app = Flask("grid_limit", template_folder=str(Path(__file__).parent))

    @app.get("/")
    def grid() -> str:
        args = request.args
        size = int(args.get("size", 20))
        rows, total = _read(database, args, size)
        return render_template(
            "grid_limit.html",
            rows=rows[:size],
            total=total if total < CAP else "1,000+",
            heads=HEADS,
            choices=CHOICES,
            ranges=("id", "sent", "registered"),
            args=args,
            sort=args.get("sort", "id"),
            upto=rows[0][0] if rows else 0,
            pager=[("First", ""), ("Next", f"after={rows[size][0]}")] if len(rows) > size else [],
        )

    return app


def _read(database: Sqlite | Postgresql, args: Any, size: int) -> tuple[list[Any], int]:
    """Return one row more than a page has, and how many match up to the cap."""
    given = [name for name in FILTERS if args.get(name)]
    conditions = [FILTERS[name] for name in given]
    values: list[Any] = [args[name] for name in given]
    column, order = SORTS[args.get("sort", "id")], args.get("dir", "desc")
    text = args.get("invitee", "")
    if text:
        ids = database.found(text)
        if len(ids) < CAP:
            condition, more = database.among(ids)
        else:
            condition, more = database.like, [f"%{text}%"]
        conditions, values = [*conditions, condition], [*values, *more]
    # Of several filters the first names the index; a month or an address has its own.
    plain = column == "id" and not text and "email" not in given and len(given) > 1
    walked = database.index(WALKED[given[0]] if plain and given[0] in WALKED else None)
    wide = database.index(WIDE) if walked else ""
    if wide and "status" not in given:
        conditions = [*conditions, ANY_STATUS]
    hint, matching = wide, f"{_where(conditions)} limit {CAP}"
    total = database.rows(f"select count(*) from (select 1 from {TABLE}{hint}{matching}) t", values)
    if total[0][0] == CAP:  # many: they are soon met on the way; few are sorted
        hint = walked
    if column in NULLABLE:
        conditions = [*conditions, f"{column} is not null"]
    if args.get("after"):
        number, _, key = args["after"].partition(":")
        sign = "<" if order == "desc" else ">"
        compared = f"({column}, id) {sign} (?, ?)" if key else f"id {sign} ?"
        conditions, values = [*conditions, compared], [*values, *([key] if key else []), number]
    by = f"{column} {order}" + ("" if column == "id" else f", id {order}")
    query = f"{SELECT}{hint}{_where(conditions)} order by {by} limit {size + 1}"
    return database.rows(query, values), int(total[0][0])


def _where(conditions: Sequence[str]) -> str:
    return f" where {' and '.join(conditions)}" if conditions else ""
