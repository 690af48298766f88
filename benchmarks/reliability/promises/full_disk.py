"""The disk is full at some change of files: one sentence, nothing is lost; with room again, the same bits."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.reliability.forks import command, ended, in_lanes
from benchmarks.reliability.moments import at_change
from benchmarks.reliability.mounts import can_mount, disk
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World, difference

KINDS = ("fit", "fit", "fit", "fit", "evaluate", "report", "predict", "export")
LAST = {"fit": 40, "evaluate": 20, "report": 1, "predict": 8, "export": 6}  # the disk fills before one of these changes


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Fill the disk under `count` commands."""
    scratch = world.scratch("full")
    can_mount(scratch)
    trials = [(f"{KINDS[seed % 8]} {seed}", partial(_trial, world, KINDS[seed % 8], seed)) for seed in range(count)]
    yield from in_lanes(trials, scratch)


def _trial(world: World, kind: str, seed: int, folder: Path) -> str | None:
    draw = Random(seed)
    with disk(folder / "disk") as small:
        run = Path(shutil.copytree(_before(world, kind, draw), small.folder / "run"))
        work = {
            "fit": world.fit(run),
            "predict": command("predict", run, world.pictures, "--output", small.folder / "p.csv"),
            "export": command("export", run, "--to", "huggingface", "--output", small.folder / "exported"),
        }.get(kind, command(kind, run))
        number = draw.randint(1, LAST[kind])

        def filled() -> None:
            at_change(number, small.folder, small.fill)
            work()

        done = ended(filled, folder)
        full = (small.folder / "ballast").exists()
        small.make_room()
        if full and (done.status not in (1, 2) or not done.sentence):
            return f"change {number}, status {done.status}: {done.output}"
        done = ended(work, folder)
        return difference(run, world.run) if done.status == 0 else f"after change {number}: {done.output}"


def _before(world: World, kind: str, draw: Random) -> Path:
    return draw.choice(world.stages) if kind == "fit" else world.run


PROMISE = Promise("the disk is full: one sentence; with room again, the same bits", verdicts, 24, 2)
