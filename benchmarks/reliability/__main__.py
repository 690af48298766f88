"""The reliability of lptpp: every promise is tried, many times.

    make reliability                                              (all, into docs/reliability.md)
    python -m benchmarks.reliability --share                      (a few trials of each)
    python -m benchmarks.reliability --only kills signals

Small pictures and towers with random weights; processes are forked, so that a start takes no time. Promises that held
today, at the same commit, are not tried again: an interrupted run goes on.
"""

import argparse
import math
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live

from benchmarks.reliability.costs import Clock, in_words
from benchmarks.reliability.forks import warm_up
from benchmarks.reliability.memory import remember, remembered
from benchmarks.reliability.promise import NotHere, Promise, Tally
from benchmarks.reliability.promises import PROMISES
from benchmarks.reliability.table import live_table, problem_lines, write_json, write_page
from benchmarks.reliability.world import World, make_world
from lptpp.report import page

INTERVAL = 15  # seconds between two lines of progress outside of a terminal


def main(arguments: Sequence[str] | None = None) -> None:
    """Try the promises, show the table, and write it; the exit status is 1 if one was not kept."""
    options = parsed(arguments)
    counts = {name: _count(PROMISES[name], options) for name in options.only}
    again = options.share or options.all or options.only != list(PROMISES)
    known = {} if again else remembered(counts)
    tallies = {name: known.get(name) or Tally(PROMISES[name].text) for name in options.only}
    for name in known:
        print(f"{name}: held in {tallies[name].held} trials today; --all tries it again", file=sys.stderr)
    if options.share:
        make_quick()
    left = {name: count for name, count in counts.items() if name not in known}
    try_all(tallies, left, (lambda *_: None) if options.share else remember)
    for line in problem_lines(tallies):
        print(line)
    if options.write:
        write_page(options.write, tallies)
    if options.json:
        write_json(options.json, tallies)
    sys.exit(not all(tally.kept for tally in tallies.values()))


def make_quick() -> None:
    """Write reports without their sections, half of the work of a small run, and wait for no disk."""
    page.SECTIONS = ()
    os.fsync = lambda descriptor: None  # what a killed process wrote is there without it


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", action="store_true", help="a few trials of each promise, reports without sections")
    parser.add_argument("--part", type=float, default=1.0, help="this part of the trials, such as 0.5")
    parser.add_argument("--only", nargs="+", choices=PROMISES, default=list(PROMISES), help="these promises")
    parser.add_argument("--all", action="store_true", help="also what held today")
    parser.add_argument("--write", type=Path, help="write the table to this page")
    parser.add_argument("--json", type=Path, help="write the table with all problems to this file")
    return parser.parse_args(arguments)


def _count(promise: Promise, options: argparse.Namespace) -> int:
    return promise.share if options.share else math.ceil(options.part * promise.full)


def try_all(tallies: dict[str, Tally], counts: dict[str, int], note: Callable[[str, int, Tally], None]) -> None:
    """Try promises, `counts` times each, show the table, and note each promise that has been tried."""
    console = Console()
    if console.is_terminal:
        print("Importing, and training the unbroken run ...", file=sys.stderr)
    warm_up()
    clock = Clock(PROMISES, counts)
    with (
        tempfile.TemporaryDirectory(prefix="lptpp-reliability-") as folder,
        Live(live_table(tallies), console=console, auto_refresh=False) as live,  # no thread: processes are forked
    ):
        world, lines = make_world(Path(folder)), _Lines(console.is_terminal)
        for name, count in counts.items():
            for _ in tried(world, tallies[name], PROMISES[name], count):
                left = clock.left(name, tallies[name].tried)
                live.update(live_table(tallies, name, left), refresh=console.is_terminal)
                lines.show(f"{name}: {tallies[name].tried:,} of {count:,}, about {in_words(left)} left in all")
            clock.finished(name)
            note(name, count, tallies[name])
            lines.show(f"{name}: held in {tallies[name].held:,} of {tallies[name].tried:,} trials", at_once=True)
        live.update(live_table(tallies), refresh=True)


class _Lines:
    """Lines of progress, not too many of them, and none in a terminal."""

    def __init__(self, terminal: bool) -> None:
        self.terminal, self.next = terminal, time.monotonic() + INTERVAL

    def show(self, line: str, at_once: bool = False) -> None:
        """Print a line if it is time for one."""
        if not self.terminal and (at_once or time.monotonic() > self.next):
            print(line, file=sys.stderr, flush=True)
            self.next = time.monotonic() + INTERVAL


def tried(world: World, tally: Tally, promise: Promise, count: int) -> Iterator[None]:
    """Try a promise; yield after each verdict. Ctrl-C goes on with the next one."""
    began, work = time.monotonic(), _work()
    try:
        for verdict in promise.verdicts(world, count):
            tally.add(verdict)
            yield
    except NotHere as reason:
        tally.note = str(reason)
    except KeyboardInterrupt:
        tally.note = "stopped before its end"
    tally.seconds, tally.cpu_seconds = time.monotonic() - began, _work() - work
    yield


def _work() -> float:
    """Return the CPU seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
