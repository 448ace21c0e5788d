"""The invited friend's pages: the landing of a link, decline, opt-out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, g, redirect, request, url_for

from ..accounts import has_account
from ..addresses import hint
from ..admission import may_go_without
from ..database import Busy, atomically, session
from ..events import announce, tell
from ..held import find, held, held_elsewhere, held_link, hold, public_id_of, read, release
from ..host import StoreView
from ..lifecycle import Changed, IllegalMove, ask, decline
from ..links import OPT_OUT, BadLink, absolute_url, base_url, place_of, unsign
from ..models import Invitation, Status
from ..opt_outs import opt_out as keep_out
from ..protection import protect
from ..rendering import redirect_to, render
from ..signals import invitation_declined, opted_out
from ..state import host, settings_of, store_view
from ..text import defang
from ..throttle import GUESSES, WindowFull, count, network

invitee = Blueprint("invitations_invitee", __name__)


OPT_OUT_ENDPOINT = "invitations_invitee.opt_out"
LED = "led"  # marks the address of a visitor who came by another website's


def admit() -> None:
    """Close everything but the opt-out where invitations are off."""
    if request.endpoint != OPT_OUT_ENDPOINT and not settings_of(g.inv_view).enabled:
        abort(404)


protect(invitee, "storefront", admit, free=(OPT_OUT_ENDPOINT,))


@invitee.get("/<link>")
def follow(link: str) -> Any:
    """Keep a link and lead on to an address without it; nothing else changes."""
    row = find(link)
    if row is None:
        return _dead_link()
    view = store_view(row.store_view, row.website)
    return _lead_home(view, link) or redirect(url_for("invitations_invitee.welcome"))


@invitee.get("/<link>/sign-in")
def sign_in(link: str) -> Any:
    """Lead somebody who has an account to the sign-in of the invitation's store view."""
    row = read(link)
    if row is None:
        return _dead_link()
    view = store_view(row.store_view, row.website)
    return _lead_home(view, link) or redirect(_login_url(view) or host().home_url())


def _lead_home(view: StoreView, link: str) -> Response | None:
    """Enter an invitation's store view with its link; where that is elsewhere, lead there.

    Once only: a store whose proxy hides the address that a visitor sees must not send
    anybody round in circles.
    """
    home = absolute_url(view, str(request.endpoint), link=link, **{LED: 1})
    was_led = LED in request.args
    if not was_led and _is_elsewhere(view):
        return redirect_to(home)
    host().enter_store_view(view)
    if not was_led and _is_left_out(view):
        return redirect_to(home)
    hold(link)
    return None


def _is_elsewhere(view: StoreView) -> bool:
    """Return whether this request came to the address of another store view than this one."""
    websites = host().websites()
    places = {each.code: place_of(base_url(each)) for site in websites for each in site.store_views}
    here = _here()
    return here != places[view.code] and here in places.values()


def _is_left_out(view: StoreView) -> bool:
    """Return whether the store shows another store view here, though it was asked for this one."""
    is_shown = host().current_store_view().code == view.code
    return not is_shown and _here() != place_of(base_url(view))


def _here() -> tuple[str, int | None, str] | None:
    """Return the place this request came to; not by its URL, which some forged hosts break."""
    return place_of(f"{request.scheme}://{request.host}{request.script_root}")


@invitee.get("/welcome")
def welcome() -> Response:
    """Show who invited, and the ways to answer."""
    signed_in = host().is_signed_in()
    row = held() or (held_elsewhere() if signed_in else None)
    if row is None:
        return gone(ask_here=True)
    return _render(
        "storefront/welcome.html",
        inviter_name=defang(row.inviter_name),
        store_name=g.inv_view.store_name,
        address_hint=hint(row.email or ""),
        message=row.message,
        expires_at=row.expires_at,
        register_url=host().registration_url(),
        login_url=_login_url(g.inv_view),
        signed_in=signed_in,
        has_account=has_account(row),
        can_release=not signed_in and may_go_without(),
        can_decline=row.status == Status.SENT,
    )


@invitee.post("/<link>", endpoint="ask")
@invitee.post("/<link>/sign-in", endpoint="ask")
@invitee.post("/welcome", endpoint="ask")
def ask_for_fresh_link(link: str | None = None) -> Response:
    """Let the inviter know that a fresh link is wanted; the same answer whatever the link is."""
    public_id = public_id_of(held_link() if link is None else link)
    try:
        atomically(lambda: _ask(public_id))
    except WindowFull as window:
        return _wait(window)
    return _render("storefront/asked.html", home_url=host().home_url())


@invitee.post("/decline", endpoint="decline")
def decline_invitation() -> Response:
    """Decline the invitation whose link this visitor holds."""
    row = held()
    if row is None:
        return gone()
    try:
        atomically(lambda: _decline(row.id))
    except (IllegalMove, Changed):
        return gone()
    release()
    announce(invitation_declined, [row])
    return _render("storefront/declined.html")


@invitee.post("/release", endpoint="release")
def go_on_without() -> Response:
    """Forget the link, and register like anybody."""
    release()
    return redirect_to(host().registration_url())


@invitee.route("/opt-out/<link>", methods=["GET", "POST"])
def opt_out(link: str) -> Response:
    """Keep a mailbox free of invitations; the same answer whatever the link is.

    RFC 8058's one-click POST comes from a mail program: no session, no token.
    """
    if request.method == "POST" and atomically(lambda: _keep_out(link)):
        tell(opted_out)
    return _render("storefront/opt_out.html", done=request.method == "POST")


def _login_url(view: StoreView) -> str | None:
    """Return where to sign in and then see one's invitations, or the shop where those are off."""
    has_list = settings_of(view).storefront_enabled
    return host().login_url(url_for("invitations.index") if has_list else host().home_url())


def _dead_link() -> Response:
    """Answer a link that leads nowhere; whoever tries many is asked to wait."""
    try:
        atomically(_count_guess)
    except WindowFull as window:
        return _wait(window)
    except Busy:
        pass  # the answer is the same without the count
    return gone(ask_here=True)


def gone(*, ask_here: bool = False) -> Response:
    """Answer with the neutral page: the same for unknown, ended, used and closed links.

    :param ask_here: whether this address takes the POST that asks for a fresh link.
    """
    return _render(
        "storefront/gone.html",
        status=404,
        ask_here=ask_here,
        home_url=host().home_url(),
        login_url=None if host().is_signed_in() else _login_url(g.inv_view),
    )


def _wait(window: WindowFull) -> Response:
    response = _render("storefront/guessing.html", status=429)
    response.headers["Retry-After"] = str(window.wait)
    return response


def _count_guess() -> None:
    count(session(), GUESSES, network(request.remote_addr or ""))


def _ask(public_id: str) -> None:
    _count_guess()
    ask(session(), public_id)


@invitee.after_request
def keep_private(response: Response) -> Response:
    """Keep the landing and its link out of search engines."""
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _render(name: str, status: int = 200, **context: Any) -> Response:
    return render(name, view=g.inv_view, status=status, **context)


def _decline(invitation_id: int) -> None:
    row = session().get(Invitation, invitation_id, populate_existing=True)
    if row is None:
        raise Changed("decline")
    decline(session(), row)


def _keep_out(link: str) -> bool:
    try:
        return keep_out(session(), unsign(link, OPT_OUT))
    except BadLink:
        return False
