"""The whole path through the pages: invite, mail, register, accepted, discarded."""

from __future__ import annotations

from .support.sink import Sink
from .support.stores import LIST, Store, Visitor


def test_a_friend_registers_through_the_mailed_link(
    store: Store, veronica: Visitor, sink: Sink
) -> None:
    answer = veronica.send("anna@example.com", "ben@example.com")
    assert answer.status_code == 302
    assert "You sent the invitation for anna@example.com." in veronica.get(LIST).text
    assert store.deliver().sent == 2

    friend = store.visitor()
    answer = friend.get(sink.to("anna@example.com")[0].link, follow_redirects=True)
    assert store.inviter_name in answer.text
    assert 'value="anna@example.com"' in friend.get(store.register_path).text
    assert store.register(friend, "anna@example.com").status_code == 302

    assert "anna@example.com" in store.customer_emails()
    assert store.invitation("anna@example.com").status == "accepted"
    assert 'data-status="accepted"' in veronica.get(LIST).text


def test_a_discarded_link_answers_with_the_neutral_page(
    store: Store, veronica: Visitor, admin: Visitor, sink: Sink
) -> None:
    veronica.send("ben@example.com")
    store.deliver()
    row = store.invitation("ben@example.com")
    admin.get("/admin/invitations/")
    chosen = {"action": "discard", "ids": row.id}
    assert "Discard 1 invitation?" in admin.post("/admin/invitations/actions", chosen).text
    admin.post("/admin/invitations/actions", chosen | {"confirm": "1"})

    assert store.invitation("ben@example.com").status == "discarded"
    assert store.visitor().get(sink.to("ben@example.com")[0].link).status_code == 404
    assert 'data-status="canceled"' in veronica.get(LIST).text
