"""``flask invitations reconcile``: do the tables hold what they promise?"""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from . import reconciling
from .reconciling import CHECKS, Finding


@click.command()
@with_appcontext
def reconcile() -> None:
    """Look for rows that break what the plugin promises. Exit code 1 when there are some.

    Nothing is changed, and nobody waits for it. A rule that is broken tells how many rows
    break it and some of them by id; addresses are never shown.
    """
    with click.progressbar(
        length=reconciling.steps(), label="Looking through the tables", file=sys.stderr
    ) as bar:
        findings = list(reconciling.reconcile(bar.update))
    for finding in findings:
        click.echo(_said(finding))
    broken = sum(finding.count > 0 for finding in findings)
    if broken:
        click.echo(f"{broken} of {len(CHECKS)} rules are broken.")
        raise SystemExit(1)
    click.echo(f"All {len(CHECKS)} rules hold.")


def _said(finding: Finding) -> str:
    rule = f"{finding.check.promise:<4}{finding.check.rule}"
    if not finding.count:
        return f"{rule}: yes"
    examples = ", ".join(str(each) for each in finding.examples)
    return f"{rule}: NO, {finding.count} found ({_kind(finding)}{examples})"


def _kind(finding: Finding) -> str:
    """Return whose ids the examples are, as the table is called."""
    model = finding.check.model
    if model is None:
        return ""
    name = model.__tablename__.removeprefix("invitations_")
    return f"{name}, such as " if finding.count > len(finding.examples) else f"{name} "
