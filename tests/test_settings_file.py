"""The configuration as a file and on the command line."""

from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from werkzeug.test import TestResponse

from .support.pages import Page
from .support.stores import Store, Visitor
from .test_configuration import CONFIGURATION, overrides
from .test_configuration_history import changes

EXPORT, IMPORT = f"{CONFIGURATION}/export", f"{CONFIGURATION}/import"
FILE = """# as exported
[default]
max_per_send = 7
blocked_domains = "a.example\\nb.example"

[website.main]
storefront_enabled = false

[store.fr]
link_days = 9
"""
SET = [
    ("default", "", "blocked_domains", "a.example\nb.example"),
    ("default", "", "max_per_send", 7),
    ("store", "fr", "link_days", 9),
    ("website", "main", "storefront_enabled", False),
]
BAD = """[default]
max_per_send = 0
nonsense = 1
enabled = "perhaps"

[website.main]
enabled = false

[store.xx]
link_days = 9
"""


def run(store: Store, *arguments: str, typed: str | None = None) -> Result:
    """Run ``flask invitations settings``."""
    runner = store.app.test_cli_runner()
    return runner.invoke(args=["invitations", "settings", *arguments], input=typed)


def bring(visitor: Visitor, text: str, **more: Any) -> TestResponse:
    visitor.get(IMPORT)
    return visitor.post(IMPORT, {"text": text, **more})


def fill(store: Store) -> None:
    for scope, code, name, value in SET:
        store.setting(name, value, scope, code)


def test_what_is_exported_is_what_is_set_and_can_be_brought_back(
    store: Store, admin: Visitor
) -> None:
    fill(store)
    answer = admin.get(EXPORT)
    assert answer.mimetype == "application/toml"
    assert "invitations-settings.toml" in answer.headers["Content-Disposition"]
    assert tomllib.loads(answer.text) == tomllib.loads(FILE)
    for name in ("max_per_send", "blocked_domains"):
        store.setting(name, 8 if name == "max_per_send" else "")
    assert bring(admin, answer.text, confirm="1").status_code == 302
    assert overrides(store) == SET


def test_an_import_is_looked_at_before_anything_is_changed(store: Store, admin: Visitor) -> None:
    store.setting("max_per_send", 8)
    review = bring(admin, FILE)
    page = Page(review)
    assert page.text("h1") == ["Change 4 settings?"]
    rows = page.text("tr")
    assert "Max Invitations Allowed to be Sent at One Time Default 8 7" in rows
    assert "Lifetime of a Link in Days Français not set 9" in rows
    assert "While they are off on the storefront" in review.text
    assert len(overrides(store)) == 1
    [text] = page.all("textarea", name="text")
    saved = bring(admin, text.text.removeprefix("\n"), confirm="1")
    assert Page(admin.get(saved.location)).notices[0] == "4 settings were imported."
    assert overrides(store) == SET
    assert {who for who, *_ in changes(store)[1:]} == {"Ada Admin"}


def test_a_file_is_chosen_as_well_as_pasted(store: Store, admin: Visitor) -> None:
    file = (io.BytesIO(b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode()), "settings.toml")
    assert "Change 4 settings?" in bring(admin, "", file=file).text


def test_json_is_read_as_well(store: Store, admin: Visitor) -> None:
    bring(admin, json.dumps(tomllib.loads(FILE), indent=2), confirm="1")
    assert overrides(store) == SET


def test_what_does_not_stand_in_the_file_stays_unless_it_replaces_all(
    store: Store, admin: Visitor
) -> None:
    fill(store)
    bring(admin, "[default]\nmax_per_send = 6\n", confirm="1")
    assert len(overrides(store)) == 4
    bring(admin, "[default]\nmax_per_send = 6\n", confirm="1", replace="1")
    assert overrides(store) == [("default", "", "max_per_send", 6)]


@pytest.mark.parametrize("is_json", [False, True])
def test_all_that_is_wrong_is_told_by_line_and_nothing_is_changed(
    store: Store, admin: Visitor, is_json: bool
) -> None:
    lines = {"nonsense": 3, "max_per_send": 2, "enabled: Choose": 4, "enabled: It": 7, "xx": 9}
    text = BAD
    if is_json:
        text = json.dumps(tomllib.loads(BAD), indent=0)
        lines = {"nonsense": 4, "max_per_send": 3, "enabled: Choose": 5, "enabled: It": 9, "xx": 13}
    answer = bring(admin, text, confirm="1")
    assert (answer.status_code, overrides(store)) == (422, [])
    said = Page(answer).text("li")
    for what, line in lines.items():
        assert any(what in each and f"Line {line}:" in each for each in said), (what, said)
    [kept] = Page(answer).all("textarea", name="text")
    assert kept.text.removeprefix("\n") == text


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "{", "[default]\nlink_days = 1979-05-27", "[store]\nfr = 3", "[]", "{}x",
     "[default]\nlink_days = [1]", "[default]\nregistration = [1]", "[default]\nenabled = {a=1}",
     "default = 3", "[website.main.deep]\nx = 1", "{" * 5000, '{"default": null}',
     f"[default]\nmax_per_send = {'9' * 5000}", f'{{"default": {{"max_per_send": {"9" * 5000}}}}}',
     f"[default]\nmax_per_send = 0x{'f' * 5000}", '{"\\ud800": {}}',
     '{"default": {"blocked_domains": "\\ud800"}}', '{"default": {"blocked_domains": "\\u0000"}}'],
)  # fmt: skip
@pytest.mark.parametrize("database", ["sqlite"])
def test_no_file_breaks_the_page(store: Store, admin: Visitor, text: str) -> None:
    assert bring(admin, text).status_code == 422


def test_a_file_that_is_no_text_is_refused(store: Store, admin: Visitor) -> None:
    assert bring(admin, "", file=(io.BytesIO(b"\xff\xfe\x00"), "a.toml")).status_code == 422
    huge = (io.BytesIO(b"#" * (1024 * 1024 + 1)), "a.toml")
    answer = bring(admin, "", file=huge)
    assert (answer.status_code, "larger than" in answer.text) == (422, True)
    answer.request.environ["wsgi.input"].close()  # a file that the test's browser leaves open


def test_set_get_and_unset_on_the_command_line(store: Store) -> None:
    answer = run(store, "set", "max_per_send", "7", "--scope", "store:fr")
    assert (answer.exit_code, answer.output) == (0, "max_per_send in store:fr: (not set) -> 7\n")
    assert run(store, "get", "max_per_send", "--scope", "store:fr").output == "7\n"
    assert run(store, "get", "MAX_PER_SEND").output == "5\n"
    assert run(store, "set", "allow_message", "no").exit_code == 0
    assert run(store, "get", "allow_message", "--scope", "website:main").output == "false\n"
    answer = run(store, "unset", "max_per_send", "--scope", "store:fr")
    assert answer.output == "max_per_send in store:fr: 7 -> (not set)\n"
    answer = run(store, "unset", "max_per_send", "--scope", "store:fr")
    assert (answer.exit_code, answer.output) == (0, "There is nothing to change.\n")
    assert {who for who, *_ in changes(store)} == {"command line"}


def test_list_shows_every_value_and_where_it_comes_from(store: Store) -> None:
    store.setting("link_days", 9, "website", "main")
    lines = run(store, "list", "--scope", "store:fr").output.splitlines()
    assert [line.split() for line in lines if line.startswith("link_days")] == [
        ["link_days", "9", "website:main"]
    ]
    assert [line.split(maxsplit=2) for line in lines if line.startswith("max_per_send")] == [
        ["max_per_send", "5", "built in"]
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["set", "max_per_send", "0"], 1, "Enter a whole number from 1 to 100."),
        (["set", "email_sender", "nobody"], 1, "Choose one of: general, sales"),
        (["set", "enabled", "no", "--scope", "store:fr"], 1, "cannot be set for a store view"),
        (["set", "nonsense", "1"], 2, "there is no 'nonsense'"),
        (["get", "nonsense"], 2, "there is no 'nonsense'"),
        (["get", "enabled", "--scope", "store:xx"], 2, "none of default, website:main"),
        (["import", "/does/not/exist"], 2, "No such file"),
        (["history", "--limit", "0"], 2, "--limit"),
    ],
)
def test_what_the_command_line_refuses_has_its_exit_code(
    store: Store, arguments: list[str], code: int, said: str
) -> None:
    answer = run(store, *arguments)
    assert (answer.exit_code, overrides(store)) == (code, [])
    assert said in " ".join(answer.output.split())


def test_a_file_is_written_and_read_by_the_command_line(store: Store, tmp_path: Path) -> None:
    fill(store)
    path = str(tmp_path / "settings.toml")
    assert run(store, "export", path).exit_code == 0
    assert run(store, "export").output == Path(path).read_text()
    store.setting("max_per_send", 8)
    answer = run(store, "import", path)
    assert (answer.exit_code, answer.output) == (0, "max_per_send in default: 8 -> 7\n")
    assert overrides(store) == SET


def test_a_dry_run_says_what_would_change_and_changes_nothing(store: Store) -> None:
    fill(store)
    answer = run(
        store, "import", "-", "--dry-run", "--replace", typed="[store.fr]\nlink_days = 8\n"
    )
    assert answer.exit_code == 0
    assert "link_days in store:fr: 9 -> 8" in answer.output
    assert "max_per_send in default: 7 -> (not set)" in answer.output
    assert answer.output.endswith("Nothing was changed: this was a dry run.\n")
    assert overrides(store) == SET


def test_a_bad_file_ends_the_command_with_all_that_is_wrong(store: Store) -> None:
    answer = run(store, "import", "-", typed=BAD)
    assert (answer.exit_code, overrides(store)) == (1, [])
    assert "Line 3: nonsense: There is no such setting." in answer.output
    assert "Line 9: There is no scope store:xx here." in answer.output


def test_the_history_of_the_command_line_is_the_page_s(store: Store, admin: Visitor) -> None:
    run(store, "set", "link_days", "9")
    answer = run(store, "history", "--limit", "1")
    assert answer.output.rstrip().endswith("command line  link_days in default: (not set) -> 9")
    assert "command line" in admin.get(f"{CONFIGURATION}/history").text
