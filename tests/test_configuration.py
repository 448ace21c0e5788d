"""The configuration page: one scope in one form, saved together or not at all."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from invitations_plugin.models import SettingChange, SettingOverride
from invitations_plugin.settings import SCOPES, SPECS
from invitations_plugin.state import settings_of, store_view

from .support.outbox import many, queue
from .support.pages import Element, Page, at_once, statements
from .support.sink import Mail, Sink
from .support.stores import LIST, SEND, MakeStore, Store, Visitor

CONFIGURATION = "/admin/invitations/configuration"
HISTORY = f"{CONFIGURATION}/history"
DEFAULT, MAIN, FRENCH = "default", "website:main", "store:fr"


def address(scope: str = DEFAULT) -> str:
    return f"{CONFIGURATION}?scope={scope}"


def shown(page: TestResponse | Page, name: str) -> Element:
    """Return the field of a setting."""
    parsed = page if isinstance(page, Page) else Page(page)
    [field] = [
        each
        for each in parsed.elements
        if each.attributes.get("name") == name and each.tag in ("input", "select", "textarea")
    ]
    return field


def form_of(page: TestResponse) -> dict[str, str]:
    """Return what a browser would post of the page as it is shown."""
    parsed, filled = Page(page), {}
    for each in parsed.all("input") + parsed.all("textarea"):
        name = each.attributes.get("name", "")
        is_box = each.attributes.get("type") == "checkbox"
        is_sent = "disabled" not in each.attributes and (not is_box or "checked" in each.attributes)
        if name and is_sent:
            filled[name] = each.attributes.get("value", each.text.removeprefix("\n"))
    chosen: str | None = None
    for each in parsed.elements:
        if each.tag == "select":
            is_field = "disabled" not in each.attributes and each.attributes["name"] in SPECS
            chosen = each.attributes["name"] if is_field else None
        elif each.tag == "option" and chosen is not None and "selected" in each.attributes:
            filled[chosen] = each.attributes["value"]
    return filled


def change(visitor: Visitor, scope: str = DEFAULT, **fields: Any) -> TestResponse:
    """Fill in some fields of a scope's page and save, unticking their boxes."""
    form = form_of(visitor.get(address(scope)))
    for name in fields:
        form.pop(f"{name}-inherit", None)
    return visitor.post(address(scope), form | fields)


def tick(visitor: Visitor, name: str, scope: str = FRENCH, **fields: Any) -> TestResponse:
    """Tick the box of a setting and save."""
    form = form_of(visitor.get(address(scope)))
    return visitor.post(address(scope), form | fields | {f"{name}-inherit": "1"})


def in_force(store: Store, name: str, code: str = "fr") -> object:
    with store.app.app_context():
        return getattr(settings_of(store_view(code)), name)


def overrides(store: Store) -> list[tuple[str, str, str, object]]:
    with store.session() as db:
        row = SettingOverride
        found = db.execute(sa.select(row.scope, row.scope_code, row.name, row.value))
        return sorted(tuple(each) for each in found)


def test_what_is_saved_is_in_force_at_the_next_request(
    store: Store, admin: Visitor, veronica: Visitor
) -> None:
    assert Page(veronica.get(SEND)).all("textarea")
    answer = change(admin, allow_message="0", max_per_send="7")
    assert (answer.status_code, answer.location) == (302, address())
    assert not Page(veronica.get(SEND)).all("textarea")
    said = Page(admin.get(answer.location)).notices
    assert "2 settings were changed (Default)" in said[0]
    assert "Max Invitations Allowed to be Sent at One Time" in said[0]


def test_another_process_sees_it_at_its_next_request(store: Store, admin: Visitor) -> None:
    url = store.app.config["SQLALCHEMY_DATABASE_URI"]
    given = {"INSTANCE_PATH": store.app.config["INSTANCE_PATH"], "TESTING": True}
    other = Store(**given, DATABASE_URL=url, INVITATIONS_DELIVERY="none")
    assert Page(other.customer().get(SEND)).all("textarea")
    change(admin, allow_message="0")
    assert not Page(other.customer().get(SEND)).all("textarea")
    other.close()


@pytest.mark.parametrize(("scope", "box"), [(MAIN, "Use Default"), (FRENCH, "Use Website")])
def test_a_narrower_scope_follows_the_wider_one_until_its_box_is_unticked(
    store: Store, admin: Visitor, scope: str, box: str
) -> None:
    change(admin, max_per_send="8")
    page = Page(admin.get(address(scope)))
    assert shown(page, "max_per_send").attributes["value"] == "8"
    assert "checked" in shown(page, "max_per_send-inherit").attributes
    assert {each for each in page.text("label") if each.startswith("Use ")} == {box}
    change(admin, scope, max_per_send="9")
    page = Page(admin.get(address(scope)))
    assert "checked" not in shown(page, "max_per_send-inherit").attributes
    assert in_force(store, "max_per_send") == 9
    tick(admin, "max_per_send", scope)
    assert in_force(store, "max_per_send") == 8


def test_a_store_view_wins_over_its_website_and_that_over_all(store: Store, admin: Visitor) -> None:
    for number, scope in enumerate((DEFAULT, MAIN, FRENCH), 11):
        change(admin, scope, max_per_send=str(number))
    assert [in_force(store, "max_per_send", code) for code in ("it", "en", "fr")] == [11, 12, 13]
    tick(admin, "max_per_send", FRENCH)
    tick(admin, "max_per_send", MAIN)
    assert [in_force(store, "max_per_send", code) for code in ("it", "en", "fr")] == [11, 11, 11]


def test_what_is_set_for_all_can_go_back_to_the_default(store: Store, admin: Visitor) -> None:
    assert "Back to the Default" not in admin.get(address()).text
    change(admin, max_per_send="8")
    assert Page(admin.get(address())).text("label").count("Back to the Default") == 1
    tick(admin, "max_per_send", DEFAULT)
    assert (in_force(store, "max_per_send"), overrides(store)) == (5, [])


def test_a_ticked_box_wins_over_what_is_typed_beside_it(store: Store, admin: Visitor) -> None:
    change(admin, FRENCH, max_per_send="9")
    answer = tick(admin, "max_per_send", FRENCH, max_per_send="many")
    assert answer.status_code == 302
    assert in_force(store, "max_per_send") == 5


def test_the_page_says_what_is_in_force_and_where_it_comes_from(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVITATIONS_MAX_PER_DAY", "51")
    store = make_store(INVITATIONS_MAX_PER_HOUR=21)
    store.setting("link_days", 12)
    store.setting("resend_hours", 13, "website", "main")
    store.setting("max_pending", 14, "store", "fr")
    page = Page(store.staff().get(address(FRENCH)))
    texts = " ".join(page.text("p"))
    for said in (
        "In force: 5 (built in)",
        "In force: 51 (from the environment)",
        "In force: 21 (from app.config)",
        "In force: 12 (from the default)",
        "In force: 13 (from Main Website)",
        "In force: 14 (set here)",
    ):
        assert said in texts


def test_a_wider_scope_names_the_narrower_ones_with_a_value_of_their_own(
    store: Store, admin: Visitor
) -> None:
    store.setting("link_days", 12, "store", "fr")
    page = Page(admin.get(address(MAIN)))
    assert any("Own values: Français" in text for text in page.text("p"))
    assert not any("Own values" in text for text in Page(admin.get(address(FRENCH))).text("p"))


def test_every_setting_has_its_field_and_label_and_below_it_its_scope(
    store: Store, admin: Visitor
) -> None:
    for scope in (DEFAULT, MAIN, FRENCH):
        page = Page(admin.get(address(scope)))
        labels = {each.attributes.get("for"): each.text for each in page.all("label")}
        for name, spec in SPECS.items():
            field = shown(page, name)
            assert labels[field.attributes["id"]] == spec.label
            is_narrower = not spec.is_allowed_in(scope.partition(":")[0])
            assert ("disabled" in field.attributes) == is_narrower
    scopes = [text for text in page.text("p") if text.startswith("[")]
    shown_as = {"default": "[global]", "website": "[website]", "store": "[store view]"}
    assert scopes == [shown_as[spec.scope] for spec in SPECS.values()]


def test_the_sections_and_the_list_to_jump_by_are_those_of_the_model(
    store: Store, admin: Visitor
) -> None:
    page = Page(admin.get(address()))
    assert page.text("legend") == ["General", "Email", "Links", "Limits", "Delivery"]
    jumps = {
        each.text: each.attributes["href"]
        for each in page.all("a")
        if each.attributes["href"].startswith("#")
    }
    for section in page.text("legend"):
        assert page.all("fieldset", id=jumps[section].removeprefix("#"))


def test_the_scopes_to_choose_from_are_the_store_s(store: Store, admin: Visitor) -> None:
    page = Page(admin.get(address(FRENCH)))
    values = [each.attributes["value"] for each in page.all("option")]
    offered = [value for value in values if value.partition(":")[0] in SCOPES]
    assert offered[:6] == ["default", MAIN, "store:en", FRENCH, "website:private", "store:it"]


@pytest.mark.parametrize("scope", ["nonsense", "store:xx", "website:", "store:", "default:x"])
def test_an_unknown_scope_is_not_found(store: Store, admin: Visitor, scope: str) -> None:
    assert admin.get(address(scope)).status_code == 404
    assert admin.post(address(scope), {"max_per_send": "7"}).status_code == 404


def test_a_field_that_is_not_posted_stays_as_it_is(store: Store, admin: Visitor) -> None:
    store.setting("link_days", 12)
    admin.get(address())
    assert admin.post(address(), {"max_per_send": "7"}).status_code == 302
    assert overrides(store) == [
        ("default", "", "link_days", 12),
        ("default", "", "max_per_send", 7),
    ]


def test_a_page_saved_as_it_is_changes_nothing(store: Store, admin: Visitor) -> None:
    store.setting("link_days", 12, "store", "fr")
    for scope in (DEFAULT, MAIN, FRENCH):
        answer = change(admin, scope)
        assert Page(admin.get(answer.location)).notices == [
            "Nothing was changed: the settings are as before."
        ]
    assert overrides(store) == [("store", "fr", "link_days", 12)]


BAD = [
    ("max_per_send", "0"),
    ("max_per_send", "-1"),
    ("max_per_send", "abc"),
    ("max_per_send", "1000000000"),
    ("max_per_send", ""),
    ("max_per_send", "1.5"),
    ("max_per_send", "٣"),
    ("max_per_send", "9" * 5000),
    ("enabled", "perhaps"),
    ("registration", "some"),
    ("referred_group", ""),
    ("email_sender", "nobody"),
    ("email_template", "../secrets"),
    ("blocked_domains", "no domain!"),
    ("staff_notice_address", "ada@example.com, ada"),
    ("staff_notice_address", " ".join(f"a{number}@example.com" for number in range(11))),
    ("group_limits", "vip: max_per_day=many"),
    ("group_limits", "nobodies: max_per_day=3"),
    ("group_limits", "x" * 20_000),
]


@pytest.mark.parametrize(("name", "typed"), BAD)
@pytest.mark.parametrize("database", ["sqlite"])
def test_a_bad_value_is_told_at_its_field_and_nothing_is_saved_or_lost(
    store: Store, admin: Visitor, name: str, typed: str
) -> None:
    answer = change(admin, **{"link_days": "77", name: typed})
    page = Page(answer)
    assert (answer.status_code, overrides(store)) == (422, [])
    assert page.error(name)
    assert shown(page, name).attributes["aria-invalid"] == "true"
    assert shown(page, "link_days").attributes["value"] == "77"
    if shown(page, name).tag != "select":
        field = shown(page, name)
        assert field.attributes.get("value", field.text.removeprefix("\n")) == typed
    assert page.link(SPECS[name].label) == f"#{name}"


def test_of_many_lines_the_wrong_one_is_named(store: Store, admin: Visitor) -> None:
    typed = "general: max_per_day=5\nvip: max_pending=0 max_per_day=zz"
    page = Page(change(admin, group_limits=typed))
    assert page.error("group_limits") == (
        "vip: max_pending=0 max_per_day=zz: max_per_day takes a whole number from 0 to 1,000,000."
    )


def test_all_that_is_wrong_is_told_at_once_on_both_databases(store: Store, admin: Visitor) -> None:
    answer = change(admin, FRENCH, max_per_send="0", link_days="x", email_sender="nobody")
    page = Page(answer)
    assert answer.status_code == 422
    assert page.error("max_per_send") == "Enter a whole number from 1 to 100."
    assert page.error("link_days") == "Enter a whole number from 1 to 3,650."
    assert page.error("email_sender") == "Choose one from the list."
    assert "checked" not in shown(page, "link_days-inherit").attributes
    assert overrides(store) == []


@pytest.mark.parametrize(
    ("scope", "name", "value"),
    [(FRENCH, "enabled", "0"), (MAIN, "enabled", "0"), (FRENCH, "storefront_enabled", "0")],
)
def test_a_setting_is_refused_below_its_scope(
    store: Store, admin: Visitor, scope: str, name: str, value: str
) -> None:
    admin.get(address(scope))
    for extra in ({}, {f"{name}-inherit": "1"}):
        answer = admin.post(address(scope), {name: value, "link_days": "7", **extra})
        assert answer.status_code == 422
        assert "It cannot be set for a" in Page(answer).error(name)
    assert overrides(store) == []


def test_hostile_text_is_stored_harmlessly_or_refused(store: Store, admin: Visitor) -> None:
    hostile = '<img src=x onerror="alert(1)">\x00{{ 7 * 7 }}'
    for name in ("blocked_domains", "group_limits", "max_per_send"):
        answer = change(admin, **{name: hostile})
        assert answer.status_code == 422
        assert "<img" not in answer.text
    assert change(admin, blocked_domains="a.example\x00\r\nb.example").status_code == 302
    assert overrides(store) == [("default", "", "blocked_domains", "a.example\nb.example")]


def test_of_a_field_that_is_posted_twice_the_first_counts(store: Store, admin: Visitor) -> None:
    admin.get(address())
    admin.post(address(), {"max_per_send": ["7", "8"]})
    assert in_force(store, "max_per_send") == 7


def test_a_form_that_was_open_too_long_keeps_what_was_typed(store: Store, admin: Visitor) -> None:
    form = form_of(admin.get(address())) | {"max_per_send": "17", "csrf_token": "old"}
    answer = admin.post(address(), form)
    assert (answer.status_code, overrides(store)) == (400, [])
    assert shown(answer, "max_per_send").attributes["value"] == "17"
    admin.token = Page(answer).fields["csrf_token"]
    assert admin.post(address(), form_of(answer)).status_code == 302
    assert in_force(store, "max_per_send") == 17


def test_the_choices_are_the_store_s_senders_and_templates(store: Store, admin: Visitor) -> None:
    page = Page(admin.get(address(FRENCH)))
    offered = {each.attributes["value"]: each.text for each in page.all("option")}
    assert offered["sales"] == "Sales Representative"
    assert offered["invitation_sent"] == "Customer Invitation (Default)"
    assert change(admin, FRENCH, email_sender="sales").status_code == 302
    assert in_force(store, "email_sender") == "sales"


def test_a_sender_that_is_gone_is_told_and_does_not_keep_others_from_being_saved(
    store: Store, admin: Visitor
) -> None:
    store.setting("email_sender", "long-gone", "store", "fr")
    page = Page(admin.get(address(FRENCH)))
    assert "The store has this sender no more: its first one is used." in page.text("p")
    assert change(admin, FRENCH, link_days="9").status_code == 302
    assert in_force(store, "email_sender") == "long-gone"
    assert change(admin, MAIN, email_sender="long-gone").status_code == 422


def test_switching_off_says_what_it_hides_and_leaves_the_way_back(
    store: Store, admin: Visitor, veronica: Visitor
) -> None:
    answer = change(admin, enabled="0")
    said = " ".join(Page(admin.get(answer.location)).notices)
    assert "While invitations are off" in said
    assert veronica.get(LIST).status_code == 404
    assert store.visitor().get("/register").status_code == 200
    change(admin, enabled="1")
    assert veronica.get(LIST).status_code == 200


def test_by_invitation_only_with_invitations_off_shuts_nobody_out(
    store: Store, admin: Visitor
) -> None:
    change(admin, registration="invitation")
    assert store.visitor().get("/register").status_code == 403
    change(admin, enabled="0")
    assert store.visitor().get("/register").status_code == 200


@pytest.mark.parametrize("scope", [DEFAULT, MAIN, FRENCH])
def test_two_who_change_different_settings_both_have_their_way(
    store: Store, admin: Visitor, scope: str
) -> None:
    form = form_of(admin.get(address(scope)))
    change(admin, scope, max_per_send="7")
    form.pop("link_days-inherit", None)
    assert admin.post(address(scope), form | {"link_days": "9"}).status_code == 302
    assert [(name, value) for _, _, name, value in overrides(store)] == [
        ("link_days", 9),
        ("max_per_send", 7),
    ]


def test_two_who_change_one_setting_are_told_and_the_second_may_insist(
    store: Store, admin: Visitor
) -> None:
    form = form_of(admin.get(address(MAIN)))
    change(admin, MAIN, max_per_send="7", resend_hours="3")
    del form["max_per_send-inherit"], form["link_days-inherit"]
    answer = admin.post(address(MAIN), form | {"max_per_send": "8", "link_days": "9"})
    page = Page(answer)
    assert (answer.status_code, in_force(store, "max_per_send")) == (409, 7)
    assert in_force(store, "link_days") == 30
    assert "Ada Admin saved meanwhile: 7" in page.text("p")
    assert shown(page, "max_per_send").attributes["value"] == "8"
    assert shown(page, "link_days").attributes["value"] == "9"
    assert shown(page, "resend_hours").attributes["value"] == "3"
    assert admin.post(address(MAIN), form_of(answer)).status_code == 302
    changed = [in_force(store, name) for name in ("max_per_send", "link_days", "resend_hours")]
    assert changed == [8, 9, 3]


def test_two_who_ask_for_the_same_are_of_one_mind(store: Store, admin: Visitor) -> None:
    form = form_of(admin.get(address())) | {"max_per_send": "7"}
    change(admin, max_per_send="7")
    assert admin.post(address(), form).status_code == 302
    with store.session() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(SettingChange)) == 1


def test_a_box_that_another_unticked_is_a_conflict_as_well(store: Store, admin: Visitor) -> None:
    change(admin, FRENCH, max_per_send="6")
    form = form_of(admin.get(address(FRENCH)))
    change(admin, FRENCH, max_per_send="7")
    answer = admin.post(address(FRENCH), form | {"max_per_send-inherit": "1"})
    assert answer.status_code == 409
    assert "checked" in shown(answer, "max_per_send-inherit").attributes
    assert admin.post(address(FRENCH), form_of(answer)).status_code == 302
    assert in_force(store, "max_per_send") == 5


def test_of_two_at_one_moment_one_is_saved_and_the_other_told(store: Store, admin: Visitor) -> None:
    form = form_of(admin.get(address()))
    forms = [form | {"max_per_send": str(number), "link_days": str(number)} for number in (7, 8)]
    answers = at_once(store, admin, forms, address())
    assert sorted(each.status_code for each in answers) == [302, 409]
    assert in_force(store, "max_per_send") == in_force(store, "link_days")


@pytest.mark.parametrize("scope", [DEFAULT, MAIN, FRENCH])
def test_the_page_reads_the_settings_once(store: Store, admin: Visitor, scope: str) -> None:
    for name in ("link_days", "max_per_send", "resend_hours"):
        store.setting(name, 9, "store", "fr")
    with statements(store) as seen:
        assert admin.get(address(scope)).status_code == 200
    assert len([each for each in seen if "FROM invitations_setting \n" in f"{each} \n"]) == 1
    # And the last change, the mail templates, those of them that failed, and the alarms.
    assert len([each for each in seen if "invitations_" in each]) == 5


def test_off_for_one_website_hides_its_customers_pages_and_no_other_s(
    store: Store, admin: Visitor
) -> None:
    change(admin, MAIN, storefront_enabled="0")
    veronica, giulia = store.customer(), store.customer("giulia@example.com")
    assert veronica.get(LIST).status_code == 404
    assert veronica.post(SEND, {"emails-0": "anna@example.com"}).status_code == 404
    assert Page(veronica.get("/account/")).link("My Invitations") is None
    assert giulia.send("anna@example.com").status_code == 302
    new = "/admin/invitations/new"
    form = Page(admin.get(new)).fields | {"emails": "ben@example.com", "confirm": "1"}
    assert admin.post(new, form | {"store_view": "en", "group": "vip"}).status_code == 302
    assert len(store.invitations()) == 2


def test_a_worker_follows_a_change_with_its_next_batch(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    change(admin, batch_size="1")
    queue(store, *many(2))

    def choose_another_sender(mail: Mail) -> None:
        if len(sink.mails) == 1:
            change(admin, email_sender="sales")

    sink.while_taking = choose_another_sender
    store.deliver()
    senders = [mail.message["From"] for mail in sink.mails]
    assert ["hello@" in senders[0], "sales@" in senders[1]] == [True, True]


def test_who_may_not_configure_sees_neither_page_nor_entry(store: Store, admin: Visitor) -> None:
    clerk = store.staff("clerk@example.com")
    assert Page(clerk.get("/admin/invitations/")).link("Configuration") is None
    assert clerk.get(address()).status_code == 403
    assert Page(admin.get("/admin/invitations/")).link("Configuration") == CONFIGURATION
