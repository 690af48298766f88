"""Memory runs out: killed by the kernel in a cgroup, or refused under a limit of the address space.

Killed, the run resumes to the same bits; refused, it also ends with one sentence.
"""

import mmap
import os
import resource
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

GROUPS = Path("/sys/fs/cgroup/memory")
SPARE = 2**26  # bytes that the process may still take


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Half of the trials in a cgroup, where one can be made, the others under RLIMIT_AS."""
    kinds = ("cgroup", "RLIMIT_AS") if _can_group() else ("RLIMIT_AS",)
    trials = [
        (f"{kinds[seed % len(kinds)]} {seed}", partial(_trial, world, kinds[seed % len(kinds)], seed))
        for seed in range(count)
    ]
    yield from in_lanes(trials, world.scratch("memory"))


def _trial(world: World, kind: str, seed: int, folder: Path) -> str | None:
    draw, run = Random(seed), folder / "run"
    shutil.copytree(draw.choice(world.stages), run)
    group = _group() / f"lptpp-reliability-{os.getpid()}-{seed}"
    number = draw.randint(2, 25)

    def limited() -> None:
        at_change(number, folder, partial(_exhaust, group if kind == "cgroup" else None))
        world.fit(run)()

    done = ended(limited, folder)
    if group.exists():
        group.rmdir()
    killed = kind == "cgroup" and done.status == -signal.SIGKILL
    if not killed and not (done.status == 0 or (done.status in (1, 2) and done.sentence)):
        return f"change {number}, status {done.status}: {done.output}"
    done = ended(world.fit(run), folder)
    return difference(run, world.run) if done.status == 0 else done.output


def _exhaust(group: Path | None) -> None:
    """In the cgroup, take memory until the kernel kills this process; else leave next to none to take."""
    if group is None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * mmap.PAGESIZE, -1))
        return
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(SPARE))
    (group / "cgroup.procs").write_text(str(os.getpid()))
    taken = []
    while True:
        taken.append(b"x" * 2**20)
        if len(taken) * 2**20 > 8 * SPARE:
            raise RuntimeError("the limit of the cgroup does not hold")


def _group() -> Path:
    """Return the folder of the memory cgroup of this process."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return GROUPS
    own = next((line.split(":")[2] for line in lines if line.split(":")[1] == "memory"), "/")
    return GROUPS / own.lstrip("/")


def _can_group() -> bool:
    return os.access(_group(), os.W_OK) and (_group() / "memory.limit_in_bytes").exists()


PROMISE = Promise("memory runs out: killed or refused, resumed to the same bits", verdicts, 12, 2, seconds=1.3)
