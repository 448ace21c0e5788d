"""Keep the plugin's catalogues in step with its source: ``--update`` or ``--check``."""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

from invitations_plugin.i18n import DIRECTORY, DOMAIN, LANGUAGES

PACKAGE = DIRECTORY.parent
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2")]
KEYWORDS = {
    "gettext": None,
    "n_": None,
    "inv_t": None,
    "pgettext": ((1, "c"), 2),
    "np_": ((1, "c"), 2),
    "ngettext": (1, 2),
    "inv_nt": (1, 2),
}
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def extract() -> Catalog:
    """Return every message of the source, with where it is used."""
    catalog = Catalog(domain=DOMAIN, project="invitations-plugin", charset="utf-8")
    found = extract_from_dir(PACKAGE, METHODS, keywords=KEYWORDS, strip_comment_tags=True)
    for filename, _, message, _, context in sorted(found, key=lambda each: (each[0], str(each[2]))):
        catalog.add(message, locations=[(filename, 0)], context=context)
    return catalog


def paths(language: str) -> tuple[Path, Path]:
    """Return a language's catalogue, as written and as compiled."""
    folder = DIRECTORY / language / "LC_MESSAGES"
    return folder / f"{DOMAIN}.po", folder / f"{DOMAIN}.mo"


def read(language: str) -> Catalog:
    """Return a language's catalogue, empty where there is none yet."""
    source, _ = paths(language)
    if not source.exists():
        return Catalog(locale=language, domain=DOMAIN)
    with source.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def update(language: str) -> None:
    """Bring a catalogue up to date, drop what nobody says any more, compile it."""
    source, compiled = paths(language)
    catalog = read(language)
    catalog.update(extract(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    catalog.project, catalog.version, catalog.fuzzy = "invitations-plugin", "0.1", False
    catalog.header_comment = f"# invitations-plugin in {catalog.locale.english_name}."
    for message in catalog:
        if language == "en" and message.id:
            message.string = message.id
    source.parent.mkdir(parents=True, exist_ok=True)
    with source.open("wb") as file:
        write_po(file, catalog, width=100, omit_header=False, include_lineno=False)
    _drop_dates(source)
    with compiled.open("wb") as file:
        write_mo(file, read(language))


def _drop_dates(source: Path) -> None:
    """A date and a translator's name would change in every file at every update."""
    lines = source.read_text().splitlines()
    dropped = ("POT-Creation-Date", "PO-Revision-Date", "Last-Translator", "Language-Team")
    kept = [line for line in lines if not line.startswith(tuple(f'"{name}' for name in dropped))]
    source.write_text("\n".join(kept).rstrip() + "\n")


def problems(language: str, wanted: Catalog) -> Iterator[str]:
    """Yield what a catalogue lacks, has too much, or says with other placeholders."""
    catalog = read(language)
    for message in wanted:
        have = catalog.get(message.id, message.context)
        if message.id and (have is None or not _is_translated(have)):
            yield f"{language}: not translated: {message.id!r}"
        elif message.id and have is not None and not _agrees(have):
            yield f"{language}: other placeholders: {message.id!r}"
    for message in catalog:
        if message.id and wanted.get(message.id, message.context) is None:
            yield f"{language}: nobody says this any more: {message.id!r}"
    if not _is_compiled(language, catalog):
        yield f"{language}: not compiled: make translations"


def _is_translated(message: Message) -> bool:
    strings = message.string if isinstance(message.string, (tuple, list)) else [message.string]
    return bool(strings) and all(strings) and not message.fuzzy


def _agrees(message: Message) -> bool:
    """Return whether each form uses no placeholder but those of the message."""
    ids = message.id if isinstance(message.id, (tuple, list)) else [message.id]
    strings = message.string if isinstance(message.string, (tuple, list)) else [message.string]
    allowed = set().union(*map(_placeholders, ids))
    if len(ids) == 1:
        return all(_placeholders(text) == allowed for text in strings)
    return all(_placeholders(text) <= allowed for text in strings)


def _placeholders(text: str | None) -> set[str]:
    return set(PLACEHOLDER.findall(text or ""))


def _is_compiled(language: str, catalog: Catalog) -> bool:
    _, compiled = paths(language)
    if not compiled.exists():
        return False
    wanted = io.BytesIO()
    write_mo(wanted, catalog)
    wanted.seek(0)
    with compiled.open("rb") as file:
        return _strings(read_mo(file)) == _strings(read_mo(wanted))


def _strings(catalog: Catalog) -> dict[str, str]:
    return {
        f"{message.context} {message.id}": str(message.string) for message in catalog if message.id
    }


def main() -> int:
    """Update or check every language."""
    parser = argparse.ArgumentParser(description=__doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--update", action="store_true", help="read the source, compile")
    chosen.add_argument("--check", action="store_true", help="fail on what is missing")
    if parser.parse_args().update:
        for language in LANGUAGES:
            update(language)
        return 0
    wanted = extract()
    found = [line for language in LANGUAGES for line in problems(language, wanted)]
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
