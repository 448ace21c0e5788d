"""What every page of the grid asks for and mostly is not there, in one statement.

The grid is opened all day: a question that finds nothing costs it as much as its rows do.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..database import end_reading_by_commit, is_postgresql, limiting, planning
from ..jobs import OPEN
from ..mail_models import MailTemplateFault
from ..models import Job, SavedView, SettingOverride, connection_of
from ..watch_models import Alarm


@dataclass(frozen=True, slots=True)
class Glance:
    """Whether there is a setting of the store's own, an unfinished mass action, a mail template
    that failed, something that keeps mail from leaving, a view that the reader starts with.
    """

    settings: bool
    jobs: bool
    faults: bool
    alarms: bool
    view: bool


def _any(column: Any, *conditions: Any) -> Any:
    return sa.exists(sa.select(column).where(*conditions))


_setting, _fault = SettingOverride.__table__.c, MailTemplateFault.__table__.c
_job, _view = Job.__table__.c, SavedView.__table__.c
PAGE_SECONDS: Final = 5.0  # that reading a page may take
_LOOK: Final[Any] = sa.select(
    _any(_setting.name),
    _any(_job.id, _job.state.in_(OPEN)),
    _any(_fault.code),
    _any(Alarm.__table__.c.name),
    _any(_view.id, _view.actor_key == sa.bindparam("reader"), _view.is_default),
)
_LOOK_AND_LIMIT: Final[Any] = _LOOK.add_columns(limiting(PAGE_SECONDS))
_LOOK_AND_PLAN: Final[Any] = _LOOK_AND_LIMIT.add_columns(planning())


def look(session: Session, reader: str, *, is_varied: bool) -> Glance:
    """Return what there is for a reader, named by their key.

    On PostgreSQL the transaction's further statements may take :data:`PAGE_SECONDS`.

    :param is_varied: whether they want a plan for each value they are given.
    """
    connection, statement = connection_of(session), _LOOK
    if is_postgresql():
        end_reading_by_commit()
        statement = _LOOK_AND_PLAN if is_varied else _LOOK_AND_LIMIT
    found = connection.execute(statement, {"reader": reader}).one()
    return Glance(*map(bool, found[: len(fields(Glance))]))
