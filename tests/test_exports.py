"""Exports: what is in a file, who may have it, and what a download does to the store."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from invitations_plugin import database as databases
from invitations_plugin import exporting, exports, workers
from invitations_plugin.admin.exported import file_texts
from invitations_plugin.cells import COLUMNS, guarded
from invitations_plugin.clock import now
from invitations_plugin.database import engine
from invitations_plugin.models import Export, Invitation
from invitations_plugin.state import host

from .support.pages import Page
from .support.rows import STATUSES, insert, one, row
from .support.stores import Store, Visitor
from .support.workbooks import parts, sheets

GRID = "/admin/invitations/"
ACTIONS = f"{GRID}actions"
EXPORTS = f"{GRID}exports/"
KINDS = ("csv", "xlsx")
HEAD = [
    "ID", "Inviter", "Email", "Invitee", "Message", "Created", "Sent", "Registered",
    "Valid until", "Status", "Mail", "Valid Website", "Send From", "Invitee Group",
]  # fmt: skip
HOSTILE = (
    "=cmd@x.test", "+1@x.test", "-1@x.test", "@SUM(A1)", "\t=1", "\r=1", "'=1", '"=1', "  =1",
    "\uff1d1", "a;=1", "a\n=1", "x\r\n- y",
)  # fmt: skip
HARMLESS = ("anna@example.com", "a=b", "1-2", "O'Neil", '"quoted"', "Hi there", "", "a; b", "x\ny")


def fill(store: Store, number: int, **more: Any) -> list[int]:
    """Write rows, some thousand at a time."""
    ids: list[int] = []
    for start in range(0, number, 5000):
        end = min(start + 5000, number)
        ids += insert(store, [row(f"{n}@example.com", **more) for n in range(start, end)])
    return ids


def begin(visitor: Visitor, kind: str = "csv", **chosen: Any) -> str:
    """Confirm an export, of everything where nothing else is chosen; return its address."""
    page = Page(visitor.get(GRID))
    given = {"action": f"export_{kind}", "confirm": "1"}
    if "ids" not in chosen:
        given |= {"select": "all", "upto": page.fields.get("upto", "")}
    answer = visitor.post(ACTIONS, given | chosen)
    assert answer.status_code == 302, answer.text
    path, anchor, _ = answer.location.partition("#start")
    assert path.startswith(EXPORTS)
    assert anchor
    return path


def fetch(visitor: Visitor, path: str) -> TestResponse:
    """Press Download."""
    answer = visitor.post(f"{path}/file", buffered=True)
    assert answer.status_code == 200, answer.text
    return answer


def table(answer: TestResponse) -> list[list[str]]:
    """Return a file's rows, its head first."""
    if "csv" in answer.content_type:
        assert answer.data.startswith(b"\xef\xbb\xbf")
        return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
    return [[cell.text for cell in each] for rows in sheets(answer.data).values() for each in rows]


def invitees(answer: TestResponse) -> list[str]:
    """Return the column Invitee, without the guard that formulas get."""
    place = HEAD.index("Invitee")
    return [each[place] for each in table(answer)[1:]]


def entry(store: Store, number: int = 1) -> Export:
    with store.session() as db:
        found = db.get_one(Export, number)
        db.expunge(found)
        return found


def facts(page: Page) -> dict[str, str]:
    return dict(zip(page.text("dt"), page.text("dd"), strict=True))


# What is asked, and what is in the file.


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_asks_first_how_many_rows_and_what_is_in_them(
    store: Store, admin: Visitor, kind: str
) -> None:
    ids = insert(store, [row(f"{each}@example.com", each) for each in STATUSES])
    assert f"Export as {kind.upper()}" in Page(admin.get(GRID)).text("option")
    question = Page(admin.post(ACTIONS, {"action": f"export_{kind}", "ids": ids[:2]}))
    assert question.text("h1") == [f"Export 2 invitations as {kind.upper()}?"]
    assert facts(question) == {"Sent": "1", "Not Sent": "1"}
    assert f"Columns: {' · '.join(HEAD)}" in question.text("li")
    back = f"{GRID}?action=export_{kind}&ids={ids[0]}&ids={ids[1]}"
    assert [question.link("Back"), question.text("button")] == [back, ["OK"]]
    with store.session() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(Export)) == 0


def test_nothing_selected_is_nothing_to_export(store: Store, admin: Visitor) -> None:
    one(store)
    admin.get(GRID)
    for bad in ({}, {"ids": "abc"}, {"select": "all", "upto": ""}):
        given = {"action": "export_csv", "confirm": "1"} | bad
        page = Page(admin.post(ACTIONS, given, follow_redirects=True))
        assert page.notices == ["Select the invitations first."]
    question = Page(admin.post(ACTIONS, {"action": "export_csv", "ids": "999"}))
    assert question.text("h1") == ["Export 0 invitations as CSV?"]
    assert question.text("button") == []


def test_a_row_says_what_the_grid_and_the_detail_page_say(store: Store, admin: Visitor) -> None:
    at = now().replace(2026, 7, 1, 22, 30, 0)
    number = one(
        store, "anna@example.com", "accepted", inviter_name="Veronica Costello", group_code="vip",
        message='Come, "soon"\nplease', created_at=at, store_view="it", website="private",
    )  # fmt: skip
    answer = fetch(admin, begin(admin))
    moment, end = "2026-07-01T23:30:00+01:00", "2026-07-31T23:30:00+01:00"
    assert table(answer) == [
        HEAD,
        [
            str(number), "Veronica Costello", "veronica@example.com", "anna@example.com",
            'Come, "soon"\nplease', moment, moment, moment, end, "Accepted",
            "Taken by the mail server", "Private Sales", "Italiano", "VIP",
        ],
    ]  # fmt: skip
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.data.count(b"\r\n") == 2
    name = f"invitations-{now():%Y-%m-%d}-1.csv"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={name}"
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_workbook_has_real_dates_and_nothing_but_texts_beside(
    store: Store, admin: Visitor
) -> None:
    at = now().replace(2026, 7, 1, 22, 30, 0)
    one(store, "http://example.com/a@x", message="=1+1", created_at=at, inviter_name="007")
    answer = fetch(admin, begin(admin, "xlsx"))
    [(title, [head, cells])] = sheets(answer.data).items()
    assert title == "Invitations"
    assert [each.text for each in head] == HEAD
    named = dict(zip([*HEAD[:7], *HEAD[8:]], cells, strict=True))  # an empty cell is left out
    assert named["Created"].kind == "n"
    assert float(named["Created"].text) == pytest.approx(46204 + (23 * 60 + 30) / 1440)
    assert 'formatCode="yyyy-mm-dd hh:mm:ss"' in parts(answer.data)
    assert {named[each].kind for each in ("Inviter", "Invitee", "Message")} == {"inlineStr"}
    assert (named["Inviter"].text, named["Message"].text) == ("007", "'=1+1")
    assert not re.search("<f>|hyperlink|TargetMode", parts(answer.data))


def test_a_full_sheet_is_followed_by_another(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "SHEET_ROWS", 3)
    ids = fill(store, 7)
    found = sheets(fetch(admin, begin(admin, "xlsx")).data)
    assert list(found) == ["Invitations", "Invitations 2", "Invitations 3"]
    numbers = [[int(each[0].text) for each in rows[1:]] for rows in found.values()]
    assert numbers == [ids[:3], ids[3:6], ids[6:]]
    assert all([each.text for each in rows[0]] == HEAD for rows in found.values())


def test_staff_s_own_and_what_was_removed_have_no_address(store: Store, admin: Visitor) -> None:
    insert(store, [row("anna@example.com"), row(None, inviter_key="gone:1")])
    rows = table(fetch(admin, begin(admin)))[1:]
    assert [each[1:5] for each in rows] == [["Store", "", "anna@example.com", ""], [""] * 4]


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_holds_what_a_link_is_made_from(store: Store, admin: Visitor, kind: str) -> None:
    one(store, message="secret", submission="0123456789abcdef")
    made = store.invitation("anna@example.com")
    data = fetch(admin, begin(admin, kind)).data
    text = parts(data) if kind == "xlsx" else data.decode()
    assert "secret" in text
    for hidden in (made.public_id, made.email_hash, made.recipient_hash, "0123456789abcdef"):
        assert hidden not in text


def test_a_file_speaks_the_reader_s_language_in_the_store_view_s_zone(
    store: Store, admin: Visitor
) -> None:
    one(store, created_at=now().replace(2026, 7, 1, 22, 30, 0))
    admin.get("/?store=it")
    head, cells = table(fetch(admin, begin(admin)))
    assert (head[3], head[9]) != ("Invitee", "Status")
    assert cells[5] == "2026-07-02T00:30:00+02:00"


# Which rows.


@pytest.mark.parametrize("kind", KINDS)
def test_a_selection_is_exported_and_no_more(store: Store, admin: Visitor, kind: str) -> None:
    ids = fill(store, 5)
    answer = fetch(admin, begin(admin, kind, ids=[ids[3], ids[1]]))
    assert invitees(answer) == ["1@example.com", "3@example.com"]


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_the_filter_up_to_the_row_seen_less_the_excluded(
    store: Store, admin: Visitor, kind: str
) -> None:
    ids = fill(store, 6, group_code="vip")
    insert(store, [row("general@example.com")])
    page = Page(admin.get(f"{GRID}?group=vip"))
    insert(store, [row("late@example.com", group_code="vip")])
    path = begin(admin, kind, group="vip", upto=page.fields["upto"], exclude=ids[2])
    kept = [f"{n}@example.com" for n in (0, 1, 3, 4, 5)]
    assert invitees(fetch(admin, path)) == kept
    assert facts(Page(admin.get(path)))["Selected"] == "Invitee Group: VIP"
    assert Page(admin.get(path)).link("Back to the invitations") == f"{GRID}?group=vip"


def test_rows_come_once_each_in_chunks(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CHUNK", 3)
    ids = fill(store, 9)
    rows = table(fetch(admin, begin(admin)))[1:]
    assert [int(each[0]) for each in rows] == ids
    assert entry(store).done == 9


# Nothing in a cell is run.


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_spreadsheet_would_run_is_made_a_text(text: str) -> None:
    assert guarded(text) != text
    assert "=" not in guarded(text)[:1]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


def unguarded(text: str) -> str:
    """Take the guard away again."""
    return re.sub(r"(^|[;\t\r\n])'(?=[\s'\"]*[=+\-@\t\r\uff0b\uff0d\uff1d\uff20])", r"\1", text)


@given(some.text(some.sampled_from("=+-@\t\r\n;'\" a") | some.characters(codec="utf-8")))
def test_a_text_is_had_back_by_parsing_and_taking_the_guard_away(text: str) -> None:
    kept = guarded(text)
    written = io.StringIO(newline="")
    csv.writer(written).writerow([kept, "next"])
    [[read, _]] = csv.reader(io.StringIO(written.getvalue(), newline=""))
    assert read == kept
    assert unguarded(read) == text
    assert not re.match(r"[\s\"]*[=+\-@\t\r]", read)
    assert guarded(kept).replace("'", "") == kept.replace("'", "")


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_cells_are_guarded_in_every_column_that_people_fill(
    store: Store, admin: Visitor, kind: str
) -> None:
    columns = ("inviter_email", "inviter_name", "message", "group_code")
    hostile = dict.fromkeys(columns, "=1+1@x")
    insert(store, [row("=cmd@x.test", inviter_key="1", **hostile)])
    [_, cells] = table(fetch(admin, begin(admin, kind)))
    assert cells.count("'=1+1@x") == len(columns)
    assert "'=cmd@x.test" in cells


def test_texts_that_look_like_markup_leave_a_workbook_whole(store: Store, admin: Visitor) -> None:
    texts = (
        "<r></x></r>",
        "<r><t>rich</t></r>",
        "a\ufffeb",
        "<&>",
        "_x000D_",
        "x" * 40_000,
        "👋🏽",
    )
    insert(store, [row(f"{n}@x.test", message=text) for n, text in enumerate(texts)])
    answer = fetch(admin, begin(admin, "xlsx"))
    kept = [each[4] for each in table(answer)[1:]]
    assert kept[:2] == [f"{texts[0]} ", f"{texts[1]} "]
    assert kept[2:4] == ["ab", "<&>"]
    assert len(kept[5]) == 32_767
    assert kept[6] == texts[6]


# Who may, and what is noted.


def test_only_who_has_the_right_is_offered_exports(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = one(store)
    path = begin(admin)
    with store.app.app_context():
        known = type(host())
    monkeypatch.setattr(known, "may", lambda self, asked: asked != "export")
    page = Page(admin.get(GRID))
    assert not [each for each in page.text("option") if "Export" in each]
    assert page.link("Exports") is None
    for more in ({}, {"confirm": "1"}):
        answer = admin.post(ACTIONS, {"action": "export_csv", "ids": number} | more)
        assert answer.status_code == 403
    assert admin.get(EXPORTS).status_code == admin.get(path).status_code == 403
    assert admin.post(f"{path}/file").status_code == 403
    assert entry(store).downloads == 0


def test_an_export_is_downloaded_by_who_asked_for_it_alone(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    one(store)
    path = begin(admin)
    with store.app.app_context():
        known = type(host())
    monkeypatch.setattr(known, "staff_key", lambda self: ("staff:99", "Bea Boss"))
    page = Page(admin.get(path))
    assert page.actions() == []
    assert "Only who asked for a file may download it." in page.text("p")
    assert facts(page)["Asked by"] == "Ada Admin"
    assert admin.post(f"{path}/file").status_code == 403
    assert Page(admin.get(EXPORTS)).link("CSV") == path
    assert entry(store).downloads == 0


def test_without_its_package_a_workbook_is_neither_offered_nor_made(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = one(store)
    path = begin(admin, "xlsx")
    monkeypatch.setattr(exporting, "is_installed", lambda name: False)
    assert "Export as XLSX" not in Page(admin.get(GRID)).text("option")
    assert "Export as CSV" in Page(admin.get(GRID)).text("option")
    given = {"action": "export_xlsx", "ids": number}
    page = Page(admin.post(ACTIONS, given, follow_redirects=True))
    assert page.notices == ["Choose an action first."]
    assert Page(admin.get(path)).actions() == []
    assert admin.post(f"{path}/file").status_code == 404


def test_the_list_tells_who_asked_for_what_when_and_how_many(store: Store, admin: Visitor) -> None:
    assert "Nothing has been exported in the last 30 days." in Page(admin.get(EXPORTS)).text("p")
    fill(store, 3)
    paths = [begin(admin), begin(admin, "xlsx")]
    fetch(admin, paths[0])
    page = Page(admin.get(EXPORTS))
    cells = page.text("td")
    assert cells[:3] == ["Not downloaded yet", "3", "Ada Admin"]
    assert cells[4:7] == ["Done", "3", "Ada Admin"]
    assert str(now().year) in cells[3]
    assert [page.link("XLSX"), page.link("CSV")] == paths[::-1]


def test_the_entry_tells_who_had_what_and_when(store: Store, admin: Visitor) -> None:
    ids = fill(store, 3)
    path = begin(admin, ids=ids[:2])
    before = entry(store)
    assert (before.state, before.total, before.downloads) == ("waiting", 2, 0)
    assert (before.actor_key, before.actor_name) == ("staff:1", "Ada Admin")
    assert before.selection == {"ids": ids[:2], "websites": None}
    assert before.columns == list(COLUMNS)
    fetch(admin, path)
    fetch(admin, path)
    after = entry(store)
    assert (after.state, after.done, after.downloads) == ("done", 2, 2)
    assert before.created_at <= (after.started_at or now()) <= (after.ended_at or now())


def test_entries_are_forgotten_after_a_month(
    store: Store, admin: Visitor, later: Callable[[timedelta], None]
) -> None:
    one(store)
    begin(admin)
    later(timedelta(days=29))
    begin(store.staff())
    later(timedelta(days=2))
    with store.app.app_context():
        workers.Clock(store.app)._look()
    with store.session() as db:
        assert list(db.scalars(sa.select(Export.id))) == [2]


def test_an_export_that_cannot_be_read_any_more_says_so(store: Store, admin: Visitor) -> None:
    one(store)
    path = begin(admin)
    with store.session() as db:
        old = {"filters": {"colour": "red"}, "timezone": "UTC", "upto": 9, "exclude": []}
        db.execute(sa.update(Export).values(selection=old))
        db.commit()
    page = Page(admin.post(f"{path}/file", follow_redirects=True))
    assert page.notices[0] == "This export cannot be made any more; please ask for a new one."
    assert entry(store).downloads == 0


# How far it is.


def stream(visitor: Visitor, path: str) -> TestResponse:
    """Press Download, and read nothing yet."""
    answer = visitor.client.post(f"{path}/file", data={"csrf_token": visitor.token}, buffered=False)
    assert answer.status_code == 200
    return answer


def in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each chunk have two rows, and be noted."""
    monkeypatch.setattr(exporting, "CHUNK", 2)
    monkeypatch.setattr(exports, "EVERY", 0.0)


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder for temporary files, while chunks are small."""
    in_small_chunks(monkeypatch)
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_shows_how_far_a_download_is(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    in_small_chunks(monkeypatch)
    fill(store, 6)
    path = begin(admin, kind)
    page = Page(admin.get(path))
    assert page.notices[-1] == "Not downloaded yet"
    [root] = page.all("div", id="inv-export")
    assert root.attributes["data-hx-trigger"] == "submit delay:1s"
    assert page.actions() == [f"{path}/file"]
    with closing(stream(admin, path)) as answer:
        pieces = answer.iter_encoded() if kind == "csv" else iter(answer.response)
        for _ in range(3):
            next(pieces)
        running = admin.get(path, headers={"HX-Request": "true"})
        assert "<html" not in running.text
        [root] = Page(running).all("div", id="inv-export")
        assert root.attributes["data-hx-trigger"] == "every 1s"
        assert Page(running).text("label") == ["2 of 6" if kind == "csv" else "4 of 6"]
        for _ in pieces:
            pass
    page = Page(admin.get(path))
    assert page.notices[-1] == "Done"
    assert page.text("label") == ["6 rows"]
    [bar] = page.all("progress")
    assert bar.attributes == {"id": "inv-progress", "max": "6", "value": "6"}
    assert page.text("button") == ["Download again"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_download_ends_when_the_client_goes_away(
    store: Store, admin: Visitor, scratch: Path, kind: str
) -> None:
    fill(store, 6)
    path = begin(admin, kind)
    answer = stream(admin, path)
    pieces = iter(answer.response)
    for _ in range(3 if kind == "csv" else 2):  # the head of a CSV file is a piece of its own
        next(pieces)
    assert len(list(scratch.iterdir())) == (kind == "xlsx")
    answer.close()
    assert (entry(store).state, entry(store).done) == ("stopped", 2)
    assert list(scratch.iterdir()) == []
    page = Page(admin.get(path))
    assert page.notices[-1] == "Stopped"
    assert page.text("label") == ["2 of 6"]
    assert len(invitees(fetch(admin, path))) == 6
    assert entry(store).state == "done"


def test_a_download_that_is_never_read_stops_as_well(store: Store, admin: Visitor) -> None:
    one(store)
    path = begin(admin)
    stream(admin, path).close()
    assert entry(store).state == "stopped"


def test_a_download_whose_process_died_counts_as_stopped(
    store: Store, admin: Visitor, later: Callable[[timedelta], None]
) -> None:
    one(store)
    path = begin(admin)
    with closing(stream(admin, path)):
        later(timedelta(minutes=3))
        page = Page(admin.get(path))
        assert page.notices[-1] == "Stopped"
        assert page.all("div", id="inv-export")[0].attributes["data-hx-trigger"] != "every 1s"


def test_of_two_downloads_the_later_one_is_told(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_chunks(monkeypatch)
    fill(store, 6)
    path = begin(admin)
    with closing(stream(admin, path)) as first:
        fetch(admin, path)
        assert entry(store).state == "done"
        next(first.iter_encoded())
    assert (entry(store).state, entry(store).done, entry(store).downloads) == ("done", 6, 2)


# What a download does to the store.


def test_writers_are_not_kept_waiting_by_a_download(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    in_small_chunks(monkeypatch)
    ids = fill(store, 6)
    path = begin(admin)
    with closing(stream(admin, path)) as answer:
        pieces = answer.iter_encoded()
        next(pieces), next(pieces)
        with store.app.app_context():
            target, pool = engine(), engine().pool
        assert pool.checkedout() == 0  # type: ignore[attr-defined]
        with target.begin() as other:
            if database == "sqlite":
                other.exec_driver_sql("PRAGMA busy_timeout = 0")
            other.execute(
                sa.update(Invitation).where(Invitation.id == ids[-1]).values(email="new@x.test")
            )
        if database == "sqlite":
            with target.connect() as other:
                busy, log, done = other.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            assert (busy, log) == (0, done)
        rest = b"".join(pieces).decode()
    assert "new@x.test" in rest


@pytest.mark.parametrize("kind", KINDS)
def test_a_busy_database_is_told_before_the_first_byte(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    one(store)
    path = begin(admin, kind)
    monkeypatch.setattr(databases, "PATIENCE", 0.0)

    def refuse(*given: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    monkeypatch.setattr(exporting, "_next_rows", refuse)
    answer = admin.post(f"{path}/file")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "attachment" not in answer.headers.get("Content-Disposition", "")
    assert (entry(store).state, entry(store).error) == ("failed", "Busy")
    assert "The store's log says why. (Busy)" in Page(admin.get(path)).text("p")


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_in_the_middle_breaks_the_download_off(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch, scratch: Path, kind: str
) -> None:
    fill(store, 6)
    path = begin(admin, kind)
    known, reads = exporting._next_rows, iter(range(9))

    def fall_over(*given: Any) -> Any:
        assert next(reads) < 2, "broken for this test"
        return known(*given)

    monkeypatch.setattr(exporting, "_next_rows", fall_over)
    with closing(stream(admin, path)) as answer, pytest.raises(AssertionError, match="broken"):
        list(answer.iter_encoded())
    assert (entry(store).state, entry(store).error) == ("failed", "AssertionError")
    assert list(scratch.iterdir()) == []


def peak(store: Store, export_id: int) -> int:
    """Return the most memory that a download holds, in bytes."""
    with store.app.app_context():
        texts = file_texts(host().websites()[0].store_views[0])
        tracemalloc.start()
        for _ in exports.download(export_id, texts):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_rows(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(exporting, "CHUNK", 200)
    ids = fill(store, 6000, message="m" * 300)
    begin(admin, kind, upto=ids[999])
    begin(admin, kind)
    few, many = peak(store, 1), peak(store, 2)
    assert [entry(store, n).done for n in (1, 2)] == [1000, 6000]
    assert many < few * 1.2 + 200_000
