"""The reliability of lptpp: every promise is tried, many times.

    make reliability                                              (all, into docs/reliability.md)
    python -m benchmarks.reliability --share                      (a few trials of each)
    python -m benchmarks.reliability --only kills signals

Small pictures and towers with random weights; processes are forked, so that a start takes no time.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup
from rich.console import Console
from rich.live import Live

from benchmarks.reliability.forks import warm_up
from benchmarks.reliability.promise import NotHere, Promise, Tally
from benchmarks.reliability.promises import PROMISES
from benchmarks.reliability.table import live_table, problem_lines, write_json, write_page
from benchmarks.reliability.world import World, make_world
from lptpp.report import page


def main(arguments: Sequence[str] | None = None) -> None:
    """Try the promises, show the table, and write it; the exit status is 1 if one was not kept."""
    options = parsed(arguments)
    warm_up()
    if options.share:
        without_figures()
    tallies = {name: Tally(PROMISES[name].text) for name in options.only}
    with (
        tempfile.TemporaryDirectory(prefix="lptpp-reliability-") as folder,
        Live(live_table(tallies), console=Console(), auto_refresh=False) as live,  # no thread: processes are forked
    ):
        world = make_world(Path(folder))
        for name in options.only:
            for _ in tried(world, tallies[name], PROMISES[name], options):
                live.update(live_table(tallies, name), refresh=live.console.is_terminal)
            if not live.console.is_terminal:
                print(
                    f"{name}: held in {tallies[name].held} of {tallies[name].tried} trials", file=sys.stderr, flush=True
                )
        live.update(live_table(tallies), refresh=True)
    for line in problem_lines(tallies):
        print(line)
    if options.write:
        write_page(options.write, tallies)
    if options.json:
        write_json(options.json, tallies)
    sys.exit(not all(tally.kept for tally in tallies.values()))


def without_figures() -> None:
    """Write reports without their figures, which take half of the time of a small run."""
    page.inline = lambda plot, name: Markup("<svg></svg>")  # type: ignore[assignment]


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", action="store_true", help="a few trials of each promise, reports without figures")
    parser.add_argument("--part", type=float, default=1.0, help="this part of the trials, such as 0.5")
    parser.add_argument("--only", nargs="+", choices=PROMISES, default=list(PROMISES), help="these promises")
    parser.add_argument("--write", type=Path, help="write the table to this page")
    parser.add_argument("--json", type=Path, help="write the table with all problems to this file")
    return parser.parse_args(arguments)


def tried(world: World, tally: Tally, promise: Promise, options: argparse.Namespace) -> Iterator[None]:
    """Try a promise; yield after each verdict. Ctrl-C goes on with the next one."""
    count = promise.share if options.share else math.ceil(options.part * promise.full)
    try:
        for verdict in promise.verdicts(world, count):
            tally.add(verdict)
            yield
    except NotHere as reason:
        tally.note = str(reason)
    except KeyboardInterrupt:
        tally.note = "stopped before its end"
    yield


if __name__ == "__main__":
    main()
