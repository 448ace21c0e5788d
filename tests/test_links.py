"""Links: what was given out is read, and nothing else is."""

from __future__ import annotations

import string
import time
from collections.abc import Callable, Iterator

import pytest
import time_machine
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from invitations_plugin.links import INVITATION, OPT_OUT, BadLink, sign, unsign
from invitations_plugin.models import new_public_id

from .support.stores import MakeStore, Store

KEYS = ("the oldest key of this app", "the middle key of this app", "the newest key of this app")
WRITTEN = string.ascii_letters + string.digits + "-_.=%~+/"


@pytest.fixture(scope="module")
def database() -> str:
    """Nothing here depends on the database."""
    return "sqlite"


@pytest.fixture
def make_app() -> Callable[..., Flask]:
    """Return a function that makes an app with some keys."""

    def make(key: str = KEYS[2], *fallbacks: str) -> Flask:
        app = Flask(__name__)
        app.config.update(SECRET_KEY=key, SECRET_KEY_FALLBACKS=list(fallbacks))
        return app

    return make


@pytest.fixture
def in_app(make_app: Callable[..., Flask]) -> Iterator[None]:
    """An app's context."""
    with make_app().app_context():
        yield


def is_read(link: str, purpose: str = INVITATION) -> bool:
    try:
        unsign(link, purpose)
    except BadLink:
        return False
    return True


@pytest.mark.usefixtures("in_app")
def test_a_link_reads_back_as_what_was_signed() -> None:
    for value in (new_public_id() for _ in range(200)):
        assert unsign(sign(value, INVITATION), INVITATION) == value


@pytest.mark.usefixtures("in_app")
def test_links_are_long_and_have_nothing_in_common() -> None:
    links = [sign(new_public_id(), INVITATION) for _ in range(200)]
    assert len(set(links)) == 200
    assert len({link[:4] for link in links}) > 190
    assert min(map(len, links)) >= 22 + 1 + 43


@pytest.mark.usefixtures("in_app")
def test_a_link_with_any_character_altered_is_refused() -> None:
    link = sign(new_public_id(), INVITATION)
    altered = [
        link[:place] + other + link[place + 1 :]
        for place in range(len(link))
        for other in WRITTEN
        if other != link[place]
    ]
    assert not any(map(is_read, altered))


@pytest.mark.usefixtures("in_app")
def test_a_link_in_another_case_or_with_more_around_it_is_refused() -> None:
    link = sign(new_public_id(), INVITATION)
    around = [f"{link}{more}" for more in ("%00", "\x00", "==", ".", " ", "\r\n", "/", f".{link}")]
    assert not any(map(is_read, [*around, *(link[:at] + link[at:].swapcase() for at in range(5))]))


@pytest.mark.usefixtures("in_app")
def test_a_link_with_a_character_more_or_less_is_refused() -> None:
    link = sign(new_public_id(), INVITATION)
    places = range(len(link) + 1)
    longer = [link[:place] + other + link[place:] for place in places for other in "A=.-!% \n\0"]
    shorter = [link[:place] + link[place + 1 :] for place in range(len(link))]
    assert not any(map(is_read, [*longer, *shorter, link.swapcase(), link.upper(), link[::-1]]))


@pytest.mark.usefixtures("in_app")
@pytest.mark.parametrize(
    "link",
    ["", ".", "None", "null", "a.b", "x" * 1_000_000, "a." * 99, "9" * 19, "ü.ü", "\ud800", "\0"],
)
def test_odd_links_are_refused(link: str) -> None:
    assert not is_read(link)


@given(link=st.text(max_size=250) | st.from_regex(r"\A[\w-]{22}\.[\w-]{43}\Z"))
def test_nothing_that_was_not_given_out_is_read(link: str) -> None:
    app = Flask(__name__)
    app.secret_key = KEYS[0]
    with app.app_context():
        assert not is_read(link)


@pytest.mark.usefixtures("in_app")
def test_a_link_is_good_for_one_purpose() -> None:
    link = sign(new_public_id(), INVITATION)
    assert is_read(link, INVITATION)
    assert not is_read(link, OPT_OUT)
    assert not is_read(sign(new_public_id(), OPT_OUT), INVITATION)


def test_links_outlive_a_new_key_while_the_old_one_is_a_fallback(
    make_app: Callable[..., Flask],
) -> None:
    with make_app(KEYS[0]).app_context():
        link = sign("value", INVITATION)
    with make_app(KEYS[2], KEYS[1], KEYS[0]).app_context():
        assert unsign(link, INVITATION) == "value"
        newer = sign("value", INVITATION)
    with make_app(KEYS[2]).app_context():
        assert is_read(newer)
        assert not is_read(link)


@pytest.mark.parametrize(
    "path",
    ["None", "%00", "%C3%BC", "a.b", "x" * 100_000, "9223372036854775808.x", "a%20b", "a%0D%0Ab"],
)
def test_odd_links_get_the_neutral_page(make_store: MakeStore, path: str) -> None:
    store: Store = make_store()
    visitor = store.visitor()
    with time_machine.travel(time.time(), tick=False):  # the form's token holds the time
        unknown = visitor.get("/invitations/unknown")
        answer = visitor.get(f"/invitations/{path}")
    assert (answer.status_code, unknown.status_code) == (404, 404)
    # The sample store's own menu names the page it is on.
    assert answer.text.replace(path, "") == unknown.text.replace("unknown", "")
