"""The commands of operators and schedulers: what they do, say, and end with."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import sqlalchemy as sa
from click.testing import Result
from jinja2 import DictLoader

from invitations_plugin import Website, migrations, searchable
from invitations_plugin.database import engine
from invitations_plugin.links import INVITATION, sign
from invitations_plugin.reports import triggers
from invitations_plugin.state import host

from .support.outbox import many, queue, recipients, wait_for
from .support.processes import environment, flask_worker, start
from .support.rows import ago, one
from .support.sink import Mail, Sink
from .support.stores import MakeStore, Store

COMMANDS = (
    "upgrade",
    "downgrade",
    "deliver",
    "hold",
    "release",
    "worker",
    "expire",
    "purge",
    "erase",
    "export",
    "import",
    "settings",
    "reconcile",
    "doctor",
)


def run(store: Store, *arguments: str) -> Result:
    """Run ``flask invitations`` in this process."""
    return store.app.test_cli_runner().invoke(args=["invitations", *arguments])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(store: Store, command: str) -> None:
    answer = run(store, command, "--help")
    assert answer.exit_code == 0
    assert len(answer.output.splitlines()[2].strip()) > 20


def test_the_group_names_every_command(store: Store) -> None:
    listed = run(store, "--help").output
    assert all(f"  {command} " in listed for command in COMMANDS)


def test_deliver_sends_and_counts(store: Store, sink: Sink) -> None:
    queue(store, *many(3), "jörg@example.com")
    sink.replies["RCPT"] = ["250 OK", "451 4.2.1 later"]
    answer = run(store, "deliver")
    assert answer.output == "2 sent, 1 to be tried again, 1 failed, 0 skipped\n"
    assert answer.exit_code == 0


def test_deliver_keeps_to_its_limit(store: Store, sink: Sink) -> None:
    queue(store, *many(3))
    assert run(store, "deliver", "--limit", "2").exit_code == 0
    assert recipients(sink) == many(2)


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_deliver_refuses_a_limit_that_is_none(store: Store, limit: str) -> None:
    assert run(store, "deliver", "--limit", limit).exit_code == 2


def test_deliver_says_that_the_server_is_away(store: Store, sink: Sink) -> None:
    queue(store, *many(1))
    sink.at_connect = "421 4.3.2 busy"
    answer = run(store, "deliver")
    assert answer.exit_code == 1
    assert "The mail server is away: 421 4.3.2 busy" in answer.output


def test_a_command_without_tables_says_so_in_one_line(store: Store) -> None:
    with store.app.app_context():
        migrations.downgrade(store.app, "base")
    answer = run(store, "deliver")
    migrations.upgrade(store.app)
    assert answer.exit_code == 1
    assert answer.output.startswith("Error: The database refused (")
    assert "flask invitations doctor" in answer.output


@pytest.mark.parametrize("command", ["deliver", "worker"])
def test_who_sends_mail_without_the_key_of_links_says_so_and_sends_none(
    store: Store, sink: Sink, command: str
) -> None:
    queue(store, *many(1))
    store.app.secret_key = None
    answer = run(store, command)
    assert (answer.exit_code, len(answer.output.splitlines())) == (1, 1)
    assert "There is no SECRET_KEY" in answer.output
    assert (sink.mails, [each.tries for each in store.outbox()]) == ([], [0])


def test_a_link_without_a_key_says_what_is_missing(store: Store) -> None:
    store.app.secret_key = None
    with store.app.app_context(), pytest.raises(RuntimeError, match="There is no SECRET_KEY"):
        sign("abc", INVITATION)


def test_expire_marks_what_has_ended(store: Store) -> None:
    one(store, "anna@example.com", "sent", expires_at=ago(minutes=1))
    one(store, "ben@example.com", "sent")
    answer = run(store, "expire")
    assert (answer.exit_code, answer.output) == (0, "1 expired\n")
    assert [each.status for each in store.invitations()] == ["expired", "sent"]


def tables(store: Store) -> set[str]:
    with store.session() as db:
        return set(sa.inspect(db.connection()).get_table_names())


def test_downgrade_asks_first_and_upgrade_brings_all_back(store: Store) -> None:
    before = tables(store)
    runner = store.app.test_cli_runner()
    asked = runner.invoke(args=["invitations", "downgrade", "base"], input="n\n")
    assert (asked.exit_code, tables(store)) == (1, before)
    assert run(store, "downgrade", "base", "--yes").output.endswith("are at base.\n")
    left = {name for name in tables(store) if name.startswith("invitations_")}
    assert left <= {"invitations_alembic_version"}
    answer = run(store, "upgrade")
    assert answer.exit_code == 0
    assert str(migrations.newest()) in answer.output
    assert tables(store) == before
    assert run(store, "upgrade").exit_code == 0


def test_an_unknown_revision_is_named(store: Store) -> None:
    answer = run(store, "upgrade", "--revision", "nonsense")
    assert answer.exit_code == 1
    assert answer.output.startswith("Error: ")
    assert "nonsense" in answer.output


def test_a_worker_ends_on_sigterm(store: Store, sink: Sink) -> None:
    with flask_worker(store, sink):
        queue(store, *many(3))
        wait_for(lambda: store.outbox() == [])
    assert recipients(sink) == many(3)


def test_a_worker_told_to_end_finishes_one_mail_and_gives_back_the_others(
    store: Store, sink: Sink
) -> None:
    queue(store, *many(20))
    running = start(store, sink, "worker", PYTHONUNBUFFERED="1")

    def tell_to_end(mail: Mail) -> None:
        if len(sink.mails) == 3:
            running.send_signal(signal.SIGTERM)

    sink.while_taking = tell_to_end
    with running:
        said, complaints = running.communicate(timeout=60)
    assert (running.returncode, "has ended" in said) == (0, True), complaints
    sent = recipients(sink)
    assert sent == many(20)[: len(sent)]
    assert 3 <= len(sent) < 20
    assert [(each.state, each.claim) for each in store.outbox()] == [("queued", None)] * (
        20 - len(sent)
    )
    assert store.deliver().sent == 20 - len(sent)


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_worker_told_to_end_lets_go_of_the_others_while_one_still_leaves(
    store: Store, sink: Sink
) -> None:
    queue(store, *many(5))
    running = start(store, sink, "worker", PYTHONUNBUFFERED="1")

    def tell_to_end(mail: Mail) -> None:
        running.send_signal(signal.SIGTERM)
        wait_for(lambda: [each.state for each in store.outbox()] == ["sending", *["queued"] * 4])

    sink.while_taking = tell_to_end
    with running:
        said, complaints = running.communicate(timeout=60)
    assert (running.returncode, "has ended" in said) == (0, True), complaints
    assert recipients(sink) == many(1)
    assert [(each.state, each.claim) for each in store.outbox()] == [("queued", None)] * 4


IMPATIENT = (
    "from invitations_plugin import cli; cli.GRACE = 0.3; from flask.cli import main; main()"
)


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_worker_told_to_end_does_not_wait_for_a_silent_server(store: Store, sink: Sink) -> None:
    queue(store, *many(3))
    sink.replies["DATA"] = ["silence"]
    command = [sys.executable, "-c", IMPATIENT, "invitations", "worker"]
    with subprocess.Popen(command, env=environment(store, sink), text=True) as running:
        wait_for(lambda: len(sink.mails) + len(sink.asked_for) > 0)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=60) == 0
    assert [(each.state, each.ambiguous) for each in store.outbox()] == [
        ("queued", 1),
        ("queued", 0),
        ("queued", 0),
    ]


@pytest.mark.parametrize("number", ["0", "33", "some"])
def test_a_worker_is_not_so_many_processes(store: Store, number: str) -> None:
    answer = run(store, "worker", "--processes", number)
    assert (answer.exit_code, "--processes" in answer.output) == (2, True)


def has_search(store: Store) -> bool:
    with store.app.app_context(), engine().connect() as connection:
        return searchable.exist(connection)


def test_a_doctor_finds_nothing_where_all_is_well(store: Store) -> None:
    store.setting("staff_notice_address", "ada@example.com")
    answer = run(store, "doctor")
    if has_search(store):
        assert (answer.exit_code, answer.output) == (0, "Everything is in order.\n")
    else:  # a PostgreSQL from a package may come without pg_trgm
        assert answer.output.count("\n") == 1
        assert "pg_trgm" in answer.output


def test_an_upgrade_makes_the_search_that_the_doctor_misses(store: Store) -> None:
    could_search = has_search(store)
    with store.app.app_context(), engine().begin() as connection:
        searchable.drop(connection)
    assert "three letters" in run(store, "doctor").output
    assert run(store, "upgrade").exit_code == 0
    assert has_search(store) == could_search


def without_tables(store: Store) -> None:
    migrations.downgrade(store.app, "base")


def without_a_base(store: Store) -> None:
    state = store.app.extensions["invitations"]
    state.layout = None
    state.host.base = "no-such-base.html"


def without_a_block(store: Store) -> None:
    without_a_base(store)
    env = store.app.jinja_env
    env.loader = DictLoader({"no-such-base.html": "{% block title %}{% endblock %}"})


def without_an_endpoint(store: Store) -> None:
    with store.app.app_context():
        host().registration_endpoints = ("auth.gone",)


def without_a_database(store: Store) -> None:
    with store.app.app_context():
        engines = store.app.extensions["sqlalchemy"].engines
        engines[None].dispose()
        engines[None] = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")


def with_another_sender(store: Store, senders: tuple[Any, ...]) -> None:
    with store.app.app_context():
        host().senders = lambda view: senders  # type: ignore[method-assign]


def without_mail(store: Store) -> None:
    store.app.config["MAIL_SUPPRESS_SEND"] = True
    store.app.testing = False


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (without_tables, "run 'flask invitations upgrade'"),
        (without_a_base, "There is no template 'no-such-base.html'"),
        (without_a_block, "has no block"),
        (without_an_endpoint, "registration endpoints do not exist: ['auth.gone']"),
        (without_a_database, "The database cannot be used"),
        (lambda store: with_another_sender(store, ()), "has no sender"),
        (without_mail, "MAIL_SUPPRESS_SEND"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_doctor_names_what_is_wrong(
    make_store: MakeStore, spoil: Callable[[Store], None], finding: str
) -> None:
    store = make_store()
    spoil(store)
    answer = run(store, "doctor")
    if spoil is without_tables:
        migrations.upgrade(store.app)
    assert answer.exit_code == 1, answer.output
    assert finding in answer.output


def with_hook(hook: str, told: object) -> Callable[[Store], None]:
    """Let one of the host's hooks tell this, or fail with it."""

    def tell(*given: object) -> object:
        if isinstance(told, Exception):
            raise told
        return told

    def spoil(store: Store) -> None:
        with store.app.app_context():
            setattr(host(), hook, tell)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (with_hook("senders", None), "senders() is None, but must be a tuple or list of Sender"),
        (with_hook("senders", LookupError("gone")), "senders() failed (LookupError: gone)"),
        (with_hook("websites", ()), "websites() is (), but must be one Website or more"),
        (with_hook("websites", (Website("a", "A", ()),)), "store_views of 'a' is ()"),
        (with_hook("groups", LookupError("gone")), "groups() failed (LookupError: gone)"),
    ],
)
def test_the_doctor_says_what_a_hook_tells_wrongly_and_looks_at_the_rest(
    make_store: MakeStore, spoil: Callable[[Store], None], finding: str
) -> None:
    store = make_store(MAIL_PORT=1)
    spoil(store)
    answer = run(store, "doctor")
    assert answer.exit_code == 1, answer.output
    assert answer.output.count(finding) == 1
    assert "The mail server cannot be used" in answer.output


def test_the_doctor_survives_what_nobody_thought_of(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(MAIL_PORT=1)
    monkeypatch.setattr(triggers, "exist", Mock(side_effect=KeyError("shelf")))
    answer = run(store, "doctor")
    assert "Not all could be looked at (KeyError: 'shelf')." in answer.output
    assert "The mail server cannot be used" in answer.output


@pytest.mark.parametrize(
    ("config", "finding"),
    [
        ({"INVITATIONS_BASE_URL": "shop.example.com"}, "write it with its scheme"),
        ({"MAIL_PORT": 1}, "The mail server cannot be used"),
        ({"MAIL_USE_TLS": True}, "STARTTLS"),
    ],
)
def test_the_doctor_names_a_wrong_setting(
    make_store: MakeStore, config: dict[str, object], finding: str
) -> None:
    answer = run(make_store(**config), "doctor")
    assert answer.exit_code == 1
    assert finding in answer.output


def test_the_doctor_names_limits_of_a_group_that_is_gone(store: Store) -> None:
    store.setting("group_limits", "gone: max_per_day=3")
    answer = run(store, "doctor")
    assert answer.exit_code == 1
    assert "There is no customer group gone; there are: general," in answer.output
    assert answer.output.count("no customer group") == 1


def test_the_doctor_misses_the_write_ahead_log(store: Store, database: str) -> None:
    with store.session() as db:
        if database == "sqlite":
            store.app.extensions["sqlalchemy"].engines[None].dispose()
            path = str(db.get_bind().url.database)  # type: ignore[union-attr]
            store.app.extensions["sqlalchemy"].engines[None] = plain(path)
    answer = run(store, "doctor")
    assert ("configure_sqlite" in answer.output) is (database == "sqlite")


def plain(path: str) -> sa.Engine:
    """Return an engine as a store has it that never called configure_sqlite."""
    made = sa.create_engine(f"sqlite:///{path}")
    with made.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
    return made
