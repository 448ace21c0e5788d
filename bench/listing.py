"""My Invitations: the page of somebody with many rows beside that of somebody with few."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from time import perf_counter
from typing import Any

from werkzeug.test import EnvironBuilder, run_wsgi_app

from invitations_plugin.clock import now
from invitations_plugin.database import engine
from tests.support.rows import by, insert, row
from tests.support.stores import LIST, Store

from .places import Places, both
from .report import Section, in_short, times_table
from .timing import Contender, Once, Times, take_turns

FEW, MANY, OTHERS = 10, 10_000, 90_000
BASE, ALL = f"{FEW} rows", f"{MANY:,} rows"
SHORT = f"My Invitations of {MANY:,} rows, last page by the first"
TITLE = "My Invitations"
ABOUT = f"""One GET of the list, as the server's work from the WSGI call to the end of the answer:
up to twenty rows, the figures above them, and who asks for a fresh link. One customer has {FEW}
rows, another has {MANY:,}, and {OTHERS:,} belong to others. Each page has a process of its own; all
take turns, in an order that changes each round. A page of {FEW} rows has half as many to show.

- *deep*: the page of the oldest rows.
- *rarest status*: a filter that one row of them all passes, the oldest.
- *who asks*: the filter of friends who ask for a fresh link."""
STATUSES, WEIGHTS = ("sent", "accepted", "expired", "discarded", "declined"), (30, 20, 40, 6, 4)


def measure(requests: int) -> Section:
    """Compare the pages on both databases."""
    parts, short = [ABOUT], {}
    for places in both():
        found = take_turns(_contenders(places), requests, f"my invitations, {places.kind}")
        version = places.version()
        parts.append(_told(version, found))
        short[version.partition(" ")[0]] = {SHORT: f"{_deep(found):.2f}"}
    return Section(TITLE, "\n\n".join(parts), in_short(short, {SHORT: "-"}))


def _contenders(places: Places) -> Iterator[Contender]:
    url = places.url("listing")
    with closing(places.store(url)) as store:
        oldest = _fill(store)
    many = Store.inviter
    pages = {
        BASE: (Store.other_inviter, LIST),
        ALL: (many, LIST),
        f"{ALL}, deep": (many, f"{LIST}?after={oldest - 1}"),
        f"{ALL}, accepted": (many, f"{LIST}?status=accepted"),
        f"{ALL}, rarest status": (many, f"{LIST}?status=not_sent"),
        f"{ALL}, who asks": (many, f"{LIST}?status=asked"),
    }
    for name, (who, path) in pages.items():
        yield Contender(name, page, (url, str(places.folder), who, path))


def _fill(store: Store) -> int:
    """Write everybody's rows; return the id of the customer's first one."""
    chance = random.Random(1)
    mine = by(store)
    rarest = row("first@example.com", "not_sent", mail_state="failed", **mine)
    [oldest] = insert(store, [rarest])
    owners = [mine] * (MANY - 1) + [by(store, store.other_inviter)] * FEW
    owners += [{"inviter_key": f"gone:{chance.randrange(500)}"} for _ in range(OTHERS)]
    chance.shuffle(owners)
    rows = [_row(number, owner, chance) for number, owner in enumerate(owners)]
    for start in range(0, len(rows), 5000):
        insert(store, rows[start : start + 5000])
    _settle(store)
    return oldest


def _row(number: int, owner: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    [status] = chance.choices(STATUSES, WEIGHTS)
    made = now() - timedelta(days=25 * chance.random())
    asks = status == "expired" and chance.random() < 0.01
    more = {"created_at": made, "asked_at": now() if asks else None}
    return row(f"friend{number}@example.com", status, **more, **owner)


def _settle(store: Store) -> None:
    """Let PostgreSQL do at once what it does by itself after a while."""
    with store.app.app_context():
        target = engine()
    if target.dialect.name == "postgresql":
        with target.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


@contextmanager
def page(url: str, instance: str, who: str, path: str) -> Iterator[Once]:
    """The sample store with a signed-in customer who looks at one page."""
    with closing(
        Store(DATABASE_URL=url, INSTANCE_PATH=instance, INVITATIONS_DELIVERY="none")
    ) as store:
        visitor = store.customer(who)
        cookie = visitor.client.get_cookie(store.app.config["SESSION_COOKIE_NAME"])
        if cookie is None:
            raise RuntimeError("Nobody is signed in.")
        headers = [("Cookie", f"{cookie.key}={cookie.value}")]

        def get() -> float:
            environ = EnvironBuilder(path, headers=headers).get_environ()
            start = perf_counter()
            answer, status, _ = run_wsgi_app(store.app, environ, buffered=True)
            seconds = perf_counter() - start
            if not status.startswith("200") or b"data-invitation-id" not in b"".join(answer):
                raise RuntimeError(f"{path} answered {status}")
            return seconds

        yield get


def _deep(found: dict[str, Times]) -> float:
    return found[f"{ALL}, deep"].p50 / found[ALL].p50


def _told(database: str, found: dict[str, Times]) -> str:
    """Return the table of one database, and how a deep page compares with the first."""
    said = f"Deep page against first page: {_deep(found):.2f}."
    return f"**{database}**\n\n{times_table('page', found, BASE)}\n\n{said}"
