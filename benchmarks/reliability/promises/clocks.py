"""The time of day jumps by years, in both directions, and files carry times of the past and the future.

The clock of the machine is left alone: the process under trial sees another one.
"""

import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from itertools import count as numbers
from pathlib import Path
from random import Random

from benchmarks.reliability.forks import ended, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World, difference

YEAR = 365 * 86_400


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Resume from every stage."""
    trials = [(f"clock {seed}", partial(_trial, world, seed)) for seed in range(count)]
    yield from in_lanes(trials, world.scratch("clocks"))


def _trial(world: World, seed: int, folder: Path) -> str | None:
    run, draw, now = folder / "run", Random(seed), time.time
    shutil.copytree(world.stages[seed % len(world.stages)], run)
    for path in run.rglob("*"):
        os.utime(path, (0, draw.uniform(0, 100 * YEAR)))
    calls = numbers()

    def jumping() -> None:
        time.time = lambda: now() + (10 * YEAR if next(calls) % 2 else -10 * YEAR)
        world.fit(run)()

    done = ended(jumping, folder)
    return difference(run, world.run) if done.status == 0 else done.output


PROMISE = Promise(
    "the clock jumps by ten years, file times by a hundred: resumed to the same bits", verdicts, 10, 1, seconds=1.4
)
