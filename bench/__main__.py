"""Run the benchmarks, keep what they found in ``bench/results.md``, show it in the README."""

from __future__ import annotations

from collections.abc import Callable

import click

from . import discard, grid, listing, report, reports, send, sending
from .filled import Filled, filled

README = "readme"
# The last one changes rows.
NAMES = ("send", "sending", "listing", "seed", "reports", "grid", "discard")
ROWS = 1_000_000


@click.command()
@click.argument("names", nargs=-1, type=click.Choice((*NAMES, README)))
@click.option("--requests", default=400, show_default=True, help="How many each contender gets.")
@click.option("--messages", default=2000, show_default=True, help="Mails that each sends at most.")
@click.option("--rows", default=ROWS, show_default=True, help="Invitations in the back office.")
@click.option("--filled", "given", multiple=True, help="Address of a seeded database.")
@click.option("--keep/--no-keep", default=True, help="Write bench/results.md and the README.")
def main(
    names: tuple[str, ...],
    requests: int,
    messages: int,
    rows: int,
    given: tuple[str, ...],
    keep: bool,
) -> None:
    """Measure all that goes by these NAMES; everything without one.

    "readme" measures nothing and copies the kept figures into the README.
    """
    if given and "seed" in names:
        raise click.UsageError("A database that is filled already tells nothing of the seed.")
    left_out = (README, "seed") if given else (README,)
    with filled(rows, given) as databases:
        benchmarks = _benchmarks(requests, messages, databases)
        for name in [each for each in names or NAMES if each not in left_out]:
            section = benchmarks[name]()
            click.echo(f"\n{section.text}\n")
            if keep:
                report.keep(section, _command(name, requests, messages, rows))
    if keep:
        report.show()


def _benchmarks(
    requests: int, messages: int, databases: Filled
) -> dict[str, Callable[[], report.Section]]:
    return {
        "send": lambda: send.measure(requests),
        "sending": lambda: sending.measure(messages),
        "listing": lambda: listing.measure(requests),
        "seed": databases.measure,
        "reports": lambda: reports.measure(databases.urls(), requests),
        "grid": lambda: grid.measure(requests, databases.urls()),
        "discard": lambda: discard.measure(databases.urls()),
    }


def _command(name: str, requests: int, messages: int, rows: int) -> str:
    """Return what measures the same again."""
    counted = f" --requests {requests}" if name in ("send", "listing", "reports", "grid") else ""
    sized = f" --rows {rows}" if name in ("seed", "reports", "grid", "discard") else ""
    mailed = f" --messages {messages}" if name == "sending" else ""
    return f"python -m bench {name}{counted}{mailed}{sized}"


if __name__ == "__main__":
    main(prog_name="python -m bench")
