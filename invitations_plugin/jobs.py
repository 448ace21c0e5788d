"""Mass actions in the background: chunk after chunk, by whichever process drives the delivery.

A chunk and the place it reached are one transaction, so a job that is taken up again after a
crash does nothing twice and leaves nothing out. A lease says who runs it, and every statement
names the claim, so that a worker that wakes late changes nothing.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from time import monotonic
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from . import bulk, scope, selections
from .bulk import ACTIONS, Action, Outcome, Stop
from .clock import now
from .database import Busy, atomically, session
from .grid import Selection, next_ids
from .lifecycle import STAFF, Actor
from .models import Job, JobState
from .settings import forget as forget_settings

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=20)
PATIENCE = timedelta(seconds=10)  # then a page says that nobody has taken a job up
KEPT = timedelta(days=30)
OPEN = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class _Held:
    """A job that this worker runs."""

    id: int
    claim: str
    action: str
    selection: Mapping[str, Any]
    actor: Actor


def create(
    db: Session, action: str, selection: Selection, timezone: str, actor: Actor, total: int
) -> Job:
    """Put a mass action into the queue. The caller commits."""
    job = Job(
        action=action,
        selection=selections.written(selection, timezone),
        actor_key=actor.key,
        actor_name=actor.name[:255],
        total=total,
    )
    db.add(job)
    db.flush()
    return job


def latest(db: Session, number: int) -> Sequence[Job]:
    """Return the jobs that were asked for last, the newest first, as far as the reader's go."""
    query = sa.select(Job).order_by(Job.id.desc())
    if scope.websites() is None:
        query = query.limit(number)
    return list(islice(selections.within_reach(db, query, Job.selection), number))


def unfinished(db: Session) -> Sequence[Job]:
    """Return the jobs that wait or run, the oldest first, as far as the reader's websites go."""
    query = sa.select(Job).where(Job.state.in_(OPEN)).order_by(Job.id)
    return list(selections.within_reach(db, query, Job.selection))


def find(db: Session, job_id: int) -> Job | None:
    """Return a job as it is now, None where there is none within the reader's websites."""
    job = db.get(Job, job_id, populate_existing=True)
    return job if job is not None and scope.covers(job.selection.get("websites")) else None


def is_left_alone(job: Job) -> bool:
    """Return whether a job should run and no worker has it: perhaps there is none."""
    since = job.created_at if job.state == JobState.QUEUED else job.lease_until
    return job.state in OPEN and since is not None and since < now() - PATIENCE


def stop(db: Session, job_id: int, actor: Actor) -> None:
    """End a job after the chunk in hand, at once where no worker has it. The caller commits."""
    at = now()
    is_held = sa.and_(Job.state == JobState.RUNNING, Job.lease_until > at)
    db.execute(
        sa.update(Job)
        .where(Job.id == job_id, Job.state.in_(OPEN))
        .values(
            stop_asked=True,
            stopper_key=sa.func.coalesce(Job.stopper_key, actor.key),
            stopper_name=sa.func.coalesce(Job.stopper_name, actor.name[:255]),
            state=sa.case((is_held, Job.state), else_=JobState.STOPPED),
            claim=sa.case((is_held, Job.claim), else_=sa.null()),
            ended_at=sa.case((is_held, Job.ended_at), else_=at),
        ),
        execution_options={"synchronize_session": False},
    )


def run_all(over: Callable[[], bool] = lambda: False) -> bool:
    """Run the jobs that wait, chunk after chunk; return whether none is left for this worker.

    :param over: asked before each chunk; true ends the run, and others may go on at once.
    """
    while not over():
        held = atomically(lambda: _claim(session()))
        if held is None:
            return True
        _run(held, over)
    return False


def _claim(db: Session) -> _Held | None:
    """Take the oldest job that waits, or that a worker left, for this worker alone."""
    at, token = now(), secrets.token_hex(16)
    left = sa.and_(Job.state == JobState.RUNNING, Job.lease_until <= at)
    picked = (
        sa.select(Job.id)
        .where(sa.or_(Job.state == JobState.QUEUED, left))
        .order_by(Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # one statement is enough on SQLite
        .cte("picked")
    )
    found = db.execute(
        sa.update(Job)
        .where(Job.id.in_(sa.select(picked.c.id)))
        .values(state=JobState.RUNNING, claim=token, lease_until=at + LEASE)
        .returning(Job.id, Job.action, Job.selection, Job.actor_key, Job.actor_name),
        execution_options={"synchronize_session": False},
    ).first()
    if found is None:
        return None
    actor = Actor(STAFF, found.actor_key, found.actor_name)
    return _Held(found.id, token, found.action, found.selection, actor)


def _run(held: _Held, over: Callable[[], bool]) -> None:
    """Run a job to its end, or give it back where this worker's time is over."""
    forget_settings()  # those of this moment, however long the worker has been there
    try:
        action, selection = ACTIONS[held.action], selections.read(held.selection)
        size = action.chunk
        while not over():
            size = _do_chunk(held, action, selection, size)
            if not size:
                return
        _give_back(held)
    except Stop:
        return
    except (Busy, DBAPIError):  # the database is away: it goes on when that is back
        with suppress(Busy, Stop):
            _give_back(held)
        raise
    except Exception:
        log.exception("The job %s failed", held.id)
        with suppress(Stop):
            atomically(lambda: _set(session(), held, **_ended(JobState.FAILED)))


def _do_chunk(held: _Held, action: Action, selection: Selection, size: int) -> int:
    """Do the next rows; return how many are to follow, 0 where the job is over."""
    ids = atomically(lambda: _next_chunk(session(), held, selection, size))
    if not ids:
        return 0
    start = monotonic()
    done = bulk.do(action, ids, held.actor, lambda part, place: _keep(held, part, place))
    return bulk.next_chunk(action, len(ids), len(done.changed), monotonic() - start)


def _next_chunk(db: Session, held: _Held, selection: Selection, number: int) -> list[int]:
    """Return the next ids, none when the job is over: they ended or somebody stopped it.

    They are read before the chunk's transaction, for a search may take longer than a change,
    and SQLite has one writer.

    :raises Stop: when the job is not this worker's to run any more.
    """
    query = sa.select(Job.position, Job.stop_asked).where(*_is(held))
    job = db.execute(query).first()
    if job is None:
        raise Stop
    ids = [] if job.stop_asked else next_ids(db, selection, job.position, number)
    if not ids:
        _set(db, held, **_ended(JobState.STOPPED if job.stop_asked else JobState.DONE))
    return ids


def _keep(held: _Held, outcome: Outcome, place: int) -> None:
    """Note in a chunk's transaction what it did, and keep the lease.

    :raises Stop: when the job is not this worker's any more.
    """
    skipped = session().scalar(sa.select(Job.skipped).where(*_is(held))) or {}
    _set(
        session(),
        held,
        position=place,
        changed=Job.changed + len(outcome.changed),
        skipped=dict(Counter(skipped) + outcome.skipped),
        failed=Job.failed + outcome.failed,
        lease_until=now() + LEASE,
    )


def _give_back(held: _Held) -> None:
    atomically(lambda: _set(session(), held, lease_until=now()))


def _ended(state: JobState) -> dict[str, Any]:
    return {"state": state, "claim": None, "lease_until": None, "ended_at": now()}


def _is(held: _Held) -> tuple[sa.ColumnElement[bool], ...]:
    return Job.id == held.id, Job.claim == held.claim


def _set(db: Session, held: _Held, **values: Any) -> None:
    changed = db.execute(
        sa.update(Job).where(*_is(held)).values(**values),
        execution_options={"synchronize_session": False},
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise Stop


def forget(db: Session) -> None:
    """Remove jobs that ended long ago. The caller commits."""
    db.execute(sa.delete(Job).where(Job.ended_at < now() - KEPT))
