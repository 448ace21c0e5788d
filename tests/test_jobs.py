"""Mass actions in the background: each row once, whoever runs them and whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from invitations_plugin import bulk, jobs, workers
from invitations_plugin.clock import now
from invitations_plugin.database import Busy
from invitations_plugin.lifecycle import Actor
from invitations_plugin.models import History, Invitation, Job
from invitations_plugin.signals import invitation_discarded
from invitations_plugin.state import state
from sample_store.models import Staff

from .support.outbox import in_threads, many, queue, recipients, wait_for
from .support.pages import Page
from .support.processes import flask_worker, start
from .support.rows import STATUSES, insert, row
from .support.sink import Sink
from .support.stores import MakeStore, Store, Visitor

GRID = "/admin/invitations/"
JOBS = f"{GRID}jobs/"
ALL = {"select": "all"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every action that is confirmed become a job."""
    monkeypatch.setattr("invitations_plugin.admin.actions.AT_ONCE", 0)


def fill(store: Store, number: int, **more: Any) -> list[int]:
    return insert(store, [row(f"{n}@example.com", **more) for n in range(number)])


def begin(visitor: Visitor, action: str = "discard", **chosen: Any) -> str:
    """Confirm an action; return the address of its job."""
    page = Page(visitor.get(GRID))
    given = {"action": action, "confirm": "1", "upto": page.fields.get("upto", "")} | chosen
    answer = visitor.post(f"{GRID}actions", given)
    assert answer.location.startswith(JOBS), answer.location
    return answer.location


def in_chunks(monkeypatch: pytest.MonkeyPatch, size: int, **changes: Any) -> None:
    """Let the actions do so many rows at a time."""
    changes = {"chunk": size, "most": size} | changes
    small = {name: replace(each, **changes) for name, each in bulk.ACTIONS.items()}
    for module in (bulk, jobs, "invitations_plugin.admin.actions", "invitations_plugin.admin.jobs"):
        name = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{name}.ACTIONS", small)


def between_chunks(monkeypatch: pytest.MonkeyPatch, happens: Callable[[int], None]) -> None:
    """Let something happen after each chunk; it is told how many there were."""
    do, counted = bulk.do, iter(range(1, 1_000_000))

    def then(*given: Any) -> bulk.Outcome:
        outcome = do(*given)
        happens(next(counted))
        return outcome

    monkeypatch.setattr(bulk, "do", then)


def job(store: Store, number: int = 1) -> Job:
    with store.session() as db:
        found = db.get_one(Job, number)
        db.expunge(found)
        return found


def history_rows(store: Store) -> list[int]:
    """Return the invitations that the history tells of, once for each entry."""
    with store.session() as db:
        return sorted(db.scalars(sa.select(History.invitation_id)))


def discarded(store: Store) -> list[int]:
    return [each.id for each in store.invitations() if each.status == "discarded"]


def facts(page: Page) -> dict[str, str]:
    return dict(zip(page.text("dt"), page.text("dd"), strict=True))


def test_a_job_tells_what_it_did_and_what_it_left_alone(store: Store, admin: Visitor) -> None:
    insert(store, [row(f"{each}@example.com", each) for each in STATUSES])
    insert(store, [row(None, "expired")])
    path = begin(admin, "send", **ALL)
    waiting = Page(admin.get(path))
    assert "0 of 7" in waiting.text("label")
    [bar] = waiting.all("progress")
    assert (bar.attributes["value"], bar.attributes["max"]) == ("0", "7")
    store.run_jobs()
    page = Page(admin.get(path))
    told = facts(page)
    assert "7 of 7" in page.text("label")
    assert page.notices == ["Done"]
    assert told["Changed"] == "4"
    assert told["Left as they are"] == (
        "Accepted: 1 Address removed: 1 Mail is on its way already: 1"
    )
    assert told["Selected"] == "All invitations"
    assert "Failed" not in told
    assert "admin" in told["Asked by"].lower()
    assert len(store.outbox()) == 4


def test_the_confirmation_s_numbers_are_those_of_the_job(store: Store, admin: Visitor) -> None:
    for status in STATUSES:
        insert(store, [row(f"{status}{n}@example.com", status) for n in range(3)])
    upto = Page(admin.get(GRID)).fields["upto"]
    for action in bulk.ACTIONS:
        question = Page(admin.post(f"{GRID}actions", {"action": action, "upto": upto} | ALL))
        promised = sum(int(each) for each in question.text("dd"))
        path = begin(admin, action, **ALL)
        store.run_jobs()
        assert facts(Page(admin.get(path)))["Changed"] == str(promised), action


def test_the_list_tells_who_asked_for_what_when(store: Store, admin: Visitor) -> None:
    assert "No mass action has run in the background yet." in Page(admin.get(JOBS)).text("p")
    fill(store, 3)
    begin(admin, "expire", **ALL)
    store.run_jobs()
    path = begin(admin, **ALL)
    page = Page(admin.get(JOBS))
    rows = [
        each.attributes["data-state"] for each in page.all("tr") if "data-state" in each.attributes
    ]
    assert rows == ["queued", "done"]
    cells = page.text("td")
    assert cells[:3] == ["Waiting", "0", cells[2]]
    assert cells[4:7] == ["Done", "3", cells[2]]
    assert str(now().year) in cells[3]
    assert page.text("th")[5:] == ["Discard Selected", "Expire Selected"]
    assert page.link("Discard Selected") == path
    assert page.link("Mass Actions") == JOBS


def test_a_job_s_page_names_its_filter_and_leads_back_to_it(store: Store, admin: Visitor) -> None:
    fill(store, 2, group_code="vip")
    path = begin(admin, group="vip", invitee="example", **ALL)
    page = Page(admin.get(path))
    assert facts(page)["Selected"] == "Invitee: example · Invitee Group: VIP"
    assert page.link("Back to the invitations") == f"{GRID}?invitee=example&group=vip"
    assert page.link("All mass actions") == JOBS


def test_the_grid_has_a_line_while_a_job_waits_or_runs(store: Store, admin: Visitor) -> None:
    fill(store, 3)
    assert Page(admin.get(GRID)).link("Show progress") is None
    path = begin(admin, "extend", **ALL)
    page = Page(admin.get(GRID))
    assert page.link("Show progress") == path
    assert "Extend Selected: 0 of 3 Show progress" in page.text("p")
    begin(admin, **ALL)
    page = Page(admin.get(GRID))
    assert page.link("Show progress") == JOBS
    assert "2 mass actions are running. Show progress" in page.text("p")
    store.run_jobs()
    assert Page(admin.get(GRID)).link("Show progress") is None


def test_the_page_asks_again_while_the_job_runs_and_no_longer(store: Store, admin: Visitor) -> None:
    fill(store, 3)
    path = begin(admin, **ALL)
    piece = admin.get(path, headers={"HX-Request": "true"})
    assert "<html" not in piece.text
    for answer in (admin.get(path), piece):
        [root] = Page(answer).all("div", id="inv-job")
        assert root.attributes["data-hx-get"] == path
        assert root.attributes["data-hx-trigger"] == "every 1s"
        assert Page(answer).notices == []
        assert Page(answer).link("Look again") == path
    store.run_jobs()
    page = Page(admin.get(path))
    assert "data-hx-get" not in page.all("div", id="inv-job")[0].attributes
    assert page.link("Look again") is None


def test_a_job_that_nobody_takes_up_says_so(
    store: Store, admin: Visitor, later: Callable[[timedelta], None]
) -> None:
    fill(store, 3)
    path = begin(admin, **ALL)
    assert "No worker has taken this up." not in admin.get(path).text
    later(timedelta(seconds=11))
    assert "No worker has taken this up." in admin.get(path).text
    store.run_jobs()
    assert "No worker has taken this up." not in admin.get(path).text


def test_there_is_no_such_job(store: Store, admin: Visitor) -> None:
    fill(store, 1)
    begin(admin, **ALL)
    for number in (0, 2, 2**63 - 1, 2**63, "9" * 400, "abc", -1):
        assert admin.get(f"{JOBS}{number}").status_code == 404
        assert admin.post(f"{JOBS}{number}/stop").status_code == 404


def test_who_may_only_look_sees_jobs_and_stops_none(store: Store, admin: Visitor) -> None:
    fill(store, 3)
    path = begin(admin, **ALL)
    clerk = store.staff("clerk@example.com")
    for each in (JOBS, path):
        page = Page(clerk.get(each))
        assert page.actions() == []
        assert "Discard Selected" in " ".join(page.text("h1") + page.text("a"))
    clerk.get("/")
    assert clerk.post(f"{path}/stop").status_code == 403
    store.run_jobs()
    assert job(store).state == "done"


def test_a_job_waits_for_nobody_s_page(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread of the store takes it up at once, though nothing but a call wakes it."""
    monkeypatch.setattr(workers, "POLL", 3600.0)
    store = make_store(INVITATIONS_DELIVERY="thread")
    fill(store, 5)
    begin(store.staff(), **ALL)
    wait_for(lambda: job(store).state == "done")
    assert len(discarded(store)) == 5
    with store.app.app_context():
        thread = state().thread
    assert thread is not None
    thread.end()


def test_the_command_deliver_does_what_waits(store: Store, admin: Visitor, sink: Sink) -> None:
    insert(store, [row(each, "expired") for each in many(3)])
    begin(admin, "send", **ALL)
    answer = store.app.test_cli_runner().invoke(args=["invitations", "deliver"])
    assert (answer.exit_code, "3 sent" in answer.output) == (0, True), answer.output
    assert job(store).changed == 3
    assert recipients(sink) == many(3)


# Everything that was there when it was said, and nothing else.


def test_what_is_made_later_is_not_touched_nor_what_was_taken_out(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks(monkeypatch, 4)
    ids = fill(store, 10, group_code="vip")
    general = insert(store, [row("general@example.com")])
    begin(admin, group="vip", exclude=[ids[3], ids[8]], **ALL)
    later = list(insert(store, [row("later@example.com", group_code="vip")]))

    def add_one(number: int) -> None:
        later.extend(insert(store, [row(f"later{number}@x.test", group_code="vip")]))

    between_chunks(monkeypatch, add_one)
    store.run_jobs()
    assert discarded(store) == [each for each in ids if each not in (ids[3], ids[8])]
    assert {*general, *later}.isdisjoint(history_rows(store))


def clock_of_rows(monkeypatch: pytest.MonkeyPatch, seconds_of: Callable[[], float]) -> list[int]:
    """Let each row of a chunk take so long; return the sizes of the chunks, as they come."""
    sizes, at, do = list[int](), [0.0], bulk.do

    def slow(action: bulk.Action, ids: Sequence[int], *rest: Any) -> bulk.Outcome:
        sizes.append(len(ids))
        at[0] += len(ids) * seconds_of()
        return do(action, ids, *rest)

    monkeypatch.setattr(bulk, "do", slow)
    monkeypatch.setattr(jobs, "monotonic", lambda: at[0])
    return sizes


def let_chunks_grow(monkeypatch: pytest.MonkeyPatch, first: int, most: int) -> None:
    in_chunks(monkeypatch, first, most=most)
    monkeypatch.setattr(bulk, "CHUNK_SECONDS", dict.fromkeys(bulk.CHUNK_SECONDS, 1.0))


def test_chunks_grow_to_what_takes_a_moment_and_shrink_where_that_takes_longer(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_chunks_grow(monkeypatch, 2, 8)
    ids = fill(store, 40)
    begin(admin, **ALL)
    sizes = clock_of_rows(monkeypatch, lambda: 0.01 if len(sizes) < 5 else 0.5)
    store.run_jobs()
    assert sizes == [2, 4, 8, 8, 8, 2, 2, 2, 2, 2]
    assert discarded(store) == ids


def test_chunks_do_not_grow_over_what_is_left_alone(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_chunks_grow(monkeypatch, 2, 8)
    fill(store, 8, status="discarded")
    begin(admin, **ALL)
    sizes = clock_of_rows(monkeypatch, lambda: 0.01)
    store.run_jobs()
    assert sizes == [2, 2, 2, 2]


def test_what_leaves_the_filter_before_its_chunk_is_left_alone(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks(monkeypatch, 4)
    ids = fill(store, 10, group_code="vip")
    path = begin(admin, group="vip", **ALL)

    def leave(number: int) -> None:
        with store.session() as db:
            gone = sa.update(Invitation).where(Invitation.id == ids[9])
            db.execute(gone.values(group_code="general"))
            db.commit()

    between_chunks(monkeypatch, leave)
    store.run_jobs()
    assert discarded(store) == ids[:9]
    page = Page(admin.get(path))
    assert facts(page)["No longer matched"] == "1"
    assert page.all("progress")[0].attributes["value"] == "10"


def test_a_filter_that_cannot_be_read_any_more_fails_the_job(store: Store, admin: Visitor) -> None:
    fill(store, 3)
    for wrong in ({"status": "lost"}, {"colour": "red"}):
        path = begin(admin, **ALL)
        with store.session() as db:
            kept = db.scalars(sa.select(Job).order_by(Job.id.desc())).first()
            assert kept is not None
            kept.selection = {**kept.selection, "filters": wrong}
            db.commit()
        store.run_jobs()
        page = admin.get(path)
        assert page.status_code == 200
        assert Page(page).notices == ["Failed"]
    assert discarded(store) == []


# Once each, whoever runs it.


@pytest.mark.parametrize("number", [1, 2, 4])
def test_threads_side_by_side_do_each_row_once(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    in_chunks(monkeypatch, 10)
    ids = fill(store, 200)
    begin(admin, ids=ids[:100])
    begin(admin, ids=ids[100:])
    in_threads(store.run_jobs, number)
    assert history_rows(store) == discarded(store) == ids
    assert [job(store, n).changed for n in (1, 2)] == [100, 100]


def test_processes_side_by_side_do_each_row_once(store: Store, admin: Visitor, sink: Sink) -> None:
    ids = fill(store, 3000)
    paths = [begin(admin, ids=ids[:1500]), begin(admin, ids=ids[1500:])]
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(flask_worker(store, sink))
        wait_for(lambda: all(job(store, n).state == "done" for n in (1, 2)))
    assert history_rows(store) == discarded(store) == ids
    assert [facts(Page(admin.get(each)))["Changed"] for each in paths] == ["1,500", "1,500"]


def test_a_worker_killed_in_the_middle_leaves_the_rest_to_another(
    store: Store, admin: Visitor, sink: Sink, later: Callable[[timedelta], None]
) -> None:
    number = 10_000
    ids = fill(store, number)
    begin(admin, "extend", **ALL)
    with start(store, sink, "worker", PYTHONUNBUFFERED="1") as doomed:
        try:
            wait_for(lambda: 0 < job(store).position < ids[-1])
        finally:
            doomed.kill()
        doomed.communicate()
    left = job(store)
    assert left.state == "running"
    assert left.changed == len(history_rows(store)) < number
    with store.session() as db:  # as after twenty seconds
        db.execute(sa.update(Job).values(lease_until=now()))
        db.commit()
    with flask_worker(store, sink):
        wait_for(lambda: job(store).state == "done")
    assert history_rows(store) == ids
    assert (job(store).changed, job(store).done) == (number, number)


def test_a_worker_that_wakes_too_late_changes_nothing_more(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks(monkeypatch, 4)
    ids = fill(store, 10)
    begin(admin, "extend", **ALL)
    do, sleeps = bulk.do, iter([True])

    def do_after_a_sleep(*given: Any) -> bulk.Outcome:
        if next(sleeps, False):
            with store.session() as db:
                db.execute(sa.update(Job).values(lease_until=now()))
                db.commit()
            in_threads(store.run_jobs, 1)
        return do(*given)

    monkeypatch.setattr(bulk, "do", do_after_a_sleep)
    store.run_jobs()
    assert history_rows(store) == ids
    assert (job(store).state, job(store).changed) == ("done", 10)


def test_a_worker_told_to_end_gives_the_job_back_after_the_chunk_in_hand(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks(monkeypatch, 4)
    ids = fill(store, 10)
    begin(admin, **ALL)
    asked: list[bool] = []
    between_chunks(monkeypatch, lambda number: asked.append(True))
    with store.app.app_context():
        assert jobs.run_all(lambda: bool(asked)) is False
    assert discarded(store) == ids[:4]
    store.run_jobs()  # at once: nobody waits for a lease to end
    assert history_rows(store) == ids


def test_mail_has_its_turn_while_a_job_runs_and_the_job_goes_on_at_once(
    store: Store, admin: Visitor, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks(monkeypatch, 1)
    monkeypatch.setattr(workers, "TURN", 0.0)
    queue(store, *many(2))
    fill(store, 3)
    begin(admin, "extend", **ALL)
    clock = workers.Clock(store.app)
    with store.app.app_context(), closing(clock._clerk):
        assert clock._look() == 0.0
        assert job(store).state != "done"
        monkeypatch.setattr(workers, "TURN", 60.0)
        assert clock._look() == workers.POLL
    assert job(store).state == "done"
    assert recipients(sink) == many(2)


def test_a_job_does_not_wait_for_a_mail_server_that_is_away(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    queue(store, *many(2))
    sink.at_connect = "421 4.3.2 busy"
    clock = workers.Clock(store.app)
    with store.app.app_context():
        assert clock._look() == workers.POLL
    asked = sink.connections
    begin(admin, **ALL)
    with store.app.app_context():
        assert clock._look() == workers.POLL
    assert job(store).state == "done"
    assert sink.connections == asked  # it is left its rest


def test_a_database_that_is_away_for_a_while_does_not_fail_a_job(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks(monkeypatch, 4)
    ids = fill(store, 10)
    begin(admin, **ALL)
    failing = iter([True])

    def fall_over(number: int) -> None:
        if next(failing, False):
            raise Busy

    between_chunks(monkeypatch, fall_over)
    with pytest.raises(Busy):
        store.run_jobs()
    assert job(store).state == "running"
    store.run_jobs()
    assert history_rows(store) == ids


# Stopped, or broken in part.


def test_stop_ends_a_job_after_the_chunk_in_hand(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks(monkeypatch, 4)
    ids = fill(store, 10)
    path = begin(admin, **ALL)
    seen: list[Page] = []

    def press_stop(number: int) -> None:
        seen.append(Page(admin.post(f"{path}/stop", follow_redirects=True)))

    assert f"{path}/stop" in Page(admin.get(path)).actions()
    between_chunks(monkeypatch, press_stop)
    store.run_jobs()
    assert len(seen) == 1
    assert "Stopping" in seen[0].text("span")
    assert f"{path}/stop" not in seen[0].actions()
    assert discarded(store) == ids[:4]
    page = Page(admin.get(path))
    assert page.notices == ["Stopped"]
    assert "4 of 10" in page.text("label")
    assert "stop" not in " ".join(page.actions())


def test_stop_ends_at_once_what_nobody_runs(store: Store, admin: Visitor) -> None:
    fill(store, 3)
    path = begin(admin, **ALL)
    stopped = Page(admin.post(f"{path}/stop", follow_redirects=True))
    assert stopped.notices == ["Stopped"]
    store.run_jobs()
    assert discarded(store) == []
    begin(admin, **ALL)
    with store.session() as db:
        db.execute(sa.update(Job).values(state="running", claim="dead", lease_until=now()))
        db.commit()
    admin.post(f"{JOBS}2/stop")
    assert (job(store, 2).state, job(store, 2).claim) == ("stopped", None)


def test_a_stopped_job_tells_who_stopped_it_first(store: Store, admin: Visitor) -> None:
    fill(store, 3)
    path = begin(admin, **ALL)
    assert "Stopped by" not in facts(Page(admin.get(path)))
    with store.session() as db:
        held = {"state": "running", "claim": "held", "lease_until": now() + timedelta(hours=1)}
        db.execute(sa.update(Job).values(held))
        db.execute(sa.update(Staff).where(Staff.id == 2).values(rights="view discard"))
        db.commit()
    for who in (admin, store.staff("clerk@example.com")):
        assert (f"{path}/stop" in Page(who.get(path)).actions()) == (who is admin)
        who.get(store.form_path)
        page = Page(who.post(f"{path}/stop", follow_redirects=True))
        assert facts(page)["Stopped by"] == "Ada Admin"
    assert (job(store).stopper_key, job(store).state) == ("staff:1", "running")


def test_stop_changes_nothing_of_a_job_that_is_over(store: Store, admin: Visitor) -> None:
    fill(store, 3)
    path = begin(admin, **ALL)
    store.run_jobs()
    before = job(store)
    assert admin.post(f"{path}/stop").status_code == 302
    assert (job(store).state, job(store).stop_asked, job(store).ended_at) == (
        "done",
        False,
        before.ended_at,
    )


def test_a_row_that_cannot_be_changed_is_counted_and_the_rest_goes_on(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(store, 30)
    known = bulk.ACTIONS["discard"].change

    def change(db: Session, chunk: Sequence[int], actor: Actor) -> list[int]:
        done = known(db, chunk, actor)
        assert not {ids[4], ids[20]} & set(chunk), "broken for this test"
        return done

    in_chunks(monkeypatch, 12, change=change)
    path = begin(admin, **ALL)
    store.run_jobs()
    told = facts(Page(admin.get(path)))
    assert (told["Changed"], told["Failed"].split()[0]) == ("28", "2")
    assert history_rows(store) == [each for each in ids if each not in (ids[4], ids[20])]


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Ids that were announced as discarded."""
    ids: list[int] = []

    def hear(app: object, invitation: Invitation, **more: object) -> None:
        ids.append(invitation.id)

    with invitation_discarded.connected_to(hear):
        yield ids


def test_each_discarded_invitation_is_announced_once(
    store: Store, admin: Visitor, heard: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks(monkeypatch, 4)
    ids = fill(store, 10)
    begin(admin, **ALL)
    store.run_jobs()
    assert sorted(heard) == ids


def test_a_discard_beside_the_delivery_leaves_each_mail_sent_or_not(
    store: Store, admin: Visitor, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks(monkeypatch, 10)
    queue(store, *many(60))
    begin(admin, **ALL)
    delivering = threading.Thread(target=store.deliver)
    delivering.start()
    store.run_jobs()
    delivering.join()
    store.deliver()
    assert store.outbox() == []
    sent = {each.email for each in store.invitations() if each.sent_at is not None}
    assert sent == set(recipients(sink))
    assert {each.status for each in store.invitations()} == {"discarded"}


def test_jobs_are_forgotten_a_month_after_they_ended(
    store: Store, admin: Visitor, later: Callable[[timedelta], None]
) -> None:
    fill(store, 1)
    begin(admin, **ALL)
    store.run_jobs()
    begin(admin, "extend", **ALL)  # waits
    later(timedelta(days=31))
    with store.app.app_context():
        workers.Clock(store.app)._look()
    with store.session() as db:
        assert list(db.scalars(sa.select(Job.id))) == [2]


def test_history_tells_what_a_row_became_while_the_chunk_waited_for_it(
    store: Store, admin: Visitor
) -> None:
    [number, _] = fill(store, 2, status="not_sent")
    begin(admin, **ALL)
    held, going = threading.Event(), threading.Event()

    def send_slowly() -> None:
        with store.session() as db:
            db.execute(
                sa.update(Invitation)
                .values(status="sent", sent_at=now())
                .where(Invitation.id == number)
            )
            held.set()
            going.wait(10)
            db.commit()

    sending = threading.Thread(target=send_slowly)
    sending.start()
    held.wait(10)
    threading.Timer(0.5, going.set).start()
    store.run_jobs()
    sending.join()
    with store.session() as db:
        noted = sa.select(History.invitation_id, History.from_status).order_by(History.id)
        assert [each[1] for each in db.execute(noted)] == ["sent", "not_sent"]
    assert len(discarded(store)) == 2
