"""What went wrong once, in stores and in hands that nobody thought of, and must not again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask, Response, abort, request
from flask_babel import Babel
from flask_login import UserMixin, login_user
from jinja2 import ChoiceLoader, DictLoader, StrictUndefined
from werkzeug.test import TestResponse

from invitations_plugin.clock import now
from invitations_plugin.database import engine, session
from invitations_plugin.delivery import deliver
from invitations_plugin.forms import MOST_ROWS
from invitations_plugin.models import Invitation
from invitations_plugin.outbox import RETRIES
from invitations_plugin.workers import expire_all
from sample_store.models import Customer

from .support.outbox import change_outbox, queue, recipients
from .support.pages import Page, statements
from .support.rows import ago, one
from .support.second_store import SecondStore
from .support.sink import Mail, Sink
from .support.stores import LIST, SEND, MakeFriend, MakeStore, Store, Visitor

ANNA, BEN, CARA = "anna@example.com", "ben@example.com", "cara@example.com"
GRID, WELCOME = "/admin/invitations/", "/invitations/welcome"
SHOP = "http://localhost/shop"
OUT = re.compile(r"/invitations/opt-out/[\w.-]+")


def press(visitor: Visitor, button: str, number: int, **more: Any) -> TestResponse:
    """Press a button of My Invitations."""
    return visitor.post(f"{LIST}{number}/{button}", follow_redirects=True, **more)


def send_as_staff(visitor: Visitor, number: int) -> TestResponse:
    return visitor.post(f"{GRID}{number}/send", follow_redirects=True)


def send_all_as_staff(visitor: Visitor, number: int) -> TestResponse:
    chosen = {"action": "send", "ids": number, "confirm": "1"}
    return visitor.post(f"{GRID}actions", chosen, follow_redirects=True)


def discard_as_staff(visitor: Visitor, number: int) -> TestResponse:
    return visitor.post(f"{GRID}{number}/discard", follow_redirects=True)


def add_templates(store: Store, **templates: str) -> None:
    """Give the store further templates, ``base`` as base.html."""
    named = {f"{name}.html": text for name, text in templates.items()}
    env = store.app.jinja_env
    env.loader = ChoiceLoader([DictLoader(named), *([env.loader] if env.loader else [])])


# A mail that is just being handed over.


class TestWhileAMailLeaves:
    @pytest.fixture
    def leaving(self, store: Store, veronica: Visitor, sink: Sink) -> Callable[..., list[Any]]:
        """Return a function that does something while the server takes Anna's mail."""
        store.setting("resend_hours", 0)
        veronica.send(ANNA)

        def do(*steps: Callable[[int], object]) -> list[Any]:
            answers: list[Any] = []
            number = store.invitation(ANNA).id

            def take_steps(mail: Mail) -> None:
                sink.while_taking = None
                answers.extend(step(number) for step in steps)

            sink.while_taking = take_steps
            store.deliver()
            return answers

        return do

    def test_its_sender_cannot_resend_it(
        self, store: Store, veronica: Visitor, sink: Sink, leaving: Callable[..., list[Any]]
    ) -> None:
        veronica.get(LIST)
        (answer,) = leaving(lambda number: press(veronica, "resend", number))
        assert "changed in the meantime" in answer.text
        store.deliver()
        assert len(sink.mails) == 1

    def test_staff_cannot_send_it_again(
        self, store: Store, admin: Visitor, sink: Sink, leaving: Callable[..., list[Any]]
    ) -> None:
        admin.get(f"{GRID}{store.invitation(ANNA).id}/?discard=1")
        (answer,) = leaving(lambda number: send_as_staff(admin, number))
        assert "changed in the meantime" in answer.text
        store.deliver()
        assert len(sink.mails) == 1

    @pytest.mark.parametrize("again", [send_as_staff, send_all_as_staff])
    def test_staff_cannot_reopen_it_after_a_discard(
        self,
        store: Store,
        admin: Visitor,
        sink: Sink,
        leaving: Callable[..., list[Any]],
        again: Callable[[Visitor, int], TestResponse],
    ) -> None:
        admin.get(f"{GRID}{store.invitation(ANNA).id}/?discard=1")
        leaving(lambda number: discard_as_staff(admin, number), lambda number: again(admin, number))
        store.deliver()
        assert (store.invitation(ANNA).status, len(sink.mails)) == ("discarded", 1)

    def test_cancel_and_resend_in_turn_bomb_nobody(
        self, store: Store, sink: Sink, leaving: Callable[..., list[Any]]
    ) -> None:
        store.setting("resend_hours", 24)
        visitor = store.customer()
        visitor.get(LIST)
        number = store.invitation(ANNA).id

        def once_more(mail: Mail | None = None) -> None:
            if len(sink.mails) < 6:
                press(visitor, "cancel", number)
                press(visitor, "resend", number)
                store.deliver()

        sink.while_taking = once_more
        store.deliver()
        for _ in range(3):
            once_more()
        assert len(sink.mails) <= 2


# Somebody who has an account already.


def test_a_customer_s_mail_offers_the_sign_in_alone(any_store: Store, sink: Sink) -> None:
    any_store.customer().send(any_store.other_inviter)
    any_store.deliver()
    (mail,) = sink.mails
    for part in (mail.text, mail.html):
        assert "/sign-in" in part
        assert "Create an account" not in part
    assert any_store.invitation(any_store.other_inviter).existing_customer


def test_anybody_else_s_mail_offers_both(any_store: Store, sink: Sink) -> None:
    any_store.customer().send(ANNA)
    any_store.deliver()
    (mail,) = sink.mails
    for part in (mail.text, mail.html):
        assert "/sign-in" in part
        assert "Create an account" in part
    assert not any_store.invitation(ANNA).existing_customer


# A key that the store gives anew after its customer was deleted.


def key_of_last(store: Store) -> int:
    with store.session() as db:
        return db.scalars(sa.select(sa.func.max(Customer.id))).one()


def delete_last(store: Store) -> int:
    """Delete the newest customer, and let the next one have the key, as SQLite does anyway."""
    key = key_of_last(store)
    with store.session() as db:
        db.delete(db.get(Customer, key))
        db.commit()
        if db.get_bind().dialect.name == "postgresql":
            restart = "SELECT setval(pg_get_serial_sequence('customer', 'id'), :key, false)"
            db.execute(sa.text(restart), {"key": key})
            db.commit()
    return key


def test_a_newcomer_with_a_used_key_sees_nothing_of_the_old_customer(store: Store) -> None:
    old = store.visitor()
    store.register(old, ANNA)
    old.send(BEN)
    assert BEN in old.get(LIST).text
    key = delete_last(store)
    newcomer = store.visitor()
    store.register(newcomer, CARA)
    assert key_of_last(store) == key
    page = newcomer.get(LIST)
    assert page.status_code == 200
    assert "ben@" not in page.text
    newcomer.send(BEN)
    assert len(Page(newcomer.get(LIST)).statuses) == 1


def test_a_friend_with_a_used_key_can_register(store: Store, veronica: Visitor, sink: Sink) -> None:
    veronica.send(ANNA, BEN)
    store.deliver()
    friends = {address: store.visitor() for address in (ANNA, BEN)}
    for address, friend in friends.items():
        friend.get(sink.to(address)[0].link)
    store.register(friends[ANNA], ANNA)
    key = delete_last(store)
    assert store.register(friends[BEN], BEN).status_code == 302
    assert key_of_last(store) == key
    assert store.invitation(BEN).customer_key == str(key)
    assert store.invitation(ANNA).customer_key is None
    assert store.invitation(ANNA).status == "accepted"


def test_a_friend_can_register_with_a_key_whose_customer_was_deleted_by_a_statement(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    veronica.send(ANNA)
    store.deliver()
    key = str(key_of_last(store) + 1)
    one(store, BEN, "accepted", customer_key=key)
    friend = store.visitor()
    friend.get(sink.to(ANNA)[0].link)
    assert store.register(friend, ANNA).status_code == 302
    assert store.invitation(ANNA).customer_key == key
    assert store.invitation(BEN).customer_key is None


# A database that is away.


@contextmanager
def without_database(store: Store) -> Iterator[None]:
    """Refuse every connection."""
    with store.app.app_context():
        target = engine()
    target.dispose()

    def refuse(dialect: Any, *given: Any) -> None:
        raise dialect.loaded_dbapi.OperationalError("nobody listens there")

    sa.event.listen(target, "do_connect", refuse)
    yield
    sa.event.remove(target, "do_connect", refuse)


def is_busy(answer: TestResponse) -> bool:
    return answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0


@pytest.fixture
def invited(any_store: Store, sink: Sink) -> Mail:
    """The mail of an invitation of Anna."""
    any_store.customer().send(ANNA)
    any_store.deliver()
    return sink.to(ANNA)[0]


def test_without_a_database_the_customer_s_pages_say_busy(any_store: Store, invited: Mail) -> None:
    customer, number = any_store.customer(), any_store.invitation(ANNA).id
    customer.get(SEND)
    with without_database(any_store):
        for path in (LIST, SEND):
            assert is_busy(customer.get(path)), path
        for path in (SEND, f"{SEND}/rows", f"{LIST}{number}/resend", f"{LIST}{number}/cancel"):
            assert is_busy(customer.post(path, {"emails-0": BEN})), path
    assert customer.get(LIST).status_code == 200


def test_without_a_database_the_friend_s_pages_say_busy(
    any_store: Store, invited: Mail, friend: MakeFriend
) -> None:
    visitor = friend(link=invited.link)
    out = OUT.search(invited.text)
    assert out is not None
    with without_database(any_store):
        for path in (invited.link, f"{invited.link}/sign-in", WELCOME):
            assert is_busy(visitor.get(path)), path
        for path in ("/invitations/decline", out.group()):
            assert is_busy(visitor.post(path)), path
        assert visitor.get("/invitations/no").status_code in (404, 503)
    assert any_store.invitation(ANNA).status == "sent"


def test_without_a_database_the_back_office_says_busy(any_store: Store, invited: Mail) -> None:
    staff, number = any_store.staff(), any_store.invitation(ANNA).id
    staff.get(f"{GRID}{number}/?discard=1")
    with without_database(any_store):
        for path in (GRID, f"{GRID}{number}/"):
            assert is_busy(staff.get(path)), path
        for path in (f"{GRID}actions", f"{GRID}{number}/discard", f"{GRID}{number}/send"):
            chosen = {"action": "discard", "ids": number, "confirm": "1"}
            assert is_busy(staff.post(path, chosen)), path
    assert any_store.invitation(ANNA).status == "sent"


# Forms that no page of ours has.

FORGED = [
    "emails-²",
    "emails-٣",
    "emails-" + "9" * 5000,
    "emails--1",
    "emails-",
    "emails",
    "emails-0-0",
]


@pytest.mark.parametrize("name", FORGED, ids=ascii)
def test_a_forged_field_is_passed_over(store: Store, veronica: Visitor, name: str) -> None:
    veronica.get(SEND)
    answer = veronica.post(SEND, {"emails-0": ANNA, name: BEN})
    assert answer.status_code == 302
    assert [each.email for each in store.invitations()] == [ANNA]


@pytest.mark.parametrize("name", FORGED, ids=ascii)
def test_a_forged_field_adds_no_row(veronica: Visitor, name: str) -> None:
    veronica.get(SEND)
    page = Page(veronica.post(f"{SEND}/rows", {"emails-0": ANNA, name: BEN, "add": "1"}))
    rows = {field: text for field, text in page.fields.items() if field.startswith("emails")}
    assert rows == {"emails-0": ANNA, "emails-1": ""}


@pytest.mark.parametrize("key", ["x" * 65, "x" * 100_000, "\0" * 80])
def test_a_forged_key_of_a_form_counts_as_none(store: Store, veronica: Visitor, key: str) -> None:
    assert veronica.send(ANNA, submission=key).status_code == 302
    [made] = store.invitations()
    assert made.submission not in (None, "", key)
    assert len(made.submission or "") <= 64


@pytest.mark.parametrize("path", [SEND, f"{SEND}/rows"])
def test_thousands_of_rows_cost_no_more_than_a_page_of_them(
    store: Store, veronica: Visitor, path: str
) -> None:
    veronica.get(SEND)
    answer = veronica.post(path, {f"emails-{each}": f"{each}@b.eu" for each in range(12_000)})
    assert answer.status_code in (200, 413, 422)
    assert answer.text.count('name="emails-') <= MOST_ROWS
    assert store.invitations() == []


# Stores whose parts want a request, or have habits of their own.


class SwedishStore(SecondStore):
    """A store that reads the language from the request."""

    def make_app(self, config: dict[str, Any]) -> Flask:
        app = super().make_app(config)
        del app.extensions["babel"]
        Babel(app, default_locale="sv", locale_selector=lambda: request.headers["X-Language"])
        return app


def test_a_worker_writes_in_the_default_language_where_only_a_request_knows_it(
    make_store: MakeStore, sink: Sink
) -> None:
    store = make_store(SwedishStore)
    queue(store, ANNA)
    report = store.deliver()
    assert (report.sent, report.deferred) == (1, 0)
    assert sink.mails[0].message["Subject"].startswith("Du är inbjuden")


def hold_token_of_a_closed_store(store: Store, view: Callable[[], str]) -> Visitor:
    """Add an unlisted door, and return a visitor who may post to it; then close the store."""
    store.app.add_url_rule("/hidden", "hidden", view, methods=["POST"])
    visitor = store.visitor()
    visitor.get(store.register_path)
    store.setting("registration", "invitation")
    return visitor


@pytest.mark.parametrize("as_table", [False, True], ids=["entity", "table"])
def test_a_closed_store_refuses_a_statement_that_inserts_customers(
    any_store: Store, as_table: bool
) -> None:
    model = any_store.customer_model

    def insert() -> str:
        made = any_store.new_customer(ANNA)
        columns = sa.inspect(model).column_attrs
        values = {each.key: getattr(made, each.key) for each in columns}
        known = {name: value for name, value in values.items() if value is not None}
        session().execute(sa.insert(model.__table__ if as_table else model).values(known))
        session().commit()
        return "made"

    visitor = hold_token_of_a_closed_store(any_store, insert)
    assert visitor.post("/hidden").status_code == 403
    assert ANNA not in any_store.customer_emails()


def test_other_statements_pass_in_a_closed_store(any_store: Store) -> None:
    def change() -> str:
        session().execute(sa.update(any_store.customer_model).values(password_hash="another"))
        session().commit()
        return "changed"

    visitor = hold_token_of_a_closed_store(any_store, change)
    assert visitor.post("/hidden").text == "changed"


@pytest.mark.parametrize("status", [403, 404])
def test_a_store_that_shuts_the_back_office_itself_answers_as_it_wants(
    any_store: Store, status: int
) -> None:
    shut: list[int] = []
    any_store.app.before_request(lambda: abort(status) if shut else None)
    visitors = any_store.visitor(), any_store.staff()
    shut.append(status)
    assert [each.get(GRID).status_code for each in visitors] == [status, status]


def test_a_base_that_chooses_its_own_base_is_taken(make_store: MakeStore) -> None:
    store = make_store(SecondStore)
    add_templates(store, dynamic='{% extends "theme.html" if shop else "none.html" %}')
    store.app.extensions["invitations"].host.base = "dynamic.html"
    page = store.customer().get(LIST)
    assert '<nav><a href="/">The Corner</a>' in page.text
    assert "<title>My Invitations</title>" in page.text


def test_the_store_s_template_options_leave_the_text_mail_as_it_is(
    make_store: MakeStore, sink: Sink
) -> None:
    for trims in (False, True):
        store = make_store()
        store.app.jinja_env.bytecode_cache = None  # it does not know the options
        store.app.jinja_env.trim_blocks = store.app.jinja_env.lstrip_blocks = trims
        queue(store, ANNA, message="Come in")
        assert store.deliver().sent == 1
        with store.session() as db:
            db.execute(sa.delete(Invitation))
            db.commit()
    plain, trimmed = (re.sub(r"/invitations/\S+", "LINK", mail.text) for mail in sink.mails)
    assert trimmed == plain


class TestStrictTemplates:
    """A store where an undefined variable is an error."""

    @pytest.fixture
    def strict(self, any_store: Store) -> Store:
        any_store.app.jinja_env.undefined = StrictUndefined
        return any_store

    def test_show_the_customer_s_pages(self, strict: Store) -> None:
        customer = strict.customer()
        assert customer.get(LIST).status_code == 200
        assert customer.send("").status_code == 422
        assert customer.send(ANNA).status_code == 302
        assert customer.get(LIST).status_code == 200
        assert customer.post(SEND, {"csrf_token": "none"}).status_code == 400
        assert customer.post(f"{LIST}1/cancel", {"csrf_token": "none"}).status_code == 400

    def test_show_the_friend_s_pages(self, strict: Store, sink: Sink) -> None:
        strict.customer().send(ANNA)
        assert strict.deliver().sent == 1
        out = OUT.search(sink.mails[0].text)
        assert out is not None
        friend = strict.visitor()
        assert friend.get(sink.mails[0].link, follow_redirects=True).status_code == 200
        assert friend.get(out.group()).status_code == 200
        assert friend.post("/invitations/decline").status_code == 200
        assert friend.get(WELCOME).status_code == 404
        strict.setting("registration", "invitation")
        assert friend.get(strict.register_path).status_code == 403

    def test_show_the_back_office(self, strict: Store) -> None:
        number = one(strict)
        staff = strict.staff()
        for query in ("", "?email=v&status=sent", "?id_from=x", "?sort=invitee&dir=asc"):
            assert staff.get(GRID + query).status_code in (200, 422)
        assert staff.get(f"{GRID}{number}/?discard=1").status_code == 200
        chosen = {"action": "discard", "ids": number}
        assert staff.post(f"{GRID}actions", chosen).status_code == 200
        assert staff.get(f"{GRID}4711/").status_code == 404
        parts = ("jobs/", "exports/", "views", "columns", "filters", "new", "why", "templates/new")
        settings = ("configuration", "configuration/history", "configuration/import", "templates/")
        for part in (*parts, *settings, "templates/invitation_sent/"):
            assert staff.get(GRID + part).status_code == 200, part
        assert strict.customer().get(GRID).status_code == 403

    def test_show_the_parts_of_the_back_office(self, make_store: MakeStore) -> None:
        store = make_store(DEBUG=True)
        store.app.jinja_env.undefined = StrictUndefined
        assert store.staff().get(f"{GRID}style").status_code == 200


# The account entry in the store's own templates.


def entry_of(store: Store) -> str:
    return store.app.jinja_env.from_string("{{ invitations.account_entry() }}").render()


def test_the_account_entry_writes_nothing_half_filled(store: Store) -> None:
    with store.app.test_request_context("/"):
        login_user(session().scalars(sa.select(Customer)).first())
        half = Customer(email=ANNA)
        session().add(half)
        assert "My Invitations" in entry_of(store)
        assert half in session().new


def test_the_account_entry_asks_nothing_for_a_stranger(any_store: Store) -> None:
    with any_store.app.test_request_context("/"), statements(any_store) as seen:
        assert entry_of(any_store) == ""
    assert seen == []


# Headers.


class OwnPolicyStore(SecondStore):
    """A store with a policy that is stricter than ours."""

    policy = "default-src 'none'; style-src 'self'"

    def make_app(self, config: dict[str, Any]) -> Flask:
        app = super().make_app(config)

        @app.after_request
        def protect(response: Any) -> Any:
            response.headers["Content-Security-Policy"] = self.policy
            return response

        return app


def test_our_files_may_be_cached(any_store: Store) -> None:
    for visitor in (any_store.visitor(), any_store.customer()):
        answer = visitor.get(f"{LIST}static/storefront.css")
        assert answer.status_code == 200
        assert "no-store" not in answer.headers.get("Cache-Control", "")
        answer.close()


def test_our_files_have_no_policy_of_a_page(make_store: MakeStore) -> None:
    answer = make_store(SecondStore).customer().get(f"{LIST}static/storefront.css")
    assert "Content-Security-Policy" not in answer.headers
    answer.close()


def test_the_store_s_policy_stays_on_its_pages_and_the_back_office_has_ours(
    make_store: MakeStore,
) -> None:
    store = make_store(OwnPolicyStore)
    shown = store.customer().get(LIST).headers.getlist("Content-Security-Policy")
    office = store.staff().get(GRID).headers.getlist("Content-Security-Policy")
    assert shown == [OwnPolicyStore.policy]
    assert len(office) == 1
    assert "script-src 'self'" in office[0]
    assert "frame-ancestors 'none'" in office[0]


@pytest.mark.parametrize("text", ["false", "0", "no"])
def test_a_strict_policy_that_is_switched_off_is_off(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("INVITATIONS_STRICT_POLICY", text)
    policy = make_store(SecondStore).customer().get(LIST).headers["Content-Security-Policy"]
    assert "script-src" not in policy


# Who is staff.


class Supplier(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """Somebody who signs in, and is neither customer nor staff."""

    id = 7


def flagged(value: object) -> Supplier:
    user = Supplier()
    user.is_staff = value
    return user


@pytest.mark.parametrize(
    ("user", "expected"),
    [(Supplier(), False), (flagged(value=False), False), (flagged(value=True), True)],
    ids=["no flag", "false", "true"],
)
def test_where_staff_is_told_by_a_flag_nobody_is_staff_without_it(
    make_store: MakeStore, user: Supplier, expected: bool
) -> None:
    store = make_store(SecondStore)
    with store.app.test_request_context(GRID):
        login_user(user)
        mounted = store.app.extensions["invitations"].host
        assert mounted.is_staff() is expected
        assert mounted.current_customer() is None
        assert store.app.full_dispatch_request().status_code == (200 if expected else 403)


# Waits and limits of a resend.


def test_a_resend_in_the_cool_down_answers_when_it_is_possible(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    veronica.send(ANNA)
    store.deliver()
    number = store.invitation(ANNA).id
    veronica.get(LIST)
    answer = press(veronica, "resend", number)
    assert answer.status_code == 429
    assert 23 * 3600 < int(answer.headers["Retry-After"]) <= 24 * 3600 + 1
    assert Page(answer).statuses == {number: "sent"}
    assert "You can send this invitation again after" in answer.text
    store.deliver()
    assert len(sink.mails) == 1


def cancel_one_of_two(store: Store, sender: Visitor) -> int:
    """Use up the limit of pending invitations, cancel one of them and return its number."""
    store.setting("max_pending", 2)
    sender.send(ANNA, BEN)
    number = store.invitation(ANNA).id
    press(sender, "cancel", number)
    return number


def test_resending_what_was_canceled_does_not_get_past_the_pending_limit(
    store: Store, veronica: Visitor
) -> None:
    number = cancel_one_of_two(store, veronica)
    assert veronica.send(CARA).status_code == 302
    answer = press(veronica, "resend", number)
    assert answer.status_code == 429
    assert "Up to 2 invitations may wait for an answer" in answer.text
    assert store.invitation(ANNA).status == "discarded"


def test_resending_what_was_canceled_within_the_pending_limit_is_possible(
    store: Store, veronica: Visitor
) -> None:
    number = cancel_one_of_two(store, veronica)
    assert press(veronica, "resend", number).status_code == 200
    assert store.invitation(ANNA).status == "not_sent"


# Mail that waits for a person, or was never tried.


@pytest.mark.parametrize("again", [send_as_staff, send_all_as_staff])
def test_staff_can_send_a_parked_mail_again(
    store: Store, admin: Visitor, sink: Sink, again: Callable[[Visitor, int], TestResponse]
) -> None:
    (number,) = queue(store, ANNA, mail_state="parked")
    change_outbox(store, state="parked", ambiguous=2)
    assert store.deliver().handled == 0
    page = admin.get(f"{GRID}{number}/")
    assert f"{GRID}{number}/send" in Page(page).actions()
    again(admin, number)
    assert store.deliver().sent == 1
    assert recipients(sink) == [ANNA]


def test_a_sender_is_not_offered_to_resend_a_parked_mail(store: Store, veronica: Visitor) -> None:
    (number,) = queue(store, ANNA, mail_state="parked")
    change_outbox(store, state="parked", ambiguous=2)
    assert f"{LIST}{number}/resend" not in Page(veronica.get(LIST)).actions()


def test_an_old_mail_that_was_never_tried_has_five_days_from_its_first_try(
    store: Store, sink: Sink, clock: time_machine.Traveller
) -> None:
    queue(store, ANNA)
    change_outbox(store, created_at=ago(days=6), due_at=ago(days=6))
    sink.refused[ANNA] = "451 4.2.1 greylisted"
    start = now()
    assert store.deliver().deferred == 1
    for tries in range(1, len(RETRIES) + 1):
        (waiting,) = store.outbox()
        assert (waiting.state, waiting.tries) == ("queued", tries)
        clock.shift(waiting.due_at - now() + timedelta(seconds=1))
        store.deliver()
    assert timedelta(days=4) <= now() - start <= timedelta(days=6, minutes=1)
    assert (store.outbox(), store.invitation(ANNA).mail_state) == ([], "failed")


def test_the_waits_are_five_days_in_all() -> None:
    assert sum(RETRIES, timedelta()) == timedelta(days=5)


# Tokens and paths of the store's own.


def test_our_forms_work_where_the_store_names_its_token_otherwise(
    store: Store, veronica: Visitor, admin: Visitor
) -> None:
    store.app.config["WTF_CSRF_FIELD_NAME"] = "_csrf"
    _, form = veronica.get(SEND).text.split('id="inv-send-form"')
    assert 'name="csrf_token"' in form.partition("</form>")[0]
    assert veronica.send(ANNA).status_code == 302
    number = store.invitation(ANNA).id
    veronica.get(LIST)
    assert press(veronica, "cancel", number).status_code == 200
    assert store.invitation(ANNA).status == "discarded"
    admin.get(f"{GRID}{number}/")
    send_as_staff(admin, number)
    assert store.invitation(ANNA).status == "not_sent"
    assert veronica.post(SEND, {"emails-0": BEN, "csrf_token": "none"}).status_code == 400


def sign_in_at(store: Store, visitor: Visitor, location: str) -> TestResponse:
    """Sign in where a redirect led to, under the prefix."""
    assert location.startswith(f"/shop{store.sign_in_path}?")
    path = location.removeprefix("/shop")
    visitor.get(path, base_url=SHOP)
    field = "mail" if store.name == "second" else "email"
    return visitor.post(path, {field: store.inviter, "password": store.password}, base_url=SHOP)


def test_the_sign_in_under_a_prefix_comes_back_below_it(any_store: Store) -> None:
    visitor = any_store.visitor()
    answer = visitor.get(f"{LIST}?status=sent", base_url=SHOP)
    back = sign_in_at(any_store, visitor, answer.location)
    assert back.location == f"/shop{LIST}?status=sent"


@pytest.mark.parametrize("on", [True, False], ids=["storefront on", "storefront off"])
def test_the_mailed_sign_in_leads_to_the_list_or_to_the_shop(
    any_store: Store, invited: Mail, on: bool
) -> None:
    any_store.setting("storefront_enabled", on)
    visitor = any_store.visitor()
    answer = visitor.get(f"{invited.link}/sign-in", base_url=SHOP)
    back = sign_in_at(any_store, visitor, answer.location)
    assert back.location == (f"/shop{LIST}" if on else "/shop/")
    path = back.location.removeprefix("/shop")
    assert visitor.get(path, base_url=SHOP).status_code == 200


# A declined invitation, as its sender sees it.


class TestDeclined:
    """It looks like one that was sent, at every moment."""

    @pytest.fixture
    def both(self, store: Store, veronica: Visitor) -> SimpleNamespace:
        """A declined invitation, and one that only waits."""
        store.setting("resend_hours", 0)
        ids = [one(store, ANNA, "declined"), one(store, BEN, "sent")]
        veronica.get(LIST)
        return SimpleNamespace(ids=ids, store=store, veronica=veronica)

    def seen(self, both: SimpleNamespace) -> list[tuple[str, list[str]]]:
        """Return status and buttons of the two."""
        page = Page(both.veronica.get(LIST))
        return [
            (
                page.statuses[number],
                [each.rpartition("/")[2] for each in page.actions() if f"/{number}/" in each],
            )
            for number in both.ids
        ]

    def test_looks_like_a_sent_one(self, both: SimpleNamespace) -> None:
        declined, sent = self.seen(both)
        assert declined == sent == ("sent", ["resend", "cancel"])

    def test_looks_like_a_resent_one_until_the_worker_ran(
        self, both: SimpleNamespace, sink: Sink
    ) -> None:
        for number in both.ids:
            assert press(both.veronica, "resend", number).status_code == 200
        declined, sent = self.seen(both)
        assert declined == sent == ("sending", ["cancel"])
        both.store.deliver()
        declined, sent = self.seen(both)
        assert declined == sent == ("sent", ["resend", "cancel"])
        assert recipients(sink) == [BEN]

    def test_is_found_under_the_status_it_shows(self, both: SimpleNamespace) -> None:
        for number in both.ids:
            press(both.veronica, "resend", number)
        found = [
            sorted(Page(both.veronica.get(f"{LIST}?status={status}")).statuses)
            for status in ("sending", "sent")
        ]
        assert found == [both.ids, []]

    def test_looks_canceled_after_a_resend_and_a_cancel(self, both: SimpleNamespace) -> None:
        for number in both.ids:
            press(both.veronica, "resend", number)
            press(both.veronica, "cancel", number)
        declined, canceled = self.seen(both)
        assert declined == canceled == ("canceled", ["resend"])

    def test_that_was_resent_and_canceled_waits_no_longer_than_another(
        self, both: SimpleNamespace, clock: time_machine.Traveller
    ) -> None:
        both.store.setting("resend_hours", 24)
        clock.shift(timedelta(hours=25))
        both.veronica = both.store.customer()
        both.veronica.get(LIST)
        for button in ("resend", "cancel"):
            for number in both.ids:
                assert press(both.veronica, button, number).status_code == 200
        both.store.deliver()
        declined, canceled = self.seen(both)
        assert declined == canceled == ("canceled", ["resend"])

    def test_counts_among_the_pending_ones_like_another(self, both: SimpleNamespace) -> None:
        both.store.setting("max_pending", 2)
        answers = [press(both.veronica, "resend", number).status_code for number in both.ids]
        assert answers == [200, 200]

    def test_counts_no_longer_than_another_once_it_has_ended(self, both: SimpleNamespace) -> None:
        both.store.setting("max_pending", 1)
        for address in (ANNA, BEN):
            both.store.change(address, expires_at=ago(seconds=1))
        answers = [press(both.veronica, "resend", number).status_code for number in both.ids]
        assert answers == [200, 429]

    def test_that_was_canceled_looks_sent_when_staff_sent_it_and_it_is_declined_again(
        self, both: SimpleNamespace, sink: Sink
    ) -> None:
        staff = both.store.staff()
        for number in both.ids:
            press(both.veronica, "cancel", number)
            staff.get(f"{GRID}{number}/")
            assert send_as_staff(staff, number).status_code == 200
        both.store.deliver()
        friend = both.store.visitor()
        friend.get(sink.to(ANNA)[0].link, follow_redirects=True)
        assert friend.post("/invitations/decline").status_code == 200
        declined, sent = self.seen(both)
        assert declined == sent == ("sent", ["resend", "cancel"])

    @pytest.mark.parametrize("expires_first", [True, False])
    def test_that_ended_while_its_resend_waited_looks_expired(
        self, both: SimpleNamespace, expires_first: bool
    ) -> None:
        for number, address in zip(both.ids, (ANNA, BEN), strict=True):
            press(both.veronica, "resend", number)
            both.store.change(address, expires_at=ago(seconds=1))
        with both.store.app.app_context():
            for step in (expire_all, deliver) if expires_first else (deliver, expire_all):
                declined, ended = self.seen(both)
                assert declined == ended == ("expired", ["resend"])
                step()
        declined, ended = self.seen(both)
        assert declined == ended == ("expired", ["resend"])


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_database_that_goes_away_once_a_page_is_made_costs_nobody_the_page(
    make_store: MakeStore,
) -> None:
    store = make_store()
    visitor = store.customer()

    def end(response: Response) -> Response:
        own = session().scalar(sa.text("SELECT pg_backend_pid()"))
        with store.session() as db:
            db.execute(sa.text("SELECT pg_terminate_backend(:own)"), {"own": own})
        return response

    store.app.after_request_funcs.setdefault(None, []).append(end)
    assert visitor.get(SEND).status_code == 200
