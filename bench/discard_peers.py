"""Who discards everything that expired up to an id, each in its own way."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session

from invitations_plugin.clock import now
from invitations_plugin.models import History, Invitation
from tests.support.stores import Store

from .picked import Task

OURS, LIMIT, LOOP, DJANGO = "ours", "limit", "ORM loop", "Django admin"
GRID, ACTIONS = "/admin/invitations/", "/admin/invitations/actions"
WHERE = "where status = 'expired' and id <= ?"
UPDATE = f"""update invitations_invitation
    set status = 'discarded', discarded_by = 'staff', version = version + 1 {WHERE}"""
NOTED = "invitation_id, at, actor_kind, actor_key, actor_name, action, from_status, to_status"
NOTE = "id, ?, 'staff', '1', 'Ada Admin', 'discard', 'expired', 'discarded'"
Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question before the action: bytes sent, bytes shown, seconds."""

    request: int
    page: int
    seconds: float


@contextmanager
def contend(name: str, url: str, folder: str, task: Task) -> Iterator[Callable[[], float]]:
    """Yield a function that discards all of them and returns the seconds."""
    with OPENED[name](url, folder, task) as work:

        def once() -> float:
            start = perf_counter()
            work()
            return perf_counter() - start

        yield once


class _Ours:
    """The sample store with its administrator at the grid."""

    def __init__(self, store: Store, task: Task) -> None:
        self._store, self._admin = store, store.staff()
        self._form = {"action": "discard", "select": "all", "status": "expired"}
        self._form["upto"] = str(task.upto)
        self._admin.get(GRID)

    def work(self) -> None:
        answer = self._admin.post(ACTIONS, self._form | {"confirm": "1"})
        if "/jobs/" not in answer.location:
            raise RuntimeError("There are too few for a job.")
        self._store.run_jobs()

    def ask(self) -> Asked:
        return _ask(self._admin.client, ACTIONS, self._form | {"csrf_token": self._admin.token})


@contextmanager
def _ours(url: str, folder: str, task: Task) -> Iterator[_Ours]:
    logging.getLogger("invitations_plugin").setLevel(logging.ERROR)
    config = {"DATABASE_URL": url, "INSTANCE_PATH": folder, "INVITATIONS_DELIVERY": "none"}
    with closing(Store(**config)) as store:
        yield _Ours(store, task)


@contextmanager
def _ours_at_work(url: str, folder: str, task: Task) -> Iterator[Work]:
    with _ours(url, folder, task) as ours:
        yield ours.work


@contextmanager
def _limit(url: str, folder: str, task: Task) -> Iterator[Work]:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        connection = sqlite3.connect(str(parsed.database), isolation_level=None)
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma cache_size = -16000")
        yield lambda: _on_sqlite(connection, task)
    else:
        plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain) as server:
            yield lambda: _on_postgresql(server, task)


def _on_sqlite(connection: sqlite3.Connection, task: Task) -> None:
    note = (
        f"insert into invitations_history ({NOTED}) select {NOTE} from invitations_invitation"
        f" {WHERE}"
    )
    connection.execute("begin immediate")
    connection.execute(note, [now().isoformat(" ", "microseconds"), task.upto])
    connection.execute(UPDATE, [task.upto])
    connection.execute("commit")


def _on_postgresql(connection: psycopg.Connection[Any], task: Task) -> None:
    statement = f"""with done as ({UPDATE} returning id)
        insert into invitations_history ({NOTED}) select {NOTE} from done"""
    connection.execute(statement.replace("?", "%s").encode(), [task.upto, now()])
    connection.commit()


@contextmanager
def _loop(url: str, folder: str, task: Task) -> Iterator[Work]:
    engine = sa.create_engine(url)
    yield lambda: _one_by_one(engine, task)
    engine.dispose()


def _one_by_one(engine: sa.Engine, task: Task) -> None:
    """Do it as most applications do."""
    chosen = Invitation.status == "expired", Invitation.id <= task.upto
    with Session(engine) as session:
        for row in session.scalars(sa.select(Invitation).where(*chosen)):
            row.status, row.discarded_by, row.version = "discarded", "staff", row.version + 1
            session.add(
                History(
                    invitation_id=row.id,
                    actor_kind="staff",
                    actor_key="1",
                    actor_name="Ada Admin",
                    action="discard",
                    from_status="expired",
                    to_status="discarded",
                )
            )
        session.commit()


class _Django:
    """Django's admin, its superuser at the list of what expired."""

    def __init__(self, url: str, task: Task) -> None:
        from . import grid_peers

        grid_peers.django(url)
        self._path = _register_action(task)
        self._client = _django_client()
        self._form = {"select_across": "1", "index": "0", "_selected_action": task.some[0]}

    def work(self) -> None:
        answer = self._client.post(self._path, self._form | {"action": "discard"})
        if answer.status_code != 302:
            raise RuntimeError(f"Django answered {answer.status_code}")

    def ask(self) -> Asked:
        return _ask(self._client, self._path, self._form | {"action": "delete_selected"})


@contextmanager
def _django(url: str, folder: str, task: Task) -> Iterator[Work]:
    yield _Django(url, task).work


def _django_client() -> Any:
    from django.contrib.auth import get_user_model
    from django.test import Client

    from .grid_peers import USER

    client = Client()
    client.force_login(get_user_model().objects.get(username=USER))
    return client


def _register_action(task: Task) -> str:
    """Open an admin of the invitations with an action; return the address of its list."""
    from django.apps import apps
    from django.contrib import admin
    from django.contrib.admin.models import CHANGE, LogEntry
    from django.db import models
    from django.urls import path

    from . import grid_urls

    row = apps.get_model("admin", "Row")
    row.add_to_class("discarded_by", models.CharField(max_length=8, null=True))

    @admin.action(description="Discard selected")  # type: ignore[untyped-decorator]
    def discard(view: Any, request: Any, queryset: Any) -> None:
        rows = list(queryset)
        queryset.update(status="discarded", discarded_by="staff")
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, "Discarded")

    class WaitingAdmin(admin.ModelAdmin):  # type: ignore[misc]  # it may not be installed
        list_filter = ("status",)
        actions = (discard,)

    site = admin.AdminSite("acting")
    site.register(row, WaitingAdmin)
    grid_urls.urlpatterns.append(path("acting/", site.urls))
    return f"/acting/admin/row/?status__exact=expired&id__lte={task.upto}"


def _ask(client: Any, path: str, form: dict[str, Any]) -> Asked:
    start = perf_counter()
    answer = client.post(path, data=form)
    seconds = perf_counter() - start
    if answer.status_code != 200:
        raise RuntimeError(f"{path} answered {answer.status_code}")
    body = answer.data if hasattr(answer, "data") else answer.content
    return Asked(len(urlencode(form)), len(body), seconds)


def ask(name: str, url: str, folder: str, task: Task) -> Asked:
    """Ask the question of those who ask one."""
    if name == DJANGO:
        return _Django(url, task).ask()
    with _ours(url, folder, task) as ours:
        return ours.ask()


OPENED: dict[str, Callable[..., Any]] = {
    OURS: _ours_at_work,
    LIMIT: _limit,
    LOOP: _loop,
    DJANGO: _django,
}
