"""kill -9 during sweep, data, report, compare and the start of app: repeated, the same files, and none left over."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.reliability.forks import LIMIT, Ended, Fork, command, ended, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.promises.kills import killed
from benchmarks.reliability.world import World, difference

EACH = 2  # kills of a trial
Work = Callable[[], None]
SPACE = "phase1.learning_rate: {low: 0.001, high: 0.1, log: true}\nphase1.epochs: {low: 1, high: 2}\n"
SWEEP = ("method=linear_probe", "data.validation=0.4", "use_experts=[visual]", "workers=0")


class Kind(NamedTuple):
    """A command, within how many changes of files or seconds of work it is killed, and the file that it writes."""

    name: str
    changes: int
    seconds: float
    result: str


KINDS = (
    Kind("sweep", 60, 1.5, "sweep/trials.csv"),
    Kind("data", 12, 0.4, "data/images.csv"),
    Kind("sweep", 60, 1.5, "sweep/trials.csv"),
    Kind("report", 3, 0.8, "run/report.html"),
    Kind("app", 3, 2.0, "run/neighbors.safetensors"),
    Kind("compare", 3, 0.1, "compared.csv"),
)


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Kill `count` times in count/2 trials."""
    scratch, expected = world.scratch("other_kills"), world.scratch("other_outputs")
    shutil.copytree(world.run, expected / "run")
    kinds = [KINDS[seed % len(KINDS)] for seed in range(count // EACH)]
    for kind in dict.fromkeys(kinds):
        done = _completed(kind, world, expected)
        assert done.status == 0, done.output
    trials = [(f"{kind.name} {seed}", partial(_trial, world, kind, expected, seed)) for seed, kind in enumerate(kinds)]
    yield from in_lanes(trials, scratch, EACH)


def _trial(world: World, kind: Kind, expected: Path, seed: int, folder: Path) -> str | None:
    draw, kills = Random(seed), 0
    shutil.copytree(world.run, folder / "run")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    while kills < EACH:
        done = killed(_work(kind, world, folder), draw, folder, kind.changes, kind.seconds)
        if done.status not in (0, -signal.SIGKILL):
            return f"after {kills} kills: {done.output}"
        kills += done.status != 0
        if not done.status:
            (folder / kind.result).unlink()  # and once more
    done = _completed(kind, world, folder)
    return _different(kind, folder, expected) if done.status == 0 else f"at the end: {done.output}"


def _work(kind: Kind, world: World, folder: Path) -> Work:
    """Return the command; the paths in it are relative, as users write them."""
    words = {
        "sweep": ["sweep", world.config, *SWEEP, "--space", "space.yaml", "--trials", 2, "-o", "sweep"],
        "data": ["data", world.pictures, "-o", "data"],
        "report": ["report", "run"],
        "compare": ["compare", "run", world.run, "-o", "compared.csv"],
        "app": ["app", "run", "--port", 0],
    }

    def work() -> None:
        os.chdir(folder)
        (folder / "space.yaml").write_text(SPACE)
        command(*words[kind.name])()

    return work


def _completed(kind: Kind, world: World, folder: Path) -> Ended:
    """Run the command to its end; the page until it is served."""
    if kind.name != "app":
        return ended(_work(kind, world, folder), folder)
    fork, ends = Fork(_work(kind, world, folder), folder / "app.output"), time.monotonic() + LIMIT
    while fork.process.is_alive() and time.monotonic() < ends:
        if fork.log.exists() and re.search(r"http://127\.0\.0\.1", fork.log.read_text()):
            fork.process.terminate()
            break
        time.sleep(0.05)
    return fork.wait(60)


def _different(kind: Kind, folder: Path, expected: Path) -> str | None:
    """Return what is not as after the same command without a kill, or left over."""
    root = Path(kind.result).parts[0] if kind.name in ("sweep", "data") else kind.result
    wanted = [path for path in [expected / root, *(expected / root).rglob("*")] if path.is_file()]
    exact = [path for path in wanted if path.suffix in (".csv", ".png", ".html") and "history" not in path.name]
    for path in exact:
        found = folder / path.relative_to(expected)
        if not found.is_file() or (found.read_bytes() != path.read_bytes() and not _names_times(path)):
            return f"{found.relative_to(folder)} differs"
    for run in (expected / "sweep").glob("trial-*") if kind.name == "sweep" else ():
        if problem := difference(folder / "sweep" / run.name, run):
            return f"{run.name}: {problem}"
    names = {str(path.relative_to(expected)) for path in wanted}
    more = [path for path in folder.rglob("*") if path.is_file() and _is_left(str(path.relative_to(folder)), names)]
    return f"it leaves {more}" if more else None


def _names_times(path: Path) -> bool:
    """Return whether a file has times of its own run in it."""
    return path.name == "report.html" and "trial-" in str(path)


def _is_left(name: str, wanted: set[str]) -> bool:
    """Return whether a file is none of an undisturbed command, and none of the trial itself."""
    own = name.startswith("cache/") or name.endswith(".output") or name in ("space.yaml", "run/neighbors.safetensors")
    return not own and (".partial" in name or (not name.startswith("run/") and name not in wanted))


PROMISE = Promise(
    "kill -9 during sweep, data, report, compare, app: repeated, the same files",
    verdicts,
    60,
    2,
    seconds=1.0,
    once=10.0,
)
