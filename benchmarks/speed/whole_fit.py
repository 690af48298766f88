"""A complete run of the demo: its duration and the share of phase 3."""

import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.speed.goals import Finding
from benchmarks.speed.workload import demo_settings
from lptpp.data.prepare import load_dataset
from lptpp.models.build import build_mixture
from lptpp.training.fit import Training
from lptpp.utils.errors import UserError
from lptpp.utils.log_file import logging_to
from lptpp.utils.progress import console

RESUMED = re.compile("Going on from|Resum")
EPOCH = re.compile(r"^(\S+ \S+) (\S+/phase(\d)) epoch (\d+) of (\d+): .* (\d+\.\d) s$")


@dataclass(frozen=True)
class FitTimes:
    """Seconds of all phases, and of phase 3 including the computation of the expert outputs."""

    whole: float
    scorer: float

    @property
    def scorer_share(self) -> float:
        """Share of phase 3 in %."""
        return 100 * self.scorer / self.whole


def read_fit(folder: Path) -> FitTimes:
    """Read the times from the log of a run folder.

    Raises:
        UserError: it is not the log of one complete, uninterrupted run.
    """
    log = folder / "log.txt"
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    epochs = [match.groups() for match in map(EPOCH.match, lines) if match]
    ends = [datetime.strptime(message, "%Y-%m-%d %H:%M:%S,%f").timestamp() for message, *_ in epochs]
    phases = [phase for _, _, phase, *_ in epochs]
    if not epochs or phases[-1] != "3" or epochs[-1][3] != epochs[-1][4] or any(RESUMED.search(line) for line in lines):
        raise UserError(
            f"{log} is not the log of one complete, uninterrupted run with three phases; choose another run folder."
        )
    first, before = ends[0] - float(epochs[0][-1]), ends[phases.index("3") - 1]
    return FitTimes(ends[-1] - first, ends[-1] - before)


def small_fit(folder: Path, every: int) -> FitTimes:
    """Train the demo for all epochs on every n-th training image, without evaluation."""
    console.print(f"emoji, every {every}th training image …")
    settings = demo_settings(f"run={folder}")
    collection = load_dataset(settings)
    collection = replace(collection, train=collection.train.subset(np.arange(0, len(collection.train), every)))
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("lptpp").setLevel(logging.INFO)
    with logging_to(folder / "log.txt"):
        Training(settings, collection, build_mixture(settings, len(collection.class_names)), None).run()
    return read_fit(folder)


def demo(folder: Path) -> float:
    """Run the demo in its own process; return its seconds.

    Raises:
        UserError: it failed.
    """
    console.print("lptpp fit emoji …")
    program = "from lptpp.cli import main; main()"
    command = [sys.executable, "-c", program, "fit", "emoji", f"run={folder}"]
    started = time.perf_counter()
    if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
        raise UserError("lptpp fit emoji failed; run it directly to see the error.")
    return time.perf_counter() - started


def check(run: Path | None) -> None:
    """Raise `UserError` early if the images of the demo or the log of a run are missing."""
    load_dataset(demo_settings())
    if run is not None:
        read_fit(run)


def findings(quick: bool, run: Path | None, scratch: Path) -> Iterator[Finding]:
    """Yield the share of phase 3 and the time of the demo, from a run folder, a small run, or the demo itself."""
    if run is not None:
        fit = read_fit(run)
        yield Finding("phase3", str(run), {"": fit.scorer_share}, "from its log")
        yield Finding("demo", str(run), {"": fit.whole / 60}, "from its log, without start and evaluation")
    elif quick:
        every = 10
        fit = small_fit(scratch / "run", every)
        yield Finding("phase3", "emoji", {"": fit.scorer_share}, f"every {every}th training image")
        yield Finding("demo", "emoji", note="not measured (omit --quick or set --demo)")
    else:
        seconds = demo(scratch / "run")
        yield Finding("phase3", "emoji", {"": read_fit(scratch / "run").scorer_share}, "complete run")
        yield Finding("demo", "emoji", {"": seconds / 60}, "from start to report")
