"""Run the benchmarks and keep what they found in ``bench/results.md``."""

from __future__ import annotations

from collections.abc import Callable

import click

from . import grid, listing, report, send

NAMES = ("send", "listing", "grid")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--requests", default=400, show_default=True, help="How many each contender gets.")
@click.option("--rows", default=grid.ROWS, show_default=True, help="Invitations in the grid.")
@click.option("--filled", multiple=True, help="Address of a seeded database for the grid.")
@click.option("--keep/--no-keep", default=True, help="Write bench/results.md.")
def main(
    names: tuple[str, ...], requests: int, rows: int, filled: tuple[str, ...], keep: bool
) -> None:
    """Measure all that goes by these NAMES; everything without one."""
    benchmarks: dict[str, Callable[[], report.Section]] = {
        "send": lambda: send.measure(requests),
        "listing": lambda: listing.measure(requests),
        "grid": lambda: grid.measure(requests, rows, filled),
    }
    for name in names or NAMES:
        section = benchmarks[name]()
        click.echo(f"\n{section.text}\n")
        if keep:
            more = f" --rows {rows}" if name == "grid" else ""
            report.keep(section, f"python -m bench {name} --requests {requests}{more}")


if __name__ == "__main__":
    main(prog_name="python -m bench")
