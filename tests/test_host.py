"""Mounting into a store, and what the ready-made host reads of its customers."""

from __future__ import annotations

import inspect
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from flask import Blueprint, Flask
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import OperationalError

from invitations_plugin import (
    FlaskLoginHost,
    Group,
    Host,
    Invitations,
    StoreView,
    Website,
    start_delivery,
    upgrade,
)
from invitations_plugin.accounts import as_inviter, group_of
from invitations_plugin.limits import Inviter

from .second_host import app as second_app
from .second_host.forms import JoinForm
from .second_host.models import Member, db
from .support.pages import statements
from .support.second_store import SecondStore
from .support.sink import Sink
from .support.stores import LIST, MakeStore, Store

ANNA = "anna@example.com"


def bare(**config: Any) -> Flask:
    """Make a store that has everything but the plugin."""
    app = Flask("tests.second_host")
    app.config.from_mapping(
        INVITATIONS_BASE_URL="https://shop.example",
        INVITATIONS_DELIVERY="none",
        SECRET_KEY="bare",
        SQLALCHEMY_DATABASE_URI="sqlite://",
        TESTING=True,
    )
    app.config.from_mapping(config)
    db.init_app(app)
    LoginManager(app).user_loader(lambda key: None)
    app.add_url_rule("/join", "join", lambda: "join")
    return app


def ready(store: FlaskLoginHost) -> Flask:
    """Make a store with the plugin and its tables."""
    app = bare()
    Invitations(app, store)
    upgrade(app)
    return app


def host(**more: Any) -> FlaskLoginHost:
    given: dict[str, Any] = {"customer": Member, "register": "join", "email": "mail"}
    given["base"] = "theme.html"
    given["blocks"] = {"content": "body", "title": "page_title"}
    return FlaskLoginHost(**given | more)


def test_the_second_host_is_mounted_in_ten_lines() -> None:
    _, *lines = inspect.getsource(second_app.mount).splitlines()
    assert len([line for line in lines if line.strip(" )")]) <= 10


def test_mounting_twice_is_refused() -> None:
    app = bare()
    Invitations(app, host())
    with pytest.raises(RuntimeError, match="mount it once"):
        Invitations(app, host())


def test_mounting_without_a_host_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"FlaskLoginHost\("):
        Invitations(bare())


@pytest.mark.parametrize("wrong", [FlaskLoginHost, Member, "host"])
def test_mounting_what_is_no_host_is_refused(wrong: Any) -> None:
    with pytest.raises(RuntimeError, match=r"FlaskLoginHost\(\.\.\.\)\), which .* is not"):
        Invitations(bare(), wrong)


@pytest.mark.parametrize("form", [Member, "JoinForm", JoinForm.process])
def test_a_form_that_is_none_is_refused(form: Any) -> None:
    with pytest.raises(RuntimeError, match=r"registration_form is .*a form class of WTForms"):
        Invitations(bare(), host(form=form))


@pytest.mark.parametrize("call", [start_delivery, upgrade])
def test_what_wants_the_plugin_mounted_says_so(call: Any) -> None:
    with pytest.raises(RuntimeError, match=rf"Mount .* before {call.__name__}\(app\)"):
        call(bare())


def test_mounting_without_a_database_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"db\.init_app\(app\)"):
        Invitations(Flask(__name__), host())


@pytest.mark.parametrize("key", [None, "", "short", "x" * 31])
def test_a_weak_hash_key_is_refused_outside_of_tests(key: str | None) -> None:
    with pytest.raises(RuntimeError, match="INVITATIONS_HASH_KEY to 32 random characters"):
        Invitations(bare(TESTING=False, INVITATIONS_HASH_KEY=key), host())


@pytest.mark.parametrize("key", ["x" * 32, b"x" * 32])
def test_a_good_hash_key_is_taken_as_it_is(key: str | bytes) -> None:
    app = bare(TESTING=False, INVITATIONS_HASH_KEY=key)
    Invitations(app, host())
    assert app.extensions["invitations"].hash_key == b"x" * 32


@pytest.mark.parametrize("key", [10**40, ["x"] * 32, bytearray(32)])
def test_a_hash_key_that_is_no_text_is_refused(key: Any) -> None:
    with pytest.raises(RuntimeError, match="HASH_KEY must be a text or bytes, but is of type"):
        Invitations(bare(TESTING=False, INVITATIONS_HASH_KEY=key), host())


def test_an_unknown_way_to_accept_is_refused() -> None:
    with pytest.raises(ValueError, match="'insert' or 'call'"):
        Invitations(bare(), host(), acceptance="never")


def test_an_unknown_delivery_is_refused() -> None:
    with pytest.raises(RuntimeError, match="'thread', 'celery' or 'none'"):
        Invitations(bare(INVITATIONS_DELIVERY="pigeon"), host())


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"register": "no.such"}, r"\['no\.such'\]"),
        ({"register": ()}, "registration endpoints"),
        ({"blocks": {"content": "main"}}, r"no block main.*\{'content': 'body'"),
        ({"blocks": {"content": "body", "title": "page_title", "head": "top"}}, "no block top"),
        ({"base": "nowhere.html"}, r"no template 'nowhere\.html'.*'base'"),
        ({"customer_page": "staff.nobody"}, "customer_page 'staff.nobody'.*one argument"),
        ({"customer_page": "join"}, "customer_page 'join'.*one argument"),
        ({"register": None}, "registration endpoints is .*'auth.register'"),
        ({"email": "post"}, "Member has no attribute 'post'.*'email'"),
        ({"form": JoinForm, "email_field": "post"}, "JoinForm has no field 'post'.*'email_field'"),
        ({"login": "auth.nope"}, "sign-in page 'auth.nope'.*'login'"),
        ({"customer": None}, "customer_model is None, but must be the mapped class"),
        ({"customer": SimpleNamespace}, "customer_model is <class .*mapped class"),
    ],
)
def test_what_is_misnamed_stops_the_first_request(wrong: dict[str, Any], remedy: str) -> None:
    app = bare()
    Invitations(app, host(**wrong))
    with pytest.raises(RuntimeError, match=remedy):
        app.test_client().get("/join")


def test_a_sign_in_page_may_be_an_address() -> None:
    for login in ("join", "/enter", "https://id.example.com/enter"):
        assert ready(host(login=login)).test_client().get("/join").status_code == 200


def test_a_host_that_overrides_nothing_is_told_what_is_wanted() -> None:
    app = bare()
    Invitations(app, Host())
    with pytest.raises(RuntimeError, match=r"override current_customer\(\), customers\(\)"):
        app.test_client().get("/join")


def in_view(**more: Any) -> tuple[Website, ...]:
    """Return one website with a store view that differs."""
    view = StoreView(**{"code": "en", "name": "English", "website": "main"} | more)
    return (Website("main", "Main", (view,)),)


def failing(*given: object) -> Any:
    raise LookupError("no such shelf")


@pytest.mark.parametrize(
    ("hook", "told", "remedy"),
    [
        ("websites", in_view(timezone="Mars/X"), "timezone of .*'en' is 'Mars/X'.*'Europe/Rome'"),
        ("websites", in_view(timezone=None), "timezone of .*'en' is None"),
        ("websites", in_view(timezone=""), "timezone of .*'en' is ''"),
        ("websites", in_view(locale="xx_YY"), "locale of .*'en' is 'xx_YY'.*Babel"),
        ("websites", in_view(locale="it.UTF-8", timezone="Europe/Rome"), None),
        ("websites", in_view(code="e" * 65), "code is 'eee.*1 to 64 characters"),
        ("websites", in_view(website="other"), "website of .*'en' is 'other'.*'main'"),
        ("websites", in_view() * 2, "has a code twice: main"),
        ("websites", (), "one Website or more"),
        ("websites", None, r"websites\(\) is None.*tuple or list of Website"),
        ("websites", (Website("main", "Main", ()),), "store_views of 'main'.*one StoreView or"),
        ("groups", (), "one Group or more"),
        ("groups", ("general",), r"groups\(\) is \('general',\).*tuple or list of Group"),
        ("groups", (each for each in [Group("a", "A")]), "tuple or list of Group"),
        ("groups", [Group("g" * 256, "G")], "1 to 255 characters"),
        ("senders", None, r"senders\(\) is None.*tuple or list of Sender"),
        ("senders", [("a@example.com", "A")], "tuple or list of Sender"),
        ("senders", (), None),  # its mail waits, which the doctor says
    ],
)
def test_what_a_hook_tells_wrongly_stops_the_first_request(
    hook: str, told: object, remedy: str | None
) -> None:
    store = host()
    setattr(store, hook, lambda *given: told)
    app = ready(store)
    if remedy is None:
        assert app.test_client().get("/join").text == "join"
        return
    with pytest.raises(RuntimeError, match=remedy):
        app.test_client().get("/join")


@pytest.mark.parametrize("hook", ["websites", "groups", "senders"])
def test_a_hook_that_fails_is_named_at_the_first_request(hook: str) -> None:
    app, store = bare(), host()
    setattr(store, hook, failing)
    Invitations(app, store)
    fault = rf"host's {hook}\(\) failed \(LookupError: no such shelf\)"
    with pytest.raises(RuntimeError, match=fault):
        app.test_client().get("/join")


def test_a_hook_that_finds_the_database_away_is_tried_at_the_next_request() -> None:
    store, answers = host(), iter([OperationalError("ask", {}, Exception("away"))])

    def groups() -> list[Group]:
        for error in answers:
            raise error
        return []

    store.groups = groups  # type: ignore[method-assign]
    app = ready(store)
    assert app.test_client().get("/join").text == "join"
    with pytest.raises(RuntimeError, match="one Group or more"):
        app.test_client().get("/join")


@pytest.mark.parametrize(
    ("config", "remedy"),
    [
        ({"SECRET_KEY": None}, "no SECRET_KEY, which links"),
        ({"MAIL_DEFAULT_SENDER": ("a",)}, r"MAIL_DEFAULT_SENDER is \('a',\).*a pair of name"),
        ({"MAIL_DEFAULT_SENDER": ()}, r"MAIL_DEFAULT_SENDER is \(\)"),
        ({"INVITATIONS_GROUP_LIMITS": "vip: max_per_day=9"}, "no customer group vip"),
    ],
)
def test_a_configuration_that_cannot_work_stops_the_first_request(
    config: dict[str, Any], remedy: str
) -> None:
    app = bare(**config)
    Invitations(app, host())
    with pytest.raises(RuntimeError, match=remedy):
        app.test_client().get("/join")


def test_a_bind_that_is_not_there_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"BIND_KEY is 'nope'.*SQLALCHEMY_BINDS.*: 'shop'"):
        Invitations(
            bare(INVITATIONS_BIND_KEY="nope", SQLALCHEMY_BINDS={"shop": "sqlite://"}), host()
        )


def test_an_empty_bind_is_the_default_one() -> None:
    Invitations(bare(INVITATIONS_BIND_KEY=""), host())


@pytest.mark.parametrize("seconds", ["abc", "", 0, -1, "1e400", "nan", None, True, 3601, []])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(seconds: Any) -> None:
    with pytest.raises(RuntimeError, match=r"SMTP_TIMEOUT is .* seconds above 0 and up to 3600"):
        Invitations(bare(INVITATIONS_SMTP_TIMEOUT=seconds), host())


@pytest.mark.parametrize("seconds", ["0.3", 30, " 5 "])
def test_a_timeout_is_read_as_seconds(seconds: Any) -> None:
    app = bare(INVITATIONS_SMTP_TIMEOUT=seconds)
    Invitations(app, host())
    assert app.config["INVITATIONS_SMTP_TIMEOUT"] == float(seconds)


@pytest.mark.parametrize("flag", ["is_staff", True, 1])
def test_a_flag_of_staff_that_reads_nothing_is_refused(flag: Any) -> None:
    with pytest.raises(TypeError, match=r"staff is .*Customer\.is_staff"):
        host(staff=flag)


def test_a_store_without_an_address_is_told_at_the_first_request() -> None:
    app = bare(INVITATIONS_BASE_URL=None)
    Invitations(app, host())
    with pytest.raises(RuntimeError, match=r"https://shop\.example\.com"):
        app.test_client().get("/join")


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


def telling(**told: Any) -> Flask:
    """Make an app whose host tells these things of every customer."""
    app, store = bare(), host()
    hooks = {"key": "7", "email": ANNA, "name": "Anna", "customer_since": None} | told
    for hook, answer in hooks.items():
        setattr(store, hook, lambda customer, answer=answer: answer)
    Invitations(app, store)
    return app


@pytest.mark.parametrize(
    ("hook", "told", "fault"),
    [
        ("key", 7, r"Host\.key\(\) must return a string, not int"),
        ("key", None, r"Host\.key\(\) must return a string, not NoneType"),
        ("email", None, r"Host\.email\(\) must return a string, not NoneType"),
        ("name", 7, r"Host\.name\(\) must return a string, not int"),
        ("customer_since", "2026-03-01", r"Host\.customer_since\(\) must return .*, not str"),
    ],
)
def test_what_is_told_wrongly_of_a_customer_is_named(hook: str, told: Any, fault: str) -> None:
    with telling(**{hook: told}).app_context(), pytest.raises(TypeError, match=fault):
        as_inviter(None)


@pytest.mark.parametrize("told", [None, 7, Group("vip", "VIP")])
def test_a_group_that_is_no_code_is_named(told: Any) -> None:
    with (
        telling(group=told).app_context(),
        pytest.raises(TypeError, match=r"Host\.group\(\) must return a string"),
    ):
        group_of(None)


def test_a_customer_without_a_name_is_called_nothing() -> None:
    with telling(name=None).app_context():
        assert as_inviter(None) == Inviter("7", ANNA, "", None)


@pytest.mark.parametrize(
    ("told", "since"),
    [
        (datetime(2026, 3, 1, 12), datetime(2026, 3, 1, 12)),
        (datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 3, 1, 10)),
        (date(2026, 3, 1), datetime(2026, 3, 1)),
        (datetime.max, datetime(2026, 3, 2)),  # nobody comes from the future
    ],
)
def test_an_account_is_as_old_as_the_store_says(told: Any, since: datetime) -> None:
    with (
        time_machine.travel(datetime(2026, 3, 2, tzinfo=UTC), tick=False),
        telling(customer_since=told).app_context(),
    ):
        assert as_inviter(None).since == since
