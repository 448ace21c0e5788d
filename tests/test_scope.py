"""Staff who work for some websites: nothing of another is shown to them, counted or changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from invitations_plugin import selections
from invitations_plugin.admin.exports import SHOWN
from invitations_plugin.grid import Selection
from invitations_plugin.models import Export, Job, SettingChange, SettingOverride
from invitations_plugin.state import host
from sample_store.models import Staff

from .support.pages import Page
from .support.rows import by, insert, one, row
from .support.snapshots import contents
from .support.stores import SUBMISSION, Store, Visitor
from .test_protection import ADMIN, CHANGING, OWN, SHOWING

GRID = "/admin/invitations/"
ACTIONS = f"{GRID}actions"
JOBS = f"{GRID}jobs/"
EXPORTS = f"{GRID}exports/"
NEW = f"{GRID}new"
PAOLA = "paola@example.com"  # works for Private Sales only
OTTO, IDA = "otto@example.com", "ida@example.com"
# What has tests of its own below: pages of the right to configure, which Paola has not.
BESIDE = ("invitations_admin.configuration", "invitations_admin.template")
DELIVERY = "invitations_admin.delivery_"  # in the tests of its page
CHANGES = {
    name: each
    for name, each in CHANGING.items()
    if name.startswith(ADMIN) and not name.startswith((*BESIDE, DELIVERY)) and name not in OWN
}
SHOWS = {
    name: path
    for name, path in SHOWING.items()
    if name.startswith(ADMIN) and not name.startswith((*BESIDE, "invitations_admin.why"))
}


@pytest.fixture
def paola(store: Store) -> Visitor:
    """Staff of Private Sales, while another website has a job, an export and an invitation."""
    one(store, OTTO)
    store.add_job(selection={"filters": {"invitee": OTTO}, "upto": 1, "exclude": []})
    store.add_export()
    visitor = store.staff(PAOLA)
    visitor.get(NEW)  # a page with a form
    return visitor


def private(email: str = IDA, **more: Any) -> dict[str, Any]:
    return row(email, **{"website": "private", "store_view": "it"} | more)


def filled(store: Store, endpoint: str) -> tuple[str, dict[str, str]]:
    """Return an address with the number of the other website's invitation, and what it takes."""
    number = store.invitation(OTTO).id
    path, data = CHANGES[endpoint]
    given = {name: str(text).format(id=number, view="en", version=1) for name, text in data.items()}
    return path.format(id=number), given


@pytest.mark.parametrize("endpoint", SHOWS)
def test_no_address_shows_another_website_s_invitations(
    store: Store, paola: Visitor, endpoint: str
) -> None:
    path = SHOWS[endpoint].format(id=store.invitation(OTTO).id)
    answer = paola.get(path)
    assert answer.status_code == (404 if "{id}" in SHOWS[endpoint] else answer.status_code)
    assert answer.status_code in (200, 302, 404)
    for told in (OTTO, store.inviter, "Waiting", "0 of 5,000", "5,000"):
        assert told not in answer.text


@pytest.mark.parametrize("endpoint", CHANGES)
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "htmx"])
def test_no_address_changes_another_website_s_invitations(
    store: Store, paola: Visitor, endpoint: str, headers: dict[str, str]
) -> None:
    path, given = filled(store, endpoint)
    before = contents(store)
    answer = paola.post(path, given, headers=headers)
    assert contents(store) == before
    assert answer.status_code == (404 if "{id}" in CHANGES[endpoint][0] else answer.status_code)
    assert answer.status_code < 500
    assert OTTO not in answer.text


# What is sent cannot be opened again.
@pytest.mark.parametrize("endpoint", [n for n in CHANGES if not n.endswith("reopen")])
def test_the_same_is_carried_out_for_who_works_for_all_websites(
    store: Store, paola: Visitor, admin: Visitor, endpoint: str
) -> None:
    path, given = filled(store, endpoint)
    before = contents(store)
    admin.get(NEW)
    assert admin.post(path, given).status_code in (200, 302)
    assert contents(store) != before


def test_the_grid_has_the_own_websites_rows_total_and_choices(store: Store, paola: Visitor) -> None:
    [number] = insert(store, [private()])
    page = Page(paola.get(GRID))
    assert list(page.statuses) == [number]
    assert "1 found" in page.text("p")
    options = page.text("option")
    assert "Private Sales" in options
    assert "Main Website" not in options
    assert page.link("Show progress") is None


@pytest.mark.parametrize(
    "query", ["id_from=1", "invitee=otto", "website=main", "status=sent&sort=sent", "before=last"]
)
def test_no_filter_leads_beyond_the_own_websites(store: Store, paola: Visitor, query: str) -> None:
    insert(store, [private(status="expired")])
    assert OTTO not in paola.get(f"{GRID}?{query}").text


@pytest.mark.parametrize("chosen", [{"select": "all"}, {"select": "all", "website": "main"}, {}])
def test_an_action_is_about_the_own_websites_whatever_was_chosen(
    store: Store, paola: Visitor, chosen: dict[str, str]
) -> None:
    [number] = insert(store, [private()])
    other = store.invitation(OTTO)
    given = chosen | {"action": "discard", "upto": str(number), "ids": [str(other.id), str(number)]}
    question = Page(paola.post(ACTIONS, given))
    expected = 0 if "website" in chosen else 1
    asked = "Discard 1 invitation?" if expected else "None of these can be changed"
    assert question.text("h1") == [asked]
    paola.post(ACTIONS, given | {"confirm": "1"})
    assert store.invitation(OTTO).version == other.version
    assert store.invitation(IDA).status == ("discarded" if expected else "sent")


def test_a_job_stays_within_the_websites_of_who_asked_for_it(
    store: Store, paola: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invitations_plugin.admin.actions.AT_ONCE", 0)
    number = store.invitation(OTTO).id
    with store.session() as db:
        db.execute(sa.delete(Job))
        db.commit()
    ids = [number, *insert(store, [private(), private("ivo@example.com")])]
    whole = {"action": "discard", "confirm": "1"}
    for chosen in ({"ids": [str(each) for each in ids]}, {"select": "all", "upto": str(ids[-1])}):
        path = paola.post(ACTIONS, whole | chosen).location
        assert "0 of 2" in Page(paola.get(path)).text("label")
        store.run_jobs()
    assert store.invitation(OTTO).status == "sent"
    assert {each.status for each in store.invitations() if each.website == "private"} == {
        "discarded"
    }


def test_jobs_are_listed_for_whoever_works_for_all_their_websites(
    store: Store, paola: Visitor, admin: Visitor
) -> None:
    for websites in (["private"], ["private", "main"], []):
        store.add_job(selection={"ids": [], "websites": websites})
    numbers = {1, 2, 3, 4}

    def seen(visitor: Visitor) -> set[int]:
        return {each for each in numbers if visitor.get(f"{JOBS}{each}").status_code == 200}

    assert seen(admin) == numbers
    assert seen(paola) == {2, 4}
    for visitor, number in ((admin, 4), (paola, 2)):
        rows = [
            each for each in Page(visitor.get(JOBS)).all("tr") if "data-state" in each.attributes
        ]
        assert len(rows) == number
        assert f"{number} mass actions are running." in visitor.get(GRID).text
    assert paola.post(f"{JOBS}3/stop").status_code == 404
    assert paola.post(f"{JOBS}2/stop").status_code == 302


def test_own_exports_are_listed_however_many_others_came_later(
    store: Store, paola: Visitor, admin: Visitor
) -> None:
    store.add_export(selection={"ids": [], "websites": ["private"]})
    with store.session() as db:
        newest = db.scalars(sa.select(sa.func.max(Export.id))).one()
    for _ in range(SHOWN):
        store.add_export(selection={"ids": [], "websites": ["main"]})
    link = f'"{EXPORTS}{newest}"'
    assert link in paola.get(EXPORTS).text
    assert link not in admin.get(EXPORTS).text


def test_no_filter_names_a_customer_of_another_website(
    store: Store, paola: Visitor, admin: Visitor
) -> None:
    whose = by(store)
    path, name = f"{GRID}?inviter_key={whose['inviter_key']}", store.inviter_name
    insert(store, [row("zoe@example.com", **whose)])
    selection = {"filters": {"inviter_key": whose["inviter_key"]}, "timezone": "UTC", "upto": 1}
    store.add_job(selection=selection | {"exclude": [], "websites": ["private"]})
    with store.session() as db:
        job = db.scalars(sa.select(sa.func.max(Job.id))).one()
    for each in (path, f"{JOBS}{job}"):
        assert name in admin.get(each).text
        assert name not in paola.get(each).text
    insert(store, [private(**whose)])
    for each in (path, f"{JOBS}{job}"):
        assert name in paola.get(each).text


def test_staff_of_a_website_discard_and_send_there(store: Store, paola: Visitor) -> None:
    [number] = insert(store, [private()])
    page = Page(paola.get(f"{GRID}{number}/"))
    assert f"{GRID}{number}/send" in page.actions()
    assert paola.post(f"{GRID}{number}/discard").status_code == 302
    assert store.history(IDA) == [("discard", "sent", "discarded", "staff")]


def test_staff_of_a_website_invite_from_its_store_views_only(store: Store, paola: Visitor) -> None:
    page = paola.get(NEW)
    offered = [each.attributes["value"] for each in Page(page).all("option")]
    assert [each for each in offered if each in ("en", "fr", "it")] == ["it"]
    found = SUBMISSION.search(page.text)
    assert found is not None
    given = {"emails": IDA, "group": "vip", "submission": found.group(1), "confirm": "1"}
    for view in ("en", "fr"):
        refused = paola.post(NEW, given | {"store_view": view})
        assert (refused.status_code, Page(refused).error("store_view")) == (
            422,
            "Choose one from the list.",
        )
    assert paola.post(NEW, given | {"store_view": "it"}).status_code == 302
    assert [each.website for each in store.invitations()] == ["main", "private"]


def test_a_review_tells_nothing_of_another_website(store: Store, paola: Visitor) -> None:
    admin = store.staff()
    for visitor, view in ((admin, "en"), (paola, "it")):
        visitor.get(NEW)
        given = {"emails": "zoe@example.com", "group": "vip", "store_view": view}
        answer = visitor.post(NEW, given)
        assert 'data-verdict="new"' in answer.text
        visitor.post(NEW, given | {"confirm": "1"})
    assert len([each for each in store.invitations() if each.email == "zoe@example.com"]) == 2


def test_staff_of_several_websites_see_those(
    store: Store, paola: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(store, [private(), row("old@example.com", website="gone")])
    with store.app.app_context():
        known = type(host())
    monkeypatch.setattr(known, "staff_websites", lambda self: {"private", "main"})
    assert len(Page(paola.get(f"{GRID}?sort=sent")).statuses) == 2
    monkeypatch.setattr(known, "staff_websites", lambda self: [])
    for path in (GRID, JOBS, NEW):
        assert paola.get(path).status_code == 403


@pytest.fixture
def works_for(
    store: Store, configurer: Visitor, monkeypatch: pytest.MonkeyPatch
) -> Callable[[object], Visitor]:
    """Return a function that gives staff, with every right, of some websites."""

    def make(websites: object) -> Visitor:
        with store.app.app_context():
            monkeypatch.setattr(type(host()), "staff_websites", lambda self: websites)
            monkeypatch.setattr(type(host()), "may", lambda self, right: True)
        return configurer

    return make


@pytest.mark.parametrize(
    "page", ["", "configuration", "why", "delivery/", "new", "reports/customers"]
)
def test_staff_of_a_website_that_is_gone_are_refused(
    works_for: Callable[[object], Visitor], page: str
) -> None:
    assert works_for(["retired", "private"]).get(GRID + page).status_code == 200
    assert works_for(["retired"]).get(GRID + page).status_code == 403


def test_websites_are_no_string(works_for: Callable[[object], Visitor]) -> None:
    with pytest.raises(TypeError, match=r"returned 'main'.*such as \['main'\]"):
        works_for("main").get(GRID)


def test_a_selection_keeps_its_websites_when_it_is_written_down(store: Store) -> None:
    with store.app.app_context():
        for websites in (None, ["private"], []):
            kept = selections.written(Selection(ids=[1], websites=websites), "UTC")
            assert selections.read(kept).websites == websites


@pytest.fixture
def configurer(store: Store) -> Visitor:
    """Staff of Private Sales who may configure it."""
    with store.session() as db:
        may = Staff.rights + " configure"
        db.execute(sa.update(Staff).where(Staff.email == PAOLA).values(rights=may))
        db.commit()
    visitor = store.staff(PAOLA)
    visitor.get(NEW)
    return visitor


CONFIGURATION = f"{GRID}configuration"


def test_the_own_websites_alone_are_configured(store: Store, configurer: Visitor) -> None:
    page = Page(configurer.get(CONFIGURATION))
    values = [each.attributes["value"] for each in page.all("option")]
    scopes = [each for each in values if ":" in each]
    assert scopes == ["website:private", "store:it"]
    for scope in ("default", "website:main", "store:en"):
        path = f"{CONFIGURATION}?scope={scope}"
        assert configurer.get(path).status_code == 404
        assert configurer.post(path, {"link_days": "7"}).status_code == 404
    given = {"link_days": "7"}
    assert configurer.post(f"{CONFIGURATION}?scope=website:private", given).status_code == 302
    with store.session() as db:
        [kept] = db.scalars(sa.select(SettingOverride))
        assert (kept.scope, kept.scope_code, kept.value) == ("website", "private", 7)


def test_changes_of_other_websites_are_neither_told_nor_undone(
    store: Store, configurer: Visitor
) -> None:
    store.setting("link_days", 17, "website", "main")
    with store.session() as db:
        number = db.scalar(sa.select(SettingChange.id))
    assert "17" not in configurer.get(f"{CONFIGURATION}/history").text
    assert configurer.post(f"{CONFIGURATION}/history/{number}/undo").status_code == 404
    assert "17" not in configurer.get(f"{CONFIGURATION}/export").text
    text = "[website.main]\nlink_days = 3\n"
    configurer.post(f"{CONFIGURATION}/import", {"text": text, "confirm": "1"})
    with store.session() as db:
        assert list(db.scalars(sa.select(SettingOverride.value))) == [17]


def test_why_tells_of_the_own_websites(configurer: Visitor) -> None:
    assert configurer.get(f"{GRID}why").status_code == 200
    assert configurer.get(f"{GRID}why?store=en").status_code == 404


def test_mail_templates_are_for_who_works_for_all_websites(configurer: Visitor) -> None:
    assert configurer.get(f"{GRID}templates/").status_code == 403
    assert Page(configurer.get(GRID)).link("Email Templates") is None
