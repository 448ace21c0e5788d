"""``flask invitations report`` and ``rebuild-figures``: what they write, say, and end with."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result

from invitations_plugin.reports.models import Figure, FigureDelta

from .support.figures import keep, unfolded
from .support.rows import insert, row
from .support.stores import Store
from .support.workbooks import sheets

DAY = datetime(2026, 3, 2, 12)
MARCH = ("--from", "2026-03-01", "--to", "2026-03-03")


def run(store: Store, *arguments: object) -> Result:
    return store.app.test_cli_runner().invoke(args=["invitations", *map(str, arguments)])


@pytest.fixture
def filled(store: Store) -> Store:
    who = {"inviter_key": "=1+1", "inviter_name": "=cmd@x.test", "inviter_email": "a@b.example"}
    insert(
        store,
        [
            row("a@example.com", created_at=DAY, **who),
            row("b@example.com", "accepted", created_at=DAY, **who),
            row("c@example.com", "discarded", created_at=DAY, website="private", store_view="it"),
        ],
    )
    return store


def lines(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.lstrip("\ufeff"), newline="")))


def test_a_report_is_written_with_what_was_asked_for(filled: Store) -> None:
    answer = run(filled, "report", "invitations", *MARCH, "--store", "main")
    assert answer.exit_code == 0
    found = lines(answer.stdout)
    asked = dict(each for each in found if len(each) == 2)
    assert (asked["Store view"], asked["From"]) == ("All of Main Website", "2026-03-01")
    assert asked["Time zone"] == "Europe/London"
    assert ["2026-03-01", "0", "0", "0", "", ""] in found
    assert ["2026-03-02", "2", "1", "0", "0.5", "0.0"] in found
    assert found[-1] == ["Total", "2", "1", "0", "0.5", "0.0"]


def test_nothing_in_a_file_is_run_by_a_spreadsheet(filled: Store) -> None:
    found = lines(run(filled, "report", "customers", *MARCH).stdout)
    [line] = [each for each in found if each[5:7] == ["2", "1"] and each[0] != "Total"]
    assert line[1:3] == ["'=1+1", "'=cmd@x.test"]


def test_the_name_of_the_file_says_which_kind(filled: Store, tmp_path: Path) -> None:
    file = tmp_path / "conversions.xlsx"
    assert run(filled, "report", "conversions", file, *MARCH, "--by", "month").exit_code == 0
    [rows] = sheets(file.read_bytes()).values()
    assert [each.text for each in rows[-1][1:3]] == ["3", "1"]


@pytest.mark.parametrize("database", ["sqlite"])
def test_what_a_report_cannot_do_is_not_ignored(filled: Store, tmp_path: Path) -> None:
    for wrong in ((tmp_path / "report.pdf",), ("--search", "anna")):
        answer = run(filled, "report", "invitations", *wrong, *MARCH)
        assert answer.exit_code == 2
        assert answer.stdout == ""
    assert list(tmp_path.glob("*.pdf")) == []
    assert run(filled, "report", "customers", "--search", "anna", *MARCH).exit_code == 0


@pytest.mark.parametrize("database", ["sqlite"])
def test_an_option_that_cannot_be_read_is_named(store: Store) -> None:
    wrong = {"from": "2026-02-30", "to": "2026-02-01", "by": "hour", "store": "nowhere"}
    for option, value in wrong.items():
        answer = run(store, "report", "invitations", *MARCH, f"--{option}", value)
        assert answer.exit_code == 2
        assert f"--{option}" in answer.stderr


def test_figures_are_counted_anew(filled: Store) -> None:
    keep(filled)
    with filled.session() as db:
        db.execute(sa.update(Figure).values(sent=Figure.sent + 1))
        db.execute(sa.delete(FigureDelta))
        db.commit()
    assert "Total,5" in run(filled, "report", "invitations", *MARCH).stdout
    answer = run(filled, "rebuild-figures")
    assert answer.exit_code == 0
    assert "figures are those of the invitations" in answer.stdout
    assert "Total,3" in run(filled, "report", "invitations", *MARCH).stdout
    assert unfolded(filled) == 0
