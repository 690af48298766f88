"""SIGTERM, Ctrl-C and Ctrl-C twice: one sentence, status 130, and the run resumes to the same bits."""

import os
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.reliability.forks import ended, in_lanes
from benchmarks.reliability.moments import at_change
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World, difference

KINDS = {"SIGTERM": [signal.SIGTERM], "SIGINT": [signal.SIGINT], "SIGINT twice": [signal.SIGINT] * 2}
FIRST, LAST = 1, 30  # the signal comes at one of these changes of files


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Stop runs from every stage on."""
    kinds = list(KINDS)
    trials = [(kinds[seed % 3], partial(_trial, world, kinds[seed % 3], seed)) for seed in range(count)]
    yield from in_lanes(trials, world.scratch("signals"))


def _trial(world: World, kind: str, seed: int, folder: Path) -> str | None:
    run, stages, draw = folder / "run", world.stages, Random(seed)
    if place := seed % (len(stages) + 1):
        shutil.copytree(stages[place - 1], run)
    number = draw.randint(FIRST, LAST)

    def signaled() -> None:
        at_change(number, folder, lambda: [os.kill(os.getpid(), one) for one in KINDS[kind]])
        world.fit(run)()

    done = ended(signaled, folder)
    if done.status != 0 and not (done.status == 130 and done.last.startswith("Stopped ")):
        return f"at change {number} from stage {place}, status {done.status}: {done.output}"
    done = ended(world.fit(run), folder)
    return difference(run, world.run) if done.status == 0 else done.output


PROMISE = Promise(
    "SIGTERM, Ctrl-C, Ctrl-C twice during fit: one sentence, resumed to the same bits", verdicts, 30, 3, seconds=1.5
)
