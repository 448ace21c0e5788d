"""What the store tells, tried before customers need it: at the first request, and by the doctor.

Whatever would fail later is named, with what the store told and what is wanted. No hook that
is asked about a customer is tried: there is none to ask about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper
from wtforms.form import FormMeta

from .configuring import check_groups
from .flask_login_host import FlaskLoginHost
from .host import Group, Host, Sender, StoreView, Website, arguments_of
from .i18n import parse_locale
from .links import INVITATION, base_url, sign
from .rendering import layout
from .settings import BadSetting
from .state import host, state

T = TypeVar("T")
Check = Callable[[Host], object]

CODE: Final = 64  # characters of a code, as the tables keep it
GROUP_CODE: Final = 255
REQUIRED: Final = ("current_customer", "customers", "customer_by_email")


def check_host(app: Flask) -> None:
    """Find what would fail later: doors that do not exist, a base without our blocks.

    :raises RuntimeError: naming what is wrong and what to do.
    """
    for fault in faults(app):
        raise RuntimeError(fault)


def check_mail(app: Flask) -> None:
    """Find what no mail could be made with, as where a worker has another environment.

    :raises RuntimeError: naming what is wrong and what to do.
    """
    for fault in faults(app, FOR_MAIL):
        raise RuntimeError(fault)


def faults(app: Flask, checks: Sequence[Check] | None = None) -> Iterator[str]:
    """Yield what would fail later, in words for whoever mounts the plugin."""
    for check in checks or CHECKS:
        try:
            check(host())
        except RuntimeError as error:
            yield str(error)


def ask(hook: str, *arguments: Any) -> Any:
    """Return what one of the host's hooks tells.

    :raises RuntimeError: where it fails; what the database says is passed on.
    """
    try:
        return getattr(host(), hook)(*arguments)
    except SQLAlchemyError:
        raise
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        raise RuntimeError(f"The host's {hook}() failed ({fault}).") from error


def websites() -> Sequence[Website]:
    """Return the websites, each with a store view or more.

    :raises RuntimeError: where the host tells anything else.
    """
    found = _several("websites", Website)
    if not found:
        raise _told("websites()", found, "one Website or more")
    for website in found:
        views = website.store_views
        if not _is_several(views, StoreView) or not views:
            wanted = "a tuple of one StoreView or more"
            raise _told(f"websites(): store_views of {website.code!r}", views, wanted)
    return found


def store_views() -> list[StoreView]:
    """Return the store views of all websites.

    :raises RuntimeError: where the host tells of none.
    """
    return [view for website in websites() for view in website.store_views]


def senders(view: StoreView) -> Sequence[Sender]:
    """Return the identities of a store view.

    :raises RuntimeError: where the host tells anything else.
    """
    return _several("senders", Sender, view)


def _several(hook: str, kind: type[T], *arguments: Any) -> Sequence[T]:
    found = ask(hook, *arguments)
    if not _is_several(found, kind):
        raise _told(f"{hook}()", found, f"a tuple or list of {kind.__name__}")
    told: Sequence[T] = found
    return told


def _is_several(found: object, kind: type[Any]) -> bool:
    return isinstance(found, (tuple, list)) and all(isinstance(each, kind) for each in found)


def _told(what: str, found: object, wanted: str) -> RuntimeError:
    return RuntimeError(f"The host's {what} is {found!r}, but must be {wanted}.")


def _check_codes(hook: str, codes: Sequence[object], longest: int = CODE) -> None:
    for code in codes:
        if not isinstance(code, str) or not 0 < len(code) <= longest:
            raise _told(f"{hook}(): a code", code, f"a text of 1 to {longest} characters")


def _check_secret_key(store: Host) -> None:
    sign("", INVITATION)


def _check_hooks(store: Host) -> None:
    left = [name for name in REQUIRED if not _is_overridden(store, name)]
    if left:
        names = ", ".join(f"{name}()" for name in left)
        raise RuntimeError(f"The host {type(store).__name__} does not override {names}.")


def _is_overridden(store: Host, name: str, original: type[Host] = Host) -> bool:
    return getattr(getattr(store, name), "__func__", None) is not getattr(original, name)


def _check_model(store: Host) -> None:
    model: Any = getattr(store, "customer_model", None)
    if not isinstance(sa.inspect(model, raiseerr=False), Mapper):
        raise _told("customer_model", model, "the mapped class of a customer")
    if not isinstance(store, FlaskLoginHost) or hasattr(model, store.email_attribute):
        return
    if not all(
        _is_overridden(store, name, FlaskLoginHost) for name in ("email", "customer_by_email")
    ):
        raise RuntimeError(
            f"{model.__name__} has no attribute {store.email_attribute!r}: name the one that holds"
            " the address by the host's 'email'."
        )


def _check_doors(store: Host) -> None:
    doors = store.registration_endpoints
    if not doors or not _is_several(doors, str):
        wanted = "a tuple of the endpoints where accounts are created, such as ('auth.register',)"
        raise _told("registration endpoints", doors, wanted)
    unknown = [name for name in doors if name not in current_app.view_functions]
    if unknown:
        raise RuntimeError(f"The host's registration endpoints do not exist: {unknown}.")


def _check_form(store: Host) -> None:
    form, name = store.registration_form, store.email_field
    if isinstance(form, FormMeta) and not hasattr(form, name):
        raise RuntimeError(
            f"The form {form.__name__} has no field {name!r}: name the one for the address by the"
            " host's 'email_field'."
        )


def _check_login(store: Host) -> None:
    """Look for the endpoint of the sign-in; an address stands for itself, as in Flask-Login."""
    if not isinstance(store, FlaskLoginHost) or _is_overridden(store, "login_url", FlaskLoginHost):
        return
    page = store.login_page()
    if page is None or page.startswith(("/", "http://", "https://")):
        return
    if page not in current_app.view_functions:
        raise RuntimeError(
            f"The sign-in page {page!r} is no endpoint: name it by the host's 'login', or by"
            " Flask-Login's login_view."
        )


def _check_customer_page(store: Host) -> None:
    page = getattr(store, "customer_page", None)
    if page is not None and len(arguments_of(page)) != 1:
        raise RuntimeError(
            f"The host's customer_page {page!r} must be an endpoint whose address has one"
            " argument, the customer's key, such as /staff/customers/<customer_id>."
        )


def _check_websites(store: Host) -> None:
    found = websites()
    for codes in ([site.code for site in found], [view.code for view in store_views()]):
        _check_codes("websites", codes)
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise RuntimeError(f"The host's websites() has a code twice: {', '.join(twice)}.")
    for website in found:
        for view in website.store_views:
            if view.website != website.code:
                what = f"websites(): website of the store view {view.code!r}"
                raise _told(what, view.website, f"{website.code!r}, the one that has it")


def _check_views(store: Host) -> None:
    for view in store_views():
        if not _is_zone(view.timezone):
            what = f"websites(): timezone of the store view {view.code!r}"
            raise _told(what, view.timezone, "a name such as 'Europe/Rome'")
        if view.locale is not None and not _is_locale(view.locale):
            what = f"websites(): locale of the store view {view.code!r}"
            raise _told(what, view.locale, "one that Babel knows, such as 'it', or None")
        base_url(view)


def _is_zone(name: object) -> bool:
    try:
        return isinstance(name, str) and bool(ZoneInfo(name).key)
    except (LookupError, OSError, ValueError):
        return False


def _is_locale(code: object) -> bool:
    return isinstance(code, str) and parse_locale(code) is not None


def _check_groups(store: Host) -> None:
    found = _several("groups", Group)
    if not found:
        raise _told("groups()", found, "one Group or more")
    _check_codes("groups", [group.code for group in found], GROUP_CODE)
    try:
        check_groups(state().defaults.settings.group_limits)
    except BadSetting as error:
        raise RuntimeError(f"INVITATIONS_GROUP_LIMITS: {error}") from error


def _check_senders(store: Host) -> None:
    for view in store_views():
        _check_codes("senders", [sender.code for sender in senders(view)])


FOR_MAIL: Final[tuple[Check, ...]] = (_check_secret_key, _check_websites, _check_views)
CHECKS: Final[tuple[Check, ...]] = (
    _check_secret_key,
    _check_hooks,
    _check_model,
    _check_doors,
    _check_form,
    _check_login,
    _check_customer_page,
    layout,
    _check_websites,
    _check_views,
    _check_groups,
    _check_senders,
)
