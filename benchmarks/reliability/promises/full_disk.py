"""The disk is full at some change of files: one sentence, nothing is lost; with room again, the same bits."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.reliability.forks import command, ended, in_lanes
from benchmarks.reliability.moments import at_change
from benchmarks.reliability.mounts import can_mount, disk
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World, difference

KINDS = (
    "fit", "export", "sweep", "predict", "fit", "evaluate", "fit", "report", "fit", "data", "fit", "embeddings"
)  # fmt: skip
SLOW = ("torch", "onnx")  # exports, tried once
# the disk fills before one of these changes
LAST = {"fit": 40, "sweep": 60, "evaluate": 20, "report": 1, "predict": 8, "embeddings": 12, "data": 8, "export": 6}
LAST |= dict.fromkeys(SLOW, 3)
SPACE = "phase1.learning_rate: {low: 0.001, high: 0.1, log: true}\n"
SWEEP = ("method=linear_probe", "data.validation=0.4", "use_experts=[visual]")


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Fill the disk under `count` commands."""
    scratch = world.scratch("full")
    can_mount(scratch)
    every = [*KINDS, *KINDS, *SLOW]
    trials = [(f"{kind} {seed}", partial(_trial, world, kind, seed)) for seed, kind in enumerate(every[:count])]
    yield from in_lanes(trials, scratch)


def _trial(world: World, kind: str, seed: int, folder: Path) -> str | None:
    draw = Random(seed)
    with disk(folder / "disk") as small:
        run = Path(shutil.copytree(_before(world, kind, draw), small.folder / "run"))
        work = _work(world, kind, run, small.folder)
        number = draw.randint(1, LAST[kind])

        def filled() -> None:
            at_change(number, small.folder, small.fill)
            work()

        done = ended(filled, folder)
        full = (small.folder / "ballast").exists()
        left = [str(path) for path in small.folder.rglob(".*.partial")]
        small.make_room()
        if full and left:
            return f"change {number} leaves {left}"
        if full and (done.status not in (1, 2) or not done.sentence):
            return f"change {number}, status {done.status}: {done.output}"
        done = ended(work, folder)
        return difference(run, world.run) if done.status == 0 else f"after change {number}: {done.output}"


def _work(world: World, kind: str, run: Path, folder: Path) -> Callable[[], None]:
    """Return the command."""
    predict, output = ("predict", run, world.pictures, "--output", folder / "p.csv"), ("--output", folder / kind)
    if kind == "sweep":
        space = folder.parent / "space.yaml"
        space.write_text(SPACE)
        return command("sweep", world.config, *SWEEP, "--space", space, "--trials", 2, *output)
    return {
        "fit": world.fit(run),
        "predict": command(*predict),
        "embeddings": command(*predict, "--embeddings", folder / "p.npy"),
        "data": command("data", world.pictures, *output),
        "export": command("export", run, "--to", "huggingface", *output),
        "torch": command("export", run, "--to", "torch", *output),
        "onnx": command("export", run, "--to", "onnx", *output),
    }.get(kind, command(kind, run))


def _before(world: World, kind: str, draw: Random) -> Path:
    return draw.choice(world.stages) if kind == "fit" else world.run


PROMISE = Promise(
    "the disk is full: one sentence; with room again, the same bits",
    verdicts,
    2 * len(KINDS) + len(SLOW),
    1,
    seconds=1.3,
    once=30.0,
)
