"""kill -9 anywhere: repeated, the command ends with the bits of an unbroken run, and no file is left behind."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.reliability.forks import Ended, Fork, command, ended, in_lanes
from benchmarks.reliability.moments import at_change
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World, difference

EACH = 4  # kills of a run
CHANGES = {"fit": 60, "evaluate": 24, "predict": 10, "export": 8}  # a kill comes within so many changes of files
CPU_SECONDS = {"fit": 1.2, "evaluate": 1.0, "predict": 0.3, "export": 0.2}  # or within so much work
IDLE = 20  # seconds after which it is killed in any case: a page that is served does no more work
TICKS = os.sysconf("SC_CLK_TCK")


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Kill `count` times in count/4 runs."""
    scratch, expected = world.scratch("kills"), world.scratch("outputs")
    for words in outputs(world, world.run, expected).values():
        done = ended(command(*words), expected)
        assert done.status == 0, done.output
    runs = [(f"run {seed}", partial(_trial, world, expected, seed)) for seed in range(count // EACH)]
    yield from in_lanes(runs, scratch, EACH)


def outputs(world: World, run: Path, folder: Path) -> dict[str, list[object]]:
    """Return the commands that write what a finished run is used for to a folder."""
    return {
        "predict": ["predict", run, world.pictures, "--output", folder / "found" / "predictions.csv"],
        "export": ["export", run, "--to", "huggingface", "--output", folder / "found" / "exported"],
    }


def _trial(world: World, expected: Path, seed: int, folder: Path) -> str | None:
    """Kill a run and what follows it, again and again; then let everything end, and compare."""
    draw, run, kills, places = Random(seed), folder / "run", 0, []
    after = {"evaluate": ["evaluate", run], **outputs(world, run, folder)}
    while kills < EACH:
        name = "fit" if not (run / "report.html").exists() else draw.choice(list(after))
        work = world.fit(run) if name == "fit" else command(*after[name])
        done = killed(work, draw, folder, CHANGES[name], CPU_SECONDS[name])
        if done.status not in (0, -signal.SIGKILL):
            return f"{name} after {places}: {done.output}"
        if done.status:
            kills += 1
            places.append(name)
    for work in (world.fit(run), *(command(*words) for words in after.values())):
        done = ended(work, folder)
        if done.status:
            return f"after {places}: {done.output}"
    return _different(folder, expected, difference(run, world.run), places)


def killed(work: Callable[[], None], draw: Random, folder: Path, changes: int, seconds: float) -> Ended:
    """Run and kill at one of the first `changes` of files, or after a part of `seconds` of work."""
    most, number = float("inf"), 0
    if draw.random() < 0.5:
        number = draw.randint(1, changes)
    else:
        most = draw.uniform(0, seconds)

    def until() -> None:
        if number:
            at_change(number, folder, lambda: os.kill(os.getpid(), signal.SIGKILL))
        work()

    fork, deadline = Fork(until, folder / "killed.output"), time.monotonic() + IDLE
    while fork.process.is_alive() and cpu_seconds(fork.pid) < most and time.monotonic() < deadline:
        time.sleep(0.004)
    fork.process.kill()
    return fork.wait()


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process so far; infinite if it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / TICKS


def _different(folder: Path, expected: Path, problem: str | None, places: list[str]) -> str | None:
    """Return what is not as after unbroken commands, or left over."""
    for path in sorted((expected / "found").rglob("*")):
        found = folder / path.relative_to(expected)
        if problem is None and path.is_file() and not _same(found, path):
            problem = f"{found.relative_to(folder)} differs"
    names = {path.relative_to(expected) for path in (expected / "found").rglob("*")}
    more = {path.relative_to(folder) for path in (folder / "found").rglob("*")} - names
    if problem is None and more:
        problem = f"it leaves {', '.join(map(str, sorted(more)))}"
    return f"after {places}: {problem}" if problem else None


def _same(found: Path, expected: Path) -> bool:
    """Return whether two files are equal; notes and cards name paths and times of their run."""
    if not found.is_file():
        return False
    named = expected.suffix in (".json", ".md", ".yaml")
    return named or found.read_bytes() == expected.read_bytes()


PROMISE = Promise(
    "kill -9 during fit, evaluation, export or prediction: repeated, the same bits",
    verdicts,
    200,
    4,
    seconds=1.3,
    once=5.0,
)
