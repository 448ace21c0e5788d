"""Settings: which value is in force where, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest
import sqlalchemy as sa

from invitations_plugin.models import SettingOverride
from invitations_plugin.settings import SPECS, BadSetting, Settings, override
from invitations_plugin.state import settings_of, store_view

from .support.pages import Page, statements
from .support.stores import LIST, SEND, Store, Visitor

VIEWS = ("en", "fr", "it")
MODEL_DEFAULTS = {
    "enabled": True,
    "storefront_enabled": True,
    "referred_group": "inviter",
    "registration": "all",
    "allow_message": True,
    "max_per_send": 5,
    "link_days": 30,
    "registered_address": "invited",
    "resend_hours": 24,
    "max_per_hour": 20,
    "max_per_day": 50,
    "max_pending": 100,
}


def in_force(store: Store, name: str) -> list[object]:
    """Return the value in each store view, each read by a request of its own."""
    found = []
    for code in VIEWS:
        with store.app.app_context():
            found.append(getattr(settings_of(store_view(code)), name))
    return found


def remove(store: Store, scope: str, code: str) -> None:
    with store.session() as db:
        row = SettingOverride
        db.execute(sa.delete(row).where(row.scope == scope, row.scope_code == code))
        db.commit()


def test_without_configuration_the_documented_defaults_are_in_force(store: Store) -> None:
    with store.app.app_context():
        settings = settings_of(store_view("en"))
    assert {name: getattr(settings, name) for name in MODEL_DEFAULTS} == MODEL_DEFAULTS


def test_a_store_view_wins_over_its_website_and_that_over_all(store: Store) -> None:
    assert in_force(store, "max_per_send") == [5, 5, 5]
    store.setting("max_per_send", 7)
    assert in_force(store, "max_per_send") == [7, 7, 7]
    store.setting("max_per_send", 8, "website", "main")
    assert in_force(store, "max_per_send") == [8, 8, 7]
    store.setting("max_per_send", 9, "store", "fr")
    assert in_force(store, "max_per_send") == [8, 9, 7]


def test_what_is_removed_gives_way_to_the_wider_scope_at_once(store: Store) -> None:
    for value, scope, code in ((7, "default", ""), (8, "website", "main"), (9, "store", "fr")):
        store.setting("max_per_send", value, scope, code)
    remove(store, "store", "fr")
    assert in_force(store, "max_per_send") == [8, 8, 7]
    remove(store, "website", "main")
    assert in_force(store, "max_per_send") == [7, 7, 7]
    remove(store, "default", "")
    assert in_force(store, "max_per_send") == [5, 5, 5]


def test_a_value_is_replaced_not_added(store: Store) -> None:
    for value in (7, 8):
        store.setting("max_per_send", value, "store", "fr")
    assert in_force(store, "max_per_send") == [5, 8, 5]
    with store.session() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(SettingOverride)) == 1


def test_a_false_of_a_narrow_scope_wins_over_a_true(store: Store) -> None:
    store.setting("allow_message", True)
    store.setting("allow_message", False, "store", "fr")
    assert in_force(store, "allow_message") == [True, False, True]


def test_the_page_and_the_server_follow_the_setting(store: Store, veronica: Visitor) -> None:
    store.setting("max_per_send", 50)
    rows = {f"emails-{n}": f"friend{n}@example.com" for n in range(48)}
    veronica.get(SEND)
    page = Page(veronica.post(f"{SEND}/rows", rows | {"add_row": "1"}))
    assert "emails-48" in page.fields
    assert "50" in " ".join(page.text("p"))
    assert veronica.send(*list(rows.values())[:20]).status_code == 302


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("MAX_PER_SEND", "12", 12),
        ("MAX_PER_SEND", 12, 12),
        ("ALLOW_MESSAGE", "no", False),
        ("ALLOW_MESSAGE", "FALSE", False),
        ("ALLOW_MESSAGE", 1, True),
        ("REGISTRATION", "invitation", "invitation"),
    ],
)
@pytest.mark.parametrize("place", ["config", "environment"])
@pytest.mark.parametrize("database", ["sqlite"])
def test_defaults_come_from_the_config_or_the_environment(
    make_store: Callable[..., Store],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    given: object,
    value: object,
    place: str,
) -> None:
    if place == "environment":
        monkeypatch.setenv(f"INVITATIONS_{name}", str(given))
    config = {f"INVITATIONS_{name}": given} if place == "config" else {}
    store = make_store(**config)
    assert in_force(store, name.lower()) == [value] * 3


def test_the_config_wins_over_the_environment_and_an_override_over_both(
    make_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVITATIONS_LINK_DAYS", "7")
    store = make_store(INVITATIONS_LINK_DAYS=8)
    assert in_force(store, "link_days") == [8, 8, 8]
    store.setting("link_days", 9, "store", "fr")
    assert in_force(store, "link_days") == [8, 9, 8]


BAD = [
    ("max_per_send", 0),
    ("max_per_send", -1),
    ("max_per_send", "abc"),
    ("max_per_send", 10**9),
    ("max_per_send", ""),
    ("max_per_send", "1.5"),
    ("max_per_send", True),
    ("max_per_hour", -1),
    ("link_days", 0),
    ("allow_message", "perhaps"),
    ("allow_message", ""),
    ("registration", "some"),
    ("referred_group", ""),
    ("email_sender", ""),
]


@pytest.mark.parametrize(("name", "value"), BAD)
@pytest.mark.parametrize("database", ["sqlite"])
def test_a_config_that_cannot_be_stops_the_start_by_name(
    make_store: Callable[..., Store], name: str, value: object
) -> None:
    with pytest.raises(BadSetting, match=f"^{name} is "):
        make_store(**{f"INVITATIONS_{name.upper()}": value})


def test_a_value_that_cannot_be_is_refused_by_name_and_the_old_one_kept(store: Store) -> None:
    store.setting("max_per_send", 7)
    for name, value in BAD:
        with pytest.raises(BadSetting, match=f"^{name} is "):
            store.setting(name, value)
    assert in_force(store, "max_per_send") == [7, 7, 7]
    with store.session() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(SettingOverride)) == 1


def test_a_setting_is_refused_below_its_scope(store: Store) -> None:
    order = ("default", "website", "store")
    for name, spec in SPECS.items():
        value = getattr(Settings(), name)
        for scope in (*order, "planet"):
            if scope in order[: order.index(spec.scope) + 1]:
                store.setting(name, value, scope, "fr")
            else:
                with pytest.raises(BadSetting, match=name):
                    store.setting(name, value, scope, "fr")


def test_an_unknown_setting_is_refused(store: Store) -> None:
    with store.session() as db, pytest.raises(BadSetting, match="nonsense"):
        override(db, "nonsense", 1)


def test_an_override_of_a_setting_that_is_gone_does_no_harm(store: Store) -> None:
    with store.session() as db:
        db.add(SettingOverride(scope="default", scope_code="", name="of_old", value=1))
        db.commit()
    assert in_force(store, "max_per_send") == [5, 5, 5]


@pytest.mark.parametrize("path", [LIST, SEND, "/account/"])
def test_a_request_reads_the_settings_once(store: Store, veronica: Visitor, path: str) -> None:
    store.setting("max_per_send", 7, "store", "en")
    with statements(store) as seen:
        assert veronica.get(path).status_code == 200
    assert len([each for each in seen if "FROM invitations_setting" in each]) == 1


def test_the_next_request_sees_a_change(store: Store, veronica: Visitor) -> None:
    assert Page(veronica.get(SEND)).all("textarea")
    store.setting("allow_message", False, "website", "main")
    assert not Page(veronica.get(SEND)).all("textarea")


def test_every_setting_has_a_name_for_people() -> None:
    assert {each.name for each in fields(Settings)} == set(SPECS)
    labels = [spec.label for spec in SPECS.values()]
    assert len(labels) == len(set(labels))
    assert all(spec.label and spec.help for name, spec in SPECS.items())
