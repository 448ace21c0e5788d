"""The wheel: everything an integrator needs, and nothing of the sample store."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The files of a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize(
    "name",
    [
        "invitations_plugin/py.typed",
        "invitations_plugin/migrations/env.py",
        "invitations_plugin/migrations/versions/0001_first_tables.py",
        "invitations_plugin/static/htmx-2.0.11.min.js",
        "invitations_plugin/static/invitations.js",
        "invitations_plugin/static/storefront.css",
        "invitations_plugin/templates/invitations/email/invitation_sent/body.txt",
        "invitations_plugin/templates/invitations/storefront/_send_form.html",
        "invitations_plugin/translations/zh_Hans/LC_MESSAGES/invitations.mo",
    ],
)
def test_it_contains(names: list[str], name: str) -> None:
    assert name in names


def test_it_contains_nothing_but_the_plugin(names: list[str]) -> None:
    folders = {name.split("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {
        "invitations_plugin"
    }


def test_the_sample_store_uses_only_what_the_plugin_exports() -> None:
    for path in (ROOT / "sample_store").rglob("*.py"):
        assert "invitations_plugin." not in path.read_text(), path.name
