"""Rules that every template file keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from invitations_plugin.i18n import LANGUAGES, _catalogue

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "invitations_plugin" / "templates" / "invitations"
ALL = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.*"))
PAGES = [name for name in ALL if not name.startswith("email/")]
INLINE = re.compile(r"<script>|<style|\sstyle=|\son\w+=|hx-on|javascript:")
ELSEWHERE = re.compile(r"""(?:src|href|action)=["']?(?:https?:)?//""")
BARE_HTMX = re.compile(r"\shx-[a-z]")


def read(name: str) -> str:
    return (FOLDER / name).read_text()


@pytest.mark.parametrize("name", ALL)
def test_it_opens_with_its_context(name: str) -> None:
    assert read(name).startswith("{#")


@pytest.mark.parametrize("name", PAGES)
def test_it_has_no_inline_script_or_style(name: str) -> None:
    assert not INLINE.search(read(name))


@pytest.mark.parametrize("name", ALL)
def test_it_loads_nothing_from_elsewhere(name: str) -> None:
    assert not ELSEWHERE.search(read(name))


@pytest.mark.parametrize("name", PAGES)
def test_its_htmx_attributes_are_valid_html(name: str) -> None:
    assert not BARE_HTMX.search(read(name))


@pytest.mark.parametrize("name", PAGES)
def test_each_form_that_posts_carries_a_token(name: str) -> None:
    for form in re.findall(r"<form.*?</form>", read(name), re.DOTALL):
        is_free = name == "storefront/opt_out.html"
        has_token = "csrf_token" in form
        assert has_token or is_free or 'method="post"' not in form


@pytest.mark.parametrize("name", ALL)
def test_nothing_in_it_is_marked_safe(name: str) -> None:
    assert not re.search(r"\|\s*safe\b|Markup", read(name))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_speaks(language: str) -> None:
    said = str(_catalogue(language).ugettext("My Invitations"))
    assert said
    assert (said == "My Invitations") == (language == "en")
