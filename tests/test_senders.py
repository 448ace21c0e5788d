"""Who a mail comes from: the header, the envelope, where answers and bounces go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invitations_plugin import Sender, StoreView
from invitations_plugin.models import Invitation
from invitations_plugin.senders import NoSender, choose, faults, usable
from invitations_plugin.smtp import Message, connect
from invitations_plugin.state import host, mail_domain, store_view
from invitations_plugin.text import clean_line

from .support.outbox import queue
from .support.sink import Mail, Sink, name_and_address
from .support.stores import SEND, MakeStore, Store, Visitor

ANNA, BEN = "anna@example.com", "ben@example.com"
MailFrom = Callable[..., Mail]
BOUNCES = "bounces@mail.example.com"


def sender(email: str = "hello@shop.example.com", code: str = "general", **more: Any) -> Sender:
    given = {"label": "General Contact", "name": "The Shop"} | more
    return Sender(code, email=email, **given)


def offer(store: Store, *senders: Sender, only: str | None = None) -> None:
    """Let the store's host offer these identities, in one store view or in all."""
    with store.app.app_context():
        before = host().senders

        def offered(view: StoreView) -> Sequence[Sender]:
            return senders if only in (None, view.code) else before(view)

        host().senders = offered  # type: ignore[method-assign]


@pytest.fixture
def mail_from(store: Store, sink: Sink) -> MailFrom:
    """Return a function that lets a customer invite somebody, and gives the mail."""

    def invite(*senders: Sender) -> Mail:
        if senders:
            offer(store, *senders)
        assert store.customer().send(ANNA).status_code == 302
        store.deliver()
        return sink.to(ANNA)[-1]

    return invite


def test_the_sample_store_offers_the_five_identities_for_each_store_view(store: Store) -> None:
    with store.app.app_context():
        for view in (view for site in host().websites() for view in site.store_views):
            offered = host().senders(view)
            assert [each.label for each in offered] == [
                "General Contact",
                "Sales Representative",
                "Customer Support",
                "Custom Email 1",
                "Custom Email 2",
            ]
            assert usable(offered) == list(offered)
            assert len({each.email for each in offered}) == 5


def test_header_and_envelope_name_the_identity_that_was_chosen(
    store: Store, mail_from: MailFrom
) -> None:
    store.setting("email_sender", "sales", "store", "en")
    mail = mail_from()
    assert mail.message["From"] == "Linden & Lark <sales@linden-lark.example.com>"
    assert mail.sender == "sales@linden-lark.example.com"


UNFIT = [
    sender(""),
    sender("hello"),
    sender("hello@shop"),
    sender("a@example.com, b@example.com"),
    sender("Shop <hello@example.com>"),
    sender("hello@example.com\r\nBcc: evil@evil.test"),
    sender("jörg@example.com"),
    sender(f"{'x' * 65}@example.com"),
    sender(name="The\r\nShop"),
    sender(name="The\0Shop"),
    sender(name="The\u2028Shop"),
    sender(name="The\ud800Shop"),
    sender(None),  # type: ignore[arg-type]  # what a store without a value gives
]


@pytest.mark.parametrize("unfit", UNFIT)
@pytest.mark.parametrize("database", ["sqlite"])
def test_an_identity_that_mail_cannot_come_from_gives_way_to_the_first_that_can(
    store: Store, mail_from: MailFrom, unfit: Sender
) -> None:
    store.setting("email_sender", "general")
    mail = mail_from(unfit, sender("care@shop.example.com", "care"), sender("b@x.example", "b"))
    assert mail.sender == "care@shop.example.com"
    assert mail.message["From"].addresses[0].addr_spec == "care@shop.example.com"
    assert faults(unfit)


@pytest.mark.parametrize("senders", [(), (sender(""),)], ids=["none", "unfit"])
def test_a_store_view_without_any_waits_and_stops_no_other(
    store: Store, sink: Sink, later: Callable[[timedelta], None], senders: tuple[Sender, ...]
) -> None:
    offer(store, *senders, only="en")
    assert store.customer().send(ANNA).status_code == 302
    queue(store, BEN, store_view="fr")
    report = store.deliver()
    assert (report.sent, report.deferred) == (1, 1)
    assert "has no sender" in str(store.invitation(ANNA).mail_error)
    offer(store, sender(), only="en")
    later(timedelta(minutes=2))
    assert store.deliver().sent == 1
    assert sink.to(ANNA)[0].sender == "hello@shop.example.com"


@pytest.mark.parametrize("name", ["The Shop", "", "Läden", 'Zoë, "Größe" <evil@evil.test>'])
def test_the_name_stands_before_the_address(mail_from: MailFrom, name: str) -> None:
    [found] = mail_from(sender(name=name)).message["From"].addresses
    assert (found.display_name, found.addr_spec) == (name, "hello@shop.example.com")


BITS = """Shop|, |"|\\|<evil@evil.test>|evil@evil.test|=?utf-8?q?x?=|é|店|(|;|group: a;|\t|\u202e"""
NAMES = st.text(max_size=120) | st.lists(st.sampled_from(BITS.split("|")), max_size=12).map("".join)


def test_no_name_becomes_an_address_or_a_header(make_store: MakeStore, sink: Sink) -> None:
    other = sender("care@shop.example.com", "care")
    with make_store().app.app_context(), connect() as connection:

        @given(name=NAMES)
        @settings(max_examples=150, deadline=None)
        def read_back(name: str) -> None:
            chosen = choose([sender(name=name), other], "general")
            assert (chosen == other) is bool(faults(sender(name=name)))
            connection.deliver(a_mail(chosen))
            mail = sink.mails.pop()
            assert name_and_address(mail.content) == (clean_line(chosen.name), mail.sender)
            [found] = mail.message["From"].addresses
            assert found.addr_spec == mail.sender == chosen.email
            assert set(mail.message.keys()) == HEADERS

        read_back()


HEADERS = {"From", "Subject", "To", "Date", "Message-ID", "Content-Type", "MIME-Version"}


def a_mail(chosen: Sender) -> Message:
    return Message(
        subject="You are invited",
        recipient=ANNA,
        sender=(chosen.name, chosen.email),
        text="Come in.",
        html="<p>Come in.</p>",
        message_id="<1@shop.example.com>",
        reply_to=chosen.reply_to,
    )


def test_an_idn_address_is_written_as_idna_2008_has_it(mail_from: MailFrom) -> None:
    mail = mail_from(sender("hello@faß.example.com", reply_to="care@straße.example.com"))
    assert mail.sender == "hello@xn--fa-hia.example.com"
    assert mail.message["From"].addresses[0].addr_spec == "hello@xn--fa-hia.example.com"
    assert mail.message["Reply-To"] == "care@xn--strae-oqa.example.com"


def test_answers_go_to_the_identity_and_never_to_who_invites(mail_from: MailFrom) -> None:
    mail = mail_from()
    assert mail.message["Reply-To"] is None
    assert b"veronica@example.com" not in mail.content


def test_an_identity_may_say_where_answers_go(mail_from: MailFrom) -> None:
    mail = mail_from(sender("no-reply@shop.example.com", reply_to="care@shop.example.com"))
    assert mail.message["Reply-To"] == "care@shop.example.com"
    assert mail.sender == "no-reply@shop.example.com"


@pytest.mark.parametrize("bad", ["care", "care@x.example\r\nBcc: e@evil.test", "a@b.de, c@d.de"])
def test_answers_that_cannot_be_sent_go_to_the_sender(mail_from: MailFrom, bad: str) -> None:
    mail = mail_from(sender(reply_to=bad))
    assert mail.message["Reply-To"] is None
    assert b"evil" not in mail.content
    assert faults(sender(reply_to=bad))


def test_bounces_go_where_the_store_wants_them(make_store: MakeStore, sink: Sink) -> None:
    store = make_store(INVITATIONS_RETURN_PATH=BOUNCES)
    store.setting("email_sender", "support")
    store.customer().send(ANNA)
    store.deliver()
    [mail] = sink.mails
    assert mail.sender == BOUNCES
    assert mail.message["From"].addresses[0].addr_spec == "care@linden-lark.example.com"
    assert BOUNCES.encode() not in mail.content


def test_an_empty_address_for_bounces_counts_as_none(make_store: MakeStore, sink: Sink) -> None:
    store = make_store(INVITATIONS_RETURN_PATH="")
    store.customer().send(ANNA)
    store.deliver()
    assert sink.mails[0].sender == "hello@linden-lark.example.com"


@pytest.mark.parametrize("bad", ["bounces", "<b@b.de>", "b@b.de\r\nRCPT TO:<e@e.test>"])
@pytest.mark.parametrize("database", ["sqlite"])
def test_an_address_for_bounces_that_is_none_stops_the_start(
    make_store: MakeStore, bad: str
) -> None:
    with pytest.raises(RuntimeError, match="INVITATIONS_RETURN_PATH is"):
        make_store(INVITATIONS_RETURN_PATH=bad)


def test_the_message_id_keeps_its_domain_whoever_is_chosen(
    store: Store, sink: Sink, later: Callable[[timedelta], None]
) -> None:
    offer(store, sender(""), sender(), sender("a@other.example.com", "other"))
    sink.replies["DATA"] = ["451 later"]
    store.customer().send(ANNA)
    kept = store.outbox()[0].message_id
    store.deliver()
    store.setting("email_sender", "other")
    later(timedelta(minutes=2))
    assert store.deliver().sent == 1
    assert sink.mails[0].message["Message-ID"] == kept
    assert kept.endswith("@shop.example.com>")
    assert sink.mails[0].sender == "a@other.example.com"


def test_without_any_sender_a_message_id_has_a_domain_all_the_same(store: Store) -> None:
    offer(store)
    with store.app.app_context():
        assert mail_domain(store_view("en")) == "localhost"


def test_the_form_is_open_though_nobody_can_send(store: Store, veronica: Visitor) -> None:
    offer(store)
    assert veronica.get(SEND).status_code == 200
    assert veronica.send(ANNA).status_code == 302
    number = store.invitation(ANNA).id
    with store.session() as db:
        assert db.get(Invitation, number) is not None


def test_choosing_from_none_says_so() -> None:
    with pytest.raises(NoSender, match="has no sender"):
        choose([], "general")


@pytest.mark.parametrize(
    ("senders", "setting", "findings"),
    [
        ((sender(),), "general", []),
        ((sender(code="shop"),), "general", []),
        ((sender(""), sender(code="b")), "general", ["it has no address"]),
        ((sender(name="a\nb"), sender(code="b")), "b", ["holds a control character"]),
        ((sender("x"),), "general", ["mail cannot be sent to 'x'", "so its mail waits"]),
        ((sender(reply_to="x"),), "general", ["answers cannot be sent to 'x'"]),
        ((), "general", ["so its mail waits"]),
        ((sender(),), "gone", ["no sender 'gone' (any more), so General Contact is used"]),
    ],
)
def test_the_doctor_names_each_sender_that_is_unfit_or_gone(
    store: Store, senders: tuple[Sender, ...], setting: str, findings: list[str]
) -> None:
    offer(store, *senders, only="fr")
    store.setting("email_sender", setting, "store", "fr")
    said = store.app.test_cli_runner().invoke(args=["invitations", "doctor"]).output.splitlines()
    about = [line for line in said if "store view" in line]
    assert all("store view fr" in line for line in about)
    assert len(about) == len(findings)
    assert all(finding in line for finding, line in zip(findings, about, strict=True)), about
