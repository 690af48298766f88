"""Two `lptpp fit` start on one run folder at the same moment: one trains it, to the same bits, the other says so."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.reliability.forks import CONTEXT, Fork, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World, difference

REFUSALS = ("is in use by another", "in the meantime")


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Race on new folders, and on folders close to the end of a run."""
    trials = [(f"race {seed}", partial(_trial, world, seed)) for seed in range(count)]
    yield from in_lanes(trials, world.scratch("starts"))


def _trial(world: World, seed: int, folder: Path) -> str | None:
    run, barrier = folder / "run", CONTEXT.Barrier(2)
    if seed % 5:
        shutil.copytree(world.stages[-1 - seed % 3], run)

    def race() -> None:
        barrier.wait()
        world.fit(run)()

    forks = [Fork(race, folder / f"{number}.output") for number in range(2)]
    ends = sorted((fork.wait() for fork in forks), key=lambda end: end.status or 0)
    if ends[0].status != 0:
        return "neither trains: " + "\n".join(end.output for end in ends)
    other = ends[1]
    if other.status and not (other.sentence and any(words in other.last for words in REFUSALS)):
        return f"the other, status {other.status}: {other.output}"
    return difference(run, world.run)


PROMISE = Promise(
    "two fits start at once on one folder: one trains, the other is refused", verdicts, 50, 1, seconds=1.4
)
