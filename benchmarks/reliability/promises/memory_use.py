"""The memory of a process stays flat over thousands of predictions and over a long fit."""

import time
from collections.abc import Iterator
from pathlib import Path

import lptpp
from benchmarks.reliability.forks import LIMIT, Fork, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World

MOST = 24  # megabytes of growth from the first third on
PAGE = 4096
FULL = 10_000  # predictions; the long fit has one epoch for each hundred


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Predict `count` images, in calls of 25; at the same time, train `count`/100 epochs of each phase."""
    epochs = [f"phase{phase}.epochs={max(count // 100, 3)}" for phase in (1, 2, 3)]

    def predictions(folder: Path) -> str | None:
        return _grown(Fork(lambda: _predict(world, count), folder / "output"))

    def long_fit(folder: Path) -> str | None:
        return _grown(Fork(world.fit(folder / "run", *epochs), folder / "output"))

    for verdict in in_lanes([("predictions", predictions), ("a long fit", long_fit)], world.scratch("flat")):
        yield verdict._replace(trials=count) if verdict.trial == "predictions" else verdict


def _predict(world: World, count: int) -> None:
    model, images = lptpp.load(world.run, "cpu"), sorted(world.pictures.glob("*/*/*.png"))
    for _ in range(count // len(images)):
        model.predict(images)


def _grown(fork: Fork) -> str | None:
    """Watch the memory of a process until it ends; return how much it grew, if too much."""
    sizes, deadline = list[int](), time.monotonic() + 4 * LIMIT
    while fork.process.is_alive() and time.monotonic() < deadline:
        sizes.append(resident(fork.pid))
        time.sleep(0.05)
    done = fork.wait(1)
    if done.status != 0:
        return f"status {done.status}: {done.output}"
    third = len(sizes) // 3
    early, late = max(sizes[third : 2 * third], default=0), max(sizes[2 * third : -1], default=0)
    grown = (late - early) / 2**20
    return f"{grown:.0f} MB more in the last third than in the second" if grown > MOST else None


def resident(process: int) -> int:
    """Return the memory of a process in bytes; 0 if it has ended."""
    try:
        return PAGE * int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0


PROMISE = Promise(
    "memory stays flat over 10,000 predictions and a long fit", verdicts, FULL, 300, seconds=0.015, once=5.0
)
