"""``flask invitations rebuild-figures``: the figures of the reports, counted anew."""

from __future__ import annotations

import sys
from typing import Any

import click
import sqlalchemy as sa
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from .database import atomically, session
from .models import Invitation
from .reports import folding


@click.command("rebuild-figures")
@with_appcontext
def rebuild_figures() -> None:
    """Count the figures of the reports anew. Reports stay right while it runs.

    Nobody waits for it: it counts some thousand invitations at a time. What was interrupted
    goes on where it was, by this command or by the worker.
    """
    db = session()
    state = folding.read_state(db)
    if state is None or state.is_whole:
        atomically(lambda: folding.begin(db))
    total = db.scalar(sa.select(sa.func.max(Invitation.id))) or 0
    with click.progressbar(length=total, label="Counting", file=sys.stderr) as bar:
        while (state := _step(db)) is not None:
            bar.update(min(state.position, total) - bar.pos)
        bar.update(total - bar.pos)
    while folding.is_something_due(db):
        atomically(lambda: folding.step(db))
    click.echo("The figures are those of the invitations.")


def _step(db: Session) -> Any | None:
    """Count some more; return how far that is, None when all are in."""
    atomically(lambda: folding.step(db))
    state = folding.read_state(db)
    return state if state is not None and not state.is_whole else None
