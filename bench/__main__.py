"""Run the benchmarks and keep what they found in ``bench/results.md``."""

from __future__ import annotations

from collections.abc import Callable

import click

from . import listing, report, send

# A benchmark takes how many requests each contender gets, and returns its section.
BENCHMARKS: dict[str, Callable[[int], report.Section]] = {
    "send": send.measure,
    "listing": listing.measure,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option("--requests", default=400, show_default=True, help="How many each contender gets.")
@click.option("--keep/--no-keep", default=True, help="Write bench/results.md.")
def main(names: tuple[str, ...], requests: int, keep: bool) -> None:
    """Measure all that goes by these NAMES; everything without one."""
    for name in names or BENCHMARKS:
        section = BENCHMARKS[name](requests)
        click.echo(f"\n{section.text}\n")
        if keep:
            report.keep(section, f"python -m bench {name} --requests {requests}")


if __name__ == "__main__":
    main(prog_name="python -m bench")
