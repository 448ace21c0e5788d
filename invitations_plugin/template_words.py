"""What is wrong with a mail template, and what became of a test mail, in sentences."""

from __future__ import annotations

from .i18n import format_number, gettext, n_
from .templating import Problem
from .trials import Answer, End

PROBLEMS = {
    "argument": n_(
        "The filter %(detail)s takes whole numbers up to 1,000, and at most four filters may"
        " follow one another."
    ),
    "attribute": n_("The attribute %(detail)s may not be used in a mail."),
    "break": n_("A subject is a single line."),
    "comment": n_("Comments that only some mail programs read may not be used."),
    "construct": n_(
        "A template shows variables and chooses by if; this cannot be used in it: %(detail)s."
    ),
    "empty": n_("This must not be empty."),
    "fails": n_("With example data this fails: %(detail)s"),
    "filter": n_("There is no filter %(detail)s; there are: %(hint)s."),
    "followed": n_(
        "The variable %(detail)s must stand alone as an address: as a part of another one it would"
        " follow the reader."
    ),
    "loads": n_("A mail loads nothing from elsewhere, as this would: %(detail)s"),
    "markup": n_("This is no HTML that can be read (a < in a text is written &lt;): %(detail)s"),
    "missing": n_("The link {{ %(detail)s }} is missing."),
    "nested": n_("Too many parts stand within one another."),
    "subject": n_("The variable %(detail)s may not stand in a subject."),
    "syntax": n_(
        "This cannot be read: each {{ needs its }}, each {%% its %%}, each if its endif, and"
        " something within."
    ),
    "tag": n_("The tag <%(detail)s> may not be used in a mail."),
    "tag variable": n_(
        "The variable %(detail)s may stand in the text only, not within a tag or a style."
    ),
    "target": n_(
        "A link leads to a variable or to an address that begins with https:, not to %(detail)s"
    ),
    "variable": n_("There is no variable %(detail)s."),
}
ENDS = {
    End.TAKEN: n_("The mail server %(server)s took the mail for %(to)s. It said: %(said)s"),
    End.SUPPRESSED: n_("Nothing was sent: MAIL_SUPPRESS_SEND is on, so mail only seems to leave."),
    End.UNREACHABLE: n_("The mail server %(server)s cannot be used: %(said)s"),
    End.LATER: n_("The mail server %(server)s does not take it now. It said: %(said)s"),
    End.REFUSED: n_("The mail server %(server)s refused the mail for %(to)s. It said: %(said)s"),
    End.BROKEN: n_("The line to the mail server %(server)s broke: %(said)s"),
    End.UNKNOWN: n_(
        "The line to the mail server %(server)s broke after the mail was handed over, so it may"
        " have arrived: %(said)s"
    ),
}


def problem_text(problem: Problem) -> str:
    """Say what is wrong, and in which line."""
    text = _problem_text(problem)
    if problem.line is None:
        return text
    return gettext("Line %(line)s: %(text)s", line=problem.line, text=text)


def _problem_text(problem: Problem) -> str:
    if problem.fact == "long":
        return gettext(
            "This has %(num)s characters; at most %(most)s are possible.",
            num=format_number(int(problem.detail)),
            most=format_number(int(problem.hint)),
        )
    text = gettext(PROBLEMS[problem.fact]) % {"detail": problem.detail, "hint": problem.hint}
    if problem.fact == "variable" and problem.hint:
        return f"{text} {gettext('Did you mean %(name)s?', name=problem.hint)}"
    return text


def answer_text(answer: Answer, to: str) -> str:
    """Say what became of a test mail."""
    return gettext(ENDS[answer.end], server=answer.server, said=answer.said, to=to)
