"""What is mounted, configured or told wrongly: refused with what is wanted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from flask import Flask
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

from .second_host.forms import JoinForm
from .second_host.models import Member
from .support.bare import bare, host, ready

ANNA = "anna@example.com"


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


def test_a_sign_in_that_the_store_leads_to_itself_is_its_own_matter() -> None:
    store = host(login="auth.nope")
    store.login_url = lambda next_url: None  # type: ignore[method-assign]
    assert ready(store).test_client().get("/join").status_code == 200


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


@pytest.mark.parametrize("flag", ["is_staff", True, 1, Member.username == "ada"])
def test_a_flag_of_staff_that_reads_nothing_is_refused(flag: Any) -> None:
    with pytest.raises(TypeError, match=r"staff is .*Customer\.is_staff"):
        host(staff=flag)


def test_a_store_without_an_address_is_told_at_the_first_request() -> None:
    app = bare(INVITATIONS_BASE_URL=None)
    Invitations(app, host())
    with pytest.raises(RuntimeError, match=r"https://shop\.example\.com"):
        app.test_client().get("/join")


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
