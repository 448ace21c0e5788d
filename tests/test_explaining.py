"""Why can I not invite? On a page, and by the doctor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from .support.pages import Page
from .support.rows import ago, by, insert, one, row
from .support.snapshots import contents
from .support.stores import SEND, Store, Visitor
from .test_cli import run
from .test_configuration import FRENCH, address

WHY = "/admin/invitations/why"
VERONICA = "veronica@example.com"
Later = Callable[[timedelta], None]


def ask(visitor: Visitor, store: str = "en", **more: str) -> TestResponse:
    return visitor.get(WHY, query_string={"store": store, **more})


def said(visitor: Visitor, store: str = "en", **more: str) -> list[str]:
    """Return the rules in the way, each with its setting and where that is set."""
    page = Page(ask(visitor, store, **more))
    heading = page.elements.index(page.all("h1")[0])
    found = [each for each in page.elements[heading:] if each.tag == "li"]
    return [" ".join(each.text.split()) for each in found]


def of_veronica(visitor: Visitor, **more: str) -> list[str]:
    return said(visitor, customer=VERONICA, **more)


def test_where_nothing_is_in_the_way_the_page_says_so(store: Store, admin: Visitor) -> None:
    page = Page(ask(admin, customer=VERONICA, invitee="anna@example.com"))
    assert "Nothing stops an invitation here" in page.text("h2")
    assert of_veronica(admin, invitee="anna@example.com") == []


def test_a_switch_is_named_with_its_scope_and_the_way_to_it(store: Store, admin: Visitor) -> None:
    store.setting("enabled", False)
    store.setting("storefront_enabled", False, "website", "main")
    page = Page(ask(admin, "fr"))
    assert page.link("Enable Invitations Functionality") == f"{address()}#enabled"
    assert page.link("Enable Invitations on Storefront") == (
        f"{address('website:main')}#storefront_enabled"
    )
    [off, hidden] = said(admin, "fr")
    assert "set in Default" in off
    assert "set in Main Website" in hidden
    assert len(said(admin, "it")) == 1


def test_who_may_not_configure_reads_it_without_a_link(store: Store) -> None:
    store.setting("enabled", False)
    clerk = store.staff("clerk@example.com")
    page = Page(ask(clerk))
    assert any("Enable Invitations Functionality" in each for each in page.text("p"))
    assert page.link("Enable Invitations Functionality") is None


def test_the_grid_and_the_configuration_lead_to_it(store: Store, admin: Visitor) -> None:
    assert Page(admin.get(address(FRENCH))).link("Why can I not invite?") == f"{WHY}?store=fr"
    assert Page(admin.get("/admin/invitations/")).link("Why can I not invite?") is None
    store.setting("enabled", False)
    assert Page(admin.get("/admin/invitations/")).link("Why can I not invite?") == WHY


def test_an_invitation_leads_to_its_inviter_s_limits(store: Store, admin: Visitor) -> None:
    number = one(store, "anna@example.com")
    link = Page(admin.get(f"/admin/invitations/{number}/")).link("Why can I not invite?")
    assert link == f"{WHY}?store=en&customer={VERONICA}"


@pytest.mark.parametrize(
    ("name", "value", "label"),
    [
        ("max_per_hour", 1, "Max Invitations of a Customer in an Hour"),
        ("max_per_day", 1, "Max Invitations of a Customer in a Day"),
        ("max_pending", 1, "Max Pending Invitations of a Customer"),
        ("max_lifetime", 1, "Max Invitations of a Customer Altogether"),
    ],
)
def test_a_limit_is_named_once_it_is_reached(
    store: Store, admin: Visitor, name: str, value: int, label: str
) -> None:
    store.setting(name, value, "store", "en")
    assert of_veronica(admin) == []
    one(store, "anna@example.com")
    [reached] = of_veronica(admin)
    assert reached.startswith(f"{label}: 1 are reached.")
    assert reached.endswith("set in English")
    assert ("There is room again after" in reached) == (name != "max_lifetime")
    assert said(admin, customer="marcus@example.com") == []


def test_all_limits_that_are_reached_are_named(store: Store, admin: Visitor) -> None:
    store.setting("max_per_hour", 1)
    store.setting("max_lifetime", 1)
    store.setting("max_of_all_per_day", 1)
    store.customer().send("anna@example.com")
    assert [each.partition(":")[0] for each in of_veronica(admin)] == [
        "Max Invitations of All Customers in a Day",
        "Max Invitations of a Customer in an Hour",
        "Max Invitations of a Customer Altogether",
    ]
    [for_all] = said(admin)
    assert for_all.startswith("Max Invitations of All Customers in a Day: 1 are reached.")


def test_a_limit_of_the_group_is_the_group_s(store: Store, admin: Visitor) -> None:
    store.setting("group_limits", "general: max_lifetime=1")
    one(store, "anna@example.com")
    [reached] = of_veronica(admin)
    assert "Limits by Customer Group" in reached


def test_a_new_customer_s_limit_is_named(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = store.app.extensions["invitations"].host
    monkeypatch.setattr(host, "customer_since", lambda customer: ago(hours=1))
    store.setting("new_customer_hours", 2)
    store.setting("max_of_new_customer", 0)
    [reached] = of_veronica(admin)
    assert reached.startswith("Max Invitations of a New Customer: 0 are reached.")


def test_the_store_s_own_no_is_told_in_its_words(
    store: Store, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    host: Any = store.app.extensions["invitations"].host
    monkeypatch.setattr(host, "may_invite", lambda customer: "After the first order.")
    monkeypatch.setattr(host, "is_active", lambda customer: False)
    assert of_veronica(admin) == [
        "The customer's account is disabled: their invitations rest.",
        "The store does not let this customer invite. After the first order.",
    ]
    monkeypatch.setattr(host, "may_invite", lambda customer: False)
    assert of_veronica(admin)[1] == "The store does not let this customer invite."


def test_what_is_wrong_with_an_address_is_told(store: Store, admin: Visitor) -> None:
    store.setting("blocked_domains", "blocked.example", "store", "en")
    store.setting("existing_customers", "skip")
    number = one(store, "anna@example.com")
    veronica = store.customer()
    veronica.send("ben@example.com")
    [blocked] = of_veronica(admin, invitee="x@sub.blocked.example")
    assert blocked.startswith("Nobody is invited at sub.blocked.example.")
    [own] = of_veronica(admin, invitee="veronica+tag@example.com")
    assert own == "It is the customer's own address."
    [customer] = of_veronica(admin, invitee="marcus@example.com")
    assert customer.startswith("The address is a customer's, and those are skipped.")
    [before] = of_veronica(admin, invitee="BEN@example.com")
    assert f"(invitation {number + 1})" in before


def test_an_address_that_wants_none_or_has_had_enough_is_good_to_know(
    store: Store, admin: Visitor, link_for_opt_out: Callable[[], None]
) -> None:
    link_for_opt_out()
    page = Page(ask(admin, invitee="anna@example.com"))
    assert "Nothing stops an invitation here" in page.text("h2")
    assert "Good to know" in page.text("h2")
    [out, full] = said(admin, invitee="anna@example.com")
    assert out.startswith("This mailbox wants no invitations from this store")
    assert full.startswith("The mailbox received as much as it may; the mail would wait until")
    assert "Max Messages to a Mailbox in a Day" in full


@pytest.fixture
def link_for_opt_out(store: Store, sink: Any) -> Callable[[], None]:
    """Return a function that mails an invitation to Anna, who wants no more."""

    def mail() -> None:
        store.customer().send("anna@example.com")
        store.deliver()
        [found] = sink.to("anna@example.com")
        link = found.message["List-Unsubscribe"].strip("<>")
        assert store.visitor().client.post(link).status_code == 200

    return mail


def test_by_invitation_only_is_good_to_know(store: Store, admin: Visitor) -> None:
    store.setting("registration", "invitation", "store", "fr")
    [closed] = said(admin, "fr")
    assert closed.startswith("Only who was invited can create an account.")
    assert said(admin, "en") == []


@pytest.mark.parametrize(
    ("field", "typed", "error"),
    [
        ("customer", "nobody@example.com", "has no customer"),
        ("customer", "giulia@example.com", "has no customer"),
        ("customer", "'; --", "has no customer"),
        ("invitee", "nobody", "Not an e-mail address: there is no @ in it"),
        ("invitee", "@@bad", "Not an e-mail address: there is more than one @ in it"),
    ],
)
def test_nobody_is_told_at_the_field(
    store: Store, admin: Visitor, field: str, typed: str, error: str
) -> None:
    answer = ask(admin, **{field: typed})
    page = Page(answer)
    assert answer.status_code == 422
    assert error in page.error(field)
    assert page.fields[field] == typed


@pytest.mark.parametrize("code", ["xx", "store:en", "\x00"])
def test_an_unknown_store_view_is_not_found(store: Store, admin: Visitor, code: str) -> None:
    assert ask(admin, code).status_code == 404
    assert admin.get(WHY).status_code == 200


def test_asking_takes_nothing(store: Store, admin: Visitor) -> None:
    store.setting("max_of_all_per_day", 5)
    insert(store, [row("anna@example.com", **by(store))])
    before = contents(store)
    for _ in range(7):
        of_veronica(admin, invitee="ben@example.com")
    assert contents(store) == before


def test_the_doctor_names_the_same_as_notices_and_no_faults(store: Store) -> None:
    store.setting("staff_notice_address", "ada@example.com")
    assert "Notice" not in run(store, "doctor").output
    store.setting("enabled", False)
    store.setting("storefront_enabled", False, "website", "private")
    answer = run(store, "doctor")
    assert answer.exit_code == 0
    lines = [line for line in answer.output.splitlines() if line.startswith("Notice: ")]
    assert lines[0].startswith("Notice: Invitations are switched off")
    assert "setting enabled, set in default. (store views: en, fr, it)" in lines[0]
    assert "storefront_enabled, set in website:private. (store views: it)" in lines[1]
    assert answer.output.endswith("Everything is in order.\n")


def test_the_doctor_names_faults_and_notices_together(store: Store, sink: Any) -> None:
    store.setting("enabled", False)
    sink.at_connect = "421 4.3.2 busy"
    answer = run(store, "doctor")
    assert answer.exit_code == 1
    assert answer.output.index("- The mail server") < answer.output.index("Notice: ")


def test_the_send_page_and_the_explanation_share_their_rules(
    store: Store, admin: Visitor, veronica: Visitor, later: Later
) -> None:
    store.setting("max_per_day", 1)
    veronica.send("anna@example.com")
    assert (veronica.send("ben@example.com").status_code, len(of_veronica(admin))) == (429, 1)
    later(timedelta(hours=25))
    admin, veronica = store.staff(), store.customer()
    assert of_veronica(admin) == []
    veronica.get(SEND)
    assert veronica.send("ben@example.com").status_code == 302
