"""In stores of another kind, and what the ready-made host reads of its customers."""

from __future__ import annotations

import inspect
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask_sqlalchemy import SQLAlchemy

from invitations_plugin import FlaskLoginHost, Host

from .second_host import app as second_app
from .second_host.models import Member
from .support.bare import bare, host, ready
from .support.pages import statements
from .support.second_store import SecondStore
from .support.sink import Sink
from .support.stores import LIST, MakeStore, Store

ANNA = "anna@example.com"


def test_the_second_host_is_mounted_in_ten_lines() -> None:
    _, *lines = inspect.getsource(second_app.mount).splitlines()
    assert len([line for line in lines if line.strip(" )")]) <= 10


def test_doors_may_be_registered_after_the_plugin() -> None:
    app = ready(host(register="late.join"))
    late = Blueprint("late", __name__)
    late.add_url_rule("/late", "join", lambda: "late")
    app.register_blueprint(late)
    assert app.test_client().get("/late").text == "late"


def test_two_apps_in_one_process_do_not_act_for_each_other(
    make_store: MakeStore, sink: Sink
) -> None:
    stores = [make_store(), make_store(SecondStore)]
    for store in stores:
        store.customer().send(ANNA)
        store.deliver()
    friends = [store.visitor() for store in stores]
    for friend, mail in zip(friends, sink.to(ANNA), strict=True):
        friend.get(mail.link)
    assert stores[1].register(friends[1], ANNA).status_code == 302
    assert [store.invitation(ANNA).status for store in stores] == ["sent", "accepted"]
    assert stores[0].register(friends[0], ANNA).status_code == 302
    assert [len(store.history(ANNA)) for store in stores] == [3, 3]


def test_a_store_closed_to_strangers_closes_no_other(make_store: MakeStore) -> None:
    closed, opened = make_store(), make_store(SecondStore)
    closed.setting("registration", "invitation")
    assert opened.register(opened.visitor(), ANNA).status_code == 302
    assert closed.visitor().get(closed.register_path).status_code == 403


def test_the_store_keeps_its_wrapper_and_its_scripts(make_store: MakeStore) -> None:
    store = make_store(SecondStore)
    page = store.customer().get(LIST)
    assert '<nav><a href="/">The Corner</a> veronica' in page.text
    assert "<title>My Invitations</title>" in page.text
    assert "<script>document.documentElement" in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "default-src" not in page.headers["Content-Security-Policy"]


def test_our_notices_show_where_the_theme_shows_no_flashes(make_store: MakeStore) -> None:
    customer = make_store(SecondStore).customer()
    customer.send(ANNA)
    assert "You sent the invitation for anna@example.com." in customer.get(LIST).text


def test_the_account_entry_shows_on_the_pages_of_the_store(any_store: Store) -> None:
    customer = any_store.customer()
    entry = '<a class="inv-account-entry'
    assert entry in customer.get(any_store.account_path).text
    assert 'aria-current="page">My Invitations</a>' in customer.get(LIST).text
    any_store.setting("storefront_enabled", "false")
    assert entry not in customer.get(any_store.account_path).text


def test_staff_of_a_shared_table_are_no_customers(make_store: MakeStore) -> None:
    store = make_store(SecondStore)
    staff = store.staff()
    assert staff.get(LIST).status_code == 403
    assert staff.get("/admin/invitations/").status_code == 200
    assert store.customer().get("/admin/invitations/").status_code == 403


def test_a_key_is_the_primary_key_as_text(make_store: MakeStore) -> None:
    store = make_store(SecondStore)
    with store.session():
        mounted: Host = store.app.extensions["invitations"].host
        member = mounted.customer_by_email("VERONICA@example.com", "base")
        key = mounted.key(member)
        assert key == str(uuid.UUID(key))
        assert mounted.customers([key, "no uuid", str(uuid.uuid4())]) == {key: member}
        assert mounted.customer_by_email(ANNA, "base") is None


def test_a_key_of_several_parts_reads_back() -> None:
    own = SQLAlchemy()

    class Shopper(own.Model):  # type: ignore[misc, name-defined]
        shop = own.Column(own.String(8), primary_key=True)
        number = own.Column(own.Integer, primary_key=True)

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    own.init_app(app)
    with app.app_context():
        own.create_all()
        own.session.add_all([Shopper(shop=each, number=7) for each in ("east", "west")])
        own.session.commit()
        store = FlaskLoginHost(Shopper, register="join")
        found = store.customers(["west,7", "west,8", "west", "west,seven", "east,7,7"])
        assert [(each.shop, each.number) for each in found.values()] == [("west", 7)]
        assert list(found) == ["west,7"]
        assert store.customers([]) == {}


@pytest.mark.parametrize(
    ("values", "is_active"), [({}, True), ({"is_active": True}, True), ({"is_active": 0}, False)]
)
def test_an_account_may_be_used_unless_flask_login_says_otherwise(
    values: dict[str, Any], is_active: bool
) -> None:
    assert host().is_active(SimpleNamespace(**values)) is is_active


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"name": "Anna Nyberg", "username": "anna"}, "Anna Nyberg"),
        ({"full_name": "Anna Nyberg", "first_name": "Anna"}, "Anna Nyberg"),
        ({"name": " ", "username": "anna"}, "anna"),
        ({"name": None}, ANNA),
        ({}, ANNA),
    ],
)
def test_a_name_is_whatever_the_store_has(values: dict[str, Any], name: str) -> None:
    assert host().name(SimpleNamespace(mail=ANNA, **values)) == name


class Clerk:
    """A user of another class, with staff told by a property."""

    def __init__(self, level: int) -> None:
        self.level = level

    @property
    def works_here(self) -> bool:
        return self.level > 0


@pytest.mark.parametrize(
    "flag", [Clerk.works_here, lambda user: user.level > 0], ids=["property", "function"]
)
def test_staff_may_be_told_by_property_or_function(flag: Any) -> None:
    reads = host(staff=flag)._staff
    assert reads is not None
    assert [reads(Clerk(level)) for level in (0, 1)] == [False, True]


def test_the_sign_in_is_the_store_s_own_where_none_was_named() -> None:
    app = bare()
    app.add_url_rule("/enter", "enter", lambda: "enter")
    app.login_manager.login_view = "enter"  # type: ignore[attr-defined]
    with app.test_request_context():
        assert host().login_url("/here") == "/enter?next=/here"
        assert host(login="join").login_url("/here") == "/join?next=/here"


def test_without_any_sign_in_the_answer_is_401() -> None:
    assert ready(host()).test_client().get(LIST).status_code == 401


@pytest.mark.parametrize(
    ("configured", "sender"),
    [
        (("The Corner", "corner@example.com"), ("The Corner", "corner@example.com")),
        (("", "corner@example.com"), ("tests.second_host", "corner@example.com")),
        ("corner@example.com", ("tests.second_host", "corner@example.com")),
        ("The Corner <corner@example.com>", ("The Corner", "corner@example.com")),
        ('"Corner, Inc" <corner@example.com>', ("Corner, Inc", "corner@example.com")),
        ("<corner@example.com>", ("tests.second_host", "corner@example.com")),
        ("no address", ("tests.second_host", "no address")),
        ("a@example.com, b@example.com", ("tests.second_host", "a@example.com, b@example.com")),
        (None, ("tests.second_host", "")),
    ],
)
def test_the_sender_is_flask_mail_s(configured: Any, sender: tuple[str, str]) -> None:
    with bare(MAIL_DEFAULT_SENDER=configured).app_context():
        (found,) = host().senders(host().current_store_view())
    assert (found.name, found.email) == sender


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_store_without_store_views_is_called_as_its_mail_is(
    make_store: MakeStore, sink: Sink
) -> None:
    store = make_store(SecondStore)
    store.customer().send(ANNA)
    store.deliver()
    mail = sink.to(ANNA)[-1]
    landing = store.visitor().get(mail.link, follow_redirects=True)
    office = store.staff().get("/admin/invitations/")
    assert '<p class="inv-brand">Corner</p>' in office.text
    for text in (mail.message["Subject"], mail.text, mail.html, landing.text):
        assert "Corner" in text
        assert "Default Store View" not in text


def test_customers_among_many_addresses_are_found_whatever_their_case(any_store: Store) -> None:
    known = {any_store.inviter.upper(), any_store.other_inviter}
    asked = [*known, ANNA, *(f"{n}@example.com" for n in range(1000))]
    with any_store.session():
        store_host = any_store.app.extensions["invitations"].host
        website = store_host.websites()[0].code
        assert store_host.customers_among(asked, website) == known
        assert store_host.customers_among([], website) == set()
        with statements(any_store) as seen:
            store_host.customers_among(asked, website)
        assert len(seen) <= 3
        assert store_host.customers_among(known, "elsewhere") == (
            set() if any_store.name == "sample" else known
        )


def test_a_store_that_finds_customers_its_own_way_is_asked_for_each(any_store: Store) -> None:
    class Own(FlaskLoginHost):
        def customer_by_email(self, email: str, website: str) -> object | None:
            return website if email == ANNA else None

    own = Own(any_store.customer_model, register="join")
    with any_store.session():
        assert own.customers_among([ANNA, any_store.inviter], "main") == {ANNA}


def test_a_customer_s_page_is_found_whatever_its_argument_is_called() -> None:
    app = ready(host(customer_page="member"))
    app.add_url_rule("/office/members/<uuid:who>", "member", lambda who: str(who))
    member = Member(id=uuid.UUID(int=7), mail=ANNA, username="anna")
    with app.test_request_context():
        path = app.extensions["invitations"].host.customer_url(member)
    assert path == f"/office/members/{uuid.UUID(int=7)}"


def test_a_store_that_names_no_page_of_a_customer_has_none() -> None:
    assert Host().customer_url(None) is None
    assert host().customer_url(None) is None
