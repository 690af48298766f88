"""On a read-only disk a finished run shows itself and predicts; what must write says so in one sentence."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.reliability.forks import command, ended, in_lanes
from benchmarks.reliability.mounts import can_mount, disk
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World, difference

READS = ("fit", "predict", "export elsewhere", "compare")
WRITES = ("resume", "evaluate", "report", "export")


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Run the first `count` of these commands."""
    scratch = world.scratch("read-only")
    can_mount(scratch)
    kinds = [kind for pair in zip(READS, WRITES, strict=True) for kind in pair]
    yield from in_lanes([(kind, partial(_trial, world, kind)) for kind in kinds[:count]], scratch)


def _trial(world: World, kind: str, folder: Path) -> str | None:
    with disk(folder / "disk") as small:
        run = Path(shutil.copytree(world.stages[5] if kind == "resume" else world.run, small.folder / "run"))
        small.make_read_only(True)
        output = ("--output", folder / "output.csv")
        work = {
            "fit": world.fit(run),
            "resume": world.fit(run),
            "predict": command("predict", run, world.pictures, *output),
            "export": command("export", run, "--to", "huggingface"),
            "export elsewhere": command("export", run, "--to", "huggingface", "--output", folder / "exported"),
            "compare": command("compare", run, world.run, *output),
        }.get(kind, command(kind, run))
        done = ended(work, folder)
        if kind in READS:
            return None if done.status == 0 else f"status {done.status}: {done.output}"
        if done.status not in (1, 2) or not done.sentence:
            return f"status {done.status}: {done.output}"
        small.make_read_only(False)
        done = ended(work, folder)
        return difference(run, world.run) if done.status == 0 else f"writable again: {done.output}"


PROMISE = Promise(
    "a read-only disk: what only reads works, what must write is one sentence", verdicts, 8, 1, seconds=0.3
)
