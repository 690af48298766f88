"""A loader worker is killed: one sentence, and the run resumes to the same bits."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.reliability.forks import ended, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World, difference
from lptpp.data import loader

PLACES = (2, 1, 4, 6)  # stages from which runs go on


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Kill at different batches of different stages."""
    trials = [
        (f"stage {PLACES[seed % 4]}, batch {1 + seed // 2}", partial(_trial, world, PLACES[seed % 4], 1 + seed // 2))
        for seed in range(count)
    ]
    yield from in_lanes(trials, world.scratch("workers"))


def _trial(world: World, stage: int, batch: int, folder: Path) -> str | None:
    run = folder / "run"
    shutil.copytree(world.stages[stage], run)
    done = ended(partial(_until_killed, world, run, batch), folder)
    if done.status not in (1, 2) or not done.sentence:
        return f"status {done.status}: {done.output}"
    done = ended(world.fit(run), folder)
    return difference(run, world.run) if done.status == 0 else done.output


def _until_killed(world: World, run: Path, batch: int) -> None:
    """Train with two workers; the one that reads a batch, counted over both, kills itself."""
    owner, read = os.getpid(), loader._BatchDataset.__getitem__
    counter = multiprocessing.get_context("fork").Value("i", 0)

    def fatal(self: Any, number: int) -> Any:
        if os.getpid() != owner:
            with counter.get_lock():
                counter.value += 1
            if counter.value == batch:
                os.kill(os.getpid(), signal.SIGKILL)
        return read(self, number)

    loader._BatchDataset.__getitem__ = fatal  # type: ignore[method-assign]
    world.fit(run, "workers=2")()


PROMISE = Promise("a loader worker is killed: one sentence, and resumed to the same bits", verdicts, 12, 1, seconds=1.5)
