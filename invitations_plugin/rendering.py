"""Our pages: inside the store's base template, or as the fragment that htmx asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, current_app, g, make_response, request, session, url_for
from flask_wtf.csrf import generate_csrf
from jinja2 import Environment, Template, nodes
from jinja2.exceptions import TemplateNotFound
from markupsafe import Markup, escape

from .addresses import keyed_hash
from .host import Host, StoreView
from .i18n import format_date, format_datetime, html_lang, ngettext, translator
from .page_urls import page_url

NOTICES = "invitations_notices"
SHORT = 24  # characters of an address that needs no break
RETURNED = "typed"  # an argument of the address that a sign-in leads back to, as the script has it
# What breaks no theme; the rest of the policy of such a page is the store's.
HOST_POLICY = "object-src 'none'; base-uri 'self'; frame-ancestors 'self'; form-action 'self'"
STRICT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
# A mail in a frame of ours: its own styles, and nothing that runs or loads.
PREVIEW_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; frame-src 'self'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'self'; form-action 'none'"
)

_SHIM = """{%% extends inv_base %%}
{%% block %(title)s %%}{%% block inv_title %%}{%% endblock %%}{%% endblock %%}
%(head_block)s
{%% block %(content)s %%}%(head_here)s
<div class="inv" id="inv" lang="{{ inv_lang }}" data-hx-headers='{"X-CSRFToken": "{{ inv_csrf }}"}'>
{%% block inv_content %%}{%% endblock %%}
</div>
{%% endblock %%}
"""
_ASSETS = '{% include "invitations/storefront/_assets.html" %}'


def notify(kind: str, text: str) -> None:
    """Keep a notice for the next of our pages; a store's base may show no flashes."""
    session[NOTICES] = [*session.get(NOTICES, []), {"kind": kind, "text": text}]


def _take_notices() -> list[dict[str, str]]:
    taken: list[dict[str, str]] = session.pop(NOTICES, []) if NOTICES in session else []
    return taken


def wants_fragment() -> bool:
    """Return whether htmx asks for a piece; a restored history entry is a whole page."""
    headers = request.headers
    return "HX-Request" in headers and "HX-History-Restore-Request" not in headers


def render(
    name: str, fragment: str | None = None, *, view: StoreView, status: int = 200, **context: Any
) -> Response:
    """Render one of our templates, or its fragment where htmx asks for it."""
    piece = fragment is not None and wants_fragment()
    chosen = fragment if piece and fragment is not None else name
    template = current_app.jinja_env.get_template(f"invitations/{chosen}")
    variables = {**_common(view), **context}
    if not piece:
        current_app.update_template_context(variables)
    response = make_response(template.render(variables), status)
    response.vary.update(("HX-Request", "Cookie"))
    g.invitations_page = True
    if piece:
        response.headers["X-Invitations-Fragment"] = "1"
    return response


def _common(view: StoreView) -> dict[str, Any]:
    host: Host = current_app.extensions["invitations"].host
    return {
        **host.context(),
        "inv_t": _translator(),
        "inv_nt": ngettext,
        "inv_lang": html_lang(),
        "inv_base": host.base,
        "inv_layout": layout(host),
        "inv_url": page_url,
        "inv_csrf": generate_csrf(),
        "inv_store_name": view.store_name,
        "inv_notices": _take_notices(),
        "inv_date": lambda value: format_date(value, view),
        "inv_datetime": lambda value: format_datetime(value, view),
    }


def _translator() -> Callable[..., str]:
    """Return what translates in a template: markup among the variables stays markup.

    Beside markup all the rest is escaped.
    """
    speak = translator()

    def translate(message: str, **variables: Any) -> str:
        if not variables or not any(isinstance(each, Markup) for each in variables.values()):
            return speak(message, **variables)
        return Markup(escape(speak(message))) % variables  # noqa: S704  # escaped on both sides

    return translate


def breakable(address: str) -> Markup:
    """Return an e-mail address that a narrow place breaks between its parts; copied, it is whole.

    In every template the filter ``inv_address``.
    """
    shown = str(escape(address))
    return Markup(shown.replace("@", "@<wbr>").replace(".", "<wbr>."))  # noqa: S704  # escaped


def broken_at(address: str) -> Markup:
    """Return an e-mail address that breaks behind its @, if it is long, for a table of many.

    In every template the filter ``inv_at``.
    """
    shown = escape(address)
    if len(shown) <= SHORT:
        return shown
    return Markup(str.replace(shown, "@", "@<wbr>"))  # noqa: S704  # escaped


def layout(host: Host) -> Template:
    """Return the template between ours and the store's base, made from its block names.

    :raises RuntimeError: when the base does not have a block that was named.
    """
    state = current_app.extensions["invitations"]
    if state.layout is None:
        state.layout = _make_layout(current_app.jinja_env, host.base, host.blocks)
    made: Template = state.layout
    return made


def _make_layout(env: Environment, base: str, blocks: Mapping[str, str]) -> Template:
    names = {"content": "content", "title": "title", **blocks}
    known = _blocks_of(env, base)
    missing = sorted(set(names.values()) - known) if known is not None else []
    if missing:
        raise RuntimeError(
            f"The template {base!r} has no block {', '.join(missing)}: our pages would be"
            " blank. Name its blocks by the host's 'blocks', for example"
            " {'content': 'body', 'title': 'title'}."
        )
    head = names.get("head")
    head_block = f"{{% block {head} %}}{{{{ super() }}}}{_ASSETS}{{% endblock %}}" if head else ""
    source = _SHIM % {**names, "head_block": head_block, "head_here": "" if head else _ASSETS}
    return env.from_string(source)


def _blocks_of(env: Environment, name: str) -> set[str] | None:
    """Return the blocks of a template and of all that it extends, None if that is computed."""
    found: set[str] = set()
    current: str | None = name
    while current is not None:
        tree = env.parse(_source(env, current))
        found |= {block.name for block in tree.find_all(nodes.Block)}
        parent = next(tree.find_all(nodes.Extends), None)
        if parent is not None and not isinstance(parent.template, nodes.Const):
            return None
        current = str(parent.template.value) if parent is not None else None  # type: ignore[attr-defined]
    return found


def _source(env: Environment, name: str) -> str:
    try:
        if env.loader is None:
            raise TemplateNotFound(name)
        return str(env.loader.get_source(env, name)[0])
    except TemplateNotFound as error:
        raise RuntimeError(
            f"There is no template {error.name!r}: name the one that our pages extend by the"
            " host's 'base', for example 'account.html'."
        ) from error


def redirect_to(url: str) -> Response:
    """Send the browser elsewhere: by a header that htmx follows as a whole page."""
    if "HX-Request" in request.headers:
        response = make_response("", 200)
        response.headers["HX-Redirect"] = url
        return response
    response = make_response("", 302)
    response.headers["Location"] = url
    return response


def sign_in_first(host: Host, start: str) -> Response:
    """Lead an anonymous visitor to the store's sign-in and back, or answer 401.

    ``start`` is the endpoint to come back to from what can only be posted.
    """
    here = request.script_root + request.full_path.rstrip("?")
    if request.method == "POST":  # what was typed waits in the browser
        here = f"{here}{'&' if request.args else '?'}{RETURNED}=1"
    url = host.login_url(here if _can_be_shown() else url_for(start))
    return redirect_to(url) if url else make_response("", 401)


def draft_mark(person: str) -> str:
    """Return what marks a form as somebody's: what was typed is given back to nobody else.

    :param person: their key.
    """
    return keyed_hash(f"draft of {person}", current_app.extensions["invitations"].hash_key)


def _can_be_shown() -> bool:
    """Return whether this request's address is a page's, too: a form is posted to its own."""
    adapter = current_app.create_url_adapter(request)
    return adapter is not None and "GET" in adapter.allowed_methods()


def add_headers(response: Response) -> Response:
    """Protect a page of ours as far as it does not break the store's theme.

    It runs after what the store does to its answers, so the store's own policy stays.
    """
    if not g.get("invitations_page", False):
        return response
    headers = response.headers
    if g.get("invitations_strict", current_app.config["INVITATIONS_STRICT_POLICY"]):
        headers["Content-Security-Policy"] = g.get("invitations_policy", STRICT_POLICY)
    headers.setdefault("Content-Security-Policy", HOST_POLICY)
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers["Cache-Control"] = "no-store, private"
    return response
