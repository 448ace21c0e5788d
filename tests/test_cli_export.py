"""``flask invitations export``: what it writes, says, and ends with."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from invitations_plugin import exporting
from invitations_plugin.grid import FILTERS
from invitations_plugin.models import Export

from .support.pages import Page
from .support.processes import start
from .support.rows import STATUSES, insert, one, row
from .support.sink import Sink
from .support.stores import Store, Visitor
from .support.workbooks import sheets


def run(store: Store, *arguments: object) -> Result:
    """Run the command in this process."""
    return store.app.test_cli_runner().invoke(args=["invitations", "export", *map(str, arguments)])


def invitees(data: bytes) -> list[str]:
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    return [each[3] for each in rows][1:]


def entries(store: Store) -> list[tuple[Any, ...]]:
    columns = (Export.format, Export.actor_name, Export.state, Export.total, Export.done)
    with store.session() as db:
        return [tuple(each) for each in db.execute(sa.select(*columns).order_by(Export.id))]


def test_it_writes_everything_and_is_listed(store: Store, admin: Visitor, tmp_path: Path) -> None:
    insert(store, [row(f"{each}@example.com", each) for each in STATUSES])
    file = tmp_path / "all.csv"
    answer = run(store, file)
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert answer.stderr.splitlines()[-1] == "6 exported"
    assert "Exporting" in answer.stderr
    assert invitees(file.read_bytes()) == [f"{each}@example.com" for each in STATUSES]
    assert file.stat().st_mode & 0o077 == 0
    assert entries(store) == [("csv", "command line", "done", 6, 6)]
    page = Page(admin.get("/admin/invitations/exports/"))
    assert "Command line" in page.text("td")
    shown = Page(admin.get(page.link("CSV") or ""))
    assert shown.actions() == []


def test_the_name_or_the_option_says_which_kind(store: Store, tmp_path: Path) -> None:
    one(store)
    for arguments in ((tmp_path / "a.xlsx",), (tmp_path / "b", "--format", "xlsx")):
        assert run(store, *arguments).exit_code == 0
        [rows] = sheets(arguments[0].read_bytes()).values()
        assert rows[1][3].text == "anna@example.com"
    assert run(store, tmp_path / "c.xlsx", "--format", "csv").exit_code == 0
    assert invitees((tmp_path / "c.xlsx").read_bytes()) == ["anna@example.com"]


def test_a_dash_is_the_standard_output(store: Store) -> None:
    one(store)
    answer = run(store, "-")
    assert invitees(answer.stdout_bytes) == ["anna@example.com"]
    assert "1 exported" in answer.stderr


def test_its_filters_are_those_of_the_grid(store: Store) -> None:
    help_text = run(store, "--help").stdout
    for name in FILTERS:
        assert f"--{name.replace('_', '-')} " in help_text
    insert(store, [row(f"{each}@example.com", each) for each in STATUSES])
    insert(store, [row("vip@example.com", group_code="vip")])
    answer = run(store, "-", "--status", "sent", "--group", "vip", "--sent-from", "2026-01-01")
    assert invitees(answer.stdout_bytes) == ["vip@example.com"]
    assert run(store, "-", "--invitee", "nobody").exit_code == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--status", "lost"),
        ("--id-from", "x"),
        ("--sent-to", "soon"),
        ("--website", "nope"),
        ("--group", "nope"),
        ("--store-view", "nope"),
    ],
)
def test_a_filter_that_cannot_be_read_writes_nothing(
    store: Store, tmp_path: Path, option: str, value: str
) -> None:
    one(store)
    file = tmp_path / "all.csv"
    answer = run(store, file, option, value)
    assert answer.exit_code == 2
    assert option in answer.stderr
    assert not file.exists()
    assert entries(store) == []


def test_what_the_store_has_no_more_can_be_exported(store: Store) -> None:
    one(store, website="gone")
    assert "1 exported" in run(store, "-", "--website", "gone").stderr
    assert "0 exported" in run(store, "-", "--website", "private").stderr


def test_a_name_that_says_another_kind_is_refused_without_the_option(
    store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "all.pdf"
    answer = run(store, file)
    assert answer.exit_code == 2
    assert "choose one of csv, xlsx by --format" in answer.stderr
    assert not file.exists()
    assert run(store, file, "--format", "csv").exit_code == 0


def test_a_file_that_cannot_be_written_is_named(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "no such folder" / "all.csv"
    answer = run(store, file)
    assert answer.exit_code == 1
    assert f"{file} cannot be written: No such file or directory" in answer.stderr
    assert run(store, tmp_path).exit_code == 2
    assert entries(store) == []


def test_a_file_is_replaced_only_by_a_whole_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(store, [row(f"{n}@example.com") for n in range(6)])
    folder = tmp_path / "exports"
    folder.mkdir()
    file = folder / "all.csv"
    file.write_text("of yesterday")
    monkeypatch.setattr(exporting, "CHUNK", 2)
    known, reads = exporting._next_rows, iter(range(9))

    def fall_over(*given: Any) -> Any:
        if next(reads) == 2:
            raise OSError(28, "No space left on device")
        return known(*given)

    monkeypatch.setattr(exporting, "_next_rows", fall_over)
    answer = run(store, file)
    assert answer.exit_code == 1
    assert "No space left on device" in answer.stderr
    assert [each.read_text() for each in folder.iterdir()] == ["of yesterday"]
    assert entries(store)[0][2] == "failed"
    monkeypatch.setattr(exporting, "_next_rows", known)
    assert run(store, file).exit_code == 0
    assert len(invitees(file.read_bytes())) == 6


def test_without_its_package_a_workbook_is_refused_with_what_to_do(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "is_installed", lambda name: False)
    answer = run(store, tmp_path / "all.xlsx")
    assert answer.exit_code == 1
    assert "invitations-plugin[xlsx]" in answer.stderr


def test_a_reader_that_goes_away_ends_it(store: Store, sink: Sink) -> None:
    insert(store, [row(f"{n}@example.com", message="m" * 500) for n in range(4000)])
    with start(store, sink, "export", "-") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 1
    assert entries(store)[0][2] == "stopped"


def test_it_writes_into_a_pipe_and_does_not_replace_it(
    store: Store, sink: Sink, tmp_path: Path
) -> None:
    one(store)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with start(store, sink, "export", str(pipe)) as process:
        assert invitees(pipe.read_bytes()) == ["anna@example.com"]
        assert process.wait(timeout=60) == 0
    assert pipe.is_fifo()
