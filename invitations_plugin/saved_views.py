"""Saved views: the grid's filters, order and columns under a name, each member of staff's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from .database import Busy
from .models import VIEW_NAME, SavedView
from .text import clean_line

MOST: Final = 50  # of one member of staff


class BadName(Exception):
    """A view cannot be called that: it has no name, or one that is too long."""


class NameTaken(Exception):
    """Another view of the same person has this name."""


class TooMany(Exception):
    """This person has :data:`MOST` views."""


def views_of(session: Session, actor_key: str) -> Sequence[SavedView]:
    """Return somebody's views by name."""
    query = sa.select(SavedView).where(SavedView.actor_key == actor_key)
    return sorted(session.scalars(query), key=lambda view: (view.name.casefold(), view.id))


def find(session: Session, actor_key: str, view_id: int) -> SavedView | None:
    """Return a view by its id, None where it is not this person's."""
    query = sa.select(SavedView).where(SavedView.id == view_id, SavedView.actor_key == actor_key)
    return session.scalars(query).first()


def default_of(session: Session, actor_key: str) -> SavedView | None:
    """Return the view that somebody starts with, None without one."""
    query = sa.select(SavedView).where(SavedView.actor_key == actor_key, SavedView.is_default)
    return session.scalars(query).first()


def save(session: Session, actor_key: str, name: str, arguments: Mapping[str, str]) -> SavedView:
    """Keep arguments of the grid under a new name.

    :raises BadName: when it is empty or longer than :data:`models.VIEW_NAME`.
    :raises NameTaken: when the same person has another view of this name.
    :raises TooMany: when there are :data:`MOST` of them already.
    """
    if len(views_of(session, actor_key)) >= MOST:
        raise TooMany
    view = SavedView(actor_key=actor_key, name=_usable(name), arguments=dict(arguments))
    session.add(view)
    _flush(session)
    return view


def rename(session: Session, view: SavedView, name: str) -> None:
    """Call a view something else.

    :raises BadName: when it is empty or longer than :data:`models.VIEW_NAME`.
    :raises NameTaken: when the same person has another view of this name.
    """
    view.name = _usable(name)
    _flush(session)


def start_with(session: Session, view: SavedView, *, is_default: bool) -> None:
    """Let a view be the one its owner starts with, or no longer.

    :raises Busy: when the same person chooses another one at this very moment.
    """
    others = sa.update(SavedView).where(SavedView.actor_key == view.actor_key)
    session.execute(others.values(is_default=False))
    view.is_default = is_default
    try:
        session.flush()
    except IntegrityError as error:
        raise Busy from error


def _usable(name: str) -> str:
    usable = clean_line(name)
    if not 0 < len(usable) <= VIEW_NAME:
        raise BadName
    return usable


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise NameTaken from error
