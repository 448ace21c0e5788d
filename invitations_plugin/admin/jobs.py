"""Mass actions in the background: the latest, one with its progress, and how to stop it."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, g, url_for

from .. import jobs as background
from ..bulk import ACTIONS
from ..database import atomically, session
from ..i18n import format_number, gettext, ngettext
from ..models import Job, JobState
from ..rendering import redirect_to
from ..selections import arguments_of, filters_of
from ..state import may
from . import words
from .blueprint import actor, admin, need, possible_id, show
from .pages import filter_text, names

SHOWN = 50


@admin.get("/jobs/")
def jobs() -> Response:
    """Show the mass actions that were asked for last."""
    latest = background.latest(session(), SHOWN)
    return show("admin/jobs.html", jobs=[_line(each) for each in latest])


@admin.get("/jobs/<int:job_id>")
def job(job_id: int) -> Response:
    """Show how far a mass action is; htmx asks again while it runs."""
    return show("admin/job.html", "admin/_job.html", **_context(_load(job_id)))


@admin.post("/jobs/<int:job_id>/stop")
def stop_job(job_id: int) -> Response:
    """End a mass action after the chunk in hand; what it did stays done."""
    need(ACTIONS[_load(job_id).action].right)
    stopper = actor()
    atomically(lambda: background.stop(session(), job_id, stopper))
    return redirect_to(url_for("invitations_admin.job", job_id=job_id))


def running() -> dict[str, str] | None:
    """Return a line about the mass actions that are not over, None without one."""
    unfinished = [_line(each) for each in background.unfinished(session())]
    if not unfinished:
        return None
    first, number = unfinished[0], len(unfinished)
    text = gettext("%(label)s: %(value)s", label=first["label"], value=first["progress"])
    if number == 1:
        return {"text": text, "url": first["url"]}
    text = ngettext("%(num)s mass action is running.", "%(num)s mass actions are running.", number)
    return {"text": text, "url": url_for("invitations_admin.jobs")}


def _load(job_id: int) -> Job:
    found = background.find(session(), possible_id(job_id))
    return found if found is not None else abort(404)


def _line(job: Job) -> dict[str, Any]:
    """Return what every page shows of a mass action."""
    is_stopping = job.stop_asked and job.state == JobState.RUNNING
    state = words.STOPPING if is_stopping else words.JOB_STATES[JobState(job.state)]
    return {
        "label": gettext(words.ACTIONS[job.action]),
        "by": job.actor_name or gettext("Staff"),
        "created_at": job.created_at,
        "ended_at": job.ended_at,
        "state": job.state,
        "state_label": gettext(state),
        "changed": format_number(job.changed),
        "progress": gettext(
            "%(done)s of %(total)s",
            done=format_number(job.done),
            total=format_number(max(job.total, job.done)),
        ),
        "url": url_for("invitations_admin.job", job_id=job.id),
    }


def _context(job: Job) -> dict[str, Any]:
    """Return the context of the page of one mass action."""
    is_open, is_done = job.state in background.OPEN, job.state == JobState.DONE
    may_stop = may(ACTIONS[job.action].right)
    filters = filters_of(job.selection)
    arguments = arguments_of(job.selection, g.inv_view.timezone)
    return {
        "job": _line(job)
        | {
            "id": job.id,
            "value": job.total if is_done else min(job.done, job.total),
            "max": job.total,
            "is_open": is_open,
            "is_left_alone": background.is_left_alone(job),
            "can_stop": is_open and not job.stop_asked and may_stop,
            "chosen": chosen_text(filters),
            "skipped": [
                (words.reason_label(reason), format_number(number))
                for reason, number in words.in_order(job.skipped)
            ],
            "stopped_by": job.stopper_name or (gettext("Staff") if job.stop_asked else ""),
            "failed": format_number(job.failed) if job.failed else "",
            "missing": format_number(job.total - job.done)
            if is_done and job.total > job.done
            else "",
        },
        "grid_url": url_for("invitations_admin.grid", **arguments),
    }


def chosen_text(filters: Any) -> str:
    """Return in words what a selection is about; None are rows that somebody picked."""
    if filters is None:
        return gettext("Picked one by one")
    called = names()
    texts = [filter_text(name, text, called) for name, text in filters.items()]
    return " · ".join(texts) or gettext("All invitations")
