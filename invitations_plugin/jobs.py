"""Mass actions in the background: chunk after chunk, by whichever process drives the delivery.

A chunk and the place it reached are one transaction, so a job that is taken up again after a
crash does nothing twice and leaves nothing out. A lease says who runs it.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .bulk import ACTIONS, Outcome, apply, tell
from .clock import now
from .database import Busy, atomically, session
from .grid import Selection, next_ids, read_query
from .lifecycle import STAFF, Actor
from .models import Job, JobState

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
KEPT = timedelta(days=30)
OPEN = (JobState.QUEUED, JobState.RUNNING)


class Ended(Exception):
    """The job was stopped, or another worker has it by now."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A job that this worker runs."""

    id: int
    claim: str
    action: str
    selection: Selection
    actor: Actor


def create(
    db: Session, action: str, selection: Selection, timezone: str, actor: Actor, total: int
) -> Job:
    """Put a mass action into the queue. The caller commits."""
    job = Job(
        action=action,
        selection=_written(selection, timezone),
        actor_key=actor.key,
        actor_name=actor.name[:255],
        total=total,
    )
    db.add(job)
    db.flush()
    return job


def _written(selection: Selection, timezone: str) -> dict[str, Any]:
    """Return a selection as JSON: a filter stays one, however many rows it matches."""
    if selection.query is None:
        return {"ids": list(selection.ids)}
    return {
        "filters": dict(selection.query.filters),
        "timezone": timezone,
        "upto": selection.upto,
        "exclude": list(selection.exclude),
    }


def _read(kept: Mapping[str, Any]) -> Selection:
    if "ids" in kept:
        return Selection(ids=kept["ids"])
    query = read_query(kept["filters"], kept["timezone"])
    return Selection(query=query, upto=kept["upto"], exclude=kept["exclude"])


def stop(db: Session, job_id: int) -> None:
    """End a job after the chunk in hand. The caller commits."""
    db.execute(sa.update(Job).where(Job.id == job_id, Job.state.in_(OPEN)).values(stop_asked=True))


def run_all(stopped: Callable[[], bool] = lambda: False) -> int:
    """Run the jobs that wait, until none is left or this worker shall end; return how many."""
    count = 0
    while not stopped():
        held = atomically(lambda: _claim(session()))
        if held is None:
            break
        _run(held, stopped)
        count += 1
    return count


def _claim(db: Session) -> _Held | None:
    at, token = now(), secrets.token_hex(16)
    left = sa.and_(Job.state == JobState.RUNNING, Job.lease_until <= at)
    picked = (
        sa.select(Job.id)
        .where(sa.or_(Job.state == JobState.QUEUED, left))
        .order_by(Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # one statement is enough on SQLite
        .scalar_subquery()
    )
    found = db.execute(
        sa.update(Job)
        .where(Job.id == picked)
        .values(state=JobState.RUNNING, claim=token, lease_until=at + LEASE)
        .returning(Job.id, Job.action, Job.selection, Job.actor_key, Job.actor_name),
        execution_options={"synchronize_session": False},
    ).first()
    if found is None:
        return None
    actor = Actor(STAFF, found.actor_key, found.actor_name)
    return _Held(found.id, token, found.action, _read(found.selection), actor)


def _run(held: _Held, stopped: Callable[[], bool]) -> None:
    """Run a job to its end; given back untouched where this worker shall end."""
    try:
        while not stopped():
            if not _step(held):
                return
        # Somebody else may go on at once.
        atomically(lambda: _set(session(), held, lease_until=now()))
    except Ended:
        return
    except Exception:
        log.exception("The job %s failed", held.id)
        atomically(lambda: _end(session(), held, JobState.FAILED))


def _step(held: _Held) -> bool:
    """Do one chunk, and where it fails each of its rows alone; return whether there is more."""
    try:
        outcome = atomically(lambda: _chunk(session(), held))
    except (Busy, Ended):
        raise
    except Exception:
        log.exception("A chunk of the job %s failed; its rows are tried one by one", held.id)
        return _step_by_rows(held)
    return _told(held, outcome)


def _told(held: _Held, outcome: Outcome | None) -> bool:
    if outcome is not None:
        tell(session(), ACTIONS[held.action], outcome.changed)
    return outcome is not None


def _chunk(db: Session, held: _Held) -> Outcome | None:
    """Do the next chunk and note how far that is; None at the end, or where it shall end.

    :raises Ended: when the job is not this worker's to run any more.
    """
    job = _keep(db, held)
    action = ACTIONS[held.action]
    if job.stop_asked:
        _end(db, held, JobState.STOPPED)
        return None
    ids = next_ids(db, held.selection, job.position, action.chunk)
    if not ids:
        _end(db, held, JobState.DONE)
        return None
    outcome = apply(db, action, ids, held.actor)
    _note(db, held, job, outcome, ids[-1])
    return outcome


def _step_by_rows(held: _Held) -> bool:
    """Do the next chunk a row at a time, so that one that fails stays alone."""
    action = ACTIONS[held.action]
    with_place = atomically(lambda: _keep(session(), held).position)
    for number in next_ids(session(), held.selection, with_place, action.chunk):
        try:
            outcome = atomically(lambda number=number: _row(session(), held, number))  # type: ignore[misc]
        except (Busy, Ended):
            raise
        except Exception:
            log.exception("The job %s cannot change invitation %s", held.id, number)
            atomically(lambda number=number: _note_failed(session(), held, number))  # type: ignore[misc]
        else:
            tell(session(), action, outcome.changed)
    return True


def _row(db: Session, held: _Held, number: int) -> Outcome:
    job = _keep(db, held)
    outcome = apply(db, ACTIONS[held.action], [number], held.actor)
    _note(db, held, job, outcome, number)
    return outcome


def _note_failed(db: Session, held: _Held, number: int) -> None:
    job = _keep(db, held)
    _set(db, held, position=number, failed=job.failed + 1)


def _note(db: Session, held: _Held, job: Any, outcome: Outcome, position: int) -> None:
    skipped = Counter(job.skipped) + outcome.skipped
    changed = job.changed + len(outcome.changed)
    _set(db, held, position=position, changed=changed, skipped=dict(skipped))


def _keep(db: Session, held: _Held) -> Any:
    """Keep the lease and return how far the job is.

    :raises Ended: when it is not this worker's any more.
    """
    _set(db, held, lease_until=now() + LEASE)
    columns = (Job.position, Job.changed, Job.skipped, Job.failed, Job.stop_asked)
    return db.execute(sa.select(*columns).where(Job.id == held.id)).one()


def _end(db: Session, held: _Held, state: JobState) -> None:
    _set(db, held, state=state, claim=None, lease_until=None, ended_at=now())


def _set(db: Session, held: _Held, **values: Any) -> None:
    changed = db.execute(
        sa.update(Job).where(Job.id == held.id, Job.claim == held.claim).values(**values),
        execution_options={"synchronize_session": False},
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise Ended


def forget(db: Session) -> None:
    """Remove jobs that ended long ago. The caller commits."""
    db.execute(sa.delete(Job).where(Job.ended_at < now() - KEPT))
