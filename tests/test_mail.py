"""The mail of an invitation: what it says, where it leads, and what it must never carry."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from html.parser import HTMLParser
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import ChoiceLoader, DictLoader

from invitations_plugin.links import INVITATION, OPT_OUT, BadLink, unsign
from invitations_plugin.mail import invitation_sent
from invitations_plugin.models import Invitation
from invitations_plugin.settings import Settings
from invitations_plugin.smtp import Message
from invitations_plugin.state import store_view
from sample_store.models import Customer

from .support.outbox import in_threads, many, queue
from .support.rows import row
from .support.sink import Mail, Sink
from .support.stores import SEND, MakeStore, Store

ANNA = "anna@example.com"
SHOP = "https://shop.example.com"
# What mail programs turn into a link by themselves: a scheme, or a dot within a word.
LINKED = re.compile(r"://|[^\s<>]\.[^\W\d_]")
HOSTILE = [
    "https://evil.test/x",
    "HTTPS://EVIL.TEST",
    "www.evil.test",
    "evil.test",
    "me@evil.test",
    "mailto:me@evil.test",
    "💩.la",
    "evil\u200d.test evil.\u200dtest",
    "evil\u3002test evil\uff0etest evil\uff61test",
    "e\u202evil.test ev\u200bil.te\u00adst",
    "https\u200d:\u200d//evil",
    "<b>x</b><a href=//evil>click</a>",
    "<script>alert(1)</script><!--",
    "]]> </td></table></body></html><a href='http://evil'>",
]


class Tags(HTMLParser):
    """The tags of a mail, the addresses in them, and its text.

    The style sheet is the last thing in the head, and the body begins with a tag.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.words += data


@pytest.fixture
def shop(make_store: MakeStore) -> Store:
    """The sample store under an address of its own."""
    return make_store(INVITATIONS_BASE_URL=SHOP)


@pytest.fixture(scope="module")
def database() -> str:
    """Nothing here depends on the database."""
    return "sqlite"


def one_mail(store: Store, sink: Sink, **fields: Any) -> Mail:
    """Send the form and return the mail that arrives."""
    store.customer().send(ANNA, **fields)
    assert store.deliver().sent == 1
    return sink.mails[-1]


def made(store: Store, view: str = "en", **changes: Any) -> Message:
    """Return the mail of a row that is nowhere else."""
    invitation = Invitation(**row(ANNA, "not_sent", store_view=view, **changes))
    with store.app.app_context():
        return invitation_sent(invitation, store_view(view), Settings(), "<1@example.com>")


def test_both_parts_carry_the_same_links(shop: Store, sink: Sink) -> None:
    mail = one_mail(shop, sink)
    in_text = re.findall(r"https?://\S+", mail.text)
    assert set(in_text) == set(Tags(mail.html).links)
    paths = [each.removeprefix(SHOP) for each in in_text]
    link = mail.link
    assert paths[:2] == [link, f"{link}/sign-in"]
    assert paths[2].startswith("/invitations/opt-out/")
    assert paths[3:] == ["/privacy?store=en"]


def test_links_never_come_from_the_host_header(shop: Store, sink: Sink) -> None:
    visitor, evil = shop.visitor(), "http://evil.test"
    visitor.get("/login", base_url=evil)
    visitor.post("/login", {"email": shop.inviter, "password": shop.password}, base_url=evil)
    visitor.get(SEND, base_url=evil)
    visitor.post(SEND, {"emails-0": ANNA}, base_url=evil)
    with shop.app.test_request_context(base_url=evil):
        assert shop.deliver().sent == 1
    assert b"evil" not in sink.mails[0].content
    assert SHOP + sink.mails[0].link in sink.mails[0].text


def test_a_base_url_with_a_path_keeps_it(make_store: MakeStore) -> None:
    store = make_store(INVITATIONS_BASE_URL=f"{SHOP}/shop/")
    text = str(made(store).body)
    assert f"{SHOP}/shop/invitations/" in text
    assert f"{SHOP}//" not in text


@pytest.mark.parametrize(
    "given", ["shop.example.com", "//shop.example.com", "ftp://x.test", "https://"]
)
def test_an_address_of_the_store_that_is_none_is_named(make_store: MakeStore, given: str) -> None:
    store = make_store(INVITATIONS_BASE_URL=given)
    with pytest.raises(RuntimeError, match="write it with its scheme"):
        made(store)


@pytest.mark.parametrize(
    ("view", "language", "subject", "sender"),
    [
        ("en", "en", "You are invited to Linden & Lark", "Linden & Lark"),
        ("fr", "fr", "Votre invitation", "Linden & Lark"),
        ("it", "it", "invit", "Linden & Lark Private Sales"),
    ],
)
def test_the_mail_speaks_as_the_rows_own_store_view(
    shop: Store, view: str, language: str, subject: str, sender: str
) -> None:
    mail = made(shop, view)
    assert f'<html lang="{language}">' in str(mail.html)
    assert subject in mail.subject
    assert mail.sender_name == sender
    assert f"/privacy?store={view}" in str(mail.body)


def test_the_store_views_own_setting_chooses_the_sender(shop: Store, sink: Sink) -> None:
    shop.setting("email_sender", "support", "store", "en")
    shop.setting("email_sender", "sales", "store", "fr")
    assert one_mail(shop, sink).sender == "care@linden-lark.example.com"


def test_a_sender_that_is_gone_gives_way_to_the_first(shop: Store, sink: Sink) -> None:
    shop.setting("email_sender", "dismissed")
    assert one_mail(shop, sink).sender == "hello@linden-lark.example.com"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_template_knows_what_the_store_gives_to_all(
    shop: Store, sink: Sink, is_async: bool
) -> None:
    queue(shop, ANNA)
    env = shop.app.jinja_env
    env.is_async, env.bytecode_cache = is_async, None
    env.globals["motto"] = lambda: "Good things last"
    own = {"invitations/email/invitation_sent/body.txt": "{{ motto() }} {{ link }}"}
    env.loader = ChoiceLoader([DictLoader(own), env.loader or DictLoader({})])
    in_threads(shop.deliver, 1)  # a browser that other tests drive has a loop in this one
    assert sink.mails[0].text.startswith(f"Good things last {SHOP}/invitations/")


def test_a_template_that_is_gone_gives_way_to_the_default(shop: Store, sink: Sink) -> None:
    shop.setting("email_template", "removed")
    assert sink.mails == []
    assert one_mail(shop, sink).link


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_name_and_message_make_no_link_and_no_markup(shop: Store, hostile: str) -> None:
    mail = made(shop, inviter_name=hostile, message=hostile)
    plain = made(shop, inviter_name="Veronica", message="Hello")
    tags, expected = Tags(str(mail.html)), Tags(str(plain.html))
    assert (tags.tags, len(tags.links)) == (expected.tags, len(expected.links))
    for part in (str(mail.body), tags.words):
        assert "evil.test" not in part
        assert not LINKED.search(without_the_stores_own(part))


def without_the_stores_own(text: str) -> str:
    """Take away what the store itself wrote with a dot or a scheme in it."""
    return re.sub(rf"{SHOP}\S*|{re.escape(ANNA)}", "", text)


@given(text=st.text(max_size=200))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_text_at_all_makes_a_link_or_markup(shop: Store, text: str) -> None:
    tags = Tags(str(made(shop, inviter_name=text.strip() or "x", message=text).html))
    plain = Tags(str(made(shop, inviter_name="x", message="x" if text else "").html))
    assert tags.tags == plain.tags
    assert len(tags.links) == len(plain.links)


@pytest.mark.parametrize("text", ["{{7*7}} {{config}}", "{% raw %}", "%(x)s %s %", "{0} {inviter}"])
def test_template_syntax_appears_as_it_was_written(shop: Store, sink: Sink, text: str) -> None:
    mail = one_mail(shop, sink, message=text)
    assert text in mail.text
    assert text in Tags(mail.html).words


def test_the_subject_holds_no_users_text(shop: Store) -> None:
    mail = made(shop, inviter_name="Buy now", message="Buy now")
    assert mail.subject == made(shop, inviter_name="Anna", message="").subject


def test_fields_that_nobody_offered_are_ignored(shop: Store, sink: Sink) -> None:
    extra = dict.fromkeys(("url", "template", "sender", "subject", "recipient"), "x@evil.test")
    mail = one_mail(shop, sink, **extra)
    assert mail.recipients == [ANNA]
    assert b"evil" not in mail.content


def test_headers_are_those_of_a_mail_that_no_person_wrote(shop: Store, sink: Sink) -> None:
    mail = one_mail(shop, sink)
    headers = mail.message
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["To"] == ANNA
    assert [headers[name] for name in ("Reply-To", "Cc", "Bcc", "Sender")] == [None] * 4
    assert b"veronica@example.com" not in mail.content
    assert headers["Message-ID"].endswith("@linden-lark.example.com>")


def test_each_friend_gets_a_mail_that_names_no_other(shop: Store, sink: Sink) -> None:
    friends = [ANNA, "ben@example.com", "cara@example.com"]
    shop.customer().send(*friends)
    shop.deliver()
    assert [mail.recipients for mail in sink.mails] == [[each] for each in friends]
    for mail, friend in zip(sink.mails, friends, strict=True):
        others = [each for each in friends if each != friend]
        assert not any(each.encode() in mail.content for each in others)


def test_the_opt_out_link_is_of_its_own_purpose(shop: Store, sink: Sink) -> None:
    mail = one_mail(shop, sink)
    header = re.fullmatch(rb"<(.+)>", unfolded(mail, b"List-Unsubscribe"))
    assert header is not None
    out_link = header[1].decode()
    assert out_link in mail.text
    link = out_link.rpartition("/")[2]
    with shop.app.app_context():
        assert unsign(link, OPT_OUT) == shop.invitation(ANNA).recipient_hash
        with pytest.raises(BadLink):
            unsign(link, INVITATION)
        with pytest.raises(BadLink):
            unsign(mail.link.rpartition("/")[2], OPT_OUT)


def unfolded(mail: Mail, header: bytes) -> bytes:
    """Return a header's one line, as the server got it."""
    found = re.search(rb"^%s: (.*)\r\n(?=\S)" % header, mail.content, re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_one_click_post_of_the_header_opts_out(shop: Store, sink: Sink) -> None:
    mail = one_mail(shop, sink)
    url = unfolded(mail, b"List-Unsubscribe").decode().strip("<>")
    path = url.removeprefix(SHOP)
    answer = shop.app.test_client().post(path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    shop.customer("marcus@example.com").send(ANNA)
    shop.deliver()
    assert len(sink.mails) == 1


def test_two_hundred_links_have_nothing_in_common_and_nothing_to_read(
    shop: Store, sink: Sink
) -> None:
    friends = queue(shop, *many(200))
    assert shop.deliver().sent == len(friends)
    made = [mail.link.rpartition("/")[2] for mail in sink.mails]
    assert len(set(made)) == len(made)
    ids, signatures = zip(*(link.split(".") for link in made), strict=True)
    assert {len(each) for each in ids} == {22}  # 128 bits, and no room for a time or a number
    # Each place but the last, which holds two bits, takes most of base64's letters.
    assert all(len(set(letters)) > 32 for letters in list(zip(*ids, strict=True))[:-1])
    assert len(set(signatures)) == len(made)
    for mail, each in zip(sink.mails, ids, strict=True):
        assert mail.recipients[0].encode() not in urlsafe_b64decode(f"{each}==")


@pytest.mark.parametrize("letter", ["x", "ü", "\u4f60", "\U0001f600"])
def test_a_mail_is_text_and_html_in_lines_that_every_server_takes(
    shop: Store, sink: Sink, letter: str
) -> None:
    with shop.session() as db:
        db.execute(sa.update(Customer).values(name=letter * 80))
        db.commit()
    mail = one_mail(shop, sink, message=letter * 1000)
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    assert mail.message.get_content_type() == "multipart/alternative"
    parts = [each for each in mail.message.walk() if not each.is_multipart()]
    assert [each.get_content_type() for each in parts] == ["text/plain", "text/html"]
    assert {each.get_content_charset() for each in parts} == {"utf-8"}
    for part in (mail.text, mail.html):
        assert letter * 1000 in part
        assert mail.link in part


def test_the_html_loads_nothing(shop: Store, sink: Sink) -> None:
    html = one_mail(shop, sink).html
    tags = Tags(html)
    assert not {"img", "link", "script", "iframe", "video", "object"} & set(tags.tags)
    assert not {"src", "background", "srcset"} & {name for name, _ in tags.attributes}
    assert "url(" not in html
    assert "@import" not in html


def test_the_text_says_all_that_the_html_says(shop: Store, sink: Sink) -> None:
    mail = one_mail(shop, sink, message="See you\nthere")
    words = " ".join(Tags(mail.html).words.split())
    for line in ("Veronica Costello invites you to Linden & Lark.", "12 Orchard Lane", ANNA):
        assert line in " ".join(mail.text.split())
        assert line in words
    assert "    See you\r\n    there" in mail.text
    assert "The invitation is valid until" in mail.text


def test_staff_invite_in_the_stores_own_name(shop: Store) -> None:
    mail = made(shop, inviter_name="")
    assert "You are invited to Linden & Lark." in str(mail.body)
    assert "gave us your address" not in str(mail.body)


def test_somebody_with_an_account_is_only_led_to_the_sign_in(shop: Store) -> None:
    mail = made(shop, existing_customer=True)
    assert "Create an account" not in str(mail.body) + str(mail.html)
    assert "/sign-in" in str(mail.body)
    assert "/sign-in" in str(mail.html)


def test_an_idn_address_is_written_to_as_idna_2008_has_it(shop: Store, sink: Sink) -> None:
    visitor = shop.customer()
    visitor.send("bob@faß.de")
    shop.deliver()
    assert [mail.recipients for mail in sink.mails] == [["bob@xn--fa-hia.de"]]
    assert sink.mails[0].message["To"] == "bob@xn--fa-hia.de"
    again = visitor.send("bob@xn--fa-hia.de")
    assert again.status_code == 422
    assert len(shop.invitations()) == 1
