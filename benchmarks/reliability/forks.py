"""Processes forked from this one, in which PyTorch and lptpp are imported already: a start takes milliseconds.

This process runs no model itself: a fork after a backward pass, or with threads, may hang.
"""

import gc
import importlib
import multiprocessing
import os
import pkgutil
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import NamedTuple

import torch

import lptpp
from benchmarks.reliability.promise import Verdict
from lptpp import cli

CONTEXT = multiprocessing.get_context("fork")
LANES = "LPTPP_LANES"  # the environment variable for the number of trials at once, by default 2
LATER = ("matplotlib.pyplot", "sklearn.linear_model", "sklearn.cluster", "scipy.optimize", "scipy.stats", "open_clip")
LIMIT = 300  # seconds; a process that takes longer is killed and does not hold
Trial = Callable[[Path], str | None]  # gets an empty folder; returns the problem


class Ended(NamedTuple):
    """How a process ended."""

    status: int | None  # exit status; −N if signal N ended it; None if it took too long
    output: str  # what it printed

    @property
    def last(self) -> str:
        """The last line that it printed."""
        lines = self.output.strip().splitlines()
        return lines[-1] if lines else ""

    @property
    def sentence(self) -> bool:
        """Return whether it ended with one sentence for the user instead of a traceback."""
        return self.last.startswith("Error: ") and "Traceback" not in self.output


class Fork:
    """A process that runs a function, and what it prints."""

    def __init__(self, work: Callable[[], object], log: Path) -> None:
        self.log = log
        sys.stdout.flush()
        sys.stderr.flush()
        self.process = CONTEXT.Process(target=_run, args=(work, log))
        self.process.start()

    @property
    def pid(self) -> int:
        """The number of the process, and of its group."""
        assert self.process.pid is not None
        return self.process.pid

    def wait(self, seconds: float = LIMIT) -> Ended:
        """Wait for its end."""
        self.process.join(seconds)
        status = self.process.exitcode
        if status is None:
            self.process.kill()
            self.process.join()
        return Ended(status, self.log.read_text(encoding="utf-8", errors="replace"))


def _run(work: Callable[[], object], log: Path) -> None:
    """Run the work with both outputs in a file."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the suite itself runs in the background
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    work()


def ended(work: Callable[[], object], folder: Path, seconds: float = LIMIT) -> Ended:
    """Run a function in a process of its own, its output in `folder`."""
    return Fork(work, folder / f"{len(list(folder.glob('*.output')))}.output").wait(seconds)


def command(*words: object) -> Callable[[], None]:
    """Return a function that runs a command line of lptpp and exits with its status."""

    def run() -> None:
        sys.argv = ["lptpp", *map(str, words)]
        cli.main()

    return run


def in_lanes(trials: Sequence[tuple[str, Trial]], scratch: Path, each: int = 1) -> Iterator[Verdict]:
    """Run trials in `LANES` processes at once, each trial in a folder of its own; yield what comes of them.

    A trial counts as `each` trials.
    """
    count = min(int(os.environ.get(LANES, 2)), len(trials))
    lanes = [_lane(trials[start::count], scratch / f"lane{start}", each) for start in range(count)]
    open_ends = [end for _, end in lanes]
    try:
        while open_ends:
            for end in wait(open_ends):
                try:
                    yield end.recv()  # type: ignore[union-attr]
                except EOFError:
                    open_ends.remove(end)  # type: ignore[arg-type]
    finally:
        for process, _ in lanes:
            process.kill()
            process.join()


def _lane(trials: Sequence[tuple[str, Trial]], scratch: Path, each: int) -> tuple[ForkProcess, Connection]:
    """Start a process that runs trials one after the other; return it and the connection with its verdicts."""
    ours, theirs = CONTEXT.Pipe(duplex=False)

    def run() -> None:
        for number, (name, trial) in enumerate(trials):
            folder = scratch / str(number)
            folder.mkdir(parents=True)
            theirs.send(Verdict(name, _problem(trial, folder), each))
            shutil.rmtree(folder, ignore_errors=True)

    process = CONTEXT.Process(target=run)
    process.start()
    theirs.close()
    return process, ours


def _problem(trial: Trial, folder: Path) -> str | None:
    try:
        return trial(folder)
    except Exception:
        return traceback.format_exc()


def warm_up() -> None:
    """Import what commands import when they run, and keep it out of their garbage collections."""
    for module in pkgutil.walk_packages(lptpp.__path__, "lptpp."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in LATER:
        importlib.import_module(name)
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
