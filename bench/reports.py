"""The reports from the figures that are kept, beside the same counted over all the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
from sqlalchemy.orm import Session

from invitations_plugin.database import engine
from invitations_plugin.reports import (
    Period,
    behaviour,
    conversions,
    counting,
    customers,
    folding,
    invitations,
    preset,
    read_period,
)
from tests.support.stores import Store

from .filled import kind_of
from .report import Section, in_short, judged, table
from .timing import Contender, Once, Times, take_turns_at

OURS, ROWS, PLAIN = "ours, kept", "ours, rows", "GROUP BY"
INSIDE: Final = "of it in the database"
MOST, MOST_INVITERS = 0.010, 0.050  # seconds in the database
SECONDS: Final = 2.0  # that one of them spends on one report, whose slow ones take as long
TITLE = "Reports"
SHORT: Final = "Report by interval, slowest, ms in the database"
SHORT_INVITERS: Final = "Invited Customers by month, ms in the database"
GOALS = {SHORT: f"at most {MOST * 1000:g}", SHORT_INVITERS: f"at most {MOST_INVITERS * 1000:g}"}
ABOUT = f"""A report as Python gets it: all its statements and what is made of their rows, no page.
Everybody has a process of its own; all take turns at each report.

- *{OURS}*: the figures that triggers and the worker keep, as the pages read them.
- *{INSIDE}*: the same once more, and counted is only the time from the moment that a statement
  is given to the driver until all its rows are there, of all statements together. The driver's
  own work and the way to the server and back are in it, so it is more than the database's own;
  what SQLAlchemy does to make a statement, and Python with the rows, is not. Goals speak of this.
- *{ROWS}*: the same function over the invitations, as it is until the figures are there.
- *{PLAIN}*: what one writes by hand: the table grouped by the day of the database, in UTC.

Inviters by day or week with the most of a count are sought where the peak of an inviter's month
is that high, a day's revenue where a month brought as much. To sort by a week's revenue takes all
lines, and so do pages far behind the first."""
JOBS: Final = (
    "last 30 days by day",
    "half a year by day",
    "this year by month",
    "all by year",
    "half a year by day, one store view",
    "conversions, half a year by day",
    "inviters, this year by month",
    "inviters, most buyers by year",
    "inviters, last 30 days by day",
    "inviters by name, this year by month",
    "inviters searched, this year by month",
    "inviters with most sent, this year by month",
    "inviters, a search that finds nearly all, this year by month",
    "inviters and invitees, how they behave, half a year",
    "inviters by name, half a year by day",
    "inviters with most sent, half a year by day",
    "inviters, half a year by week",
    "inviters with most sent, half a year by week",
    "inviters with most accepted, half a year by day",
    "inviters with most revenue, half a year by day",
    "inviters with fewest accepted, half a year by day",
)
SEARCHED: Final = "beatrice"
COMMON: Final = "e"
CHUNK: Final = 250_000  # invitations that are counted in one go where nobody else writes
BY_MONTH: Final = JOBS[6]
INVITERS: Final = "inviters"


SENT = "from invitations_invitation as i where sent_at >= :first"
TURNED = (
    f"select count(*) {SENT} and status = 'accepted' and exists (select 1 from"
    " invitations_invitation as o where o.inviter_key = i.customer_key and o.sent_at is not null)"
)
PAID = "select invitation_id, sum(amount) as amount from invitations_purchase group by 1"
BOUGHT = "(select min(first_at) from invitations_purchase where invitation_id = i.id)"
SPREADS = {
    "sqlite": "select seconds from (select seconds, row_number() over (order by seconds) as place,"
    " count(*) over () as number from (select julianday({0}) - julianday(sent_at) as seconds"
    " {1})) where place in ((number + 1) / 2, (number * 9 + 9) / 10)",
    "postgresql": "select percentile_disc(array[0.5, 0.9]) within group (order by {0} - sent_at)"
    " {1}",
}
# How people behave, as one asks the table: how many invite, invite in turn, and how long it takes.
BEHAVE: Final = {
    name: (
        f"select count(distinct inviter_key), count(*) {SENT} and inviter_key <> ''",
        TURNED,
        spread.format("registered_at", f"{SENT} and status = 'accepted'"),
        spread.format(BOUGHT, f"{SENT} and {BOUGHT} is not null"),
    )
    for name, spread in SPREADS.items()
}


def measure(urls: Sequence[str], requests: int) -> Section:
    """Compare them on databases that are filled."""
    parts, short = [ABOUT], {}
    with TemporaryDirectory() as name:
        for url in urls:
            _settle(url, Path(name))
            contenders = [
                Contender(each, contend, (each, url, name)) for each in (OURS, INSIDE, ROWS, PLAIN)
            ]
            found = take_turns_at(JOBS, contenders, requests, SECONDS, f"reports, {kind_of(url)}")
            parts += [f"**{kind_of(url)}**", _told(found), _verdict(found)]
            slowest, inviters = _slowest(found), found[BY_MONTH][INSIDE].p50
            short[kind_of(url)] = {
                SHORT: f"{slowest * 1000:.1f}",
                SHORT_INVITERS: f"{inviters * 1000:.1f}",
            }
    return Section(TITLE, "\n\n".join(parts), in_short(short, GOALS))


def _settle(url: str, folder: Path) -> None:
    """Have everything folded, and what PostgreSQL does by itself after a while done."""
    with closing(_store(url, folder)) as store, store.session():
        folding.keep(chunk=CHUNK)
    own = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    if own.dialect.name == "postgresql":
        with own.connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    own.dispose()


def _store(url: str, folder: Path) -> Store:
    return Store(DATABASE_URL=url, INSTANCE_PATH=str(folder), INVITATIONS_DELIVERY="none")


@contextmanager
def contend(name: str, url: str, folder: str) -> Iterator[Once]:
    """Yield what makes one report, by one of the three ways."""
    with closing(_store(url, Path(folder))) as store, store.session() as db:
        if name == ROWS:
            counting.from_figures = lambda db, period, kept, counted: counted(db, period)
            for report in (customers, conversions, behaviour):
                report.__globals__["from_figures"] = counting.from_figures
        jobs = _plain(db) if name == PLAIN else _ours(db)
        inside = _InDatabase(engine()) if name == INSIDE else None

        def once(job: str) -> float:
            start = perf_counter()
            jobs[job]()
            seconds = perf_counter() - start
            db.rollback()
            return inside.taken() if inside else seconds

        yield once


class _InDatabase:
    """Adds up what statements take, each from the call of the driver to its last row."""

    def __init__(self, engine: sa.Engine) -> None:
        self._seconds, self._start = 0.0, 0.0
        sa.event.listen(engine, "before_cursor_execute", self._begin)
        sa.event.listen(engine, "after_cursor_execute", self._end)

    def taken(self) -> float:
        """Return the seconds since it was asked before."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _begin(self, *_: object) -> None:
        self._start = perf_counter()

    def _end(self, _: object, cursor: Any, __: str, ___: object, context: Any, ____: bool) -> None:
        """Fetch at once, too: SQLite looks for rows when they are asked for."""
        if cursor.description is not None:
            rows, columns = cursor.fetchall(), cursor.description
            fetched = FullyBufferedCursorFetchStrategy(cursor, columns, rows)
            context.cursor_fetch_strategy = fetched
        self._seconds += perf_counter() - self._start


def _ours(db: Session) -> Mapping[str, Callable[[], object]]:
    month, half, year, every, view = _periods()
    return {
        JOBS[0]: lambda: invitations(db, month),
        JOBS[1]: lambda: invitations(db, half),
        JOBS[2]: lambda: invitations(db, year),
        JOBS[3]: lambda: invitations(db, every),
        JOBS[4]: lambda: invitations(db, view),
        JOBS[5]: lambda: conversions(db, half),
        JOBS[6]: lambda: customers(db, year),
        JOBS[7]: lambda: customers(db, every, "purchased"),
        JOBS[8]: lambda: customers(db, month),
        JOBS[9]: lambda: customers(db, year, "name", "asc"),
        JOBS[10]: lambda: customers(db, year, search=SEARCHED),
        JOBS[11]: lambda: customers(db, year, "sent"),
        JOBS[12]: lambda: customers(db, year, search=COMMON),
        JOBS[13]: lambda: behaviour(db, half),
        JOBS[14]: lambda: customers(db, half, "name", "asc"),
        JOBS[15]: lambda: customers(db, half, "sent"),
        JOBS[16]: lambda: customers(db, replace(half, by="week")),
        JOBS[17]: lambda: customers(db, replace(half, by="week"), "sent"),
        JOBS[18]: lambda: customers(db, half, "accepted"),
        JOBS[19]: lambda: customers(db, half, "revenue"),
        JOBS[20]: lambda: customers(db, half, "accepted", "asc"),
    }


def _periods() -> tuple[Period, ...]:
    usual = read_period({}).period
    if usual is None:
        raise RuntimeError("The usual period cannot be read.")
    month, year = preset("30", usual), preset("year", usual)
    quarter = preset("90", usual)
    half = Period("", quarter.first.replace(day=1), usual.last, "day", usual.timezone)
    first = half.first.replace(month=max(1, half.first.month - 3))
    half = Period("", first, usual.last, "day", usual.timezone)
    every = Period("", date(2020, 1, 1), usual.last, "year", usual.timezone)
    return month, half, year, every, Period("store:en", first, usual.last, "day", usual.timezone)


def _plain(db: Session) -> Mapping[str, Callable[[], object]]:
    is_sqlite = db.get_bind().dialect.name == "sqlite"
    day = "date(sent_at)" if is_sqlite else "sent_at::date"
    month = "substr(sent_at, 1, 7)" if is_sqlite else "date_trunc('month', sent_at)"
    year = "substr(sent_at, 1, 4)" if is_sqlite else "date_trunc('year', sent_at)"
    week = "strftime('%Y-%W', sent_at)" if is_sqlite else "date_trunc('week', sent_at)"
    last, half, this, every, _ = _periods()
    bought = "select distinct invitation_id from invitations_purchase"

    def job(
        keys: str,
        period: Period,
        more: str = "",
        join: str = "",
        end: str = "",
        text: str = SEARCHED,
    ) -> Any:
        # made of what stands here
        query = sa.text(
            f"select {keys}, count(*) as sent,"
            " sum(case when status = 'accepted' then 1 else 0 end),"
            " sum(case when status = 'discarded' then 1 else 0 end)"
            f" from invitations_invitation {join} where sent_at >= :first {more}"
            f" group by {keys} {end}"
        )
        given = {"first": period.whole.begins, "text": f"%{text}%"}
        return lambda: db.execute(query, given).all()

    def behave() -> None:
        given = {"first": half.whole.begins}
        for query in BEHAVE[db.get_bind().dialect.name]:
            db.execute(sa.text(query), given).all()

    by_month, by_day = f"{month}, inviter_key", f"{day}, inviter_key"
    page = "order by 1 desc, sent desc limit 50"
    by_name = "order by lower(max(inviter_name)), sent desc limit 50"
    named = " or ".join(f"lower({each}) like :text" for each in ("inviter_name", "inviter_email"))
    paid = f"left join ({PAID}) as p on p.invitation_id = id"
    richest = "order by coalesce(sum(p.amount), 0) desc limit 50"
    left = f"left join ({bought}) as b on b.invitation_id = id"
    return {
        JOBS[0]: job(day, last),
        JOBS[1]: job(day, half),
        JOBS[2]: job(month, this),
        JOBS[3]: job(year, every),
        JOBS[4]: job(day, half, "and store_view = 'en'"),
        JOBS[5]: job(day, half, join=left),
        JOBS[6]: job(by_month, this, end=page),
        JOBS[7]: job(f"{year}, inviter_key", every, join=left, end=page),
        JOBS[8]: job(by_day, last, end=page),
        JOBS[9]: job(by_month, this, end=by_name),
        JOBS[10]: job(by_month, this, f"and ({named})", end=page),
        JOBS[11]: job(by_month, this, end="order by sent desc limit 50"),
        JOBS[12]: job(by_month, this, f"and ({named})", end=page, text=COMMON),
        JOBS[13]: behave,
        JOBS[14]: job(by_day, half, end=by_name),
        JOBS[15]: job(by_day, half, end="order by sent desc limit 50"),
        JOBS[16]: job(f"{week}, inviter_key", half, end=page),
        JOBS[17]: job(f"{week}, inviter_key", half, end="order by sent desc limit 50"),
        JOBS[18]: job(by_day, half, end="order by 4 desc limit 50"),
        JOBS[19]: job(by_day, half, join=paid, end=richest),
        JOBS[20]: job(by_day, half, end="order by 4 limit 50"),
    }


def _slowest(found: Mapping[str, Mapping[str, Times]]) -> float:
    return max(each[INSIDE].p50 for job, each in found.items() if not job.startswith(INVITERS))


def _told(found: Mapping[str, Mapping[str, Times]]) -> str:
    rows = []
    for job, times in found.items():
        base = times[PLAIN].p50
        taken = [f"{times[name].p50 * 1000:,.1f}" for name in (OURS, INSIDE, ROWS, PLAIN)]
        rows.append((job, *taken, f"{base / times[OURS].p50:,.0f}"))
    heads = ("report", *(f"{name}, ms" for name in (OURS, INSIDE, ROWS, PLAIN)), "times faster")
    return table(heads, rows)


def _verdict(found: Mapping[str, Mapping[str, Times]]) -> str:
    lines = []
    for job, times in found.items():
        most = MOST_INVITERS if job.startswith(INVITERS) else MOST
        seconds = times[INSIDE].p50
        goal = f"7: {job}, at most {most * 1000:g} ms in the database"
        lines.append(judged(goal, f"{seconds * 1000:.1f} ms", seconds <= most))
    return "Goals:\n\n" + "\n".join(lines)
