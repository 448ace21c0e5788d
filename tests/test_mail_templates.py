"""Mail templates that staff write: their pages, their versions, and the mail made by them."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jinja2 import FunctionLoader

from invitations_plugin import mail, mail_templates
from invitations_plugin.doctor import examine
from invitations_plugin.i18n import LANGUAGES
from invitations_plugin.lifecycle import STAFF, Actor
from invitations_plugin.mail_rules import Content
from invitations_plugin.templating import LONGEST_MADE
from invitations_plugin.trials import TRIALS

from .support.mail_templates import (
    CONTENT,
    HTML,
    TEMPLATES,
    TEXT,
    add_template,
    edit,
    spoil,
    typed,
    version_numbers,
    written,
)
from .support.outbox import queue
from .support.pages import Page, at_once
from .support.sink import Mail, Sink
from .support.stores import MakeStore, Store, Visitor
from .test_mail import HOSTILE, Tags

ANNA = "anna@example.com"
NEW = f"{TEMPLATES}new"
SPRING = f"{TEMPLATES}spring/"
# Good with every example, and of no use to one customer.
FRAGILE = TEXT + "{% if inviter_name == 'Zoe' and message in existing %}{% endif %}"


def create(visitor: Visitor, name: str, source: str = "invitation_sent") -> str:
    """Make a copy of a template through the page; return the address of its editor."""
    visitor.get(NEW)
    answer = visitor.post(NEW, {"name": name, "source": source})
    assert answer.status_code == 302, Page(answer).notices
    return answer.location


def one_mail(store: Store, sink: Sink, **fields: Any) -> Mail:
    """Let the customer invite somebody; return the mail."""
    store.customer().send(ANNA, **fields)
    assert store.deliver().sent == 1
    return sink.mails[-1]


def faults(page: Page) -> list[str]:
    """Return what a page says of templates that failed."""
    return [each for each in page.notices if "the default was used" in each]


def test_a_copy_of_the_shipped_template_makes_the_same_mail(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    assert create(admin, "Été 2027") == f"{TEMPLATES}ete-2027/"
    shipped = one_mail(store, sink, message="Come in")
    store.setting("email_template", "ete-2027")
    queue(store, "ben@example.com", message="Come in", inviter_name="Veronica Costello")
    store.deliver()
    copied = sink.mails[-1]
    for part in ("text", "html"):
        first, second = (without_links(getattr(each, part)) for each in (shipped, copied))
        assert first == second.replace("ben@", "anna@")
    assert copied.message["Subject"] == shipped.message["Subject"]
    assert copied.message["List-Unsubscribe"]


def without_links(text: str) -> str:
    return re.sub(r"invitations/(opt-out/)?[^\s/<>]+\.[\w-]+", "LINK", " ".join(text.split()))


def test_a_copy_speaks_every_language_in_its_own_words(store: Store, admin: Visitor) -> None:
    create(admin, "Spring")
    contents = written(store).contents
    assert set(contents) == set(LANGUAGES)
    assert "vous invite" in contents["fr"].text
    assert "ti invita" in contents["it"].html
    assert not any("inv_t" in str(each) for each in contents.values())


def test_a_copy_of_a_copy_has_a_code_of_its_own(store: Store, admin: Visitor) -> None:
    names = ["Spring", "Spring", "春天", "new", "Invitation sent"]
    codes = [create(admin, name).split("/")[-2] for name in names]
    assert codes == ["spring", "spring-2", "template", "new-2", "invitation-sent"]
    with store.session():
        assert mail.template_choices() == [
            ("invitation_sent", "Customer Invitation (Default)"),
            ("invitation-sent", "Invitation sent"),
            ("new-2", "new"),
            ("spring", "Spring"),
            ("spring-2", "Spring"),
            ("template", "春天"),
        ]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [({"name": " "}, "name"), ({"name": "x" * 101}, "name"), ({"source": "gone"}, "source")],
)
def test_a_new_template_without_a_name_or_a_source_is_refused(
    store: Store, admin: Visitor, fields: dict[str, str], wrong: str
) -> None:
    admin.get(NEW)
    answer = admin.post(NEW, {"name": "Spring", "source": "invitation_sent"} | fields)
    assert answer.status_code == 422
    assert Page(answer).error(wrong)
    assert "Spring" not in Page(admin.get(TEMPLATES)).text("a")


def test_a_template_folder_of_the_store_can_be_chosen_and_named_in_the_list(
    store: Store, admin: Visitor, sink: Sink, shipped: Path
) -> None:
    assert "Summer sale" in Page(admin.get(TEMPLATES)).text("a")
    store.setting("email_template", "summer_sale")
    assert "A summer sale at Linden & Lark" in one_mail(store, sink).text
    admin.get(NEW)
    answer = admin.post(NEW, {"name": "Mine", "source": "summer_sale"})
    assert answer.status_code == 422
    assert "This template cannot be used as it is" in Page(answer).notices[0]


def test_a_folder_that_cannot_be_read_is_no_server_error(
    store: Store, admin: Visitor, shipped: Path
) -> None:
    shipped.joinpath("body.txt").write_text('{{ inv_t("100% of %(x)s", x=store_name) }}{% if')
    shown = admin.get(f"{TEMPLATES}summer_sale/preview")
    assert shown.status_code == 422
    assert "With example data this fails" in Page(shown).notices[0]
    admin.get(f"{TEMPLATES}summer_sale/")
    tried = admin.post(f"{TEMPLATES}summer_sale/", {"do": "test", "to": ANNA})
    assert "With example data this fails" in Page(tried).notices[0]
    copied = admin.post(NEW, {"name": "Mine", "source": "summer_sale"})
    assert (tried.status_code, copied.status_code) == (422, 422)
    shipped.joinpath("subject.txt").unlink()
    assert "Summer sale" not in Page(admin.get(TEMPLATES)).text("a")
    assert admin.get(f"{TEMPLATES}summer_sale/").status_code == 404


def test_templates_that_cannot_be_listed_leave_the_default(store: Store, admin: Visitor) -> None:
    env = store.app.jinja_env
    loader: Any = env.loader
    env.loader = FunctionLoader(lambda name: loader.get_source(env, name))
    assert "Customer Invitation (Default)" in Page(admin.get(TEMPLATES)).text("a")
    assert create(admin, "Spring") == SPRING


@pytest.fixture
def shipped(store: Store, tmp_path: Path) -> Path:
    """A folder of templates that the store ships beside the default; it uses all of Jinja."""
    folder = tmp_path / "theme" / "invitations" / "email" / "summer_sale"
    folder.mkdir(parents=True)
    folder.joinpath("subject.txt").write_text("Summer")
    lines = "{% for each in [link, opt_out_link] %}{{ each }}\n{% endfor %}"
    folder.joinpath("body.txt").write_text("A summer sale at {{ store_name }}\n" + lines)
    folder.joinpath("body.html").write_text(lines)
    loader: Any = store.app.jinja_loader
    loader.searchpath.insert(0, str(tmp_path / "theme"))
    return folder


def test_what_is_saved_is_what_is_mailed(store: Store, admin: Visitor, sink: Sink) -> None:
    add_template(store)
    store.setting("email_template", "spring")
    saved = edit(admin, subject="Spring at {{ store_name }}", text=f"Spring! {TEXT}")
    assert saved.status_code == 302
    made = one_mail(store, sink, message="Come")
    assert made.message["Subject"] == "Spring at Linden & Lark"
    assert "Spring! Veronica Costello says: Come" in made.text
    assert "<p>Veronica Costello: Come</p>" in made.html
    assert version_numbers(store) == [2, 1]


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("text", f"{TEXT}\n{{{{ mesage }}}}", "Line 5: There is no variable mesage. Did you mean"),
        ("html", f"{HTML}\n{{%", "Line 2: This cannot be read"),
        ("html", "<p>Come</p>", "The link {{ link }} is missing."),
        ("html", f"{HTML}<img src='https://evil.test/x.gif'>", "A mail loads nothing"),
        ("text", "x" * 100_001, "This has 100,002 characters; at most 100,000"),
        ("text", "€" * 100_001, "This has 100,002 characters; at most 100,000"),
        ("subject", "Come\r\nBcc: all@example.com", "A subject is a single line."),
        ("subject", "{{ inviter_name }}", "may not stand in a subject"),
        ("subject", "", "This must not be empty."),
        ("name", "", "Enter a name."),
        ("default_language", "xx", "Choose one from the list."),
    ],
)
def test_a_bad_field_says_what_is_wrong_and_nothing_typed_is_lost(
    store: Store, admin: Visitor, field: str, text: str, says: str
) -> None:
    add_template(store)
    answer = edit(admin, **{"text": f"New {TEXT}", "html": f"New {HTML}", field: text})
    page = Page(answer)
    assert answer.status_code == 422
    assert says in page.error(field)
    kept = typed(answer)
    assert kept["html" if field != "html" else "text"].startswith("New ")
    assert field == "default_language" or kept[field].split() == text.split()
    assert version_numbers(store) == [1]
    assert written(store).contents == {"en": CONTENT}


def test_control_characters_and_nothing_at_all_are_no_server_error(
    store: Store, admin: Visitor
) -> None:
    add_template(store)
    assert edit(admin, text=f"\x00\u202e{TEXT}", name="\x00Spring").status_code == 302
    assert written(store).contents["en"].text.strip() == TEXT
    assert admin.post(SPRING, {"do": "save"}).status_code == 422
    for code in ("nothing", "%00", "x" * 300, "..%2f..", "spring/versions/99999999999999999999"):
        assert admin.get(f"{TEMPLATES}{code}/").status_code in (404, 308)
    assert admin.get(f"{SPRING}versions/{2**63}").status_code == 404
    assert admin.get(f"{SPRING}preview?version={2**63}").status_code == 404
    assert admin.get(f"{SPRING}?language=xx").status_code == 200


def test_a_stale_editor_keeps_what_was_typed(store: Store, admin: Visitor) -> None:
    add_template(store)
    page = admin.get(SPRING)
    admin.token = "stale"
    answer = admin.post(SPRING, typed(page) | {"do": "save", "text": "Typed"})
    assert answer.status_code == 400
    assert typed(answer)["text"].strip() == "Typed"
    assert version_numbers(store) == [1]


def test_two_who_save_at_once_are_told_and_lose_nothing(store: Store, admin: Visitor) -> None:
    add_template(store)
    mine = typed(admin.get(SPRING)) | {"do": "save", "subject": "Mine"}
    assert edit(admin, subject="Theirs").status_code == 302
    told = admin.post(SPRING, mine)
    assert told.status_code == 409
    assert any("in the meantime, as version 2." in each for each in Page(told).notices)
    assert typed(told)["subject"] == "Mine"
    assert written(store).contents["en"].subject == "Theirs"
    assert admin.post(SPRING, typed(told) | {"do": "save"}).status_code == 302
    assert written(store).contents["en"].subject == "Mine"
    assert version_numbers(store) == [3, 2, 1]


def test_of_saves_at_one_moment_one_is_kept(store: Store, admin: Visitor) -> None:
    add_template(store)
    form = typed(admin.get(SPRING)) | {"do": "save"}
    answers = at_once(store, admin, [form | {"subject": f"Number {n}"} for n in range(4)], SPRING)
    assert sorted(each.status_code for each in answers) == [302, 409, 409, 409]
    assert version_numbers(store) == [2, 1]


def test_a_language_that_is_not_written_uses_the_templates_own_then_english(
    store: Store, sink: Sink
) -> None:
    french, english = replace(CONTENT, subject="Venez"), replace(CONTENT, subject="Come")
    code = add_template(store, contents={"fr": french, "en": english}, language="fr")
    store.setting("email_template", code)
    for number, view in enumerate(("fr", "en", "it")):
        website = "private" if view == "it" else "main"
        queue(store, f"{number}@example.com", store_view=view, website=website)
    store.deliver()
    assert [each.message["Subject"] for each in sink.mails] == ["Venez", "Come", "Venez"]
    assert '<html lang="fr">' in sink.mails[2].html  # what it is written in, not what was wanted
    with store.session() as db:
        draft = mail_templates.Draft("Spring", "sv", {"en": english})
        mail_templates.save(db, code, 1, draft, Actor(STAFF))
        db.commit()
    assert written(store).content("it") == ("en", english)


def test_the_editor_shows_the_stand_in_of_a_language_and_saves_one_of_its_own(
    store: Store, admin: Visitor
) -> None:
    add_template(store)
    page = Page(admin.get(f"{SPRING}?language=it"))
    assert any("There is no text in Italian" in each for each in page.text("div"))
    assert edit(admin, language="it", subject="Vieni").status_code == 302
    contents = written(store).contents
    assert (contents["it"].subject, contents["en"]) == ("Vieni", CONTENT)
    admin.post(f"{SPRING}languages/it/delete")
    assert set(written(store).contents) == {"en"}
    told = Page(admin.post(f"{SPRING}languages/en/delete", follow_redirects=True))
    assert "cannot be removed" in " ".join(told.notices)
    assert set(written(store).contents) == {"en"}


def test_versions_are_seen_compared_and_restored(store: Store, admin: Visitor) -> None:
    add_template(store)
    edit(admin, subject="Second")
    edit(admin, language="fr", subject="Troisième")
    shown = Page(admin.get(f"{SPRING}versions/"))
    assert [each.split(" · ")[0] for each in shown.text("th")[-3:]] == [
        "Version 3", "Version 2", "Version 1",
    ]  # fmt: skip
    assert "Ada Admin" in shown.text("td")
    second = Page(admin.get(f"{SPRING}versions/2"))
    assert second.text("ins") == ["+ Second"]
    assert second.text("del") == ["- Come to {{ store_name }}"]
    assert "French: Added" in second.text("h3")
    preview = admin.get(f"{SPRING}preview?version=1")
    assert "Subject: Come to Linden & Lark" in Page(preview).text("h1")
    back = Page(admin.post(f"{SPRING}versions/1/restore", follow_redirects=True))
    assert "Version 1 is in force again." in back.notices
    assert written(store).contents == {"en": CONTENT}
    assert version_numbers(store) == [4, 3, 2, 1]


def test_a_version_that_no_rule_would_let_pass_today_is_not_restored(
    store: Store, admin: Visitor
) -> None:
    add_template(store)
    spoil(store, "spring", html="<script>")
    edit(admin, html=HTML)
    told = Page(admin.post(f"{SPRING}versions/1/restore", follow_redirects=True))
    assert "cannot be used as it is (English, HTML)" in " ".join(told.notices)
    assert version_numbers(store) == [2, 1]


def test_the_oldest_versions_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_templates, "KEPT_VERSIONS", 3)
    add_template(store)
    draft = mail_templates.Draft("Spring", "en", {"en": CONTENT})
    for number in range(1, 5):
        with store.session() as db:
            mail_templates.save(db, "spring", number, draft, Actor(STAFF))
            db.commit()
    assert version_numbers(store) == [5, 4, 3]


def test_a_template_in_use_is_not_deleted_and_it_is_said_where(
    store: Store, admin: Visitor
) -> None:
    add_template(store)
    store.setting("email_template", "spring", "website", "main")
    store.setting("email_template", "spring", "store", "it")
    where = "Store view Italiano, Website Main Website"
    assert where in " ".join(Page(admin.get(TEMPLATES)).text("td"))
    assert f"Used in: {where}" in " ".join(Page(admin.get(SPRING)).text("p"))
    told = Page(admin.post(f"{SPRING}delete", follow_redirects=True))
    assert told.notices == [f"This template is in use ({where}), so it was not deleted."]
    store.setting("email_template", "invitation_sent", "website", "main")
    store.setting("email_template", "invitation_sent", "store", "it")
    gone = Page(admin.post(f"{SPRING}delete", follow_redirects=True))
    assert gone.notices == ["The template Spring was deleted."]
    assert admin.get(SPRING).status_code == 404
    assert version_numbers(store) == []


def test_the_apps_own_default_is_a_use(make_store: MakeStore) -> None:
    store = make_store(INVITATIONS_EMAIL_TEMPLATE="spring")
    add_template(store)
    staff = store.staff()
    staff.get(SPRING)
    told = Page(staff.post(f"{SPRING}delete", follow_redirects=True))
    assert told.notices == ["This template is in use (All store views), so it was not deleted."]


def test_only_who_may_configure_sees_the_templates(store: Store, admin: Visitor) -> None:
    assert Page(admin.get("/admin/invitations/")).link("Email Templates") == TEMPLATES
    clerk = store.staff("clerk@example.com")
    assert Page(clerk.get("/admin/invitations/")).link("Email Templates") is None
    assert clerk.get(TEMPLATES).status_code == 403


def test_each_variable_stands_beside_the_editor_with_a_line_about_it(
    store: Store, admin: Visitor
) -> None:
    add_template(store)
    page = Page(admin.get(SPRING))
    named = [each.strip("{} ") for each in page.text("dt")]
    with store.session():
        assert named == list(mail.example_variables(store_view_of(store), "new"))
    assert all(page.text("dd"))


def store_view_of(store: Store) -> Any:
    return store.app.extensions["invitations"].host.websites()[0].store_views[0]


# A template that fails


@pytest.mark.parametrize("parts", [{"text": "{% if"}, {"html": "{{ 1 / 0 }}"}, {"text": "no link"}])
def test_a_broken_template_gives_way_to_the_default_and_staff_are_told(
    store: Store,
    admin: Visitor,
    sink: Sink,
    caplog: pytest.LogCaptureFixture,
    parts: dict[str, str],
) -> None:
    add_template(store)
    spoil(store, "spring", **parts)
    store.setting("email_template", "spring")
    friends = [f"friend{number}@example.com" for number in range(3)]
    with caplog.at_level(logging.ERROR):
        store.customer().send(*friends)
        assert store.deliver().sent == 3
    assert all("invites you to Linden & Lark" in each.text for each in sink.mails)
    assert {store.invitation(each).status for each in friends} == {"sent"}
    assert len([each for each in caplog.records if "'spring' failed" in each.message]) == 1
    for path in ("", "jobs/", "templates/"):
        [told] = faults(Page(admin.get(f"/admin/invitations/{path}")))
        assert "The mail template Spring failed" in told
    assert faults(Page(store.staff("clerk@example.com").get("/admin/invitations/"))) == []
    with store.session():
        assert any("'spring' failed" in each for each in examine(store.app))
    assert edit(admin, text=TEXT, html=HTML).status_code == 302
    assert faults(Page(admin.get("/admin/invitations/"))) == []


def test_a_template_that_fails_with_certain_data_fails_for_those_mails_only(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    add_template(store)
    assert edit(admin, text=FRAGILE).status_code == 302
    store.setting("email_template", "spring")
    queue(store, "1@example.com", inviter_name="Marcus")
    queue(store, "2@example.com", inviter_name="Zoe")
    queue(store, "3@example.com", inviter_name="Marcus")
    assert store.deliver().sent == 3
    subjects = {each.recipients[0][0]: each.message["Subject"] for each in sink.mails}
    assert subjects == {
        "1": "Come to Linden & Lark",
        "2": "You are invited to Linden & Lark",
        "3": "Come to Linden & Lark",
    }
    [told] = faults(Page(admin.get("/admin/invitations/")))
    assert "TypeError" in told


def test_a_template_whose_mail_grows_too_long_gives_way_to_the_default(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    add_template(store)
    times = LONGEST_MADE // 500
    assert edit(admin, html=HTML + "{{ message }}<br>" * (times // 4)).status_code == 302
    store.setting("email_template", "spring")
    assert "<br>" in one_mail(store, sink, message="Short").html
    spoil(store, "spring", html=HTML + "{{ message }}" * times)
    queue(store, "ben@example.com", message="x" * 1000)
    assert store.deliver().sent == 1
    assert "x" * 1000 + "</blockquote>" in sink.mails[-1].html
    assert "TooLong" in faults(Page(admin.get(TEMPLATES)))[0]


def test_a_stores_own_file_that_fails_gives_way_and_is_told_until_somebody_says_it_is_mended(
    store: Store, admin: Visitor, sink: Sink, shipped: Path
) -> None:
    shipped.joinpath("body.txt").write_text("{{ nothing.at.all }}")
    store.setting("email_template", "summer_sale")
    assert one_mail(store, sink).message["Subject"] == "You are invited to Linden & Lark"
    page = Page(admin.get("/admin/invitations/"))
    assert "The mail template Summer sale failed" in faults(page)[0]
    [path] = [each for each in page.actions() if each.endswith("mended")]
    admin.post(path)
    assert faults(Page(admin.get("/admin/invitations/"))) == []


def test_a_default_that_the_store_broke_gives_way_to_the_plugins_own(
    store: Store, sink: Sink, shipped: Path
) -> None:
    folder = shipped.parent / "invitation_sent"
    folder.mkdir()
    for name in ("subject.txt", "body.txt", "body.html"):
        folder.joinpath(name).write_text("{{ 1 / 0 }}")
    assert one_mail(store, sink).message["Subject"] == "You are invited to Linden & Lark"


def test_a_template_that_is_gone_is_no_fault_and_the_doctor_names_it(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    store.setting("email_template", "removed")
    assert one_mail(store, sink).message["Subject"] == "You are invited to Linden & Lark"
    assert faults(Page(admin.get("/admin/invitations/"))) == []
    with store.session():
        assert any("'removed', which is gone" in each for each in examine(store.app))


@pytest.mark.parametrize("text", ["{{7*7}} {{config}}", "{% raw %}", "%(x)s {0}", "<b>x</b>"])
def test_what_a_customer_writes_is_data_in_a_template_of_staff(
    store: Store, sink: Sink, text: str
) -> None:
    store.setting("email_template", add_template(store))
    made = one_mail(store, sink, message=text)
    assert text in made.text
    assert "<b>" not in made.html


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_words_of_a_customer_make_a_tag_or_a_link_in_a_template_of_staff(
    store: Store, sink: Sink, hostile: str
) -> None:
    store.setting("email_template", add_template(store))
    queue(store, ANNA, inviter_name=hostile, message=hostile)
    queue(store, "ben@example.com", inviter_name="Veronica", message="Hello")
    assert store.deliver().sent == 2
    attacked, plain = (
        Tags(each.html) for each in (sink.to(ANNA)[0], sink.to("ben@example.com")[0])
    )
    assert (attacked.tags, len(attacked.links)) == (plain.tags, len(plain.links))
    assert "evil.test" not in sink.to(ANNA)[0].text


# Preview


def framed(answer: Any) -> str:
    """Return the HTML of the mail in a preview's frames."""
    frames = {each.attributes["srcdoc"] for each in Page(answer).all("iframe")}
    [html] = frames
    return html


def test_a_preview_shows_what_is_typed_and_saves_nothing(store: Store, admin: Visitor) -> None:
    add_template(store)
    form = typed(admin.get(SPRING)) | {"subject": "Typed", "html": f"{HTML}<p>Typed too</p>"}
    answer = admin.post(f"{SPRING}preview", form)
    assert answer.status_code == 200
    assert "Subject: Typed" in Page(answer).text("h1")
    assert "Typed too" in framed(answer)
    assert any("Veronica Costello says:" in each for each in Page(answer).text("pre"))
    assert version_numbers(store) == [1]


def test_a_preview_of_what_is_wrong_says_so(store: Store, admin: Visitor) -> None:
    add_template(store)
    form = typed(admin.get(SPRING))
    for html in ("{{ nothing }}", f"{HTML}<script>x()</script>", "{%"):
        answer = admin.post(f"{SPRING}preview", form | {"html": html})
        assert answer.status_code == 422
        assert "HTML: Line 1:" in Page(answer).notices[0]


def test_a_preview_is_of_one_friend_store_view_language_and_theme(
    store: Store, admin: Visitor
) -> None:
    shown = admin.get(f"{TEMPLATES}invitation_sent/preview?language=it&example=existing&view=it")
    assert '<html lang="it">' in framed(shown)
    assert "/sign-in" in framed(shown)
    assert "privacy?store=it" in framed(shown)
    assert "Hai già un account" in framed(shown)
    dark = framed(admin.get(f"{TEMPLATES}invitation_sent/preview?theme=dark"))
    assert "prefers-color-scheme" not in dark
    assert "@media (min-width: 0)" in dark
    light = framed(admin.get(f"{TEMPLATES}invitation_sent/preview?theme=light"))
    assert "@media (max-width: 0)" in light


def test_a_preview_has_a_policy_of_its_own_and_its_page_stays_strict(
    store: Store, admin: Visitor
) -> None:
    add_template(store)
    page = admin.get(SPRING)
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    [frame] = Page(page).all("iframe")
    assert "allow-scripts" not in frame.attributes["sandbox"]
    assert "allow-same-origin" not in frame.attributes["sandbox"]
    preview = admin.get(frame.attributes["src"])
    policy = preview.headers["Content-Security-Policy"].split("; ")
    assert policy == [
        "default-src 'none'", "style-src 'self' 'unsafe-inline'", "img-src data:",
        "frame-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'self'",
        "form-action 'none'",
    ]  # fmt: skip
    for each in Page(preview).all("iframe"):
        assert each.attributes["sandbox"] == frame.attributes["sandbox"]


def test_a_stale_preview_says_so_in_its_frame(store: Store, admin: Visitor) -> None:
    add_template(store)
    form = typed(admin.get(SPRING))
    admin.token = "stale"
    answer = admin.post(f"{SPRING}preview", form)
    assert answer.status_code == 400
    assert "open for too long" in Page(answer).notices[0]
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]


# Test mail


def test_a_test_mail_goes_to_oneself_with_the_servers_answer_and_counts_as_nothing(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    add_template(store)
    answer = edit(admin, do="test", subject="Typed, not saved")
    [said] = Page(answer).notices
    assert answer.status_code == 200
    assert said.startswith("The mail server 127.0.0.1:")
    assert said.endswith("took the mail for admin@example.com. It said: 250 OK")
    [mail] = sink.mails
    assert mail.recipients == ["admin@example.com"]
    assert mail.message["Subject"] == "Typed, not saved"
    assert (store.invitations(), store.outbox()) == ([], [])
    assert typed(answer)["subject"] == "Typed, not saved"
    assert version_numbers(store) == [1]


def test_the_links_of_a_test_mail_lead_to_the_neutral_page(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    admin.get(f"{TEMPLATES}invitation_sent/")
    form = {"do": "test", "to": "chief@example.com", "view": "fr", "language": "fr"}
    answer = admin.post(f"{TEMPLATES}invitation_sent/", form)
    assert answer.status_code == 200
    [mail] = sink.to("chief@example.com")
    assert mail.message["Subject"].startswith("Votre invitation")
    assert mail.message["List-Unsubscribe"] is None
    assert mail.link == "/invitations/example"
    assert store.visitor().get(mail.link).status_code == 404
    assert store.visitor().get("/invitations/opt-out/example").status_code == 200


@pytest.mark.parametrize(
    ("command", "reply", "says"),
    [
        ("RCPT", "550 5.1.1 No such", "refused the mail for admin@example.com. It said: 550"),
        ("DATA", "451 4.7.1 Come back later", "does not take it now. It said: 451 4.7.1"),
        ("MAIL", "drop", "The line to the mail server 127.0.0.1:"),
        ("DATA", "taken drop", "so it may have arrived"),
    ],
)
def test_what_the_server_says_against_a_test_mail_is_shown(
    store: Store, admin: Visitor, sink: Sink, command: str, reply: str, says: str
) -> None:
    add_template(store)
    sink.replies[command] = [reply]
    answer = edit(admin, do="test")
    assert answer.status_code == 200
    assert says in Page(answer).notices[0]


def test_a_server_that_is_away_is_named(make_store: MakeStore) -> None:
    store = make_store(MAIL_PORT=1)
    add_template(store)
    answer = edit(store.staff(), do="test")
    assert "The mail server 127.0.0.1:1 cannot be used" in Page(answer).notices[0]


def test_mail_that_only_seems_to_leave_is_said_to(make_store: MakeStore, sink: Sink) -> None:
    store = make_store(MAIL_SUPPRESS_SEND=True)
    add_template(store)
    assert "Nothing was sent" in Page(edit(store.staff(), do="test")).notices[0]
    assert sink.mails == []


def test_a_test_mail_of_what_is_wrong_or_to_nobody_is_not_sent(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    add_template(store)
    answer = edit(admin, do="test", to="nobody", html="{{ nothing }}")
    page = Page(answer)
    assert answer.status_code == 422
    assert page.error("to")
    assert "There is no variable nothing" in page.error("html")
    assert typed(answer)["to"] == "nobody"
    assert sink.mails == []


def test_too_many_test_mails_have_to_wait(store: Store, admin: Visitor, sink: Sink) -> None:
    add_template(store)
    page = admin.get(SPRING)
    form = typed(page) | {"do": "test"}
    answers = [admin.post(SPRING, form) for _ in range(TRIALS.most + 1)]
    assert [each.status_code for each in answers] == [200] * TRIALS.most + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "many test mails" in Page(answers[-1]).notices[0]
    assert len(sink.mails) == TRIALS.most


def test_the_second_store_names_its_staffs_address_too(any_store: Store, sink: Sink) -> None:
    add_template(any_store)
    staff = any_store.staff()
    answer = edit(staff, do="test")
    assert answer.status_code == 200
    assert sink.mails[0].recipients == ["admin@example.com"]


def test_a_template_is_read_once_a_batch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.setting("email_template", add_template(store))
    read: list[str] = []
    load = mail_templates.load

    def count(session: Any, code: str, number: int | None = None) -> Any:
        read.append(code)
        return load(session, code, number)

    monkeypatch.setattr(mail_templates, "load", count)
    queue(store, *(f"friend{number}@example.com" for number in range(5)))
    assert store.deliver().sent == 5
    assert read == ["spring"]


def test_a_running_worker_uses_what_is_saved_with_its_next_batch(
    store: Store, admin: Visitor, sink: Sink
) -> None:
    store.setting("email_template", add_template(store))
    store.setting("batch_size", 1)
    queue(store, ANNA, "ben@example.com")
    page = typed(admin.get(SPRING)) | {"do": "save", "subject": "Saved meanwhile"}

    def save(mail: Mail) -> None:
        sink.while_taking = None
        assert admin.post(SPRING, page).status_code == 302

    sink.while_taking = save
    assert store.deliver().sent == 2
    assert [each.message["Subject"] for each in sink.mails] == [
        "Come to Linden & Lark",
        "Saved meanwhile",
    ]


def test_contents_survive_the_database_as_they_are(store: Store) -> None:
    odd = Content("Größe 尺寸", f"  {TEXT}\n\n", f"{HTML}\n\t<p>🎉</p>")
    add_template(store, contents={"zh_Hans": odd}, language="zh_Hans")
    assert written(store).contents == {"zh_Hans": odd}
