"""What the README promises is all there is, and all there is stands in it."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

import invitations_plugin
from bench import report
from invitations_plugin import FlaskLoginHost, Host, Purchase, signals
from invitations_plugin.cli import commands
from invitations_plugin.extension import CONFIG
from invitations_plugin.mail_kinds import INVITATION
from invitations_plugin.notices import EVENTS
from invitations_plugin.settings import SPECS, Settings
from invitations_plugin.state import host
from invitations_plugin.templating import FILTERS
from sample_store.database import db
from sample_store.models import Customer, Order

from .support.stores import Store

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def rows_of(name: str) -> list[str]:
    """Return the table rows that name something in code marks."""
    return [line for line in README.splitlines() if line.startswith("|") and f"`{name}" in line]


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: str(field.name))
def test_each_setting_stands_in_the_readme_with_label_and_default(field: object) -> None:
    name, default = field.name, field.default  # type: ignore[attr-defined]
    row = " ".join(rows_of(f"{name}`"))
    assert SPECS[name].label in row
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    assert shown in row


@pytest.mark.parametrize("name", SPECS)
def test_each_setting_stands_in_the_readme_with_its_scope_and_what_it_allows(name: str) -> None:
    spec, row = SPECS[name], " ".join(rows_of(f"{name}`"))
    scope = {"default": "global", "website": "website", "store": "store view"}[spec.scope]
    assert f"| {scope} |" in row
    assert all(f"`{choice}`" in row for choice in spec.choices or ())
    if spec.at_most:
        assert re.search(rf"\| {spec.at_least}( \([^)]+\))? to {spec.at_most} \|", row)


@pytest.mark.parametrize("name", CONFIG)
def test_each_configuration_key_stands_in_the_readme(name: str) -> None:
    assert rows_of(f"INVITATIONS_{name}`")


@pytest.mark.parametrize("name", commands.commands)
def test_each_command_stands_in_the_readme(name: str) -> None:
    assert rows_of(f"flask invitations {name}")


@pytest.mark.parametrize(
    "name", [name for name, each in vars(signals).items() if hasattr(each, "send")]
)
def test_each_signal_stands_in_the_readme_and_says_when_it_fires(name: str) -> None:
    assert rows_of(f"{name}`")
    assert getattr(signals, name).__doc__
    assert name in invitations_plugin.__all__


@pytest.mark.parametrize("name", [name for name in vars(Host) if not name.startswith("_")])
def test_each_member_of_the_host_stands_in_the_readme(name: str) -> None:
    assert rows_of(name)
    member = getattr(Host, name, None)
    assert not callable(member) or inspect.getdoc(member)


@pytest.mark.parametrize("name", INVITATION.variables)
def test_each_variable_of_a_mail_template_stands_in_the_readme(name: str) -> None:
    assert rows_of(f"{name}`")


@pytest.mark.parametrize("name", EVENTS)
def test_each_notice_to_staff_stands_in_the_readme(name: str) -> None:
    assert rows_of(f"{name}`")


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_of_a_mail_template_stands_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", invitations_plugin.__all__)
def test_each_exported_name_stands_in_the_readme(name: str) -> None:
    assert f"{name}" in README


@pytest.mark.parametrize("line", (ROOT / "pyproject.toml").read_text().splitlines())
def test_each_dependency_has_its_reason_in_the_readme(line: str) -> None:
    text = line.strip().strip('",')
    name = text.split(">=")[0].split("[")[0]
    if ">=" in text and text.startswith(name) and " " not in name:
        assert name.lower() in README.lower()


def test_the_host_of_the_readme_tells_of_purchases_on_both_databases(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shop's orders have other names than the sample store's."""
    [code] = re.findall(r"```python\n(class ShopHost.+?)```", README, re.DOTALL)
    names = {"FlaskLoginHost": FlaskLoginHost, "Order": Order, "Purchase": Purchase}
    exec(code, names)  # noqa: S102  # our own README
    with store.session():
        for name, value in (
            ("query", db.session.query(Order)),
            ("paid_at", property(lambda order: order.at)),
            ("total", property(lambda order: order.amount)),
        ):
            monkeypatch.setattr(Order, name, value, raising=False)
        keys = [host().key(each) for each in db.session.query(Customer)]
        shop = names["ShopHost"](Customer, register="shop.register")
        found = list(shop.purchases(keys))
        assert len(found) == db.session.query(Order).count() > 0
    assert {each.customer_key for each in found} <= set(keys)


def test_extras_are_quoted_for_the_shell_and_the_wheel_is_the_one_that_is_made() -> None:
    commands = re.findall(r"pip install\s+([^\s`]+)", README)
    assert any(".whl[" in each for each in commands)
    assert all(re.fullmatch(r"'.+\[.+\]'", each) for each in commands)
    [version] = re.findall(
        r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert f"dist/invitations_plugin-{version}-py3-none-any.whl" in README


def test_pictures_of_the_readme_exist() -> None:
    for name in ("my-invitations.png", "grid.png"):
        assert f"docs/{name}" in README
        assert (ROOT / "docs" / name).stat().st_size > 10_000


def test_figures_of_the_readme_are_those_that_were_measured() -> None:
    """``python -m bench readme`` copies them."""
    measured = report.figures(report.RESULTS.read_text())
    assert len(measured.splitlines()) > 10
    assert report.shown(README) == measured


def test_each_benchmark_tells_its_figures_in_short() -> None:
    """What the README leaves out nobody checks."""
    sections = report.RESULTS.read_text().split("\n## ")[1:]
    assert all(report.SHORT in each for each in sections)
