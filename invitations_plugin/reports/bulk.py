"""Very many invitations at once: their figures are counted when they are in, not one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..database import atomically, engine, session
from ..turns import take_turn
from . import folding, triggers


@contextmanager
def figures_afterwards() -> Iterator[None]:
    """Keep no figures while very many invitations come in; the worker counts them anew then.

    Reports count the rows meanwhile, and are right. Enter it without an open transaction: it
    takes the triggers off the table, and puts them back at the end, whatever happens. Where
    the process dies, the next ``upgrade`` does. To import into a store that is in use it is
    not meant: nobody can write while the triggers come and go.
    """
    atomically(lambda: _stop(session()))
    try:
        yield
    finally:
        session().rollback()
        atomically(lambda: _start(session()))


def _stop(db: Session) -> None:
    """Let go of figures and triggers, in one transaction and not while others count."""
    take_turn(db, folding.STATE)
    connection = db.connection(bind_arguments={"bind": engine()})
    folding.forget(connection)
    triggers.drop(connection)


def _start(db: Session) -> None:
    take_turn(db, folding.STATE)
    mend(db.connection(bind_arguments={"bind": engine()}))


def mend(connection: sa.Connection) -> None:
    """Make the triggers where they are gone, and have everything counted anew then."""
    if not triggers.exist(connection):
        triggers.create(connection)
        folding.forget(connection)
