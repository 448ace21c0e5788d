"""Who exported what: the entry of each export, kept true while its file is downloaded.

The entry is there before the first byte leaves. A download outlives the request that asked
for it, so what is noted meanwhile has app contexts and short transactions of its own.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa
from flask import Flask, current_app
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from . import scope, selections
from .cells import COLUMNS, Row, Texts
from .clock import now
from .database import Busy, atomically, session
from .exporting import FORMATS, Chunks, chunks
from .grid import Selection
from .lifecycle import Actor
from .models import Export, ExportState

log = logging.getLogger(__name__)

KEPT = timedelta(days=30)
SILENCE = timedelta(minutes=2)  # then a download counts as broken off: its process may be gone
EVERY = 1.0  # seconds between two notes of how far a download is
Moved = Callable[[int], None]


class Gone(Exception):
    """There is no such export, or it cannot be read any more."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A download: of which export, and the name it goes by there."""

    id: int
    claim: str
    format: str
    selection: Selection


def _unwatched(number: int) -> None:
    pass


def create(
    db: Session, kind: str, selection: Selection, timezone: str, actor: Actor, total: int
) -> Export:
    """Note that somebody asked for a file. The caller commits."""
    export = Export(
        format=kind,
        selection=selections.written(selection, timezone),
        columns=list(COLUMNS),
        actor_key=actor.key,
        actor_name=actor.name[:255],
        total=total,
    )
    db.add(export)
    db.flush()
    return export


def latest(db: Session, number: int) -> Sequence[Export]:
    """Return the exports that were asked for last, the newest first, as far as the reader's go."""
    query = sa.select(Export).order_by(Export.id.desc())
    if scope.websites() is None:
        query = query.limit(number)
    return list(islice(selections.within_reach(db, query, Export.selection), number))


def state_of(export: Export) -> ExportState:
    """Return where an export stands; a download nobody has heard of for long was broken off."""
    is_silent = export.touched_at is None or export.touched_at < now() - SILENCE
    is_broken_off = export.state == ExportState.RUNNING and is_silent
    return ExportState.STOPPED if is_broken_off else ExportState(export.state)


def forget(db: Session) -> None:
    """Remove exports that were asked for long ago. The caller commits."""
    db.execute(sa.delete(Export).where(Export.created_at < now() - KEPT))


def download(
    export_id: int, texts: Texts, moved: Moved = _unwatched
) -> Generator[bytes, None, None]:
    """Return the pieces of an export's file; its first rows are read when this returns.

    Whoever ends it early closes it: then nothing more is read.

    :param moved: told how many rows the file has had since it was told last.

    :raises Gone: when there is no such export, or what it is about cannot be read.
    :raises Busy: when the database does not let us.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    held = atomically(lambda: _begin(session(), export_id))
    pieces = _pieces(_Progress(app, held, moved), texts)
    next(pieces)
    return pieces


def _begin(db: Session, export_id: int) -> _Held:
    """Start a download; an earlier one of the same export may go on, but notes nothing more."""
    claim, at = secrets.token_hex(16), now()
    found = db.execute(
        sa.update(Export)
        .where(Export.id == export_id)
        .values(
            state=ExportState.RUNNING, claim=claim, done=0, downloads=Export.downloads + 1,
            started_at=at, touched_at=at, ended_at=None, error=None,
        )
        .returning(Export.format, Export.selection),
        execution_options={"synchronize_session": False},
    ).first()  # fmt: skip
    if found is None:
        raise Gone
    try:
        return _Held(export_id, claim, found.format, selections.read(found.selection))
    except ValueError as error:
        raise Gone from error


def _pieces(progress: _Progress, texts: Texts) -> Generator[bytes, None, None]:
    """Yield nothing once the first rows are read, then the file, and note how it ended."""
    held = progress.held
    try:
        rows = progress.watch(chunks(progress.app, held.selection))
        first = next(rows, ())
        yield b""
        yield from FORMATS[held.format].make(chain([first], rows), texts)
    except GeneratorExit:
        progress.end(ExportState.STOPPED)
        raise
    except Exception as error:
        log.exception("The export %s failed", held.id)
        progress.end(ExportState.FAILED, error=type(error).__name__)
        raise
    progress.end(ExportState.DONE)


class _Progress:
    """Notes about once a second how many rows a download has had."""

    def __init__(self, app: Flask, held: _Held, moved: Moved) -> None:
        self.app, self.held, self._moved = app, held, moved
        self._done = 0
        self._due = time.monotonic() + EVERY

    def watch(self, rows: Chunks) -> Iterator[Sequence[Row]]:
        """Yield chunks on; one counts when the next is asked for."""
        for chunk in rows:
            yield chunk
            self._done += len(chunk)
            self._moved(len(chunk))
            if time.monotonic() >= self._due:
                self._note()
                self._due = time.monotonic() + EVERY

    def end(self, state: ExportState, error: str | None = None) -> None:
        """Note how the download ended."""
        self._note(state=state, error=error, ended_at=now())

    def _note(self, **values: Any) -> None:
        """Write what is known; a database that is away does not end a download."""
        with suppress(Busy, DBAPIError), self.app.app_context():
            atomically(lambda: self._write(session(), **values))

    def _write(self, db: Session, **values: Any) -> None:
        db.execute(
            sa.update(Export)
            .where(Export.id == self.held.id, Export.claim == self.held.claim)
            .values(done=self._done, touched_at=now(), **values),
            execution_options={"synchronize_session": False},
        )
