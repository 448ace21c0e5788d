"""``flask invitations import``: the store invites whom a file names, with a result for each."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

import click
from flask.cli import with_appcontext

from .address_file import Header, Unreadable, kept_text, read_header, read_rows
from .address_import import Choices, Entry, chunks, find_code, look_through, read_entries, take
from .admin import words
from .cells import guarded
from .cli_export import opened, reported
from .exporting import BOM, csv_lines
from .forms import long_message_text
from .i18n import LANGUAGES, gettext, in_language
from .looking_over import Line, Verdict
from .state import host
from .text import clean

MOST_TOLD = 20  # lines that were refused; the file of results has all
HEADINGS: Final = ("line", "address", "result", "reason")
# What became of those of whom the review says what will.
DONE: Final[Mapping[Verdict, str]] = {
    Verdict.NEW: "Invited",
    Verdict.SIGN_IN: "Invited to sign in: a customer",
}
OWN_COLUMNS: Final = ("invitee", "message", "group", "store_view")
STAYS: Final = (
    "Who was invited until here stays so. Run it again for the others: nobody is invited twice."
)


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--message", default="", help="For rows that have no message.")
@click.option("--group", default="", help="Invitee Group, by code, of rows that name none.")
@click.option("--store-view", default="", help="Send From, by code, of rows that name none.")
@click.option("--dry-run", is_flag=True, help="Only say what would become of each; save nothing.")
@click.option(
    "--results",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write what became of each address to this file, as CSV.",
)
@with_appcontext
def import_file(file: IO[bytes], dry_run: bool, results: Path | None, **given: str) -> None:
    """Invite the addresses in FILE, or on the standard input where it is "-", as the store.

    FILE is CSV in UTF-8, with commas, semicolons or tabs. Its first line names the columns:
    email, and where wanted message, group and store view; without it each line is an address.
    The rules are those of Add Invitations. Run again, it invites nobody twice.

    Exit code 0 when all were invited or left out with good reason, 1 when some are no addresses
    or have a bad message, 2 when the file or an option cannot be read: nothing is saved then.
    """
    _refuse_same(file, results)
    with in_language("en"), kept_text(file) as kept:
        choices = _choices(**given)
        header, last = _look_through(kept, choices)
        with _results_file(results) as target:
            told = Results(target, is_dry=dry_run)
            _invite(kept, header, choices, last, told)
    _summarise(told, is_aside=str(results) == "-")


def _refuse_same(file: IO[bytes], results: Path | None) -> None:
    """Refuse to put the results in the place of what was brought."""
    source = Path(str(getattr(file, "name", "")))  # a pipe may have none
    if results is not None and source.exists() and results.exists() and results.samefile(source):
        raise click.BadParameter("FILE itself would be replaced.", param_hint="--results")


def _choices(message: str, group: str, store_view: str) -> Choices:
    """Return what the options give, and what there is to be named.

    :raises click.BadParameter: for a code that is not there, or a message that is too long.
    """
    views = {view.code: view for site in host().websites() for view in site.store_views}
    groups = {each.code: each.name for each in host().groups()}
    if fault := long_message_text(clean(message)):
        raise click.BadParameter(fault, param_hint="--message")
    return Choices(
        views,
        groups,
        _code("--store-view", store_view, {code: view.name for code, view in views.items()}),
        _code("--group", group, groups),
        clean(message),
    )


def _code(option: str, text: str, names: Mapping[str, str]) -> str:
    """Return the code that an option means, the only one without it, "" where there are more."""
    if not text:
        return next(iter(names)) if len(names) == 1 else ""
    code = find_code(text, names)
    if code is None:
        raise click.BadParameter(f"{text!r} is none of {', '.join(names)}.", param_hint=option)
    return code


def _look_through(kept: IO[str], choices: Choices) -> tuple[Header | None, int]:
    """Return how the file names its columns, and its last line; it can be read as a whole.

    :raises click.BadParameter: when it cannot, or nothing says what the option would.
    """
    try:
        header = read_header(kept, _own_names())
        columns = header.places if header is not None else {}
        _refuse_without("--store-view", columns, choices.store_view, choices.views)
        _refuse_without("--group", columns, choices.group, choices.groups)
        last = look_through(read_rows(kept, header), choices)
    except Unreadable as error:
        raise click.BadParameter(f"{error} Nothing was saved.", param_hint="FILE") from error
    if header is not None and header.unread:
        click.echo(f"Columns that are not read: {', '.join(header.unread)}", err=True)
    return header, last


def _own_names() -> dict[str, list[str]]:
    """Return what our own exports call their columns, in each language."""
    found: dict[str, list[str]] = {name: [] for name in OWN_COLUMNS}
    for code in LANGUAGES:
        with in_language(code):
            for name, labels in found.items():
                labels.append(gettext(words.EXPORT_COLUMNS[name]))
    return found


def _refuse_without(
    option: str, columns: Mapping[str, int], chosen: str, offered: Mapping[str, object]
) -> None:
    if not chosen and option.removeprefix("--").replace("-", "_") not in columns:
        text = f"FILE has no such column: choose one of {', '.join(offered)}."
        raise click.BadParameter(text, param_hint=option)


@contextmanager
def _results_file(path: Path | None) -> Iterator[IO[bytes] | None]:
    """Yield what the results are written into, before anything is saved; None for nothing."""
    if path is None:
        yield None
        return
    with reported(path), ExitStack() as stack:
        try:
            target = stack.enter_context(opened(path))
        except OSError as error:
            text = f"{path} cannot be written: {error.strerror}. Nothing was saved."
            raise click.BadParameter(text, param_hint="--results") from error
        yield target


class Results:
    """What became of each address: counted, and written as a file where one was asked for."""

    def __init__(self, target: IO[bytes] | None, *, is_dry: bool) -> None:
        self.is_dry = is_dry
        self.counts: Counter[Verdict] = Counter()
        self.refused: list[tuple[int, str]] = []
        self._target = target
        self._write(BOM + csv_lines([HEADINGS]))

    def text(self, verdict: Verdict) -> str:
        """Say what became of one, or would."""
        done = {} if self.is_dry else DONE
        return done.get(verdict) or gettext(words.VERDICTS[verdict])

    def add(self, chunk: Sequence[Entry], verdicts: Sequence[Verdict]) -> None:
        """Take in what became of a chunk."""
        lines = []
        for entry, verdict in zip(chunk, verdicts, strict=True):
            pasted, reason = entry.pasted, self._reason(entry, verdict)
            lines.append((pasted.line, guarded(pasted.typed), verdict.value, guarded(reason)))
            if verdict == Verdict.BAD and len(self.refused) < MOST_TOLD:
                self.refused.append((pasted.line, reason))
        self.counts.update(verdicts)
        self._write(csv_lines(lines))

    def _reason(self, entry: Entry, verdict: Verdict) -> str:
        if verdict == Verdict.BAD:
            return entry.fault or words.verdict_text(Line(entry.pasted, verdict))
        return self.text(verdict)

    def _write(self, data: bytes) -> None:
        if self._target is not None:
            self._target.write(data)


def _invite(
    kept: IO[str], header: Header | None, choices: Choices, last: int, told: Results
) -> None:
    label = "Checking" if told.is_dry else "Inviting"
    with (
        _saying_what_stays(told),
        click.progressbar(length=last, label=label, file=sys.stderr) as bar,
    ):
        for chunk in chunks(read_entries(read_rows(kept, header), choices)):
            told.add(chunk, take(chunk, save=not told.is_dry))
            bar.update(chunk[-1].pasted.line - bar.pos)


@contextmanager
def _saying_what_stays(told: Results) -> Iterator[None]:
    """Tell whoever breaks it off, or meets a fault, what is to be done then."""
    try:
        yield
    except BaseException:
        if not told.is_dry:
            click.echo(f"\n{STAYS}", err=True)
        raise


def _summarise(told: Results, *, is_aside: bool) -> None:
    """Say how many there were of each kind and which were refused; exit code 1 when some were.

    :param is_aside: the results are on the standard output already.
    """
    with in_language("en"):
        lines = [f"{told.text(each)}: {told.counts[each]}" for each in Verdict if told.counts[each]]
    lines += [f"Line {line}: {reason}" for line, reason in told.refused]
    bad = told.counts[Verdict.BAD]
    if bad > len(told.refused):
        lines.append(f"... and {bad - len(told.refused)} more: --results FILE has all.")
    if told.is_dry:
        lines.append("Nothing was saved: this was a dry run.")
    click.echo("\n".join(lines or ["There is nobody to invite."]), err=is_aside)
    if bad:
        click.echo(f"{bad} refused", err=True)
        raise SystemExit(1)
