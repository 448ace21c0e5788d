"""``flask invitations import``: whom a file invites, what is told of each, and how it ends."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from invitations_plugin import address_import
from invitations_plugin.addresses import keyed_hash, parse_address
from invitations_plugin.inviting import AlreadyInvited
from invitations_plugin.models import History
from invitations_plugin.opt_outs import opt_out
from invitations_plugin.signals import invitation_created
from invitations_plugin.state import state

from .support.outbox import many, recipients, wait_for
from .support.pages import Page
from .support.processes import start
from .support.rows import here, insert, row
from .support.sink import Sink
from .support.stores import Store, Visitor
from .test_adding import save

ANNA, BEN, CARA = "anna@example.com", "ben@example.com", "cara@example.com"
OPTIONS = ("--store-view", "en", "--group", "vip")


def bring(store: Store, text: str | bytes, *options: object, given: Sequence[str] = ()) -> Result:
    """Run the command in this process, with a file on its standard input."""
    arguments = ["invitations", "import", "-", *(given or OPTIONS), *map(str, options)]
    typed = text.encode() if isinstance(text, str) else text
    return store.app.test_cli_runner().invoke(args=arguments, input=typed, catch_exceptions=False)


def invited(store: Store) -> list[str | None]:
    return [each.email for each in store.invitations()]


def results(data: bytes) -> list[list[str]]:
    [head, *lines] = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    assert head == ["line", "address", "result", "reason"]
    return lines


def verdicts(store: Store, text: str | bytes, *options: object) -> list[tuple[str, str]]:
    """Return line and result of each address, as a dry run has them."""
    answer = bring(store, text, "--dry-run", "--results", "-", *options)
    assert answer.exception is None or isinstance(answer.exception, SystemExit)
    return [(line[0], line[2]) for line in results(answer.stdout_bytes)]


def test_whom_a_file_names_is_invited_by_the_store_and_mailed(store: Store, sink: Sink) -> None:
    text = f"E-mail,Message,Group,Send From\n{ANNA},Come in,VIP,it\n{BEN},,,\n"
    answer = bring(store, text, "--message", "Welcome")
    assert (answer.exit_code, answer.stdout) == (0, "Invited: 2\n")
    assert "Inviting" in answer.stderr
    rows = [
        (e.email, e.website, e.store_view, e.message, e.group_code) for e in store.invitations()
    ]
    assert rows == [
        (ANNA, "private", "it", "Come in", "vip"),
        (BEN, "main", "en", "Welcome", "vip"),
    ]
    assert {each.inviter_key for each in store.invitations()} == {""}
    store.deliver()
    assert sorted(recipients(sink)) == [ANNA, BEN]


def test_it_works_in_every_store(any_store: Store) -> None:
    with any_store.session():
        group = state().host.groups()[0].code
    view = here(any_store)
    answer = bring(any_store, ANNA, given=("--store-view", view["store_view"], "--group", group))
    assert answer.exit_code == 0
    [made] = any_store.invitations()
    assert (made.website, made.store_view, made.group_code) == (*view.values(), group)


def test_the_history_names_the_command_line(store: Store, admin: Visitor) -> None:
    bring(store, ANNA)
    with store.session() as db:
        [made] = db.execute(sa.select(History.action, History.actor_name))
    assert tuple(made) == ("create", "command line")
    [history] = Page(admin.get("/admin/invitations/1/")).all("ol", class_="inv-history")
    assert "Command line" in history.text


def test_whoever_listens_is_told_of_each(store: Store) -> None:
    heard = []

    def listen(sender: object, invitation: Any, **more: object) -> None:
        heard.append(invitation.email)

    with invitation_created.connected_to(listen, store.app):
        bring(store, "\n".join(many(3)))
        bring(store, "\n".join(many(3)))
    assert heard == many(3)


@pytest.mark.parametrize(
    "text",
    [
        f"{ANNA}\n{BEN}\n",
        f"\n\r\n{ANNA}\r\n\r\n{BEN}",
        f"\ufeff{ANNA}\n{BEN}\n",
        f"email\n{ANNA}\n{BEN}\n",
        f"email,message\n{ANNA}\n{BEN}\n",
        f"\ufeffEmail Address\r\n{ANNA}\r\n{BEN}\r\n",
        f" E-MAIL ;Name;\n{ANNA};Anna;\n;;\n{BEN};Ben;;;\n",
        f'Name\te_mail\n"Lund\tAnna"\t{ANNA}\nBen\t{BEN}\n',
        f'name,"Email"\n"Lund, ""A"" Anna",{ANNA}\n"Bee\nBen","{BEN}"\n',
        f'email\n"""Lund, Anna"" <{ANNA}>"\nBen <mailto:{BEN}>\n',
        f'"Lund, Anna" <{ANNA}>\nmailto:{BEN}?subject=Hi\n',
        f"Invitee,Email,ID\n{ANNA},inviter@example.com,1\n'{BEN},inviter@example.com,2\n",
        f"Email,Invité\ninviter@example.com,{ANNA}\n,{BEN}\n",
        f"Adresse e-mail\r{ANNA}\r{BEN}\r",
        f"邮箱\n{ANNA}; {BEN}\n",
    ],
)
def test_addresses_are_read_from_what_spreadsheets_write(store: Store, text: str) -> None:
    answer = bring(store, text)
    assert (answer.exit_code, answer.stdout) == (0, "Invited: 2\n")
    assert invited(store) == [ANNA, BEN]


def test_our_own_export_can_be_brought_to_another_website(store: Store, tmp_path: Path) -> None:
    bring(store, f"{ANNA}\n{BEN}", "--message", "Come in")
    file = tmp_path / "all.csv"
    store.app.test_cli_runner().invoke(args=["invitations", "export", str(file)])
    text = file.read_text("utf-8-sig").replace("English", "Italiano")
    assert bring(store, text).exit_code == 0
    made = [(e.email, e.store_view, e.group_code, e.message) for e in store.invitations()[2:]]
    assert made == [(ANNA, "it", "vip", "Come in"), (BEN, "it", "vip", "Come in")]


def test_each_address_has_its_result(store: Store) -> None:
    with store.session() as db:
        opt_out(db, keyed_hash(parse_address("out@example.com").mailbox, state().hash_key))
        db.commit()
    store.setting("blocked_domains", "blocked.example")
    bring(store, "known@example.com")
    text = (
        f"email\n{ANNA}\nANNA@example.com\nnobody\nx@blocked.example\nKnown@example.com\n\n"
        f"out+1@example.com\n{store.inviter}\n{BEN}; {CARA}\n"
    )
    expected = [
        ("2", "new"), ("3", "repeated"), ("4", "bad"), ("5", "blocked"), ("6", "invited"),
        ("8", "opted_out"), ("9", "sign_in"), ("10", "new"), ("10", "new"),
    ]  # fmt: skip
    assert verdicts(store, text) == expected
    store.setting("existing_customers", "skip")
    assert ("9", "customer") in verdicts(store, text)


def test_its_verdicts_are_those_of_the_form(store: Store, admin: Visitor) -> None:
    save(admin, ANNA)
    assert verdicts(store, f"{ANNA}\n{BEN}") == [("1", "invited"), ("2", "new")]
    assert verdicts(store, ANNA, "--store-view", "it") == [("1", "new")]


def test_an_address_is_repeated_on_the_same_website_only(store: Store) -> None:
    text = f"email,store view\n{ANNA},en\n{ANNA},it\n{ANNA},fr\n"
    assert [result for _, result in verdicts(store, text)] == ["new", "new", "repeated"]
    assert bring(store, text).exit_code == 0
    assert [each.store_view for each in store.invitations()] == ["en", "it"]


def test_results_are_a_file_that_no_spreadsheet_runs(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    answer = bring(store, f"email\n{ANNA}\n=cmd|' /C calc'!A0\n", "--results", file)
    assert answer.exit_code == 1
    assert results(file.read_bytes()) == [
        ["2", ANNA, "new", "Invited"],
        ["3", "'=cmd|' /C calc'!A0", "bad", "Not an e-mail address: there is no @ in it"],
    ]
    assert file.stat().st_mode & 0o077 == 0


def test_what_is_refused_is_told_with_its_line_and_the_others_are_invited(store: Store) -> None:
    text = f"email,message\n{ANNA},{'x' * 1001}\nnobody,\n{BEN},Hello, friend\n,Hello\n{CARA},Hi\n"
    answer = bring(store, text)
    assert answer.exit_code == 1
    assert answer.stdout.splitlines() == [
        "Invited: 1",
        "Not an e-mail address: 4",
        "Line 2: The message has 1001 characters; at most 1000 are possible.",
        "Line 3: Not an e-mail address: there is no @ in it",
        "Line 4: More fields than columns: put quotes around a text with separators in it.",
        "Line 5: Not an e-mail address: there is no @ in it",
    ]
    assert answer.stderr.splitlines()[-1] == "4 refused"
    assert invited(store) == [CARA]


def test_of_many_that_are_refused_some_are_told(store: Store) -> None:
    answer = bring(store, "email\n" + "nobody\n" * 25)
    assert answer.stdout.splitlines()[-2:] == [
        "Line 21: Not an e-mail address: there is no @ in it",
        "... and 5 more: --results FILE has all.",
    ]


def test_a_dry_run_saves_nothing(store: Store) -> None:
    answer = bring(store, f"{ANNA}\n{ANNA}", "--dry-run")
    assert (answer.exit_code, invited(store)) == (0, [])
    assert answer.stdout.splitlines() == [
        "Will be invited: 1",
        "Entered more than once: 1",
        "Nothing was saved: this was a dry run.",
    ]


def test_a_file_without_rows_invites_nobody(store: Store) -> None:
    answer = bring(store, "email,name\n,\n")
    assert (answer.exit_code, answer.stdout) == (0, "There is nobody to invite.\n")


def test_columns_that_are_not_read_are_named(store: Store) -> None:
    answer = bring(store, f"Mesage,email,\x1b[2JPhone\nHi,{ANNA},1\n")
    assert "Columns that are not read: Mesage, [2JPhone\n" in answer.stderr


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "Line 1: the file is empty."),
        (b"\n\n;;\n", "Line 1: the file is empty."),
        ("Name,Phone\nAnna,1\n", 'Line 1: no column is called "email" here, and Name,Phone is no'),
        ("email,E-mail\na@example.com,\n", "Line 1: two columns may be meant by email"),
        (f"email\n{ANNA}\nj\xf6rg@example.com\n".encode("latin-1"), "Line 3: this is no text in"),
        (f"email\n{ANNA}\n".encode("utf-16"), "Line 1: "),
        (f"email\n{ANNA}\nben@exam\0ple.com\n", "Line 3: it has NUL bytes"),
        (f"email\n{ANNA}\n{'x' * 3_000_000}\n", "Line 3: it has more than 131,072 characters."),
        (f'email,name\n{ANNA},"Anna\n{BEN},Ben\n', "Line 2: a quote that is opened here is not"),
        (f'email,name\n{ANNA},"A\n' + f"{BEN},Ben\n" * 9_000, "Line 2: a quote that is opened"),
        (f'email,name\n{ANNA},\n{BEN},"Ben" Bee\n', "Line 3: a quote that is opened here is not"),
        (f"email,group\n{ANNA},vip\n{BEN},\x1bnope\n", "Line 3: no group is called 'nope', but"),
        (f"email,send_from\n{ANNA},nope\n", "Line 2: no store view is called 'nope', but en"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_the_line_and_nothing_is_saved(
    store: Store, text: str | bytes, fault: str
) -> None:
    answer = bring(store, text)
    assert answer.exit_code == 2
    assert fault in answer.stderr
    assert "Nothing was saved." in answer.stderr
    assert "Traceback" not in answer.output
    assert store.invitations() == []


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--store-view", "xx", "--group", "vip"), "--store-view: 'xx' is none of en, fr, it."),
        (("--store-view", "en", "--group", "xx"), "--group: 'xx' is none of general, "),
        (("--group", "vip"), "--store-view: FILE has no such column: choose one of en, fr, it."),
        (("--store-view", "en"), "--group: FILE has no such column: choose one of general, "),
        ((*OPTIONS, "--message", "x" * 1001), "--message: The message has 1001 characters"),
        ((*OPTIONS, "--results", "/no such folder/x"), "cannot be written: No such file"),
    ],
)
def test_an_option_that_cannot_be_read_is_named_and_nothing_is_saved(
    store: Store, options: Sequence[str], fault: str
) -> None:
    answer = bring(store, ANNA, given=options)
    assert answer.exit_code == 2
    assert fault in " ".join(answer.stderr.split())
    assert store.invitations() == []


def test_a_row_that_names_nothing_needs_the_option(store: Store) -> None:
    text = f"email,group,store view\n{ANNA},vip,en\n{BEN},vip,\n"
    answer = bring(store, text, given=("--message", "Hi"))
    assert answer.exit_code == 2
    assert "Line 3: it names no store view: give --store-view." in answer.stderr
    assert bring(store, text, given=("--store-view", "Italiano")).exit_code == 0
    assert [each.store_view for each in store.invitations()] == ["en", "it"]


def test_what_there_is_only_one_of_need_not_be_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.app.app_context():
        found = state().host
        [website], [group] = found.websites()[1:], found.groups()[:1]
    monkeypatch.setattr(type(found), "websites", lambda self: (website,))
    monkeypatch.setattr(type(found), "groups", lambda self: (group,))
    assert bring(store, ANNA, given=("--message", "Hi")).exit_code == 0
    [made] = store.invitations()
    assert (made.store_view, made.group_code) == ("it", "general")


def test_files_are_read_and_named_when_they_are_missing(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "friends.csv"
    run = store.app.test_cli_runner().invoke
    missing = run(args=["invitations", "import", str(file), *OPTIONS])
    assert (missing.exit_code, "No such file" in missing.stderr) == (2, True)
    file.write_text(ANNA)
    arguments = ["invitations", "import", str(file), *OPTIONS]
    same = run(args=[*arguments, "--results", str(file)])
    assert (same.exit_code, "FILE itself would be replaced" in same.stderr) == (2, True)
    assert (run(args=arguments).exit_code, invited(store)) == (0, [ANNA])
    assert file.read_text() == ANNA


def test_the_same_file_again_invites_nobody_twice(store: Store) -> None:
    text = "\n".join(many(30))
    assert bring(store, text).stdout == "Invited: 30\n"
    again = bring(store, text)
    assert (again.exit_code, again.stdout) == (0, "Invited already: 30\n")
    assert len(store.invitations()) == len(store.outbox()) == 30


def test_what_was_saved_before_a_fault_stays_and_the_rest_comes_with_the_next_run(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(address_import, "CHUNK", 10)
    known, chunks = address_import._add, iter(range(9))

    def fall_over(wanted: Any) -> Any:
        made = known(wanted)
        if next(chunks) == 2:
            raise sa.exc.DBAPIError("INSERT", {}, Exception("the disk is full"))
        return made

    monkeypatch.setattr(address_import, "_add", fall_over)
    text, file = "\n".join(many(45)), tmp_path / "results.csv"
    answer = bring(store, text, "--results", file)
    assert answer.exit_code == 1
    assert "Who was invited until here stays so. Run it again" in answer.stderr
    assert (invited(store), list(tmp_path.glob("*results*"))) == (many(20), [])
    again = bring(store, text)
    assert again.stdout == "Invited: 25\nInvited already: 20\n"
    assert len(store.invitations()) == len(store.outbox()) == 45


def test_who_is_invited_by_somebody_else_meanwhile_is_told_as_invited(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, faster = address_import._judge, iter([True])
    with store.session():
        key = keyed_hash(parse_address(ANNA).identity, state().hash_key)

    def look_and_lose(chunk: Any) -> Any:
        judged = known(chunk)
        if next(faster, False):
            insert(store, [row(ANNA, email_hash=key)])
        return judged

    monkeypatch.setattr(address_import, "_judge", look_and_lose)
    answer = bring(store, f"{ANNA}\n{BEN}")
    assert answer.stdout == "Invited: 1\nInvited already: 1\n"
    assert sorted(map(str, invited(store))) == [ANNA, BEN]


def test_who_always_comes_second_is_told_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(wanted: Any) -> Any:
        raise AlreadyInvited({})

    monkeypatch.setattr(address_import, "_add", lose)
    answer = bring(store, ANNA)
    assert answer.exit_code == 1
    assert "refused (Busy: others invite the same addresses" in answer.stderr


def test_a_process_that_is_killed_leaves_whole_chunks_and_the_next_run_completes_them(
    store: Store, sink: Sink, tmp_path: Path
) -> None:
    file = tmp_path / "many.csv"
    total = 3000
    file.write_text("email\n" + "".join(f"n{each}@example.com\n" for each in range(total)))
    with start(store, sink, "import", str(file), *OPTIONS) as process:
        wait_for(lambda: len(store.invitations()) > 0)
        process.kill()
    left = len(store.invitations())
    assert 0 < left < total
    assert left % address_import.CHUNK == 0
    assert len(store.outbox()) == left
    answer = bring(store, file.read_bytes())
    assert answer.stdout == f"Invited: {total - left}\nInvited already: {left}\n"
    assert len(store.invitations()) == len(store.outbox()) == total
